#!/usr/bin/python3
"""`sgdist bench`: what its table says of a network whose products and bytes are counted by hand, and its last line. No time
is judged, but for what must add up.

SGDIST is the program, WORK a scratch folder.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tiny_onnx as onnx  # noqa: E402

SGDIST = os.environ.get("SGDIST", "sgdist")
WORK = pathlib.Path(os.environ.get("WORK", "/tmp/sgdist-bench"))
LAST = r"(\S+) seconds a gradient sample\n"


def two_convolutions():
    """3x12x12 -> Conv 40, 3x3, padded -> Relu -> Conv 8, 1x1, stride 2 -> mean -> Gemm 5."""
    nodes = [onnx.node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), onnx.node("Relu", ["c"], ["r"]),
             onnx.node("Conv", ["r", "u"], ["d"], strides=[2, 2]), onnx.node("GlobalAveragePool", ["d"], ["p"]),
             onnx.node("Flatten", ["p"], ["f"], axis=1), onnx.node("Gemm", ["f", "v"], ["y"], transB=1)]
    weights = [onnx.tensor("w", [40, 3, 3, 3], [0.1] * 1080), onnx.tensor("u", [8, 40, 1, 1], [0.1] * 320), onnx.tensor("v", [5, 8], [0.1] * 40)]
    return onnx.model(nodes, weights, [3, 12, 12], [5])


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        cls.model = WORK / "net.onnx"
        cls.model.write_bytes(two_convolutions())

    def bench(self, *options, text=None):
        run = subprocess.run([SGDIST, "bench", str(self.model), "--seconds", "0.02", *options], input=text, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_layers_are_those_counted_by_hand(self):
        self.bench("--block", "4", "--json", str(WORK / "t.json"))
        table = json.loads((WORK / "t.json").read_text())
        self.assertEqual(table["block"], 4)
        self.assertEqual([(x["layer"], x["tensor"], x["output"], x["multiply_adds"]) for x in table["layers"]],
                         [("Conv+Relu", "r", "[N,40,12,12]", 40 * 144 * 27), ("Conv", "d", "[N,8,6,6]", 8 * 36 * 40),
                          ("GlobalAveragePool", "p", "[N,8,1,1]", 0), ("Gemm", "y", "[N,5]", 40)])
        # Backward of the first layer has three output channels: that is what dots are for (docs/performance.md).
        self.assertEqual(table["layers"][0]["backward"], "dots")
        self.assertNotEqual(table["layers"][0]["forward"], "dots")
        # Inputs, outputs and one bit a Relu, for each of 4 samples, and the weights once.
        self.assertEqual(table["layers"][0]["bytes"], [4 * (4 * (432 + 5760 + 5760 // 32) + 1080)] * 2)
        self.assertEqual(table["layers"][1]["bytes"], [4 * (4 * (5760 + 288) + 320)] * 2)

    def test_times_add_up(self):
        self.bench("--json", str(WORK / "t.json"))
        table = json.loads((WORK / "t.json").read_text())
        times = [x[f"{way}_seconds"] for x in table["layers"] for way in ("forward", "backward")]
        self.assertTrue(all(t > 0 for t in times), times)
        self.assertGreater(table["noise_seconds"], 0)
        text = self.bench()
        rows = re.findall(r"^(all layers|noise|samples in, gradients out) +\d* +[\d.]+ +(-?[\d.]+)", text, re.M)
        self.assertEqual(len(rows), 3, text)
        self.assertAlmostEqual(sum(float(share) for _, share in rows), 100, delta=0.2, msg=text)

    def test_the_last_line_is_the_time_of_a_sample(self):
        self.assertRegex(self.bench(), LAST + r"\Z")
        lines = self.bench("--on-request", text="\n\n\n").split("\n", 1)
        self.assertRegex(lines[0], r"^kernels \S+, blocks of 16 samples$")
        self.assertRegex(lines[1], f"^({LAST}){{3}}$")

    def test_the_choice_is_among_the_algorithms_that_are_tried(self):
        text = self.bench("--algorithms", "--json", str(WORK / "t.json"))
        layers = json.loads((WORK / "t.json").read_text())["layers"][:2]
        parts = re.findall(r"^     (forward|backward \d) +(\S.*)$", text, re.M)
        # The second convolution reads every other pixel: three of four phases of its adjoint have no work.
        self.assertEqual([p[0] for p in parts], ["forward", "backward 1", "forward", "backward 1"], text)
        chosen = [x[way] for x in layers for way in ("forward", "backward")]
        for (_, trials), algorithm in zip(parts, chosen):
            self.assertEqual(re.findall(r"\*(\D[\w ]*?) [\d.]+", trials), [algorithm])
            self.assertIn("columns", trials)  # which does any

    def test_a_result_tells_the_algorithms_that_info_foretold(self):
        quickstart = pathlib.Path(__file__).resolve().parents[2] / "jobs"
        result = WORK / "r.h5"
        subprocess.run([SGDIST, str(quickstart / "quickstart.yaml"), "--set", f"study.output={result}", "--set", "data.limit=1", "--set",
                        "sampling.samples=16", "--set", "methods=[smoothgrad]"], check=True, capture_output=True)
        info = subprocess.run([SGDIST, "info", str(quickstart / "quickstart/fashion.onnx")], check=True, capture_output=True, text=True).stdout
        told = " ".join(re.search(r"^convolutions +(forward.*?)\n\n", info, re.M | re.S).group(1).split())
        status = subprocess.run([SGDIST, "status", str(result)], check=True, capture_output=True, text=True).stdout
        self.assertIn(f"; convolutions {told}\n", status)
        forward, without_noise, backward = re.fullmatch(r"forward (.*) \(without noise (.*)\); backward (.*)", told).groups()
        self.assertIn("pooled patches", backward)  # of a layer with one input channel, before a MaxPool
        self.assertNotIn("dots", forward)
        self.assertIn("winograd", forward)
        self.assertNotIn("winograd", without_noise)  # before a MaxPool
        for names in (forward, without_noise, backward):
            self.assertEqual(sum(int(n) for n in re.findall(r"(\d+) \w", names)), 2)  # the network has two


if __name__ == "__main__":
    unittest.main()
