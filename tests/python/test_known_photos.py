"""SqueezeNet with its published weights on two photos: a cat is a cat, also after the job's own preprocessing.

    test_known_photos.py SGDIST

Known answers (../shared/models_and_data.md): tabby 0.93 on kitten_224.png, espresso 0.998 on coffee.png. The network is
fp16, takes BGR 0..255 without a mean, its initialisers are inputs and its output is a softmax of 1 x 1000 x 1 x 1.
Beside them float64 PyTorch (onnx_judge.py) gives its own answer, and its gradient, from the same pixels.
"""
import os
import shutil
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import skimage
    from PIL import Image
    from torchvision import transforms
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from onnx_judge import Model
from program import SHARED, sgdist, write_job

PROGRAM = os.path.abspath(sys.argv[1])
MODEL = os.path.join(SHARED, "models", "SqueezeNet_fp16.onnx")
# name: (path, pixels of the shorter side before the centre is cut, class, its probability to 3 places)
PHOTOS = {"coffee.png": (os.path.join(os.path.dirname(skimage.__file__), "data", "coffee.png"), 256, "espresso", 0.998),
          "kitten_224.png": (os.path.join(SHARED, "models", "kitten_224.png"), 224, "tabby", 0.931)}
MARGIN = 0.001
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def tensor(path, side):
    """What the network eats, by Pillow and torchvision."""
    cut = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(224), transforms.ToTensor()])
    return (cut(Image.open(path).convert("RGB")) * 255)[[2, 1, 0]].numpy()


def class_names():
    with open(os.path.join(SHARED, "models", "imagenet_labels.txt")) as f:
        return [line.strip().split(",")[1].strip() for line in f]


def before_softmax(judge):
    last = judge.nodes[-1]
    assert last[0] == "Softmax", last[0]
    return last[1][0]


def check_eval(folder, judge, names, name, path, side, word, probability):
    x = tensor(path, side)[None]
    files = [os.path.join(folder, n) for n in ("x.npy", "y.npy", "dx.npy")]
    np.save(files[0], x)
    sgdist(PROGRAM, "eval", MODEL, "--input", files[0], "--output", files[1], "--gradient", files[2])
    y, dx = np.load(files[1]).astype("f8").reshape(-1), np.load(files[2]).astype("f8")
    p = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
    true_y, true_dx = judge.gradient(x, tensor=before_softmax(judge))
    e_y = np.linalg.norm(y - true_y) / np.linalg.norm(true_y)
    e_dx = np.linalg.norm(dx - true_dx) / np.linalg.norm(true_dx)
    check(names[p.argmax()].startswith(word) and abs(p.max() - probability) < MARGIN,
          f"eval, {name}: {names[p.argmax()]} {p.max():.4f} (known: {word} {probability})")
    check(e_y < 1e-4 and e_dx < 1e-5, f"eval, {name}: against float64: output {e_y:.1e}, gradient {e_dx:.1e}")
    return true_dx[0]


def check_job(folder, names, gradients, name, path, side, word, probability):
    photos, output = os.path.join(folder, name + ".photos"), os.path.join(folder, name + ".h5")
    os.mkdir(photos)
    shutil.copy(path, os.path.join(photos, name))
    job = write_job(os.path.join(folder, "job.yaml"), study={"output": output}, model={"file": MODEL},
                    data={"folder": photos,
                          "preprocess": {"resize": side, "crop": 224, "color": "bgr", "scale": 255}},
                    methods=["gradient"])
    sgdist(PROGRAM, job)
    with h5py.File(output, "r") as f:
        k, p = int(f["items/predicted"][0]), float(f["items/probability"][0, 0])
        check(names[k].startswith(word) and abs(p - probability) < MARGIN,
              f"job, {name}: {names[k]} {p:.4f} (known: {word} {probability})")
        off = np.linalg.norm(f["maps/gradient/map"][0, 0] - gradients[name]) / np.linalg.norm(gradients[name])
        check(off < 1e-5, f"job, {name}: gradient against float64: {off:.1e}")


def main():
    if not os.path.exists(MODEL):
        print("skipped: there is no", MODEL)
        sys.exit(77)
    judge, names = Model(MODEL), class_names()
    with tempfile.TemporaryDirectory() as folder:
        gradients = {name: check_eval(folder, judge, names, name, *row) for name, row in PHOTOS.items()}
        for name, row in PHOTOS.items():
            check_job(folder, names, gradients, name, *row)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
