"""`sgdist sample` makes single samples of a study again: their noise is that of the Python code in docs/methods.md, and
NumPy in float64 makes the maps of the result file from their gradients.

    test_sample_audit.py SGDIST

A gradient is rounded once, to a grid of 40 bits of which 12 are head-room: half a step h is at most 2^-28 of the
largest clean gradient. What that does to each statistic is allowed beside 1e-6 relative.
"""
import gzip
import os
import re
import sys
import tempfile

try:
    import h5py
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import QUICKSTART, REPOSITORY, sgdist, write_job

PROGRAM = os.path.abspath(sys.argv[1])
RELATIVE = 1e-6
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def documented(name):
    """A function of the one block of Python in docs/methods.md."""
    with open(os.path.join(REPOSITORY, "docs", "methods.md")) as f:
        (code,) = re.findall(r"```python\n(.*?)```", f.read(), re.S)
    names = {}
    exec(code, names)
    return names[name]


def documented_normals():
    return documented("normals")


def jackknife(g, finish):
    """Delete-m_j jackknife over the 16 groups k mod 16 (Busing, Meijer and van der Leeden 1999)."""
    n, group = len(g), np.arange(len(g)) % 16
    m = np.bincount(group)
    h = (n / m).reshape(-1, *[1] * (g.ndim - 1))
    left = np.stack([finish(g[group != j]) for j in range(len(m))])
    whole = finish(g)
    pseudo = h * whole - (h - 1) * left
    estimate = len(m) * whole - np.sum((1 - 1 / h) * left, axis=0)
    return np.sqrt(np.mean((pseudo - estimate)**2 / (h - 1), axis=0))


class Audit:
    def __init__(self, name, job, folder, item, samples, sets=()):
        self.name, self.job, self.folder, self.item, self.samples = name, job, folder, item, samples
        self.result = os.path.join(folder, "result.h5")
        self.sets = [word for s in (f"study.output={self.result}", f"sampling.samples={samples}", *sets)
                     for word in ("--set", s)]
        sgdist(PROGRAM, job, "--fresh", *self.sets)
        with h5py.File(self.result, "r") as f:
            assert (f["items/status"][:] == 1).all(), f["items/message"][:]
            self.name_of_item = f["items/id"].asstr()[item]
            self.key, self.seed = int(f["items/noise_key"][item]), int(f["provenance/seed"][()])
            self.target = int(f["items/target"][item, 0])
            self.gradient = f["maps/gradient/map"][item, 0].astype("f8")
            self.maps = {label: {name: group[name][item, 0].astype("f8") for name in ("map", "se") if name in group}
                         for label, group in f["maps"].items()}
            self.sigma = f["maps/smoothgrad/sigma"][item]
        self.h = 2.0**-28 * np.abs(self.gradient).max()

    def sample(self, method, first=0, end=None):
        path = os.path.join(self.folder, "samples.h5")
        sgdist(PROGRAM, "sample", self.job, "--item", self.name_of_item, "--samples", f"{first}:{end or self.samples}",
               "--method", method, "-o", path, *self.sets)
        with h5py.File(path, "r") as f:
            assert int(f["item_key"][()]) == self.key and f["target"][0] == self.target
            return f["inputs"][:], f["gradients"][:, 0]

    def noise(self, inputs, x):
        """Inputs are x + sigma z, each operation rounded to float, with z of the documented generator."""
        normals, d = documented_normals(), x.size
        z = np.stack([normals(self.seed, self.key, k, d).reshape(x.shape) for k in range(self.samples)])
        scale = self.sigma.astype("f4").reshape(-1, 1, 1)
        want = x + scale * z
        assert want.dtype == np.float32
        ulps = np.abs(want.view("i4").astype("i8") - inputs.view("i4"))
        near = np.abs(want - inputs) <= np.spacing(np.float32(1)) * (np.abs(want) + np.abs(x) + scale)
        check(near.all() and (ulps > 0).mean() < 1e-5,
              f"{self.name}: {ulps.size} noisy values are NumPy's, {np.count_nonzero(ulps)} of them not to the last bit")

    def close(self, what, got, want, allowed):
        off = np.abs(got - want)
        share = np.mean(off <= RELATIVE * np.abs(want))
        check((off <= RELATIVE * np.abs(want) + allowed).all(),
              f"{self.name}: {what}: largest difference {np.max(off / np.abs(want).max()):.1e} of the largest value; "
              f"{100 * share:.2f} % of the elements within 1e-6 of themselves")

    def statistics(self, gradients):
        g, n, h = gradients.astype("f8"), self.samples, self.h
        mean, variance = g.mean(0), g.var(0, ddof=1)
        spread = np.sqrt(variance)
        bounds = {"smoothgrad": h, "smoothgrad_squared": 2 * h * np.abs(g).mean(0) + h * h,
                  "vargrad": 2 * h * spread * n / (n - 1) + 2 * h * h}
        self.close("smoothgrad", self.maps["smoothgrad"]["map"], mean, bounds["smoothgrad"])
        self.close("smoothgrad_squared", self.maps["smoothgrad_squared"]["map"], (g**2).mean(0),
                   bounds["smoothgrad_squared"])
        self.close("vargrad", self.maps["vargrad"]["map"], variance, bounds["vargrad"])
        self.close("standard error", self.maps["smoothgrad"]["se"], spread / np.sqrt(n), h / np.sqrt(n - 1))
        for label, finish in (("smoothgrad_squared", lambda v: (v**2).mean(0)),
                              ("vargrad", lambda v: v.var(0, ddof=1))):
            # A norm of 16 differences of such statistics; a group left out moves each by at most twice its bound.
            self.close(f"jackknifed error of {label}", self.maps[label]["se"], jackknife(g, finish), 8 * bounds[label])

    def evaluated(self, model, inputs, gradients):
        """`sgdist eval` at the same inputs, in one batch of another size: equal but for the last bits."""
        files = [os.path.join(self.folder, name) for name in ("x.npy", "dx.npy")]
        np.save(files[0], inputs)
        sgdist(PROGRAM, "eval", model, "--input", files[0], "--target", self.target, "--gradient", files[1])
        again = np.load(files[1])
        off = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(again, gradients)]
        check(np.median(off) < 1e-6 and max(off) < 1e-2,
              f"{self.name}: gradients of eval at these inputs: median {np.median(off):.1e}, worst {max(off):.1e}")


def audit_all(a, model, x):
    inputs, gradients = a.sample("smoothgrad")
    a.noise(inputs, x)
    a.statistics(gradients)
    a.evaluated(model, inputs, gradients)
    some = a.sample("smoothgrad", 5, 9)
    check((some[0] == inputs[5:9]).all() and (some[1] == gradients[5:9]).all(),
          f"{a.name}: samples 5 to 8 asked for alone are the same bits")


def quickstart(folder):
    for item, samples in ((7, 64), (3, 101)):  # 101: a short last block, groups of unequal size
        a = Audit(f"quickstart, item {item}, N = {samples}", QUICKSTART, folder, item, samples, ["data.limit=8"])
        with open(os.path.join(folder, "images"), "wb") as f:
            f.write(gzip.open(os.path.join(REPOSITORY, "jobs/quickstart/images-idx3-ubyte.gz")).read())
        x = np.fromfile(os.path.join(folder, "images"), np.uint8)[16:].reshape(-1, 1, 28, 28)[item] / np.float32(255)
        audit_all(a, os.path.join(REPOSITORY, "jobs/quickstart/fashion.onnx"), x)
        _, gradients = a.sample("adaptgrad")
        a.close("adaptgrad", a.maps["adaptgrad"]["map"], gradients.astype("f8").mean(0), a.h)


def three_channels(folder):
    """Colour, with mean and std, noise by the range of each channel."""
    random, shape, hidden = np.random.default_rng(8), (3, 6, 7), 30
    d = int(np.prod(shape))
    w, v = (random.normal(size=s).astype("f4") for s in ((hidden, d), (4, hidden)))
    model = os.path.join(folder, "net.onnx")
    with open(model, "wb") as f:
        f.write(tiny_onnx.relu_net(shape, w.tolist(), random.normal(size=hidden).tolist(), v.tolist()))
    photos = os.path.join(folder, "photos")
    os.mkdir(photos)
    pixels = random.integers(0, 256, (2, 6, 7, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(os.path.join(photos, f"{i}.png"))
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    job = write_job(os.path.join(folder, "job.yaml"), model={"file": "net.onnx"},
                    data={"folder": "photos", "preprocess": {"mean": mean, "std": std}},
                    sampling={"noise": {"level": 0.2, "range": "item_channel"}},
                    methods=["gradient", ["smoothgrad", "smoothgrad_squared", "vargrad"]])
    a = Audit("three channels", job, folder, 1, 80)
    with_sigma = 0.2 * np.ptp(pixels[1] / 255.0, axis=(0, 1)) / std
    check(np.allclose(a.sigma, with_sigma, rtol=1e-6), "three channels: sigma is level times each channel's range")
    x = pixels[1].transpose(2, 0, 1) / np.float32(255)
    x = (x - np.float32(mean).reshape(3, 1, 1)) / np.float32(std).reshape(3, 1, 1)
    audit_all(a, model, x)


def main():
    for test in (quickstart, three_channels):
        with tempfile.TemporaryDirectory() as folder:
            test(folder)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
