"""How far gradients and maps of deep networks are from float64, measured; remakes the table of docs/accuracy.md.

    accuracy_table.py SGDIST [--images N] [--draws N] [--only WORD] [--work FOLDER] [--print]

Two measures a network, the judge of both is the network itself in PyTorch, in float64:
- gradients of N noisy pictures (32): the relative error (L2) of each, beside that of PyTorch in float32. On networks with
  kinks (ReLU, max pooling) an error is of two kinds: rounding, and single units that fall on the other side of their kink.
  The median must be at most RATIO times PyTorch's own.
- the SmoothGrad map of one picture from N draws (64) of a run, against the mean of the float64 gradients at the very same
  noisy inputs, which `sgdist sample` gives: the norm of the difference must be below SHARE of that of the map's standard error.

torchvision's networks have random weights in a good range; SqueezeNet is trained, and skipped where ../shared/models lacks it.
Judged gradients are kept in --work, which makes a second run short. test_accuracy.py runs it on a small network.
"""
import argparse
import copy
import hashlib
import os
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import skimage.data
    import torch
    import torchvision
    from PIL import Image
    from networks import calibrated, each, evaluate, export, noisy_fields
    from onnx_judge import Model
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from program import REPOSITORY, SHARED, sgdist, write_job

RATIO, SHARE = 6, 0.03
LEVEL = 0.15  # of the noise, in ranges of the picture
SQUEEZENET = os.path.join(SHARED, "models", "SqueezeNet_fp16.onnx")
DOCS = os.path.join(REPOSITORY, "docs", "accuracy.md")
BEGIN, END = "<!-- accuracy_table.py: begin -->", "<!-- accuracy_table.py: end -->"


class Random:
    """A network of torch with random weights, exported."""

    def __init__(self, build, shape):
        torch.manual_seed(7)
        self.net, self.shape = calibrated(build(), noisy_fields(8, *shape, seed=3)), shape

    def write(self, path):
        export(self.net, self.shape, path, 13, True)

    def pictures(self, n):
        return noisy_fields(n, *self.shape, seed=5)

    def clean(self):
        rng = np.random.default_rng(11)
        rows, columns = self.shape[1:]
        y, x = np.mgrid[:rows, :columns] / rows
        waves = [np.sin(a * x + b * y + c) for a, b, c in rng.uniform(-12, 12, (3 * self.shape[0], 3))]
        return np.array(waves).reshape(self.shape[0], 3, rows, columns).mean(1).astype("f4")

    def scores(self, dtype):
        return copy.deepcopy(self.net).to(dtype)


class Trained:
    """SqueezeNet 1.0 with weights of 16 bits, on photographs in BGR, 0 to 255; before the softmax."""

    def write(self, path):
        with open(SQUEEZENET, "rb") as source, open(path, "wb") as to:
            to.write(source.read())

    @staticmethod
    def photos(n):
        """Parts of four photographs, every second one mirrored."""
        rng = np.random.default_rng(13)
        kitten = np.asarray(Image.open(os.path.join(SHARED, "models", "kitten_224.png")).convert("RGB"))
        folder = os.path.dirname(skimage.data.__file__)
        files = [np.asarray(Image.open(os.path.join(folder, f)).convert("RGB"))
                 for f in ("coffee.png", "astronaut.png", "chelsea.png")]
        for i in range(n):
            photo = ([kitten] + files)[i % 4][:, ::1 - 2 * (i % 2)]
            side = int(min(photo.shape[:2]) * rng.uniform(0.7, 1))
            top, left = (int(rng.uniform(0, photo.shape[axis] - side)) for axis in (0, 1))
            part = Image.fromarray(np.ascontiguousarray(photo[top:top + side, left:left + side]))
            yield np.asarray(part.resize((224, 224), Image.BICUBIC)).transpose(2, 0, 1)[::-1].astype("f4")

    def pictures(self, n):
        x = np.array(list(self.photos(n)))
        noise = LEVEL * (x.max((1, 2, 3), keepdims=True) - x.min((1, 2, 3), keepdims=True))
        return (x + noise * np.random.default_rng(17).normal(size=x.shape)).astype("f4")

    def clean(self):
        return next(self.photos(1))

    def scores(self, dtype):
        model = Model(SQUEEZENET)
        model.values = {k: v.to(dtype) if v.is_floating_point() else v for k, v in model.values.items()}
        (logits,) = (inputs[0] for op, inputs, _, _ in model.nodes if op == "Softmax")
        return lambda x: model.run(x, logits)


def small():
    """Every kind of convolution in little: for CI."""
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(3, 32, 7, 2, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
                         nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.ReLU(),
                         nn.Conv2d(64, 96, 1), nn.ReLU(), nn.Conv2d(96, 96, 3, 2, 1), nn.ReLU(),
                         nn.Conv2d(96, 64, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


NETWORKS = {
    "small": lambda: Random(small, (3, 64, 64)),
    "squeezenet 1.0 (trained)": Trained,
    "resnet50": lambda: Random(torchvision.models.resnet50, (3, 224, 224)),
    "vgg16": lambda: Random(torchvision.models.vgg16, (3, 224, 224)),
}


class Judge:
    """Gradients in PyTorch, a sample at a time; of the class, or of the largest output."""

    def __init__(self, name, network, work):
        self.name, self.network, self.work = name.split()[0], network, work

    def gradients(self, x, dtype, target=None):
        mark = hashlib.sha256(x.tobytes() + str((dtype, target)).encode()).hexdigest()[:16]
        path = os.path.join(self.work, f"{self.name}-{mark}.npy")
        if not os.path.exists(path):
            scores = self.network.scores(dtype)
            np.save(path, np.stack([self.one(scores, sample, dtype, target) for sample in x]))
        return np.load(path)

    @staticmethod
    def one(scores, sample, dtype, target):
        leaf = torch.from_numpy(sample[None]).to(dtype).requires_grad_()
        y = scores(leaf).flatten()
        return torch.autograd.grad(y.max() if target is None else y[target], leaf)[0][0].numpy()


def gradients(program, path, judge, n):
    """Relative errors of sgdist and of PyTorch in float32, and the kernels."""
    x = judge.network.pictures(n)
    truth, torch32 = (judge.gradients(x, dtype) for dtype in (torch.float64, torch.float32))
    result = evaluate(program, path, x)
    if isinstance(result, str):
        sys.exit(f"{judge.name}: {result}")
    return each(result[1], truth), each(torch32, truth), result[2]


def smoothgrad(program, path, judge, n):
    """|map - float64 map| / |standard error|, of the result file's map and of one by PyTorch in float32; and the size of
    the standard error in the map's."""
    folder = os.path.dirname(path)
    files = {k: os.path.join(folder, k) for k in ("clean.npy", "job.yaml", "result.h5", "samples.h5")}
    np.save(files["clean.npy"], judge.network.clean()[None])
    job = write_job(files["job.yaml"], study={"output": files["result.h5"]}, model={"file": path},
                    data={"npy": files["clean.npy"], "layout": "channels_first"}, methods=["smoothgrad"],
                    sampling={"samples": n, "noise": {"level": LEVEL}}, maps={"channels": "none"})
    sgdist(program, job)
    sgdist(program, "sample", job, "--item", 0, "--samples", f"0:{n}", "-o", files["samples.h5"])
    with h5py.File(files["result.h5"], "r") as f, h5py.File(files["samples.h5"], "r") as s:
        assert f["items/status"][0] == 1, f["items/message"][0]
        got, inputs, target = f["maps/smoothgrad/map"][0, 0].astype("f8"), s["inputs"][:], int(s["target"][0])
        stored = np.linalg.norm(f["maps/smoothgrad/se"][0, 0].astype("f8"))
    truth, torch32 = (judge.gradients(inputs, dtype, target).astype("f8") for dtype in (torch.float64, torch.float32))
    error = np.linalg.norm(truth.std(0, ddof=1)) / np.sqrt(n)
    assert abs(stored / error - 1) < 0.01, f"standard error {stored:.4g}, of the float64 gradients {error:.4g}"
    mean = truth.mean(0)
    return (np.linalg.norm(got - mean) / error, np.linalg.norm(torch32.mean(0) - mean) / error,
            error / np.linalg.norm(mean))


def measure(program, name, options):
    """The row of one network, and whether it holds the bounds."""
    with tempfile.TemporaryDirectory() as scratch:
        judge = Judge(name, NETWORKS[name](), options.work or scratch)
        path = os.path.join(scratch, "net.onnx")
        judge.network.write(path)
        ours, torch32, kernels = gradients(program, path, judge, options.images)
        share, torch_share, error = smoothgrad(program, path, judge, options.draws)
    ratio = np.median(ours) / np.median(torch32)
    holds = ratio <= RATIO and share < SHARE
    row = (f"| {name} | {np.median(ours):.1e} | {ours.max():.1e} | {np.median(torch32):.1e} | {torch32.max():.1e} | "
           f"{ratio:.2f} | {100 * share:.2g} % | {100 * torch_share:.2g} % | {100 * error:.0f} % |")
    print("ok    " if holds else "FAILED", row, flush=True)
    return row, kernels, holds


def rewrite(first, rows):
    with open(DOCS) as f:
        before, rest = f.read().split(BEGIN)
    head = ("| network | gradient: median | worst | PyTorch float32: median | worst | ratio of medians | map, in standard errors "
            "| PyTorch float32 | standard error, in maps |\n|" + " --- |" * 9)
    with open(DOCS, "w") as f:
        f.write("\n".join([before + BEGIN, first, "", head, *rows, END]) + rest.split(END)[1])


def main(words=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("sgdist")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--only", default="")
    parser.add_argument("--work", default=None)
    parser.add_argument("--print", action="store_true")
    options = parser.parse_args(words)
    rows, good, kernels = [], True, ""
    for name in (name for name in NETWORKS if options.only in name):
        if NETWORKS[name] is Trained and not os.path.exists(SQUEEZENET):
            print(f"skipped: {name}: there is no {SQUEEZENET}")
            continue
        row, kernels, holds = measure(options.sgdist, name, options)
        rows, good = rows + [row], good and holds
    if not options.print:
        rewrite(f"Measured with torch {torch.__version__}, torchvision {torchvision.__version__}, kernels {kernels}; "
                f"{options.images} noisy pictures, {options.draws} draws.", rows)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
