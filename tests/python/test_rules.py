"""Rules of the backward pass against float64 PyTorch, through the whole program.

    test_rules.py SGDIST

A network with a Relu behind a convolution, behind a sum, behind a pooling layer and behind a dense layer, one of them
read by three, and with LeakyRelu, PRelu and Clip, which no rule touches. For dy behind a Relu and x before it guided
backpropagation passes dy (dy > 0) (x > 0) and DeconvNet dy (dy > 0). Where captum and zennit can be imported, they
judge as well.
"""
import importlib
import os
import sys
import tempfile

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

PROGRAM = os.path.abspath(sys.argv[1])
SHAPE, CLASSES, SAMPLES, SIGMA = (3, 12, 10), 4, 24, 0.3
RULES = ("gradient", "guided_backprop", "deconvnet")
METHODS = ("gradient", "gradient_x_input", "smoothgrad", "smoothgrad_squared", "vargrad")
ENOUGH = 1e-5  # of the largest value of a map
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


class Rule(torch.autograd.Function):
    """Relu with a backward pass by its definition."""

    @staticmethod
    def forward(context, x, rule):
        context.save_for_backward(x)
        context.rule = rule
        return x.clamp(min=0)

    @staticmethod
    def backward(context, dy):
        (x,) = context.saved_tensors
        open_gate = torch.ones_like(x) if context.rule == "deconvnet" else (x > 0).double()
        return dy * open_gate * (1 if context.rule == "gradient" else (dy > 0).double()), None


class Relu(torch.nn.Module):
    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def forward(self, x):
        return Rule.apply(x, self.rule)


class Network(torch.nn.Module):
    def __init__(self, relu):
        super().__init__()
        nn = torch.nn
        torch.manual_seed(4)
        self.conv = nn.ModuleList([nn.Conv2d(c, 8, 3, padding=1) for c in (3, 8, 8, 8, 8)])
        self.dense = nn.ModuleList([nn.Linear(8 * 6 * 5, 20), nn.Linear(20, CLASSES)])
        self.relu = nn.ModuleList([relu() for _ in range(4)])
        self.slope = nn.Parameter(torch.linspace(-0.5, 0.5, 8).reshape(8, 1, 1))
        self.pool, self.leaky = nn.MaxPool2d(2), nn.LeakyReLU(0.01)

    def forward(self, x):
        a = self.relu[0](self.conv[0](x))
        b = self.relu[1](self.conv[1](a) + a)
        p = self.relu[2](self.pool(self.conv[2](b) - b))
        c = self.leaky(self.conv[3](p)) + self.conv[4](p).clamp(0, 6)
        d = torch.where(c < 0, self.slope * c, c) * p
        return self.dense[1](self.relu[3](self.dense[0](d.flatten(1))))

    def onnx(self):
        node, same = tiny_onnx.node, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}

        def conv(i, x, y):
            return node("Conv", [x, f"conv.{i}.weight", f"conv.{i}.bias"], [y], **same)

        def dense(i, x, y):
            return node("Gemm", [x, f"dense.{i}.weight", f"dense.{i}.bias"], [y], transB=1)
        nodes = [conv(0, "x", "z0"), node("Relu", ["z0"], ["a"]), conv(1, "a", "z1"), node("Add", ["z1", "a"], ["s1"]),
                 node("Relu", ["s1"], ["b"]), conv(2, "b", "z2"), node("Sub", ["z2", "b"], ["s2"]),
                 node("MaxPool", ["s2"], ["m"], kernel_shape=[2, 2], strides=[2, 2]), node("Relu", ["m"], ["p"]),
                 conv(3, "p", "z3"), node("LeakyRelu", ["z3"], ["l"]), conv(4, "p", "z4"),
                 node("Clip", ["z4", "low", "high"], ["k"]), node("Add", ["l", "k"], ["c"]),
                 node("PRelu", ["c", "slope"], ["q"]), node("Mul", ["q", "p"], ["d"]),
                 node("Flatten", ["d"], ["f"], axis=1), dense(0, "f", "z5"), node("Relu", ["z5"], ["r"]),
                 dense(1, "r", "y")]
        weights = [tiny_onnx.tensor(name, w.shape, w.detach().ravel().tolist()) for name, w in self.named_parameters()]
        weights += [tiny_onnx.tensor("low", [], [0.0]), tiny_onnx.tensor("high", [], [6.0])]
        return tiny_onnx.model(nodes, weights, SHAPE, [CLASSES])


def gradient(net, target, points):
    v = torch.from_numpy(points).requires_grad_(True)
    net(v)[:, target].sum().backward()
    return v.grad.numpy()


def maps_of(g, clean, x):
    return {"gradient": clean, "gradient_x_input": x * clean, "smoothgrad": g.mean(0),
            "smoothgrad_squared": (g**2).mean(0), "vargrad": g.var(0, ddof=1)}


def tools():
    """rule -> (name, function of net, target, x) for each tool that is here."""
    found = {}
    try:
        attr = importlib.import_module("captum.attr")
        for rule, tool in (("guided_backprop", attr.GuidedBackprop), ("deconvnet", attr.Deconvolution)):
            found["captum", rule] = lambda net, target, x, tool=tool: tool(net).attribute(x, target=target)
    except ImportError as missing:
        print("skipped captum:", missing)
    try:
        attribution = importlib.import_module("zennit.attribution")
        composites = importlib.import_module("zennit.composites")
        one_hot = torch.eye(CLASSES, dtype=torch.float64)
        with composites.DeconvNet().context(torch.nn.Sequential(torch.nn.ReLU())):
            pass  # zennit 1.0 gives PyTorch's hooks an argument that PyTorch 1 does not know
        for rule, composite in (("guided_backprop", composites.GuidedBackprop), ("deconvnet", composites.DeconvNet)):
            def explain(net, target, x, composite=composite):
                with attribution.Gradient(net, composite()) as attributor:
                    return attributor(x, one_hot[target][None])[1]
            found["zennit", rule] = explain
    except (ImportError, TypeError) as missing:
        print("skipped zennit:", missing)
    return found


def apart(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def judge(folder):
    random = np.random.default_rng(5)
    with open(os.path.join(folder, "net.onnx"), "wb") as f:
        f.write(Network(torch.nn.ReLU).onnx())
    os.mkdir(os.path.join(folder, "photos"))
    pixels = random.integers(0, 256, (*SHAPE[1:], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(os.path.join(folder, "photos", "0.png"))
    result = os.path.join(folder, "result.h5")
    job = write_job(os.path.join(folder, "job.yaml"), study={"output": result}, model={"file": "net.onnx"},
                    data={"folder": "photos"}, sampling={"samples": SAMPLES, "noise": {"sigma": SIGMA}},
                    methods=[{"method": method, "rule": list(RULES)} for method in METHODS] + list(RULES[1:])
                    + [{"method": "vargrad", "of": rule, "as": f"vargrad-of-{rule}"} for rule in RULES[1:]])
    plan = sgdist(PROGRAM, "check", job)
    check(f"{(SAMPLES + 1) * len(RULES)} an item" in plan, "one sweep, and one backward pass for each rule")
    sgdist(PROGRAM, job)
    with h5py.File(result, "r") as f:
        ours = {label: f[f"maps/{label}/map"][0, 0].astype("f8") for label in f["maps"]}
        target, key, seed = int(f["items/target"][0, 0]), int(f["items/noise_key"][0]), int(f["provenance/seed"][()])
    x = (pixels.transpose(2, 0, 1) / np.float32(255)).astype("f8")
    z = np.stack([documented_normals()(seed, key, k, x.size).reshape(SHAPE) for k in range(SAMPLES)])
    clean = {}
    for rule in RULES:
        net = Network(lambda: Relu(rule)).double()
        clean[rule] = gradient(net, target, x[None])[0]
        expected = maps_of(gradient(net, target, x + SIGMA * z.astype("f8")), clean[rule], x)
        for method in METHODS:
            off = apart(ours[f"{method}-{rule}"], expected[method])
            check(off < ENOUGH, f"{method} under {rule}: {off:.1e}")
    for rule in RULES[1:]:
        check(np.array_equal(ours[rule], ours[f"gradient-{rule}"]), f"the method {rule} is gradient under the rule, bit for bit")
        check(np.array_equal(ours[f"vargrad-of-{rule}"], ours[f"vargrad-{rule}"]), f"and so is vargrad of {rule}")
    for one, other in (RULES[:2], RULES[1:], RULES[::2]):
        check(apart(clean[one], clean[other]) > 0.1, f"{one} and {other} differ here")
    net = Network(torch.nn.ReLU).double()
    for (name, rule), explain in tools().items():
        theirs = explain(net, target, torch.from_numpy(x[None]).requires_grad_(True))[0].detach().numpy()
        off = apart(ours[f"gradient-{rule}"], theirs)
        check(off < ENOUGH, f"gradient under {rule} by {name}: {off:.1e}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        judge(folder)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
