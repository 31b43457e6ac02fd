"""Presets against the tools whose conventions they are, on a smooth network of three colours.

    test_conventions.py SGDIST        in its environment: FINISH_DUMP

1. The same gradients. `sgdist sample` gives the gradients of all noisy samples; rounded to a grid that the program's
   own holds without a further rounding, they go through the tool and through the program's finish, both in float64
   (finish_dump prints the map as it is before it is rounded to float32): equal to 1e-12 of the largest value.
2. The same noise. The tool gets its network in float64 and, for its random numbers, the documented normals of
   docs/methods.md; the width of the noise, the number of samples and all else are its own defaults. The map of
   the result file equals the tool's to 1e-5 of the largest value.

A tool is its documented formula, written out here, and the tool itself where it can be imported: captum, zennit and
saliency, and with ADAPTGRAD_CODE the folder of the AdaptGrad authors' code.
"""
import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from unittest import mock

try:
    import h5py
    import numpy as np
    import torch
    from PIL import Image
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import sgdist, write_job
from test_sample_audit import documented_normals

PROGRAM, FINISH_DUMP = os.path.abspath(sys.argv[1]), os.environ["FINISH_DUMP"]
SHAPE, CLASSES = (3, 10, 8), 5
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
ITEM = 1
EXACT, END_TO_END = 1e-12, 1e-5
failures = []

# The label in the job, the preset, the method: what a user of each tool would write. `captum` has another name for
# each, and its Saliency takes absolute values unless it is told not to; saliency's default is the squared one.
STUDIES = [(f"{like}-{method}", like, method) for like, methods in (
    ("captum", ("smoothgrad", "smoothgrad_squared", "vargrad")),
    ("captum-absolute", ("smoothgrad", "vargrad")),
    ("xplique", ("smoothgrad", "smoothgrad_squared", "vargrad")),
    ("saliency", ("smoothgrad", "smoothgrad_squared")),
    ("zennit", ("smoothgrad",)),
    ("adaptgrad-code", ("smoothgrad", "adaptgrad")),
    ("roar", ("smoothgrad", "smoothgrad_squared", "vargrad"))) for method in methods]


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


# ---- the documented formulas: of gradients g[N], the clean gradient, and of x ----

def mean_square(g):
    return (g**2).mean(0)


FORMULAS = {  # docs/methods.md, section on other tools; g in float64
    "captum-smoothgrad": lambda g, clean: g.sum(0) / len(g),
    "captum-smoothgrad_squared": lambda g, clean: (g**2).sum(0) / len(g),
    "captum-vargrad": lambda g, clean: (g**2).sum(0) / len(g) - (g.sum(0) / len(g))**2,
    "captum-absolute-smoothgrad": lambda g, clean: abs(g).sum(0) / len(g),
    "captum-absolute-vargrad": lambda g, clean: (g**2).sum(0) / len(g) - (abs(g).sum(0) / len(g))**2,
    "xplique-smoothgrad": lambda g, clean: g.mean(0).mean(0),
    "xplique-smoothgrad_squared": lambda g, clean: mean_square(g).mean(0),
    "xplique-vargrad": lambda g, clean: (len(g) / (len(g) - 1) * (mean_square(g) - g.mean(0)**2)).mean(0),
    "saliency-smoothgrad": lambda g, clean: g.sum(0) / len(g),
    "saliency-smoothgrad_squared": lambda g, clean: (g * g).sum(0) / len(g),
    "zennit-smoothgrad": lambda g, clean: np.append(g, clean[None], 0).mean(0),
    "adaptgrad-code-smoothgrad": lambda g, clean: np.append(clean[None], g, 0).mean(0).sum(0),
    "adaptgrad-code-adaptgrad": lambda g, clean: np.append(clean[None], g, 0).mean(0).sum(0),
    "roar-smoothgrad": lambda g, clean: g.mean(0),
    "roar-smoothgrad_squared": lambda g, clean: mean_square(g),
    "roar-vargrad": lambda g, clean: g.var(0, ddof=1),
}


def like_of(label):
    return label.rsplit("-", 1)[0].removesuffix("-absolute")


LOWER, UPPER = -2.117904, 2.640000  # AdaptGrad's bounds
Z = 1.959963984540054               # its quantile at 0.95


def sigma(label, x):
    """The width of the noise in the model's input, from the tools' words."""
    if label == "adaptgrad-code-adaptgrad":
        return np.minimum(abs(x - LOWER), abs(x - UPPER)) / Z
    spread = x.max() - x.min()
    return {"captum": 1.0, "xplique": 0.2, "saliency": 0.15 * spread, "zennit": 0.1 * spread, "roar": 0.15 * spread,
            "adaptgrad-code": 0.2 * (UPPER - LOWER)}[like_of(label)]


SAMPLES = {"captum": 5, "xplique": 50, "saliency": 25, "zennit": 19, "adaptgrad-code": 50, "roar": 15}  # noisy ones


# ---- the tools themselves ----

def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(a folder of its source)"


class Captum:
    def __init__(self):
        self.attr = importlib.import_module("captum.attr")
        self.version = version("captum")
        self.kind = {"smoothgrad": "smoothgrad", "smoothgrad_squared": "smoothgrad_sq", "vargrad": "vargrad"}

    def aggregate(self, label, g, clean, x):
        class Stored(self.attr.Attribution):
            def attribute(self, inputs):
                return torch.from_numpy(np.abs(g) if "absolute" in label else g)
        Stored.attribute.__wrapped__ = Stored.attribute
        tunnel = self.attr.NoiseTunnel(Stored(lambda v: v))
        return tunnel.attribute(torch.from_numpy(x[None]), nt_type=self.kind[label.split("-")[-1]])[0].numpy()

    def explain(self, label, net, target, x, z):
        tunnel = self.attr.NoiseTunnel(self.attr.Saliency(net))
        with mock.patch.object(torch, "normal", lambda mean, std: mean + std * torch.from_numpy(z)):
            return tunnel.attribute(torch.from_numpy(x[None]), nt_type=self.kind[label.split("-")[-1]], target=target,
                                    **({} if "absolute" in label else {"abs": False}))[0].detach().numpy()


class Saliency:
    def __init__(self):
        self.base = importlib.import_module("saliency.core.base")
        self.gradients = importlib.import_module("saliency.core.gradients")
        self.version = version("saliency")

    def smoothed(self, method, label, x, **more):
        """Its sums are float32 whatever it is given; here they get float64."""
        zeros = np.zeros_like
        with mock.patch.object(np, "zeros_like", lambda v, dtype=None: zeros(v, dtype=np.float64)):
            return method.GetSmoothedMask(x, **more, **({} if label.endswith("squared") else {"magnitude": False}))

    def aggregate(self, label, g, clean, x):
        class Stored(self.base.CoreSaliency):
            rest = iter(g)

            def GetMask(self, x_value, call_model_function, call_model_args=None):
                return next(self.rest)
        return self.smoothed(Stored(), label, x, call_model_function=None)

    def explain(self, label, net, target, x, z):
        def call(batch, call_model_args=None, expected_keys=None):
            v = torch.from_numpy(batch.transpose(0, 3, 1, 2)).requires_grad_(True)
            net(v)[:, target].sum().backward()
            return {self.base.INPUT_OUTPUT_GRADIENTS: v.grad.numpy().transpose(0, 2, 3, 1)}
        rest = iter(z.transpose(0, 2, 3, 1))
        with mock.patch.object(np.random, "normal", lambda mean, std, shape: mean + std * next(rest)):
            method = self.gradients.GradientSaliency()
            return self.smoothed(method, label, x.transpose(1, 2, 0), call_model_function=call).transpose(2, 0, 1)


class Zennit:
    def __init__(self):
        self.attribution = importlib.import_module("zennit.attribution")
        self.version = version("zennit")

    def aggregate(self, label, g, clean, x):
        class Stored(self.attribution.SmoothGrad):
            rest = iter(np.append(g, clean[None], 0))

            def grad(self, input, attr_output_fn):
                return None, torch.from_numpy(next(self.rest)[None])
        return Stored(torch.nn.Identity()).forward(torch.from_numpy(x[None]), None)[1][0].numpy()

    def explain(self, label, net, target, x, z):
        rest = iter(z)
        one_hot = torch.eye(CLASSES, dtype=torch.float64)[target][None]
        with mock.patch.object(torch, "randn_like", lambda v: torch.from_numpy(next(rest)[None])):
            return self.attribution.SmoothGrad(net)(torch.from_numpy(x[None]), one_hot)[1][0].detach().numpy()


class AdaptGrad:
    """The authors' code is two files, one of which is called `saliency`, too; the bounds, the number of samples, the
    noise and the sum over channels are those of their ImageNet experiment."""

    def __init__(self):
        folder = os.environ.get("ADAPTGRAD_CODE")
        if folder is None:
            raise ImportError("ADAPTGRAD_CODE does not name its folder")
        sys.path.insert(0, folder)
        spec = importlib.util.spec_from_file_location("adaptgrad_code", os.path.join(folder, "saliency.py"))
        self.code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.code)
        sys.path.remove(folder)
        self.version = version("adaptgrad")

    def explainer(self, label):
        c = self.code
        width = (c.AdaptedGaussianSigma(0.95, c.AdaptedBound(LOWER, UPPER)) if label.endswith("-adaptgrad")
                 else c.FixedSigma(-0.2, c.FixedBound(LOWER, UPPER)))  # its own 0.2 gives a negative width: -z for z
        return c.SmoothGradient(c.GaussianMask(width), 50)

    def explain(self, label, net, target, x, z):
        rest = iter(z)
        torch.set_default_dtype(torch.float64)  # of the array of its gradients
        with mock.patch.object(torch, "randn", lambda shape, device: torch.from_numpy(next(rest)[None])):
            gradient = self.explainer(label).gradient(net, torch.from_numpy(x[None]), target)
        torch.set_default_dtype(torch.float32)
        return gradient[0].numpy().sum(axis=0)

    def aggregate(self, label, g, clean, x):
        rest = iter(np.append(clean[None], g, 0))
        return self.explain(label, lambda v: (v * torch.from_numpy(next(rest)[None])).sum().reshape(1, 1), 0, x,
                            np.zeros_like(g))


def tools():
    found = {}
    for name, make in (("captum", Captum), ("saliency", Saliency), ("zennit", Zennit), ("adaptgrad-code", AdaptGrad)):
        try:
            found[name] = make()
        except ImportError as missing:
            print(f"skipped {name} itself, its formulas stand for it: {missing}")
    return found


# ---- the study ----

class Network:
    """Two convolutions, Softplus and Tanh between them; as an ONNX file and in float64."""

    def __init__(self, random):
        def weights(*shape):
            return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype("f4")
        self.w = [weights(4, 3, 3, 3), weights(4), weights(6, 4, 3, 3), weights(6),
                  weights(CLASSES, 6 * SHAPE[1] * SHAPE[2]), weights(CLASSES)]

    def onnx(self):
        node, pads = tiny_onnx.node, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        nodes = [node("Conv", ["x", "w0", "w1"], ["a"], **pads), node("Softplus", ["a"], ["b"]),
                 node("Conv", ["b", "w2", "w3"], ["c"], **pads), node("Tanh", ["c"], ["d"]),
                 node("Flatten", ["d"], ["e"], axis=1), node("Gemm", ["e", "w4", "w5"], ["y"], transB=1)]
        return tiny_onnx.model(nodes, [tiny_onnx.tensor(f"w{i}", w.shape, w.ravel().tolist())
                                       for i, w in enumerate(self.w)], SHAPE, [CLASSES])

    def torch(self):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Softplus(),
                                  torch.nn.Conv2d(4, 6, 3, padding=1), torch.nn.Tanh(), torch.nn.Flatten(),
                                  torch.nn.Linear(6 * SHAPE[1] * SHAPE[2], CLASSES)).double()
        with torch.no_grad():
            for parameter, w in zip(net.parameters(), self.w):
                parameter.copy_(torch.from_numpy(w))
        return net


class Study:
    def __init__(self, folder):
        random = np.random.default_rng(3)
        self.folder, self.network = folder, Network(random)
        with open(os.path.join(folder, "net.onnx"), "wb") as f:
            f.write(self.network.onnx())
        os.mkdir(os.path.join(folder, "photos"))
        pixels = random.integers(0, 256, (2, *SHAPE[1:], 3), dtype=np.uint8)
        for i, image in enumerate(pixels):
            Image.fromarray(image).save(os.path.join(folder, "photos", f"{i}.png"))
        x = pixels[ITEM].transpose(2, 0, 1) / np.float32(255)
        self.x = ((x - np.float32(MEAN).reshape(3, 1, 1)) / np.float32(STD).reshape(3, 1, 1)).astype("f8")
        self.job = write_job(os.path.join(folder, "job.yaml"), study={"output": os.path.join(folder, "result.h5")},
                             model={"file": "net.onnx"},
                             data={"folder": "photos", "preprocess": {"mean": MEAN, "std": STD},
                                   "domain": {"bounds": [0, 1]}},
                             methods=["gradient"] + [
                                 {"method": method, "like": like_of(label), "as": label,
                                  **({"absolute": True} if "absolute" in label else {})}
                                 for label, like, method in STUDIES])
        sgdist(PROGRAM, self.job)
        with h5py.File(os.path.join(folder, "result.h5"), "r") as f:
            assert (f["items/status"][:] == 1).all(), f["items/message"][:]
            self.maps = {label: f[f"maps/{label}/map"][ITEM, 0].astype("f8") for label in f["maps"]}
            self.target, self.key = int(f["items/target"][ITEM, 0]), int(f["items/noise_key"][ITEM])
            self.seed, self.name = int(f["provenance/seed"][()]), f["items/id"].asstr()[ITEM]
            self.presets = f["provenance/presets"][()].decode()

    def gradients(self, label):
        path = os.path.join(self.folder, "samples.h5")
        sgdist(PROGRAM, "sample", self.job, "--item", self.name, "--samples",
               f"0:{SAMPLES[like_of(label)]}", "--method", label, "-o", path)
        with h5py.File(path, "r") as f:
            return f["gradients"][:, 0].astype("f8")

    def finish(self, label, g, clean):
        arrays = np.concatenate([clean[None], self.x[None], g]).astype("f4")
        assert (arrays[2:] == g).all()  # they were on a grid that float32 holds
        out = subprocess.run([FINISH_DUMP, self.job, label, str(len(g)), *map(str, SHAPE)], input=arrays.tobytes(),
                             capture_output=True, check=True).stdout
        return np.frombuffer(out).reshape(self.maps[label].shape)

    def noise(self, n):
        normals, d = documented_normals(), int(np.prod(SHAPE))
        return np.stack([normals(self.seed, self.key, k, d).reshape(SHAPE) for k in range(n)]).astype("f8")


def apart(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def compare(study, found):
    net = study.network.torch()

    def gradient(points):
        v = torch.from_numpy(points).requires_grad_(True)
        net(v)[:, study.target].sum().backward()
        return v.grad.numpy()
    clean = study.maps["gradient"]
    step = 2.0**(np.ceil(np.log2(np.abs(clean).max())) - 24)  # a multiple of the program's own
    for label, like, method in STUDIES:
        like = like_of(label)
        n, tool = SAMPLES[like], found.get(like)
        g = np.round(study.gradients(label) / step) * step
        ours, formula = study.finish(label, g, clean), FORMULAS[label]
        check(apart(ours, formula(g, clean)) < EXACT,
              f"{label}: the same {n} gradients through the formula: {apart(ours, formula(g, clean)):.1e}")
        if tool is not None:
            theirs = tool.aggregate(label, g, clean, study.x)
            check(apart(ours, theirs) < EXACT,
                  f"{label}: the same gradients through {like} {tool.version}: {apart(ours, theirs):.1e}")
        z, ours = study.noise(n), study.maps[label]
        noisy = formula(gradient(study.x + sigma(label, study.x) * z), gradient(study.x[None])[0])
        check(apart(ours, noisy) < END_TO_END, f"{label}: the same noise, formula: {apart(ours, noisy):.1e}")
        if tool is not None:
            theirs = tool.explain(label, net, study.target, study.x, z)
            check(apart(ours, theirs) < END_TO_END,
                  f"{label}: the same noise through {like} {tool.version}: {apart(ours, theirs):.1e}")


def main():
    found = tools()
    with tempfile.TemporaryDirectory() as folder:
        study = Study(folder)
        lines = [line.split(": ", 1) for line in study.presets.splitlines()]
        named = [(label, text.split()[0], "absolute" in label) for label, text in lines]
        check(named == [(s[0], like_of(s[0]), "absolute" in s[0]) for s in STUDIES]
              and study.presets.count(", but absolute: true\n") == study.presets.count(", but") == 2,
              "the result names the preset of each map, and what it has otherwise")
        compare(study, found)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
