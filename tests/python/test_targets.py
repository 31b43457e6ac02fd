"""`target: {from: other.h5}`: the maps are those of the classes that the other result has for the items' names.

Usage: test_targets.py SGDIST"""
import os
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

import same_bits
import tiny_onnx as onnx
from program import sgdist, write_idx, write_job

SGDIST = sys.argv[1]
RANDOM = np.random.default_rng(3)
SHAPE, CLASSES, ITEMS = (1, 3, 4), 5, 8
WEIGHTS = RANDOM.standard_normal((CLASSES, 12)).astype(np.float32)


class Targets(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        os.chdir(scratch.name)
        self.write_model("net.onnx", WEIGHTS)
        write_idx("images", RANDOM.integers(0, 256, (ITEMS, 3, 4), np.uint8))

    def write_model(self, name, weights):
        with open(name, "wb") as f:
            f.write(onnx.linear(list(SHAPE), weights.tolist()))

    def run_job(self, name, target, ranks=1, model="net.onnx", methods="[gradient]", **data):
        job = write_job(f"{name}.yaml", study={"output": f"{name}.h5"}, model={"file": model}, target=target,
                        data={"idx": "images", **data}, methods=methods, sampling={"samples": 20})
        sgdist(SGDIST, job, launcher=["mpirun", "-n", str(ranks)] if ranks > 1 else [])
        return h5py.File(f"{name}.h5", "r")

    def refused(self, name, target, *words, **data):
        with self.assertRaises(RuntimeError) as caught:
            self.run_job(name, target, **data)
        for word in ("exit code 2", *words):
            self.assertIn(word, str(caught.exception))
        self.assertFalse(os.path.exists(f"{name}.h5"))

    def test_targets_follow_the_names(self):
        """Another order, a subset, another network: the classes are those of the first result, whatever this one thinks."""
        with self.run_job("top", {"top": 2}) as f:
            first = dict(zip(f["items/id"].asstr()[()], f["items/target"][()]))
        self.write_model("other.onnx", -WEIGHTS)
        indices = [6, 2, 7, 0]
        with self.run_job("from", {"from": "top.h5"}, model="other.onnx", indices=indices) as f:
            self.assertEqual(list(f["items/id"].asstr()[()]), [f"images#{i}" for i in indices])
            want = np.array([first[name] for name in f["items/id"].asstr()[()]])
            self.assertTrue((f["items/target"][()] == want).all())
            self.assertTrue((f["maps/gradient/map"][()].reshape(4, 2, 12) == -WEIGHTS[want]).all())
            self.assertFalse((f["items/predicted"][()] == want[:, 0]).any())
            identity = f["provenance/identity"].asstr()[()]
        self.assertIn("target: from top.h5\n", identity)
        self.assertIn("target.hash: ", identity)

    def test_same_bits_on_any_number_of_ranks(self):
        self.run_job("label", "predicted").close()
        for ranks in (1, 2, 3):
            self.run_job(f"r{ranks}", {"from": "label.h5"}, ranks, methods="[smoothgrad]").close()
        for ranks in (2, 3):
            self.assertEqual(same_bits.compare("r1.h5", f"r{ranks}.h5"), 0)

    def test_what_is_refused(self):
        self.run_job("few", "predicted", indices=[0, 1, 2]).close()
        self.refused("a", {"from": "few.h5"}, "few.h5 has no item 'images#3'", "a.yaml:3:")
        self.refused("b", {"from": "gone.h5"}, "gone.h5: no such file")
        self.refused("c", {"from": "images"}, "target.from", "images")
        self.refused("d", {"from": "few.h5", "top": 2}, "from cannot stand beside another key")
        with h5py.File("few.h5", "r+") as f:
            f["items/status"][1] = 2
        self.refused("e", {"from": "few.h5"}, "no target for the item 'images#1', which failed there", limit=3)
        with h5py.File("few.h5", "r+") as f:
            f["items/status"][1] = 0
        self.refused("f", {"from": "few.h5"}, "'images#1', which has not been finished", limit=3)
        with h5py.File("few.h5", "r+") as f:
            f["items/status"][1] = 1
            f["items/target"][1] = CLASSES
        self.refused("g", {"from": "few.h5"}, f"target {CLASSES} for the item 'images#1'", "0 to 4", limit=3)

    def test_other_targets_are_another_study(self):
        self.run_job("other", {"class": 1}).close()
        self.run_job("own", {"from": "other.h5"}).close()
        self.run_job("own", {"from": "other.h5"}).close()
        with h5py.File("other.h5", "r+") as f:
            f["items/target"][5] = 3
        run = subprocess.run([SGDIST, "own.yaml"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2)
        self.assertIn("target.hash", run.stderr)


if __name__ == "__main__":
    SGDIST = os.path.abspath(SGDIST)
    sys.argv = sys.argv[:1] + sys.argv[2:]
    unittest.main(verbosity=1)
