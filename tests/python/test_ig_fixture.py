"""Integrated gradients of ResNet-18 and SqueezeNet against stored values of float64 PyTorch (ig_fixture.py makes them).

    test_ig_fixture.py SGDIST

A smooth network is met to 1e-4 of the largest value, element by element. With Relu a unit that float32 puts on the other side of 0
changes the gradient of one node by a jump; so there the median is bounded, the worst element loosely, and the share of such units
is told.
"""
import os
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch  # noqa: F401, for onnx_judge
    from PIL import Image  # noqa: F401, for ig_fixture
    import ig_fixture
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from program import sgdist, write_job

PROGRAM = os.path.abspath(sys.argv[1])
SMOOTH, MEDIAN, WORST = 1e-4, 1e-4, 5e-2


def run(folder, name, path, item, k):
    np.save(os.path.join(folder, "item.npy"), item[None])
    output = os.path.join(folder, name + ".h5")
    job = write_job(os.path.join(folder, name + ".yaml"), model={"file": path}, data={"npy": "item.npy"}, target={"class": k},
                    methods=["integrated_gradients"], maps={"standard_error": False}, study={"output": output})
    sgdist(PROGRAM, job, "--fresh")
    with h5py.File(output, "r") as f:
        return f["maps/integrated_gradients/map"][0, 0].ravel(), f["maps/integrated_gradients/completeness_gap"][0, 0], \
            f["items/score"][0, 0], f["items/predicted"][0]


def main():
    failed = 0
    want = np.load(ig_fixture.FIXTURE)
    with tempfile.TemporaryDirectory() as folder:
        for name, path, item, _ in ig_fixture.cases(folder):
            k = int(want[f"{name}.class"])
            got, gap, score, predicted = run(folder, name, path, item, k)
            error = np.abs(got[::ig_fixture.STRIDE] - want[f"{name}.values"]) / want[f"{name}.largest"]
            rise = want[f"{name}.score"] - want[f"{name}.baseline_score"]
            bound = SMOOTH if "smooth" in name else WORST
            good = (error.max() <= bound and np.median(error) <= MEDIAN and predicted == k
                    and abs(score - want[f"{name}.score"]) < 1e-4 * abs(score))
            print(f"{'ok' if good else 'FAILED':6} {name:16} median {np.median(error):.1e} worst {error.max():.1e} of the largest value, "
                  f"{want[f'{name}.flipped']:.1e} of the units flip, completeness gap {gap / rise:.1e} of the rise")
            failed += not good
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
