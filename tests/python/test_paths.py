"""Integrated gradients, its relatives and compositions against float64 PyTorch, through the whole program.

    test_paths.py SGDIST

A smooth network of three channels, given to both sides as its weights. The judge is written from the formulas in
docs/methods.md: nodes by numpy.polynomial.legendre, noise by the documented generator.
"""
import os
import re
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    from scipy.ndimage import gaussian_filter
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import REPOSITORY, sgdist, write_job
from test_sample_audit import documented_normals

PROGRAM = os.path.abspath(sys.argv[1])
SHAPE, CLASSES, ITEMS, SAMPLES, SIGMA = (3, 7, 6), 4, 3, 20, 0.3
MEAN, STD = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.25])
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def documented():
    """The names of the one block of Python in docs/methods.md."""
    names = {}
    with open(os.path.join(REPOSITORY, "docs", "methods.md")) as f:
        exec(re.findall(r"```python\n(.*?)```", f.read(), re.S)[0], names)
    return names


def close(got, want, text, bound=2e-5):
    want = np.asarray(want)
    error = np.abs(np.asarray(got, "f8") - want).max() / max(np.abs(want).max(), 1e-30)
    check(got.shape == want.shape and error <= bound, f"{text}: {error:.1e} of the largest value")


class Net:
    """Convolution, tanh, pooling, a dense layer, softplus, a dense layer; or with Relu throughout."""

    def __init__(self, folder, relu=False):
        rng = np.random.default_rng(5)
        w = {"w1": rng.normal(0, 0.4, (5, 3, 3, 3)), "b1": rng.normal(0, 0.2, 5), "w2": rng.normal(0, 0.3, (8, 5 * 3 * 3)),
             "b2": rng.normal(0, 0.2, 8), "w3": rng.normal(0, 0.7, (CLASSES, 8)), "b3": rng.normal(0, 0.2, CLASSES)}
        w = {k: v.astype("f4") for k, v in w.items()}
        node = tiny_onnx.node
        nodes = [node("Conv", ["x", "w1", "b1"], ["c"], kernel_shape=[3, 3], pads=[1] * 4),
                 node("Relu" if relu else "Tanh", ["c"], ["t"]), node("AveragePool", ["t"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                 node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "w2", "b2"], ["h"], transB=1),
                 node("Relu" if relu else "Softplus", ["h"], ["s"]), node("Gemm", ["s", "w3", "b3"], ["y"], transB=1)]
        self.path = os.path.join(folder, "relu.onnx" if relu else "smooth.onnx")
        with open(self.path, "wb") as f:
            f.write(tiny_onnx.model(nodes, [tiny_onnx.tensor_of(k, v) for k, v in w.items()], SHAPE, (CLASSES,)))
        self.w = {k: torch.from_numpy(v).double() for k, v in w.items()}
        self.relu = relu
        self.guided = False

    def logits(self, x):
        act = Guided.apply if self.guided else torch.relu
        f = torch.nn.functional
        w = self.w
        t = f.conv2d(x, w["w1"], w["b1"], padding=1)
        t = act(t) if self.relu else torch.tanh(t)
        h = f.linear(f.avg_pool2d(t, 2).flatten(1), w["w2"], w["b2"])
        return f.linear(act(h) if self.relu else f.softplus(h), w["w3"], w["b3"])

    def scores(self, x, k):
        return self.logits(torch.from_numpy(x)).detach().numpy()[:, k]

    def gradients(self, x, k):
        x = torch.from_numpy(np.ascontiguousarray(x)).requires_grad_()
        (g,) = torch.autograd.grad(self.logits(x)[:, k].sum(), x)
        return g.numpy()


class Guided(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(context, dy):
        return dy * (dy > 0) * (context.saved_tensors[0] > 0)


def rule(name, n):
    if name == "gauss_legendre":
        z, w = np.polynomial.legendre.leggauss(n)
        return (z + 1) / 2, w / 2
    t = {"midpoint": (np.arange(n) + 0.5) / n, "trapezoid": np.arange(n) / max(n - 1, 1), "riemann_left": np.arange(n) / n,
         "riemann_right": np.arange(1, n + 1) / n}[name]
    w = np.full(n, 1 / n)
    if name == "trapezoid":
        w = np.full(n, 1 / (n - 1))
        w[[0, -1]] /= 2
    return t, w


def line(x0, x, t):
    return x0 + np.reshape(t, (-1, 1, 1, 1)) * (x - x0)


def ig(net, x, k, x0, n=50, name="gauss_legendre", low=0.0, high=1.0):
    t, w = rule(name, n)
    g = net.gradients(line(x0, x, low + (high - low) * t), k)
    return (x - x0) * np.tensordot((high - low) * w, g, 1)


def saturation(net, x, k, x0, phi, score):
    """The first crossing on a fine grid, then bisection."""
    s = lambda t: score(net, line(x0, x, t), k)
    grid = np.arange(33) / 32
    v = s(grid)
    threshold = v[0] + phi * (v[-1] - v[0])
    above = np.flatnonzero(v > threshold)
    if not v[-1] > v[0] or len(above) == 0:
        return 1.0
    low, high = grid[above[0] - 1], grid[above[0]]
    for _ in range(16):
        mid = (low + high) / 2
        low, high = (low, mid) if s(mid)[0] > threshold else (mid, high)
    return high


def logit(net, x, k):
    return net.scores(x, k)


def probability(net, x, k):
    return torch.softmax(net.logits(torch.from_numpy(x)), 1).numpy()[:, k]


def idg(net, x, k, x0, fine=4000):
    """(x - x0) int S'(t) grad S dt by a fine midpoint rule."""
    t, w = rule("midpoint", fine)
    g = net.gradients(line(x0, x, t), k)
    slope = (g * (x - x0)).reshape(fine, -1).sum(1)
    return (x - x0) * np.tensordot(w * slope, g, 1)


def guided_ig(net, x, k, x0, steps, fraction, distance):
    """Kapishnikov et al. 2021, algorithm 1, as it is printed."""
    p, total, whole = x0.copy(), np.zeros_like(x), np.abs(x - x0).sum()
    for step in range(steps):
        g = net.gradients(p[None], k)[0]
        a = (step + 1) / steps
        least, most = x0 + max(a - distance, 0) * (x - x0), x0 + min(a + distance, 1) * (x - x0)
        target = whole * (1 - a)
        old = p.copy()
        behind = np.abs(p - x0) < np.abs(least - x0)
        p[behind] = least[behind]
        while np.abs(x - p).sum() - target > 1e-12 * whole:
            free = np.abs(p - most) > 1e-15
            size = np.where(free, np.abs(g), np.inf)
            s = free & (size <= np.sort(size.ravel())[int(fraction * (size.size - 1))])
            share = (np.abs(x - p).sum() - target) / np.abs(p - most)[s].sum()
            p[s] += min(share, 1) * (most - p)[s]
        total += (p - old) * g
    return total


class Study:
    def __init__(self, folder, net, name, methods, target="predicted", samples=SAMPLES, block=16):
        self.folder, self.net, self.output = folder, net, os.path.join(folder, name + ".h5")
        pixels = np.random.default_rng(3).random((ITEMS, *SHAPE)).astype("f4")
        np.save(os.path.join(folder, "items.npy"), pixels)
        self.job = write_job(os.path.join(folder, name + ".yaml"), model={"file": os.path.basename(net.path)},
                             data={"npy": "items.npy", "domain": {"bounds": [0, 1]},
                                   "preprocess": {"mean": MEAN.tolist(), "std": STD.tolist()}},
                             target=target, sampling={"samples": samples, "block": block, "noise": {"sigma": SIGMA}},
                             methods=methods, study={"output": self.output})
        self.said = sgdist(PROGRAM, self.job, "--fresh")
        self.file = h5py.File(self.output, "r")
        self.x = ((pixels - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1)).astype("f4").astype("f8")
        self.target = self.file["items/target"][:]
        self.keys = self.file["items/noise_key"][:]

    def map(self, label, name="map"):
        return self.file[f"maps/{label}/{name}"][:]

    def want(self, f):
        """f(item, class) for all items and targets."""
        return np.array([[f(self.x[i], k) for k in row] for i, row in enumerate(self.target)])

    def noise(self, normals, i, n=SAMPLES):
        return np.stack([normals(2017, int(self.keys[i]), k, int(np.prod(SHAPE))).reshape(SHAPE) for k in range(n)])


def straight(folder, net):
    zero = np.zeros(SHAPE)
    black = np.broadcast_to((-MEAN / STD).reshape(3, 1, 1), SHAPE)
    grey = np.broadcast_to(((np.array([0.25, 0.5, 0.75]) - MEAN) / STD).reshape(3, 1, 1), SHAPE)
    start = np.random.default_rng(9).random(SHAPE)
    np.save(os.path.join(folder, "start.npy"), start)
    rules = ["gauss_legendre", "midpoint", "trapezoid", "riemann_left", "riemann_right"]
    s = Study(folder, net, "straight", [
        "integrated_gradients", "gradient", "gradient_x_input",
        {"method": "integrated_gradients", "as": "n", "nodes": [1, 7], "quadrature": rules[:2]},
        {"method": "integrated_gradients", "as": "r", "nodes": 8, "quadrature": rules},
        {"method": "integrated_gradients", "as": "black", "space": "pixel"},
        {"method": "integrated_gradients", "as": "grey", "space": "pixel", "baseline": {"constant": [0.25, 0.5, 0.75]}},
        {"method": "integrated_gradients", "as": "half", "baseline": {"constant": 0.5}},
        {"method": "integrated_gradients", "as": "mean", "baseline": "item_mean"},
        {"method": "integrated_gradients", "as": "blur", "baseline": {"blurred": 1.5}},
        {"method": "integrated_gradients", "as": "file", "baseline": {"file": "start.npy"}, "space": ["input", "pixel"]},
        {"method": "integrated_gradients", "as": "several", "baseline": ["zero", {"constant": 1}, "item_mean"]},
    ], target=["predicted", {"class": 1}])
    both = s.want(lambda x, k: ig(net, x, k, zero))
    close(s.map("integrated_gradients"), both, "IG of two targets")
    for name in rules:
        close(s.map(f"r-{name}"), s.want(lambda x, k: ig(net, x, k, zero, 8, name)), f"IG by {name}")
    close(s.map("n-midpoint-q1"), s.want(lambda x, k: ig(net, x, k, zero, 1, "midpoint")), "one node")
    close(s.map("n-gauss_legendre-q7"), s.want(lambda x, k: ig(net, x, k, zero, 7)), "seven nodes")
    close(s.map("black"), s.want(lambda x, k: ig(net, x, k, black)), "zero of pixels")
    close(s.map("grey"), s.want(lambda x, k: ig(net, x, k, grey)), "constants a channel, in pixels")
    close(s.map("half"), s.want(lambda x, k: ig(net, x, k, zero + 0.5)), "one constant")
    close(s.map("file-input"), s.want(lambda x, k: ig(net, x, k, start)), "a baseline from a file")
    pixels = (start - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1)
    close(s.map("file-pixel"), s.want(lambda x, k: ig(net, x, k, pixels)), "in pixels")
    mean = lambda x: np.broadcast_to(x.mean((1, 2), keepdims=True), SHAPE)
    close(s.map("mean"), s.want(lambda x, k: ig(net, x, k, mean(x))), "the item's means")
    blurred = lambda x: np.stack([gaussian_filter(c, 1.5) for c in x])
    close(s.map("blur"), s.want(lambda x, k: ig(net, x, k, blurred(x))), "the item blurred, as scipy does it")
    several = s.want(lambda x, k: (ig(net, x, k, zero) + ig(net, x, k, zero + 1) + ig(net, x, k, mean(x))) / 3)
    close(s.map("several"), several, "the mean over three baselines")
    rise = s.want(lambda x, k: net.scores(x[None], k)[0] - net.scores(zero[None], k)[0])
    gap = np.abs(s.map("integrated_gradients").sum((2, 3, 4)) - rise)
    check(gap.max() < 1e-4, f"completeness with 50 nodes: {gap.max():.1e}")
    stored = s.map("integrated_gradients", "completeness_gap")
    check(np.abs(stored - s.map("integrated_gradients").astype("f8").sum((2, 3, 4)) + rise).max() < 1e-5, "the stored gap is that one")
    first = s.want(lambda x, k: net.scores(zero[None], k)[0])
    close(s.map("integrated_gradients", "baseline_score"), first, "the score at the baseline")
    starts = s.want(lambda x, k: np.mean([net.scores(b[None], k)[0] for b in (zero, zero + 1, mean(x))]))
    close(s.map("several", "baseline_score"), starts, "its mean over three")
    passes = [50, 1 + 7 + 1 + 7, 5 * 8, 50, 50, 50, 50, 50, 2 * 50, 3 * 50]
    walks = 1 + 4 + 5 + 5 + 2 + 3
    check((s.file["items/forwards"][:] == 1 + sum(passes) + walks).all(), "two targets share the forward passes")
    check((s.file["items/backwards"][:] == 2 * (1 + sum(passes))).all(), "and have backward passes of their own")


def saturated(folder, net):
    zero = np.zeros(SHAPE)
    s = Study(folder, net, "saturated", [
        ["left_ig", "right_ig"], {"method": "integrated_gradients", "threshold": 0.9, "as": "whole"},
        {"method": ["left_ig", "right_ig"], "as": "p", "threshold": 0.5, "threshold_on": "probability"},
        {"method": "idg", "nodes": 120}, {"method": "guided_ig", "nodes": 30},
        {"method": "guided_ig", "as": "wide", "nodes": 20, "fraction": 0.1, "max_distance": 0.5},
    ], target=["predicted", {"class": 1}])
    for prefix, phi, score in (("", 0.9, logit), ("p-", 0.5, probability)):
        t = s.want(lambda x, k: saturation(net, x, k, zero, phi, score))
        stored = s.map(prefix + "left_ig", "t_star")
        check(np.abs(stored - t).max() < 2e-5, f"t* on the {score.__name__}: {stored.ravel()}")
        star = iter(stored.ravel())
        left = s.want(lambda x, k: ig(net, x, k, zero, high=next(star)))
        star = iter(stored.ravel())
        right = s.want(lambda x, k: ig(net, x, k, zero, low=next(star)))
        close(s.map(prefix + "left_ig"), left, "Left-IG")
        check(np.abs(s.map(prefix + "right_ig") - right).max() < 2e-5 * np.abs(left).max(), "Right-IG")
        star = iter(stored.ravel())
        rise = s.want(lambda x, k: net.scores(line(zero, x, next(star)), k)[0] - net.scores(zero[None], k)[0])
        gap = np.abs(s.map(prefix + "left_ig").sum((2, 3, 4)) - rise).max()
        check(gap < 1e-4, f"the sum of Left is S(t*) - S(x0): {gap:.1e}")
        check(np.abs(s.map(prefix + "left_ig", "completeness_gap")).max() < 1e-4, "as the stored gap says")
    check(((t > 0) & (t < 1)).any() and (t == 1).any(), "some scores saturate, some do not rise")
    whole = s.want(lambda x, k: ig(net, x, k, zero))
    close(s.map("left_ig") + s.map("right_ig"), whole, "Left + Right = IG")
    close(s.map("whole"), s.map("left_ig") + s.map("right_ig"), "and so is the whole of the split path", 1e-6)
    close(s.map("idg"), s.want(lambda x, k: idg(net, x, k, zero)), "IDG", 1e-4)
    close(s.map("guided_ig"), s.want(lambda x, k: guided_ig(net, x, k, zero, 30, 0.25, 0.02)), "Guided IG", 1e-4)
    close(s.map("wide"), s.want(lambda x, k: guided_ig(net, x, k, zero, 20, 0.1, 0.5)), "Guided IG in a wide band", 1e-4)
    split = 33 + 17 * 2 + 2 * 100
    check((s.file["items/forwards"][:] == 1 + 2 * split + 31 + 2 * 120 + 1 + 60 + 1 + 40).all(),
          "left, right and whole are one walk")
    check((s.file["items/backwards"][:] == 2 * (2 * 100 + 120 + 30 + 20)).all(), "for each threshold")


def composed(folder, net):
    normals = documented_normals()
    zero = np.zeros(SHAPE)
    inner = {"method": "integrated_gradients", "nodes": 9}
    s = Study(folder, net, "composed", [
        {"method": ["smoothgrad", "smoothgrad_squared", "vargrad"], "of": inner},
        {"method": "smoothgrad", "of": "gradient_x_input"}, {"method": "gradient_x_input", "of": "smoothgrad"},
        {"method": "integrated_gradients", "nodes": 9, "of": "smoothgrad"},
        {"method": "integrated_gradients", "nodes": 9, "of": {"method": "adaptgrad", "confidence": 0.8}},
        {"method": "adaptgrad", "confidence": 0.8, "of": inner}, "smoothgrad",
        {"method": "smoothgrad", "as": "sizes", "absolute": True, "of": inner},
        {"method": "smoothgrad", "as": "pixel", "space": "pixel", "of": "gradient_x_input"},
        {"method": "smoothgrad", "of": {"method": "guided_ig", "nodes": 6}},
        {"method": "smoothgrad", "of": {"method": "left_ig", "nodes": 6}}])
    nodes, weights = rule("gauss_legendre", 9)
    bounds = [(b - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1) for b in (0, 1)]
    z = 1.2815515655446004  # Phi^-1(0.9)

    def width(p):
        p = np.clip(p, *bounds)
        return np.minimum(p - bounds[0], bounds[1] - p) / z

    def each(path):
        """path(x, class, noise) of every sample: [items][1][samples][D]."""
        return np.stack([[np.stack([path(s.x[i], k, e) for e in s.noise(normals, i)]) for k in s.target[i]] for i in range(ITEMS)])

    of_ig = each(lambda x, k, e: ig(net, (x + SIGMA * e).astype("f4").astype("f8"), k, zero, 9))
    close(s.map("smoothgrad_of_integrated_gradients"), of_ig.mean(2), "SmoothGrad of IG")
    close(s.map("smoothgrad_squared_of_integrated_gradients"), (of_ig**2).mean(2), "SmoothGrad-Squared of IG")
    close(s.map("vargrad_of_integrated_gradients"), of_ig.var(2, ddof=1), "VarGrad of IG", 1e-4)
    close(s.map("sizes"), np.abs(of_ig).mean(2), "mean of the absolute values of IG")
    se = of_ig.std(2, ddof=1) / np.sqrt(SAMPLES)
    close(s.map("smoothgrad_of_integrated_gradients", "se"), se, "its standard error", 1e-4)
    gxi = each(lambda x, k, e: (x + SIGMA * e) * net.gradients((x + SIGMA * e)[None], k)[0])
    black = -(MEAN / STD).reshape(3, 1, 1)
    of_pixels = each(lambda x, k, e: (x + SIGMA * e - black) * net.gradients((x + SIGMA * e)[None], k)[0])
    close(s.map("pixel"), of_pixels.mean(2), "with black for zero")
    close(s.map("smoothgrad_of_gradient_x_input"), gxi.mean(2), "mean of (x + e) g")
    xg = each(lambda x, k, e: x * net.gradients((x + SIGMA * e)[None], k)[0])
    close(s.map("gradient_x_input_of_smoothgrad"), xg.mean(2), "x times the mean of g")
    close(s.map("gradient_x_input_of_smoothgrad", "se"), xg.std(2, ddof=1) / np.sqrt(SAMPLES), "its standard error", 1e-4)

    def inside(x, k, e, noise):
        p = line(zero, x, nodes)
        return x * np.tensordot(weights, net.gradients(np.stack([noise(q, e) for q in p]), k), 1)

    sg = each(lambda x, k, e: inside(x, k, e, lambda q, e: q + SIGMA * e))
    close(s.map("integrated_gradients_of_smoothgrad"), sg.mean(2), "IG of SmoothGrad")
    ag = each(lambda x, k, e: inside(x, k, e, lambda q, e: np.clip(q, *bounds) + width(q) * e))
    close(s.map("integrated_gradients_of_adaptgrad"), ag.mean(2), "IG of AdaptGrad: sigma anew at each node")
    ag_ig = each(lambda x, k, e: ig(net, np.clip(x, *bounds) + width(x) * e, k, zero, 9))
    close(s.map("adaptgrad_of_integrated_gradients"), ag_ig.mean(2), "AdaptGrad of IG")
    apart = np.abs(s.map("adaptgrad_of_integrated_gradients") - s.map("integrated_gradients_of_adaptgrad")).max()
    check(apart > 0.02 * np.abs(ag.mean(2)).max(), f"which is another map: {apart:.2g}")
    of_guided = each(lambda x, k, e: guided_ig(net, x + SIGMA * e, k, zero, 6, 0.25, 0.02))
    close(s.map("smoothgrad_of_guided_ig"), of_guided.mean(2), "SmoothGrad of Guided IG", 1e-3)

    def left(x, k, e):
        y = x + SIGMA * e
        return ig(net, y, k, zero, 6, high=saturation(net, y, k, zero, 0.9, logit))

    close(s.map("smoothgrad_of_left_ig"), each(left).mean(2), "SmoothGrad of Left-IG", 1e-4)
    for ranks in (2, 3):
        other = f"{s.output}.{ranks}"
        sgdist(PROGRAM, s.job, "--set", f"study.output={other}", launcher=("mpirun", "-n", str(ranks)))
        said = sgdist(PROGRAM, "diff", s.output, other)
        check("no difference" in said, f"{ranks} ranks: {said.splitlines()[-1]}")
    path = s.output + ".sample"
    sgdist(PROGRAM, "sample", s.job, "--item", 1, "--samples", f"0:{SAMPLES}", "--method", "smoothgrad_of_integrated_gradients", "-o", path)
    with h5py.File(path, "r") as f:
        close(f["gradients"][:, 0], of_ig[1, 0], "single samples of SmoothGrad of IG")


class Linear:
    """y = W x: the net of methods.md's battery of identities (Fel et al. 2023, arXiv:2306.07304)."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "linear.onnx")
        self.w = np.random.default_rng(8).normal(size=(CLASSES, int(np.prod(SHAPE)))).astype("f4")
        with open(self.path, "wb") as f:
            f.write(tiny_onnx.linear(SHAPE, self.w.tolist()))


def linear(folder):
    net = Linear(folder)
    s = Study(folder, net, "linear", ["gradient_x_input", "integrated_gradients", "left_ig", "right_ig", "idg", "guided_ig",
              {"method": "integrated_gradients", "of": "smoothgrad"}, {"method": "gradient_x_input", "of": "adaptgrad"},
              {"method": ["smoothgrad", "vargrad"], "of": "integrated_gradients"}], target=["predicted", {"class": 0}])
    g = s.want(lambda x, k: net.w[k].reshape(SHAPE).astype("f8"))
    gxi = s.x[:, None] * g
    rise = gxi.sum((2, 3, 4), keepdims=True)
    close(s.map("gradient_x_input"), gxi, "linear: x g")
    for label in ("integrated_gradients", "guided_ig", "integrated_gradients_of_smoothgrad", "gradient_x_input_of_adaptgrad"):
        close(s.map(label), gxi, f"linear: {label} is x g", 1e-6)
    close(s.map("idg"), rise * gxi, "linear: IDG is the rise times x g", 1e-6)
    share = np.where(rise > 0, 0.9, 1.0)
    close(s.map("left_ig"), share * gxi, "linear: the score saturates at 0.9 of the way, where it rises", 1e-5)
    close(s.map("right_ig"), (1 - share) * gxi, "linear: and the rest is right", 1e-4)
    normals = documented_normals()
    e = np.stack([SIGMA * s.noise(normals, i) for i in range(ITEMS)])[:, None]
    close(s.map("smoothgrad_of_integrated_gradients"), gxi + e.mean(2) * g, "linear: SmoothGrad of IG is (x + mean e) g", 1e-6)
    close(s.map("vargrad_of_integrated_gradients"), e.var(2, ddof=1) * g**2, "linear: VarGrad of IG is var(e) g^2", 1e-5)


def stopped_anywhere(folder, net):
    """Runs of a second on 1, 3 and 2 ranks, until it is done, give the bits of one run."""
    s = Study(folder, net, "stopped", [{"method": ["smoothgrad", "vargrad"], "of": {"method": "left_ig", "nodes": 8}},
                                       {"method": "integrated_gradients", "nodes": 9, "of": "smoothgrad"}], samples=900)
    seen = int(s.file["performance/forwards"][:].sum()), int(s.file["performance/gradients"][:].sum())
    told = int(s.file["items/forwards"][:].sum()), int(s.file["items/backwards"][:].sum())
    check(seen == told, f"the network was run as often as the plan says: {seen}, {told}")
    other = s.output + ".stopped"
    for n_runs in range(1, 30):
        ranks = (1, 3, 2)[n_runs % 3]
        launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
        hours = "1e-9" if n_runs == 1 else "2.5e-4"  # the first one never gets to the end, however fast the machine
        run = subprocess.run([*launcher, PROGRAM, s.job, "--set", f"study.output={other}", "--set", f"run.max_hours={hours}"],
                             capture_output=True, text=True)
        if run.returncode != 85:
            break
    check(run.returncode == 0 and n_runs > 1, f"done after {n_runs} runs: {run.stderr[-300:] if run.returncode else 'exit code 0'}")
    check("no difference" in sgdist(PROGRAM, "diff", s.output, other), "with the same bits")


def expected(folder, net):
    """The baselines and places by the documented generator: word 0 chooses the item, word 1 the place."""
    source = documented()
    s = Study(folder, net, "expected", ["expected_gradients"], target=["predicted", {"class": 1}], samples=40)

    def draws(i):
        key = int(s.keys[i])
        for k in range(40):
            counter = [np.array([v], dtype=np.uint64) for v in (0, k, key & 0xFFFFFFFF, key >> 32)]
            w = [int(v) for v in source["philox"](counter, (2017, 6 << 24))[0]]
            yield w[0] * ITEMS >> 32, (w[1] + 0.5) / 2**32

    def each(i, k):
        return np.stack([(s.x[i] - s.x[b]) * net.gradients(line(s.x[b], s.x[i], t), k)[0] for b, t in draws(i)])

    seen = np.array([[each(i, k) for k in s.target[i]] for i in range(ITEMS)])
    close(s.map("expected_gradients"), seen.mean(2), "expected gradients")
    close(s.map("expected_gradients", "se"), seen.std(2, ddof=1) / np.sqrt(40), "and their standard error", 1e-4)
    check(len({b for i in range(ITEMS) for b, _ in draws(i)}) == ITEMS, "all items are baselines")
    check((s.file["items/forwards"][:] == 1 + 1 + 40).all() and (s.file["items/backwards"][:] == 2 * (1 + 40)).all(),
          "one evaluation a sample")
    other = f"{s.output}.3"
    sgdist(PROGRAM, s.job, "--set", f"study.output={other}", launcher=("mpirun", "-n", "3"))
    check("no difference" in sgdist(PROGRAM, "diff", s.output, other), "3 ranks")


def under_a_rule(folder):
    net = Net(folder, relu=True)
    s = Study(folder, net, "rule", [{"method": ["smoothgrad", "vargrad"], "rule": "guided_backprop"},
                                    {"method": "integrated_gradients", "rule": ["gradient", "guided_backprop"], "as": "ig"}])
    normals = documented_normals()
    net.guided = True
    g = np.stack([[net.gradients(s.x[i] + SIGMA * s.noise(normals, i), k) for k in s.target[i]] for i in range(ITEMS)])
    close(s.map("smoothgrad"), g.mean(2), "SmoothGrad of guided backpropagation")
    close(s.map("vargrad"), g.var(2, ddof=1), "VarGrad of guided backpropagation", 1e-4)
    close(s.map("ig-guided_backprop"), s.want(lambda x, k: ig(net, x, k, np.zeros(SHAPE))), "IG of guided backpropagation")
    net.guided = False
    close(s.map("ig-gradient"), s.want(lambda x, k: ig(net, x, k, np.zeros(SHAPE))), "IG of a ReLU net")


def main():
    with tempfile.TemporaryDirectory() as folder:
        net = Net(folder)
        straight(folder, net)
        saturated(folder, net)
        composed(folder, net)
        expected(folder, net)
        linear(folder)
        stopped_anywhere(folder, net)
        under_a_rule(folder)
    sys.exit(len(failures) > 0)


if __name__ == "__main__":
    main()
