"""The methods where their result is known in closed form, by the whole program: job file in, HDF5 out.

    test_closed_forms.py SGDIST [--slow]

Stochastic results are held to their own standard errors as the file states them, with fixed seeds.
"""
import gzip
import math
import os
import sys
import tempfile

try:
    import h5py
    import numpy as np
    from scipy import special, stats
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import REPOSITORY, sgdist, write_idx, write_job

PROGRAM = os.path.abspath(sys.argv[1])
SMOOTH = ["smoothgrad", "smoothgrad_squared", "vargrad"]
STEP = 2.0**-27  # of the largest clean gradient: the coarsest step that a gradient is rounded to (docs/methods.md)
ULP = 2.0**-24   # relative rounding of a float32
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def pictures(n, rows, columns, seed=1):
    images = np.random.default_rng(seed).integers(0, 256, (n, rows, columns), dtype=np.uint8)
    images[:, 0, :2] = 0, 255  # every item has the range 1
    return images


class Study:
    """A job on a network and pictures made here; after run() its maps in float64, [item, elements]."""

    def __init__(self, folder, model, images, **sections):
        self.folder, self.images = folder, images
        self.model = os.path.join(folder, "net.onnx")
        self.output = os.path.join(folder, "result.h5")
        self.x = images.reshape(len(images), -1).astype("f4") / np.float32(255)
        if isinstance(model, bytes):
            with open(self.model, "wb") as f:
                f.write(model)
        else:
            self.model = model
        write_idx(os.path.join(folder, "images"), images)
        job = {"study": {"name": "closed", "output": self.output}, "model": {"file": self.model},
               "data": {"idx": "images", "domain": {"space": "pixel", "bounds": [0, 1]}}, "target": "{class: 0}"}
        self.job = write_job(os.path.join(folder, "job.yaml"), **{**job, **sections})

    def run(self):
        sgdist(PROGRAM, self.job, "--fresh")
        with h5py.File(self.output, "r") as f:
            assert (f["items/status"][:] == 1).all(), f["items/message"][:]
            for label in f["maps"]:
                group = f[f"maps/{label}"]
                values = {name: group[name][:].astype("f8") for name in group}
                for name in ("map", "se"):
                    if name in values:
                        values[name] = values[name].reshape(len(self.images), -1)
                setattr(self, label.replace("-", "_"), values)
        return self

    def sample(self, item, n, method):
        path = os.path.join(self.folder, "samples.h5")
        sgdist(PROGRAM, "sample", self.job, "--item", item, "--samples", f"0:{n}", "--method", method, "-o", path)
        with h5py.File(path, "r") as f:
            return f["inputs"][:].reshape(n, -1), f["gradients"][:].reshape(n, -1)

    def scores(self, inputs, shape):
        """The score at each input, by the forward pass of `sgdist eval`."""
        files = [os.path.join(self.folder, name) for name in ("x.npy", "y.npy")]
        out = []
        for part in np.array_split(inputs.astype("f4"), max(1, len(inputs) // 250)):
            np.save(files[0], part.reshape(len(part), *shape))
            sgdist(PROGRAM, "eval", self.model, "--input", files[0], "--output", files[1])
            out.append(np.load(files[1]).astype("f8"))
        return np.concatenate(out)


def sampling(samples, **noise):
    return {"samples": samples, "noise": noise or {"level": 0.15}}


def test_linear(folder):
    """SmoothGrad is the weight to the rounding of a gradient, VarGrad is 0; also where weights span 24 octaves."""
    random = np.random.default_rng(2)
    for name, octaves in (("linear", 0), ("linear, weights over 24 octaves", 24)):
        w = random.normal(size=25) * 2.0 ** -np.linspace(0, octaves, 25).round()
        w = w.astype("f4")
        s = Study(folder, tiny_onnx.linear((1, 5, 5), [w.tolist()], [0.5]), pictures(20, 5, 5),
                  sampling=sampling(300), methods=["gradient", "gradient_x_input", SMOOTH, "adaptgrad"]).run()
        step = STEP * np.abs(w).max()
        check((s.gradient["map"] == w).all(), f"{name}: gradient is the weight, bit for bit")
        check((s.gradient_x_input["map"] == s.x * w).all(), f"{name}: gradient_x_input is weight times input")
        for label in ("smoothgrad", "adaptgrad"):
            off = np.abs(getattr(s, label)["map"] - w).max() / step
            check(off <= 1, f"{name}: {label} is the weight to {off:.2g} of a grid step")
        off = np.abs(s.smoothgrad_squared["map"] - w.astype("f8")**2)
        off = np.max(off / (2 * np.abs(w) * step + step**2 + ULP * w.astype("f8")**2))
        check(off <= 1, f"{name}: smoothgrad_squared is its square to {off:.2g} of the bound")
        zero = all(np.all(getattr(s, label)["se"] == 0) for label in SMOOTH)
        check(not s.vargrad["map"].any() and zero, f"{name}: vargrad and all errors are exactly 0")
    for exponent in range(-12, 13):
        w = (random.normal(size=9) * 2.0**exponent).astype("f4")
        s = Study(folder, tiny_onnx.linear((1, 3, 3), [w.tolist()]), pictures(2, 3, 3), sampling=sampling(50),
                  methods=["smoothgrad", {"method": "vargrad", "divisor": ["unbiased", "population"]}]).run()
        both = np.stack([s.vargrad_unbiased["map"], s.vargrad_population["map"]])
        if both.any() or np.abs(s.smoothgrad["map"] - w).max() > STEP * np.abs(w).max():
            check(False, f"constant gradients times 2^{exponent}: variance {both.min()} to {both.max()}")
    check(True, "constant gradients scaled over 24 octaves: variance exactly 0 at each, so never negative")


def held(name, value, truth, se, df=np.inf, limit=4.5):
    """z of every element: none beyond the limit, and as wide as they must be on the whole."""
    z = ((value - truth) / se).ravel()
    rms, want = math.sqrt(np.mean(z**2)), math.sqrt(df / (df - 2)) if df < 1e9 else 1
    check(np.abs(z).max() < limit and abs(rms / want - 1) < 0.15,
          f"{name}: largest |z| {np.abs(z).max():.2f} of {z.size}, rms {rms:.3f} (expected {want:.3f})")


def test_quadratic(folder):
    """SmoothGrad Ax + b, VarGrad sigma^2 sum_j A_ij^2, the square's mean their sum."""
    random = np.random.default_rng(3)
    a = random.normal(size=(12, 12))
    a, b = ((a + a.T) / 2).astype("f4"), random.normal(size=12).astype("f4")
    s = Study(folder, tiny_onnx.quadratic((1, 3, 4), a.tolist(), b.tolist()), pictures(60, 3, 4),
              sampling=sampling(2000), methods=["gradient", SMOOTH]).run()
    mean = s.x.astype("f8") @ a + b
    variance = 0.15**2 * np.sum(a.astype("f8")**2, axis=1)
    check(np.allclose(s.vargrad["sigma"], 0.15, rtol=1e-6), "quadratic: sigma is level times range")
    check(np.allclose(s.gradient["map"], mean, rtol=0, atol=1e-5), "quadratic: gradient is Ax + b")
    held("quadratic: smoothgrad against Ax + b", s.smoothgrad["map"], mean, s.smoothgrad["se"])
    # Jackknifed over 16 groups: 15 degrees of freedom; 7 errors of Student's t are as rare as 4.5 of the normal.
    held("quadratic: vargrad against sigma^2 sum A^2", s.vargrad["map"], variance, s.vargrad["se"], 15, 7)
    held("quadratic: smoothgrad_squared against the sum of both", s.smoothgrad_squared["map"], mean**2 + variance,
         s.smoothgrad_squared["se"], 15, 7)


def test_relu(folder):
    """W2 diag(Phi(z/s)) W1 with s_j = sigma |W1_j|; where units share no input, p(1 - p) for each."""
    random = np.random.default_rng(4)
    shape, d, sigma = (1, 4, 5), 20, 0.3
    for name, apart in (("ReLU network", False), ("ReLU network of disjoint units", True)):
        w, bias, v = random.normal(size=(5, d)), random.normal(size=5) * 0.3, random.normal(size=5)
        if apart:
            w *= np.arange(d) // 4 == np.arange(5)[:, None]
        bias -= w @ np.full(d, 0.5)  # the gates stand near their middle
        w, bias, v = (q.astype("f4") for q in (w, bias, v))
        s = Study(folder, tiny_onnx.relu_net(shape, w.tolist(), bias.tolist(), [v.tolist()]), pictures(40, 4, 5),
                  sampling=sampling(4000, sigma=sigma), methods=[SMOOTH]).run()
        w, v = w.astype("f8"), v.astype("f8")
        p = special.ndtr((s.x.astype("f8") @ w.T + bias) / (sigma * np.linalg.norm(w, axis=1)))
        seen = s.smoothgrad["se"] > 0  # a gate that is as good as always open or closed leaves no variance
        held(f"{name}: smoothgrad against Phi(z/s)", s.smoothgrad["map"][seen], ((p * v) @ w)[seen],
             s.smoothgrad["se"][seen])
        check(s.vargrad["map"].min() >= 0, f"{name}: no variance is negative")
        if apart:
            variance = (p * (1 - p)) @ (v[:, None] * w)**2
            # An error of p(1 - p) is (1 - 2p) times one of p: where the gate is open half of the time that is 0, only
            # the square of p's error is left, and no jackknife sees it. Nor is it normal for a gate that hardly moved.
            often = np.repeat((p * (1 - p) > 0.01) & (np.abs(1 - 2 * p) > 0.1), 4, axis=1)
            held(f"{name}: vargrad against p(1 - p)", s.vargrad["map"][often], variance[often], s.vargrad["se"][often],
                 15, 7)


def test_population_variance(folder):
    """SG2 - SG^2 is the variance with divisor N. Each of the three was rounded to float32 once (relative 2^-24), so
    the identity holds to 2^-24 (SG2 + 2 SG^2 + V), at most 4 * 2^-24 = 2.4e-7 of SG2."""
    s = Study(folder, os.path.join(REPOSITORY, "jobs/quickstart/fashion.onnx"), fashion(8), sampling=sampling(100),
              methods=["smoothgrad", "smoothgrad_squared",
                       {"method": "vargrad", "divisor": ["unbiased", "population"]}]).run()
    sg, sg2, v = s.smoothgrad["map"], s.smoothgrad_squared["map"], s.vargrad_population["map"]
    bound = ULP * (sg2 + 2 * sg**2 + v) * (1 + 1e-6)
    worst = np.max(np.abs(sg2 - sg**2 - v) / np.maximum(sg2, 1e-300))
    check((np.abs(sg2 - sg**2 - v) <= bound).all() and worst < 1e-6,
          f"SG2 - SG^2 is the population variance to {worst:.1e} of SG2, within the rounding of float32")
    ratio = s.vargrad_unbiased["map"][v > 0] / v[v > 0]
    check(np.allclose(ratio, 100 / 99, rtol=3e-7) and v.min() >= 0, "the other divisor is N - 1; none is negative")


def fashion(n, start=0):
    """Test images of Fashion-MNIST that are shipped with the quickstart."""
    with gzip.open(os.path.join(REPOSITORY, "jobs/quickstart/images-idx3-ubyte.gz")) as f:
        return np.frombuffer(f.read()[16:], np.uint8).reshape(-1, 28, 28)[start:start + n]


def test_stein(folder):
    """E[v.g(x + d)] = E[(S(x + d) - S(x)) v.d] / sigma^2: the backward pass against the forward pass alone."""
    random, n = np.random.default_rng(5), 3000
    s = Study(folder, os.path.join(REPOSITORY, "jobs/quickstart/fashion.onnx"), fashion(1), target={"class": 3},
              sampling=sampling(n), methods=["smoothgrad"])
    inputs, gradients = s.sample(0, n, "smoothgrad")
    sigma = 0.15 * (s.x.max() - s.x.min())
    score = s.scores(np.concatenate([s.x, inputs]), (1, 28, 28))[:, 3]
    v = random.normal(size=(20, 784))
    noise = (inputs.astype("f8") - s.x) / sigma
    check(abs(noise.std() - 1) < 0.01 and abs(noise.mean()) < 0.01, "Stein: the noise is standard normal")
    difference = gradients.astype("f8") @ v.T - (score[1:] - score[0])[:, None] * (noise @ v.T) / sigma
    z = difference.mean(0) / difference.std(0, ddof=1) * math.sqrt(n)
    check(np.abs(z).max() < 4, f"Stein: largest |z| on 20 directions {np.abs(z).max():.2f}, rms {math.sqrt(np.mean(z**2)):.2f}")


def test_adaptgrad(folder):
    """The share outside is 1 - c in the middle of the range and known in general; no noise at a bound."""
    random, n = np.random.default_rng(6), 2000
    images = np.zeros((4, 5, 5), np.uint8)
    images[0] = random.integers(127, 129, (5, 5))       # the middle, to 1/510
    images[1] = random.integers(0, 2, (5, 5)) * 255     # saturated
    images[2:] = random.integers(0, 256, (2, 5, 5))
    for c in (0.9, 0.95, 0.99):
        w = random.normal(size=25).astype("f4")
        s = Study(folder, tiny_onnx.linear((1, 5, 5), [w.tolist()]), images, sampling={"samples": n},
                  methods=["gradient", {"method": "adaptgrad", "confidence": c}]).run()
        room = np.minimum(s.x, 1 - s.x).astype("f8")
        sigma = room / stats.norm.ppf((1 + c) / 2)
        with np.errstate(all="ignore"):
            outside = np.where(sigma > 0, special.ndtr(-s.x / sigma) + special.ndtr(-(1 - s.x) / sigma), 0).mean(1)
        error = np.sqrt(outside * (1 - outside) / (n * 25))
        share = s.adaptgrad["out_of_range"]
        z = (share - outside)[[0, 2, 3]] / error[[0, 2, 3]]
        check(np.abs(z).max() < 4 and abs(outside[0] - (1 - c)) < 0.05 * (1 - c),
              f"AdaptGrad, c = {c}: share outside {share[0]:.4f} in the middle, largest |z| {np.abs(z).max():.2f}")
        check((share <= 1 - c + 3 * error).all(), f"AdaptGrad, c = {c}: no share is above 1 - c, by 3 errors")
        check(np.allclose(s.adaptgrad["sigma"][:, 0], sigma.mean(1), rtol=1e-6), f"AdaptGrad, c = {c}: sigma as stated")
        same = np.abs(s.adaptgrad["map"][1] - s.gradient["map"][1]).max() <= STEP * np.abs(w).max()
        check(share[1] == 0 and s.adaptgrad["sigma"][1] == 0 and same, f"AdaptGrad, c = {c}: saturated: the gradient")
        inputs, _ = s.sample(2, 200, "adaptgrad")
        still = sigma[2] == 0
        check((inputs[:, still] == s.x[2][still]).all() and (inputs[:, ~still].std(0) > 0).all(),
              f"AdaptGrad, c = {c}: elements at a bound do not move, all others do")


RUNS = 1000


def coverage(name, study, samples, bounds, truth=None):
    """1,000 runs (copies of an item, each with noise of its own): how often the 95 % interval holds the limit. Without
    a closed form the limit is the mean over all runs, itself off by 3 % of an error (1/sqrt(1000))."""
    s = study(samples).run()
    m, se = s.smoothgrad["map"], s.smoothgrad["se"]
    truth = m.mean(0) if truth is None else truth
    seen = se > 0
    inside = np.abs(m - truth) <= stats.t.ppf(0.975, samples - 1) * se
    share = inside[seen].mean()
    never = (~seen).all(0).mean()
    text = (f"coverage, {name}, N = {samples}: {100 * share:.2f} % of {RUNS} runs; without variance {100 * (~seen).mean():.2f} % "
            f"of the intervals, {100 * never:.2f} % of the elements in all runs; of all intervals {100 * inside.mean():.2f} %")
    if bounds is None:
        print("       ", text, flush=True)
    else:
        check(bounds[0] < share < bounds[1], text)
    return s, share


def test_coverage(folder):
    random = np.random.default_rng(7)
    a = random.normal(size=(16, 16))
    a, b = ((a + a.T) / 2).astype("f4"), random.normal(size=16).astype("f4")
    one = pictures(1, 4, 4, 8)
    sizes = (16, 64, 1024) if "--slow" in sys.argv else (16, 64)
    net = os.path.join(REPOSITORY, "jobs/quickstart/fashion.onnx")
    copies = np.repeat(fashion(1, 3), RUNS, axis=0)

    def quadratic(n):
        return Study(folder, tiny_onnx.quadratic((1, 4, 4), a.tolist(), b.tolist()), np.repeat(one, RUNS, axis=0),
                     sampling=sampling(n), methods=["smoothgrad"])

    def quickstart(n):
        return Study(folder, net, copies, sampling=sampling(n), methods=["smoothgrad"], target="predicted")

    truth = (one.reshape(16).astype("f4") / np.float32(255)).astype("f8") @ a + b
    for n in sizes:
        coverage("quadratic score", quadratic, n, (0.93, 0.97), truth)
        coverage("quickstart network", quickstart, n, (0.93, 0.97))


def main():
    quick = (test_linear, test_quadratic, test_relu, test_population_variance, test_stein, test_adaptgrad, test_coverage)
    for test in (test_coverage,) if "--slow" in sys.argv else quick:
        with tempfile.TemporaryDirectory() as folder:
            test(folder)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
