"""SmoothDiff by the whole program: closed forms, and mean gates counted again by float64 torch on the same noise.

    test_smoothdiff.py SGDIST

The judge reads the noisy inputs that `sgdist sample` makes again, runs a network written down here in torch on them,
counts what is open, and takes the gradient of the network with the means in place of the gates.
"""
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

try:
    import h5py
    import numpy as np
    import torch
    import torch.nn.functional as F
    from scipy import special
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import sgdist, write_idx, write_job
from tiny_onnx import node, tensor_of

PROGRAM = os.path.abspath(sys.argv[1])
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


class Study:
    """A job on a network and pictures made here; maps in float64, [item, target, elements]."""

    def __init__(self, folder, model, images, methods, name="job", **sections):
        self.folder, self.images, self.name = folder, images, name
        self.output = os.path.join(folder, f"{name}.h5")
        self.x = images.astype("f4") / np.float32(255)
        with open(os.path.join(folder, f"{name}.onnx"), "wb") as f:
            f.write(model)
        write_idx(os.path.join(folder, f"{name}.idx"), images)
        job = {"study": {"name": "gates", "output": self.output}, "model": {"file": f"{name}.onnx"},
               "data": {"idx": f"{name}.idx", "domain": {"space": "pixel", "bounds": [0, 1]}},
               "target": "{class: 0}", "methods": methods}
        self.job = write_job(os.path.join(folder, f"{name}.yaml"), **{**job, **sections})

    def run(self):
        sgdist(PROGRAM, self.job, "--fresh")
        with h5py.File(self.output, "r") as f:
            assert (f["items/status"][:] == 1).all(), f["items/message"][:]
            self.forwards, self.backwards = f["items/forwards"][:], f["items/backwards"][:]
            self.maps = {label: {k: f[f"maps/{label}/{k}"][:] for k in f[f"maps/{label}"]} for label in f["maps"]}
            for values in self.maps.values():
                for k in ("map", "se"):
                    if k in values:
                        values[k] = values[k].astype("f8").reshape(*values[k].shape[:2], -1)
        return self

    def __getitem__(self, label):
        return self.maps[label]

    def noisy(self, item, n, method):
        path = os.path.join(self.folder, "samples.h5")
        sgdist(PROGRAM, "sample", self.job, "--item", item, "--samples", f"0:{n}", "--method", method, "-o", path)
        with h5py.File(path, "r") as f:
            assert "gradients" not in f
            return torch.tensor(f["inputs"][:].astype("f8"))


def pictures(n, rows, columns, seed=1):
    images = np.random.default_rng(seed).integers(0, 256, (n, rows, columns), dtype=np.uint8)
    images[:, 0, :2] = 0, 255  # every item has the range 1
    return images


# ---- closed forms ----

def closed_forms(folder):
    rng = np.random.default_rng(3)
    images, sigma, n = pictures(12, 4, 5), 0.3, 3000
    hidden, bias, out = rng.normal(size=(24, 20)), rng.normal(size=24), rng.normal(size=(3, 24))
    study = Study(folder, tiny_onnx.relu_net([1, 4, 5], hidden, bias, out), images,
                  [{"method": ["smoothdiff", "smoothgrad"]},
                   {"method": "smoothdiff", "as": "scaled", "scale": "smoothgrad"},
                   {"method": "smoothdiff", "as": "hidden", "layer": "z", "standard_error": False}],
                  sampling={"samples": n, "noise": {"sigma": sigma}}, target="[{class: 0}, {class: 2}]").run()
    x = images.reshape(12, -1) / 255
    gate = special.ndtr((x @ hidden.T + bias) / (sigma * np.linalg.norm(hidden, axis=1)))
    limit = np.einsum("kh,ih,hd->ikd", out[[0, 2]], gate, hidden)
    found = study["smoothdiff"]["map"]
    z = (found - limit) / study["smoothdiff"]["se"]
    rms = np.sqrt((z**2).mean())
    check(np.abs(z).max() < 5 and 0.6 < rms < 1.5, f"relu net: W2 diag(Phi) W1 by its standard error, rms {rms:.2f}")
    same = np.abs(study["smoothgrad"]["map"] - found).max() / np.abs(found).max()
    check(same < 1e-5, f"relu net: SmoothDiff is SmoothGrad with one hidden layer, {same:.1e}")
    ratio = study["smoothdiff"]["se"].mean() / study["smoothgrad"]["se"].mean()
    check(0.8 < ratio < 1.2, f"relu net: and so is its error, ratio {ratio:.2f}")
    scale, scale_se = study["scaled"]["scale"], study["scaled"]["scale_se"]
    check(np.abs(scale - 1).max() < 1e-6 and scale_se.max() < 1e-6, f"relu net: its scale is 1, {np.abs(scale - 1).max():.1e}")
    at_layer = np.abs(np.einsum("ikh,hd->ikd", study["hidden"]["map"], hidden) - found).max() / np.abs(found).max()
    check(at_layer < 1e-5, f"relu net: at the hidden layer, times its weights, {at_layer:.1e}")
    check((study.forwards == 1 + n).all(), f"relu net: {study.forwards[0]} forward passes for {n} samples")
    check((study.backwards == 2 + 2 * n + 2 * (17 + 17 + 1)).all(), f"relu net: {study.backwards[0]} backward passes")

    row = rng.normal(size=20)
    study = Study(folder, tiny_onnx.linear([1, 4, 5], [row]), images[:2], ["smoothdiff"], sampling={"samples": 20}).run()
    check(np.abs(study["smoothdiff"]["map"][:, 0] - row.astype("f4")).max() < 1e-7 and (study["smoothdiff"]["se"] < 1e-7).all(),
          "linear net: exactly its gradient")


def large_slopes(folder):
    """exp(z), z normal, has slopes of mean exp(mu + s^2 / 2): here too large for the first grid."""
    row, mu, sigma = np.random.default_rng(4).normal(size=20) / 4, 6.5, 0.5
    nodes = [node("Flatten", ["x"], ["flat"], axis=1), node("Gemm", ["flat", "w", "b"], ["z"]), node("Exp", ["z"], ["e"]),
             node("Mul", ["e", "k"], ["y"])]
    weights = [tensor_of("w", row.astype("f4").reshape(20, 1)), tensor_of("b", np.array([mu], "f4")), tensor_of("k", np.array([0.01], "f4"))]
    images = pictures(2, 4, 5)
    study = Study(folder, tiny_onnx.model(nodes, weights, [1, 4, 5], [1]), images, ["smoothdiff"],
                  sampling={"samples": 4000, "noise": {"sigma": sigma}}).run()
    s = sigma * np.linalg.norm(row)
    limit = 0.01 * np.exp(images.reshape(2, -1) / 255 @ row + mu + s**2 / 2)[:, None] * row
    z = (study["smoothdiff"]["map"][:, 0] - limit) / study["smoothdiff"]["se"][:, 0]
    check(np.abs(z).max() < 4 and limit.max() / 0.01 > 256 * np.abs(row).max(), f"exp: the mean of large slopes, {np.abs(z).max():.1f} standard errors")


def spread(folder):
    """The jackknife error is the spread of maps of one picture under as many draws of the noise."""
    n_items = 60
    images = np.repeat(pictures(1, 9, 9, seed=7), n_items, axis=0)   # noise goes by an item's name
    study = Study(folder, Pools(1).onnx(), images, [{"method": "smoothdiff"}, {"method": "smoothdiff", "as": "scaled", "scale": "smoothgrad"}],
                  name="spread", sampling={"samples": 160, "noise": {"sigma": 0.2}}).run()
    for label in ("smoothdiff", "scaled"):
        maps, se = study[label]["map"][:, 0], study[label]["se"][:, 0]
        ratio = np.sqrt((se**2).mean() / maps.var(0, ddof=1).mean())
        check(0.85 < ratio < 1.15, f"{label}: the jackknife error by the spread over {n_items} draws: {ratio:.2f}")
    scale, se = study["scaled"]["scale"][:, 0], study["scaled"]["scale_se"][:, 0]
    ratio = np.sqrt((se**2).mean()) / scale.std(ddof=1)
    check(0.75 < ratio < 1.3, f"the scale, {scale.mean():.2f}: its error by its spread: {ratio:.2f}")


# ---- networks with everything that is a gate, against torch ----

class Ops:
    """Nonlinearities of a torch network: as they are, while their slopes are added up; then linear with the means."""

    def __init__(self):
        self.sums, self.n, self.means = {}, 0, None

    def function(self, name, f, z):
        if self.means is not None:
            return self.means[name] * z
        z = z.detach().requires_grad_(True)
        y = f(z)
        slope, = torch.autograd.grad(y.sum(), z)
        self.sums[name] = self.sums.get(name, 0) + slope.sum(0)
        return y.detach()

    def relu(self, name, z):
        return self.function(name, lambda v: v * (v > 0), z)

    def pool(self, name, z, kernel, stride, pad):
        """Windows as their last axis; one winner each, the first."""
        fill = -math.inf if self.means is None else 0.0
        windows = F.pad(z, (pad,) * 4, value=fill).unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(4)
        if self.means is not None:
            return (windows * self.means[name]).sum(-1)
        first = (windows == windows.max(-1, keepdim=True)[0]).double().cumsum(-1).cumsum(-1) == 1
        self.sums[name] = self.sums.get(name, 0) + first.double().sum(0)
        return windows.max(-1)[0]

    def take(self, name, z, dims):
        """A maximum over whole axes."""
        if self.means is not None:
            return (z * self.means[name]).sum(dims)
        flat = z.flatten(-len(dims))
        first = (flat == flat.max(-1, keepdim=True)[0]).double().cumsum(-1).cumsum(-1) == 1
        self.sums[name] = self.sums.get(name, 0) + first.double().sum(0).reshape(z.shape[1:])
        return flat.max(-1)[0]


class Network:
    """Weights, the same network as ONNX and in torch."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.w = {name: (rng.normal(size=shape) / math.sqrt(np.prod(shape[1:]))).astype("f4") for name, shape in
                  {"c1": (6, 1, 3, 3), "c2": (6, 6, 3, 3), "c3": (8, 6, 1, 1), "l1": (10, 8), "l2": (3, 10)}.items()}

    def t(self, name):
        return torch.tensor(self.w[name].astype("f8"))

    def constants(self, **more):
        named = {**self.w, **{k: np.asarray(v, "f4") for k, v in more.items()}}
        return [tensor_of(k, v) for k, v in named.items()]


class Pools(Network):
    """Relu, residual addition, overlapping pooling with padding and ties, a pool over the whole plane."""

    def onnx(self):
        return tiny_onnx.model(
            [node("Conv", ["x", "c1"], ["a"], pads=[1, 1, 1, 1]), node("Relu", ["a"], ["ra"]),
             node("MaxPool", ["ra"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
             node("Conv", ["p", "c2"], ["b"], pads=[1, 1, 1, 1]), node("Add", ["b", "p"], ["s"]), node("Relu", ["s"], ["rs"]),
             node("MaxPool", ["rs"], ["q"], kernel_shape=[2, 2], strides=[1, 1]),
             node("Conv", ["q", "c3"], ["c"]), node("Clip", ["c", "zero", "half"], ["k"]), node("GlobalMaxPool", ["k"], ["g"]),
             node("Flatten", ["g"], ["f"], axis=1), node("Gemm", ["f", "l1"], ["h"], transB=1),
             node("LeakyRelu", ["h"], ["lh"], alpha=0.1), node("Gemm", ["lh", "l2"], ["y"], transB=1)],
            self.constants(zero=0.0, half=0.5), [1, 9, 9], [3])

    def torch(self, x, ops):
        a = ops.relu("a", F.conv2d(x, self.t("c1"), padding=1))
        p = ops.pool("p", a, 3, 2, 1)
        s = ops.relu("s", F.conv2d(p, self.t("c2"), padding=1) + p)
        q = ops.pool("q", s, 2, 1, 0)
        k = ops.function("k", lambda v: torch.where((v > 0) & (v < 0.5), v, torch.clamp(v, 0, 0.5).detach()),
                         F.conv2d(q, self.t("c3")))
        h = ops.take("g", k, (2, 3)) @ self.t("l1").T
        return ops.function("h", lambda v: torch.where(v > 0, v, 0.1 * v), h) @ self.t("l2").T


class Smooth(Network):
    """GELU in its two spellings, SiLU, hard swish, tanh, softplus, Mish: functions of one number, most of them written
    as several nodes, one around a residual addition; and one square."""

    def onnx(self):
        n = [node("Conv", ["x", "c1"], ["a"], pads=[1, 1, 1, 1]),
             node("Div", ["a", "root2"], ["g1"]), node("Erf", ["g1"], ["g2"]), node("Add", ["g2", "one"], ["g3"]),
             node("Mul", ["a", "g3"], ["g4"]), node("Mul", ["g4", "half"], ["ga"]),
             node("Conv", ["ga", "c2"], ["b"], pads=[1, 1, 1, 1]), node("Sigmoid", ["b"], ["sb"]),
             node("Mul", ["b", "sb"], ["silu"]), node("Add", ["silu", "ga"], ["r"]),
             node("Conv", ["r", "c3"], ["c"]), node("Pow", ["c", "three"], ["t1"]), node("Mul", ["t1", "k"], ["t2"]),
             node("Add", ["c", "t2"], ["t3"]), node("Mul", ["t3", "root"], ["t4"]), node("Tanh", ["t4"], ["t5"]),
             node("Add", ["t5", "one"], ["t6"]), node("Mul", ["c", "t6"], ["t7"]), node("Mul", ["t7", "half"], ["tg"]),
             node("AveragePool", ["tg"], ["ap"], kernel_shape=[3, 3], strides=[3, 3]),
             node("HardSigmoid", ["ap"], ["hs"], alpha=1 / 6, beta=0.5), node("Mul", ["ap", "hs"], ["hw"]),
             node("GlobalAveragePool", ["hw"], ["gap"]), node("Flatten", ["gap"], ["f"], axis=1),
             node("Gemm", ["f", "l1"], ["h"], transB=1), node("Softplus", ["h"], ["m1"]), node("Tanh", ["m1"], ["m2"]),
             node("Mul", ["h", "m2"], ["mish"]), node("Mul", ["mish", "mish"], ["sq"]), node("Tanh", ["sq"], ["th"]),
             node("Gemm", ["th", "l2"], ["y"], transB=1)]
        return tiny_onnx.model(n, self.constants(root2=math.sqrt(2), one=1.0, half=0.5, three=3.0, k=0.044715,
                                                 root=math.sqrt(2 / math.pi)), [1, 9, 9], [3])

    def torch(self, x, ops):
        # 0.5 and the mean over pixels are linear; where they stand changes nothing.
        ga = ops.function("a", F.gelu, F.conv2d(x, self.t("c1"), padding=1))
        r = ops.function("b", F.silu, F.conv2d(ga, self.t("c2"), padding=1)) + ga
        tanh_gelu = lambda v: 0.5 * v * (1 + torch.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
        ap = F.avg_pool2d(ops.function("c", tanh_gelu, F.conv2d(r, self.t("c3"))), 3)
        h = ops.function("hw", F.hardswish, ap).mean((2, 3)) @ self.t("l1").T
        mish = ops.function("m", lambda v: v * torch.tanh(F.softplus(v)), h)
        square = ops.function("sq", lambda v: v * v, mish)
        return ops.function("th", torch.tanh, square) @ self.t("l2").T


class Mixed(Network):
    """Softmax, LayerNormalization by its parts and a product of two values are no gates; the Relu before them is."""

    def onnx(self):
        n = [node("Conv", ["x", "c1"], ["a"], pads=[1, 1, 1, 1]), node("Relu", ["a"], ["ra"]),
             node("GlobalAveragePool", ["ra"], ["e"]), node("Sigmoid", ["e"], ["se"]), node("Mul", ["ra", "se"], ["m"]),
             node("Conv", ["m", "c3"], ["c"]), node("GlobalAveragePool", ["c"], ["gap"]), node("Flatten", ["gap"], ["f"], axis=1),
             node("Softmax", ["f"], ["sm"], axis=1), node("Gemm", ["sm", "l1"], ["h"], transB=1), node("Relu", ["h"], ["rh"]),
             node("Gemm", ["rh", "l2"], ["y"], transB=1)]
        return tiny_onnx.model(n, self.constants(), [1, 9, 9], [3])

    def torch(self, x, ops):
        """With means: linear around the clean item, whose values are kept on the first call with it."""
        clean = getattr(self, "clean", None)
        ra = ops.relu("a", F.conv2d(x, self.t("c1"), padding=1))
        e = ra.mean((2, 3), keepdim=True)
        s = ops.function("e", torch.sigmoid, e)
        if ops.means is None:
            m = ra * s
            f = F.conv2d(m, self.t("c3")).mean((2, 3))
            if clean is None:
                self.clean = ra.detach(), s.detach(), f.detach()
            sm = torch.softmax(f, 1)
        else:
            m = ra * clean[1] + clean[0] * s
            f = F.conv2d(m, self.t("c3")).mean((2, 3))
            p = torch.softmax(clean[2], 1)
            sm = p * f - p * (p * f).sum(1, keepdim=True)
        return ops.relu("h", sm @ self.t("l1").T) @ self.t("l2").T


def judged(network, clean, noisy):
    """Gradients of all outputs with the means of the noisy samples, [outputs, elements]."""
    network.clean = None
    network.torch(clean, Ops())     # a first call, for what is linear around the item
    ops = Ops()
    network.torch(noisy, ops)
    ops.means = {k: v / len(noisy) for k, v in ops.sums.items()}
    x = clean.clone().requires_grad_(True)
    y = network.torch(x, ops)
    return np.stack([torch.autograd.grad(y[0, k], x, retain_graph=True)[0].flatten().numpy() for k in range(3)])


def against_torch(folder):
    images = pictures(2, 9, 9, seed=7)
    images[1, 3:] = 0   # ties: windows of zeros after the Relu
    for network, linearised in ((Pools(1), None), (Smooth(2), None), (Mixed(3), "1 Mul, 1 Softmax")):
        name, n = type(network).__name__, 40
        study = Study(folder, network.onnx(), images, [{"method": "smoothdiff"}, {"method": "smoothdiff", "as": "quick", "standard_error": False}],
                      name=name, sampling={"samples": n, "noise": {"sigma": 0.2}, "block": 4},
                      target="[{class: 0}, {class: 1}, {class: 2}]").run()
        plan = sgdist(PROGRAM, "check", study.job)
        said = [line.split("item itself: ")[1] for line in plan.splitlines() if "no gates" in line]
        check(said == ([linearised] if linearised else []), f"{name}: check says what is no gate: {said}")
        if name == "Mixed":
            check((study.forwards == 1 + n + 2).all(), f"{name}: linearised in a forward pass: {study.forwards[0]}")
        for item in range(2):
            clean = torch.tensor(study.x[item].astype("f8")).reshape(1, 1, 9, 9)
            noisy = study.noisy(item, n, "smoothdiff")
            expected = judged(network, clean, noisy)
            found = study["smoothdiff"]["map"][item]
            worst = np.abs(found - expected).max() / np.abs(expected).max()
            check(worst < 3e-6, f"{name}: item {item}, the gradient through the means, by torch: {worst:.1e}")
            check((found == study["quick"]["map"][item]).all(), f"{name}: errors do not change the map")
            knife = np.stack([judged(network, clean, noisy[[k for k in range(n) if k % 16 != g]]) for g in range(16)])
            m = np.array([len(range(g, n, 16)) for g in range(16)])
            h = n / m       # delete-m_j jackknife, Busing et al. 1999
            mean = 16 * expected - ((1 - m / n)[:, None, None] * knife).sum(0)
            pseudo = h[:, None, None] * expected - (h - 1)[:, None, None] * knife
            se = np.sqrt((((pseudo - mean) ** 2) / (h - 1)[:, None, None]).mean(0))
            worst = np.abs(study["smoothdiff"]["se"][item] - se).max() / se.max()
            check(worst < 1e-3, f"{name}: item {item}, its jackknife error, by torch: {worst:.1e}")


def no_noise(folder):
    """sigma -> 0: every gate is its derivative, and the map the gradient."""
    for network in (Pools(4), Smooth(5), Mixed(6)):
        study = Study(folder, network.onnx(), pictures(2, 9, 9, seed=9), ["gradient", "smoothdiff"], name="still",
                      sampling={"samples": 5, "noise": {"sigma": 1e-12}}, target="[{class: 0}, {class: 2}]").run()
        worst = np.abs(study["gradient"]["map"] - study["smoothdiff"]["map"]).max() / np.abs(study["gradient"]["map"]).max()
        check(worst < 1e-6, f"{type(network).__name__}: without noise the gradient, {worst:.1e}")


def same_bits(folder):
    """Three ranks, and runs that are killed again and again, end with the bits of one rank."""
    methods = [{"method": ["smoothdiff", "smoothgrad"]}, {"method": "smoothdiff", "as": "alone", "samples": 900, "channels": "l2"},
               {"method": "smoothdiff", "as": "scaled", "scale": "smoothgrad", "groups": 4}]
    study = Study(folder, Smooth(5).onnx(), pictures(3, 9, 9), methods, name="ranks",
                  sampling={"samples": 700, "noise": {"level": 0.1}}, target="[{class: 0}, {class: 2}]", run={"checkpoint_seconds": 0.05})
    sgdist(PROGRAM, study.job)
    for name, ranks in (("three", 3), ("killed", 2)):
        other = os.path.join(folder, f"{name}.h5")
        command = ["mpirun", "-n", str(ranks), PROGRAM, study.job, "--set", f"study.output={other}"]
        kills = 0
        while name == "killed" and kills < 6:
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(0.9 + 0.1 * kills)
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            kills += 1
        sgdist(PROGRAM, study.job, "--set", f"study.output={other}", launcher=command[:3])
        verdict = subprocess.run([PROGRAM, "diff", study.output, other], capture_output=True, text=True)
        check(verdict.returncode == 0, f"{name}: the bits of one rank: {verdict.stdout.strip()}")


with tempfile.TemporaryDirectory() as folder:
    same_bits(folder)
    closed_forms(folder)
    large_slopes(folder)
    spread(folder)
    against_torch(folder)
    no_noise(folder)
print(f"{len(failures)} failures")
sys.exit(bool(failures))
