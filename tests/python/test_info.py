"""What `sgdist info` tells of small networks whose sizes are counted by hand, and of what cannot be run.

    test_info.py SGDIST
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from program import sgdist, write_idx, write_job
from tiny_onnx import chunk, linear, model, node, number, tensor, tensor_of

PROGRAM = os.path.abspath(sys.argv[1])


def conv_net(last=()):
    """3x10x10 -> Conv 8, 3x3, padded -> Relu -> mean -> Gemm 5 (-> last)."""
    nodes = [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]),
             node("GlobalAveragePool", ["r"], ["p"]), node("Flatten", ["p"], ["f"], axis=1),
             node("Gemm", ["f", "v"], ["logit" if last else "y"], transB=1), *last]
    weights = [tensor("w", [8, 3, 3, 3], [0.1] * 216), tensor("v", [5, 8], [0.1] * 40)]
    return model(nodes, weights, [3, 10, 10], [5])


class Info(unittest.TestCase):
    def info(self, data, *options, code=0):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "net.onnx")
            with open(path, "wb") as f:
                f.write(data)
            run = subprocess.run([PROGRAM, "info", path, *options], capture_output=True, text=True)
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertLessEqual(max(map(len, run.stdout.split("\n"))), 100, run.stdout)
        self.error = run.stderr
        return run.stdout

    def test_sizes_are_those_counted_by_hand(self):
        text = self.info(conv_net())
        self.assertRegex(text, r"made by tiny_onnx, IR version 7, operator set 13\n")
        self.assertRegex(text, r"weights +2 tensors, 1.0 kB in the file\n")  # 4 (216 + 40) bytes
        self.assertRegex(text, r"nodes +5: 1 Conv, 1 Flatten, 1 Gemm, 1 GlobalAveragePool, 1 Relu\n")
        self.assertRegex(text, r"input +x \[N,3,10,10\]\noutput +y \[N,5\]\nexplained +y \[N,5\]\n")
        self.assertRegex(text, r"parameters +256\nmultiply-adds +21,640 a sample")  # 8 100 27 + 5 8
        self.assertRegex(text, r"Conv +1 +216 +21\.6 k +99\.8 % +3\.2 kB\n")  # 8 100 numbers come out
        self.assertRegex(text, r"Gemm +1 +40 +40 +0\.2 % +20 bytes\n")

    def test_layers_name_their_tensors(self):
        text = self.info(conv_net(), "--layers")
        self.assertRegex(text, r" 1  Conv\+Relu +\[N,8,10,10\] +216 +21\.6 k  c > r\n")
        self.assertRegex(text, r" 3  Gemm +\[N,5\] +40 +40  y\n")
        self.assertNotIn("--layers", text)
        self.assertNotIn("[N,8,10,10]", self.info(conv_net()))

    def test_layers_of_several_nodes_are_one(self):
        numbers = [tensor("root", [], [2 ** 0.5]), tensor("one", [], [1]), tensor("half", [], [0.5]), tensor("two", [], [2]),
                   tensor("tiny", [], [1e-5]), tensor("scale", [4], [1, 2, 3, 4])]
        gelu = [node("Div", ["x", "root"], ["a"]), node("Erf", ["a"], ["b"]), node("Add", ["b", "one"], ["c"]),
                node("Mul", ["x", "c"], ["d"]), node("Mul", ["d", "half"], ["g"])]
        norm = [node("ReduceMean", ["g"], ["m"], axes=[-1]), node("Sub", ["g", "m"], ["e"]), node("Pow", ["e", "two"], ["f"]),
                node("ReduceMean", ["f"], ["v"], axes=[-1]), node("Add", ["v", "tiny"], ["h"]), node("Sqrt", ["h"], ["r"]),
                node("Div", ["e", "r"], ["n"]), node("Mul", ["n", "scale"], ["z"])]
        product = [node("Transpose", ["z"], ["t"], perm=[0, 2, 1]), node("MatMul", ["z", "t"], ["p"]),
                   node("Mul", ["p", "half"], ["y"])]
        text = self.info(model(gelu + norm + product, numbers, [3, 4], [3, 3]), "--layers")
        self.assertRegex(text, r" 1  Gelu .* a > b > c > d > g\n")
        self.assertRegex(text, r" 2  LayerNormalization\+affine .* m > e > f > v > h > r > n > z\n")
        self.assertRegex(text, r" 3  MatMul .* t > p > y\n")
        text = self.info(model(gelu + norm + product, numbers, [3, 4], [3, 4], y="b"), "--layers")
        self.assertRegex(text, r" 2  Erf ")   # what is explained stays a tensor

    def test_rows_that_nobody_reads_are_left_out(self):
        """Five tokens of eight features; the last one is read."""
        weights = [tensor("w", [8, 16], [0.1] * 128), tensor("v", [16, 8], [0.1] * 128), tensor("u", [8, 3], [0.1] * 24),
                   tensor_of("last", np.array(4))]
        nodes = [node("MatMul", ["x", "w"], ["a"]), node("Tanh", ["a"], ["b"]), node("MatMul", ["b", "v"], ["c"]),
                 node("Add", ["x", "c"], ["d"]), node("Gather", ["d", "last"], ["t"], axis=1), node("MatMul", ["t", "u"], ["y"])]
        text = self.info(model(nodes, weights, [5, 8], [3]), "--layers")
        self.assertRegex(text, r"multiply-adds +280 a sample")    # 8 16 + 16 8 + 8 3, of one token
        self.assertRegex(text, r" MatMul +\[N,1,16\]\* +128 +128  a\n")
        self.assertRegex(text, r" Tanh +\[N,1,16\]\* +0 +0  b\n")
        self.assertRegex(text, r" Add +\[N,8\]\* +0 +0  d > t\n")
        self.assertRegex(text, r"\* only what is read of a larger tensor")
        text = self.info(model(nodes[:4] + [node("Tanh", ["d"], ["e"])] + [node("Mul", ["d", "e"], ["y"])], weights, [5, 8], [5, 8]), "--layers")
        self.assertRegex(text, r"multiply-adds +1280 a sample")    # 5 (8 16 + 16 8)
        self.assertNotIn("*", text)

    def test_memory_grows_with_the_block(self):
        def size(n):
            value, unit = re.search(r"memory +([\d.]+) (\w+) for blocks", self.info(conv_net(), "--block", str(n))).groups()
            return float(value) * {"kB": 1e3, "MB": 1e6}[unit]

        sample = (size(3000) - size(1000)) / 2000
        self.assertGreater(sample, 4 * 300)  # at least the input: what stays inside a segment is there for a part only
        self.assertLess(sample, 2 * 4 * (300 + 800 + 8 + 5) + 100)  # at most all values and their gradients
        self.info(conv_net(), "--block", "0", code=2)
        self.assertIn("1 to 4096", self.error)

    def test_the_tensor_before_a_softmax_is_named(self):
        net = conv_net([node("Softmax", ["logit"], ["y"], axis=1)])
        self.assertRegex(self.info(net), r"explained +logit \[N,5\], what goes into the final softmax\n +\(--tensor y:")
        self.assertRegex(self.info(net, "--tensor", "y"), r"explained +y .* made by Softmax: .*\n.*--tensor logit:")

    def test_a_sigmoid_at_the_end_is_pointed_out(self):
        net = conv_net([node("Sigmoid", ["logit"], ["y"])])
        self.assertRegex(self.info(net), r"explained +y .* made by Sigmoid: .*\n.*--tensor logit:")

    def test_all_that_cannot_be_run_is_listed_by_operator_and_reason(self):
        branch = chunk(1, "then_branch") + chunk(6, chunk(2, "inner")) + number(20, 5)
        conditional = chunk(1, "x") + chunk(2, "i") + chunk(3, "choice") + chunk(4, "If") + chunk(5, branch)
        foreign = chunk(1, "x") + chunk(2, "e") + chunk(4, "Conv") + chunk(7, "com.vendor")
        many = [node("Unique", ["x"], [f"u{i}"]) for i in range(12)]
        text = self.info(model([*many, conditional, foreign, node("Relu", ["u3"], ["y"])], [], [4], [4]), code=2)
        unique = text.split("cannot run     12 Unique: this operator is not supported")[1].split("cannot run")[0]
        self.assertEqual(unique.count("Unique_u"), 12)
        self.assertRegex(text, r"cannot run +1 If: it holds a graph of its own [^:]*\n +choice\n")
        self.assertRegex(text, r"cannot run +1 Conv: it comes from the domain 'com\.vendor'[^:]*\n +\(makes 'e'\)\n")
        self.assertIn("node 'Unique_u3' (Unique)", self.error)

    def test_what_is_not_needed_may_be_unsupported(self):
        net = model([node("Unique", ["x"], ["u"]), node("Relu", ["x"], ["y"])], [], [4], [4])
        text = self.info(net)
        self.assertRegex(text, r"cannot run +1 Unique")
        self.assertIn("what is explained does not need", text)

    def test_a_frozen_batch_and_an_unreadable_operator_set_are_told(self):
        frozen = linear([4], [[1, 2, 3, 4]]).replace(chunk(1, chunk(2, "batch")), chunk(1, number(1, 1) + b"\x12\x03abc"))
        self.assertRegex(self.info(frozen), r"input +x \[1,4\]  \(batch of 1 in the file;")
        self.info(model([node("Relu", ["x"], ["y"])], [], [4], [4], opset=21), code=2)

    def test_lengths_that_the_file_leaves_open_are_given(self):
        net = model([node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["y"], axis=1)], [],
                    [3, "rows", "columns"], [3])
        self.assertRegex(self.info(net, code=2), r"input +x \[N,3,\?,\?\]\n")
        self.assertIn("--shape 3,224,224", self.error)
        self.assertRegex(self.info(net, "--shape", "3,8,10", "--layers"), r"GlobalAveragePool +\[N,3,1,1\]")
        for wrong in ("4,8,10", "3,8", "1,3,8,10,1"):
            self.info(net, "--shape", wrong, code=2)
            self.assertIn("does not fit", self.error)
        for nonsense in ("3,8,", "3,0,8", "3x8x10", "1,1,1,1,1,1,1"):
            self.info(net, "--shape", nonsense, code=2)
            self.assertIn("--shape needs", self.error)

    def test_a_job_gives_the_open_lengths(self):
        net = model([node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["y"], axis=1)], [],
                    [1, "rows", "columns"], [1])
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "net.onnx"), "wb") as f:
                f.write(net)
            write_idx(os.path.join(folder, "x.idx"), np.full((1, 5, 8), 100, np.uint8))
            job = write_job(os.path.join(folder, "job.yaml"), study={"output": os.path.join(folder, "maps.h5")},
                            model={"file": "net.onnx", "shape": [1, 5, 8]}, data={"idx": "x.idx"}, methods=["gradient"])
            sgdist(PROGRAM, job)
            with h5py.File(os.path.join(folder, "maps.h5")) as f:
                np.testing.assert_allclose(f["maps/gradient/map"][:].ravel(), np.full(40, 1 / 40), rtol=1e-6)

    def test_weights_in_nodes_and_in_other_files_are_counted(self):
        value = chunk(1, "value") + chunk(5, tensor("", [4], [1, 2, 3, 4])) + number(20, 4)
        constant = chunk(2, "k") + chunk(4, "Constant") + chunk(5, value)
        text = self.info(model([constant, node("Add", ["x", "k"], ["y"])], [], [4], [4]))
        self.assertRegex(text, r"weights +0 tensors and 1 in Constant nodes, 16 bytes in the file\n")
        outside = number(1, 4) + number(2, 1) + chunk(8, "k") + chunk(13, chunk(1, "location") + chunk(2, "k.bin"))
        text = self.info(model([node("Add", ["x", "k"], ["y"])], [outside + number(14, 1)], [4], [4]), code=2)
        self.assertRegex(text, r"weights +1 tensor, .* in the file; 1 of them in files beside it\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
