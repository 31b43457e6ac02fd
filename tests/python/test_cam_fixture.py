"""Grad-CAM, Guided Backpropagation and DeconvNet of ResNet-18 and SqueezeNet against Captum's values in float64.

    test_cam_fixture.py SGDIST

The values are in fixtures/cam.npz, which cam_fixture.py has made. Where nothing has a kink every map equals Captum's to
1e-4 of its size. With Relu and max pooling single units fall on the other side of 0 in float32 on some pictures, and
their maps differ by more: there the median over the pictures holds the bound, and the shares of units and pictures are said.
"""
import os
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    from cam_fixture import ENLARGED, FIXTURE, NETWORKS, PLACES, SHAPE, SQUEEZENET
    from networks import export
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from program import sgdist, write_job

PROGRAM = os.path.abspath(sys.argv[1])
BOUND, WORST = 1e-4, 5e-2  # of the size (L2) of a picture's map
RULES = ("guided_backprop", "deconvnet")
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def model_of(name, folder):
    if name == "squeezenet":
        return SQUEEZENET
    path = os.path.join(folder, name + ".onnx")
    torch.set_num_threads(1)
    export(NETWORKS[name][0](), SHAPE, path, 13, False)
    return path


def compare(what, got, expected, is_smooth):
    n = len(expected)
    errors = np.linalg.norm((got - expected).reshape(n, -1), axis=1) / np.linalg.norm(expected.reshape(n, -1), axis=1)
    good = errors.max() < BOUND if is_smooth else np.median(errors) < BOUND and errors.max() < WORST
    check(good, f"{what}: median {np.median(errors):.1e}, worst {errors.max():.1e}, "
                f"pictures with flipped units {np.count_nonzero(errors > BOUND)} of {n}")


def judge(folder, values, name):
    is_smooth = name.endswith("smooth")
    pictures = os.path.join(folder, name + ".npy")
    np.save(pictures, NETWORKS[name][1]())
    # torchvision's `features` end with the last Concat; what `auto` finds lies behind the classifier's convolution.
    layer = "auto" if name != "squeezenet" else "fire9/concat_1"
    cam = {"method": "grad_cam", "layer": layer}
    result = os.path.join(folder, name + ".h5")
    job = write_job(os.path.join(folder, name + ".yaml"), study={"output": result}, model={"file": model_of(name, folder)},
                    data={"npy": pictures}, sampling={"block": 1},
                    methods=[cam, {**cam, "as": "enlarged", "size": "input"}, *(() if is_smooth else RULES)])
    sgdist(PROGRAM, job)
    with h5py.File(result, "r") as f:
        target, score = f["items/target"][:, 0], f["items/score"][:, 0]
        ours = {label: f[f"maps/{label}/map"][:, 0].astype("f8") for label in f["maps"]}
        print(name, "at the layer", [line for line in f["provenance/identity"].asstr()[()].split("\n")
                                     if "grad_cam.layer" in line][0].split(": ")[1])
    check(np.array_equal(target, values["target"]) and np.abs(score - values["logit"]).max() < 1e-4 * np.abs(score).max(),
          f"{name}: the same network: targets and logits")
    if not is_smooth:
        print(f"{name}: {100 * values['flipped']:.2g} % of the units before a Relu flip between float32 and float64")
    compare(f"{name}, Grad-CAM", ours["grad_cam"], values["cam"], is_smooth)
    compare(f"{name}, Grad-CAM, brought to the input's size", ours["enlarged"].reshape(len(target), -1)[:, ENLARGED],
            values["enlarged"], is_smooth)
    for rule in () if is_smooth else RULES:
        compare(f"{name}, {rule}", ours[rule].reshape(len(target), -1)[:, PLACES], values[rule], False)


def main():
    stored = np.load(FIXTURE)
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            if name == "squeezenet" and not os.path.exists(SQUEEZENET):
                print("skipped squeezenet: no", SQUEEZENET)
                continue
            judge(folder, {k.split("/")[1]: stored[k] for k in stored if k.split("/")[0] == name}, name)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
