"""What is explained: layers by name, tensors by name, targets that are no class, inputs held fixed. The judge is the same ONNX
file in float64 PyTorch, at the very inputs that `sgdist sample` says the network saw.

    test_explain.py SGDIST
"""
import os
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import onnx_judge
import tiny_onnx
from program import sgdist, write_idx, write_job

PROGRAM = os.path.abspath(sys.argv[1])
SIDE, ITEMS, SAMPLES = 8, 3, 20
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def close(got, want, text, bound=2e-4):
    """Largest error by the largest value: float32 sums against float64 ones."""
    want = np.asarray(want)
    error = np.abs(np.asarray(got, "f8") - want).max() / max(np.abs(want).max(), 1e-30)
    check(got.shape == want.shape and error <= bound, f"{text}: {error:.1e} of the largest value")


class Net:
    """An ONNX file of seeded random weights, built node by node."""

    def __init__(self, seed=1):
        self.nodes, self.weights, self.rng = [], [], np.random.default_rng(seed)

    def weight(self, name, *shape, low=None):
        n = int(np.prod(shape))
        v = self.rng.normal(0, 1 / np.sqrt(np.prod(shape[1:]) or 1), n) if low is None else low + self.rng.random(n)
        self.weights.append(tiny_onnx.tensor(name, shape, v))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(tiny_onnx.node(op, inputs, [output], **attributes))
        return output

    def conv(self, x, output, c_in, c_out, kernel=3):
        pad = kernel // 2
        w, b = self.weight("w_" + output, c_out, c_in, kernel, kernel), self.weight("b_" + output, c_out)
        return self.node("Conv", [x, w, b], output, kernel_shape=[kernel, kernel], pads=[pad] * 4)

    def batch_norm(self, x, output, c):
        names = [self.weight(f"{k}_{output}", c, low=low) for k, low in
                 (("scale", 0.5), ("shift", -0.5), ("mean", -0.5), ("var", 0.5))]
        return self.node("BatchNormalization", [x, *names], output)

    def save(self, path, outputs, input_shape=(1, SIDE, SIDE), more_inputs=()):
        graph = (b"".join(tiny_onnx.chunk(1, n) for n in self.nodes) + tiny_onnx.chunk(2, "net")
                 + b"".join(tiny_onnx.chunk(5, w) for w in self.weights)
                 + tiny_onnx.chunk(11, tiny_onnx.value_info("x", ["batch", *input_shape]))
                 + b"".join(tiny_onnx.chunk(11, tiny_onnx.value_info(n, s)) for n, s in more_inputs)
                 + b"".join(tiny_onnx.chunk(12, tiny_onnx.value_info(n, ["batch", *s])) for n, s in outputs))
        with open(path, "wb") as f:
            f.write(tiny_onnx.number(1, 7) + tiny_onnx.chunk(7, graph)
                    + tiny_onnx.chunk(8, tiny_onnx.chunk(1, "") + tiny_onnx.number(2, 13)))
        return path


def residual(path):
    """conv, batch norm and relu, which are fused unless a layer is asked for; a skip; flattened classes."""
    net = Net()
    net.node("Relu", [net.batch_norm(net.conv("x", "conv1", 1, 6), "bn1", 6)], "relu1")
    net.node("Relu", [net.batch_norm(net.conv("relu1", "conv2", 6, 6), "bn2", 6)], "relu2")
    net.node("Add", [net.batch_norm(net.conv("relu2", "conv3", 6, 6), "bn3", 6), "relu1"], "sum")
    net.node("Relu", ["sum"], "relu3")
    net.node("MaxPool", ["relu3"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    net.node("Flatten", ["pool"], "flat")
    net.node("Gemm", ["flat", net.weight("w_fc", 5, 96), net.weight("b_fc", 5)], "y", transB=1)
    return net.save(path, [("y", [5])])


class Study:
    """A job that ran, with the items and noisy inputs that it saw."""

    def __init__(self, folder, name, model, methods, target="predicted", explain=None, fixed=None, score="logit"):
        images = np.random.default_rng(3).integers(0, 256, (ITEMS, SIDE, SIDE), dtype=np.uint8)
        write_idx(os.path.join(folder, "images"), images)
        self.items = images[:, None].astype("f4") / np.float32(255)
        section = {"file": os.path.basename(model), "explain": {"score": score, **(explain or {})}}
        if fixed:
            section["inputs"] = fixed
        self.output = os.path.join(folder, name + ".h5")
        self.job = write_job(os.path.join(folder, name + ".yaml"), model=section, data={"idx": "images"}, target=target,
                             sampling={"samples": SAMPLES, "noise": {"sigma": 0.1}}, methods=methods,
                             study={"output": self.output})
        self.said = sgdist(PROGRAM, self.job, "--fresh")
        self.file = h5py.File(self.output, "r")

    def map(self, label, name="map"):
        return self.file[f"maps/{label}/{name}"][:]

    def noisy(self, method, item):
        path = self.output + ".sample"
        sgdist(PROGRAM, "sample", self.job, "--item", item, "--samples", f"0:{SAMPLES}", "--method", method, "-o", path)
        with h5py.File(path, "r") as f:
            return f["inputs"][:], f["gradients"][:]


def layers(folder):
    names = ["conv1", "bn1", "relu1", "relu2", "sum", "relu3", "flat", "x"]
    judge = onnx_judge.Model(residual(os.path.join(folder, "residual.onnx")))
    s = Study(folder, "layers", os.path.join(folder, "residual.onnx"), [
        "smoothgrad", {"method": ["gradient", "gradient_x_input"], "as": "at", "layer": names},
        {"method": ["smoothgrad", "vargrad"], "as": "at", "layer": ["bn1", "relu3"]}])
    target = s.file["items/target"][:, 0]
    got = judge.layers(s.items, names, lambda y: y[range(ITEMS), target].sum())
    for name, (activation, gradient) in got.items():
        close(s.map(f"at-gradient-{name}")[:, 0], gradient, f"gradient at {name}")
        close(s.map(f"at-gradient_x_input-{name}")[:, 0], gradient * activation, f"activation x gradient at {name}")
    for name in ("bn1", "relu3"):
        maps, variances, seen = [], [], []
        for i in range(ITEMS):
            x, g = s.noisy(f"at-smoothgrad-{name}", i)
            want = judge.layers(x, [name], lambda y: y[:, target[i]].sum())[name][1]
            seen.append(np.abs(g[:, 0] - want).max() / np.abs(want).max())
            maps.append(want.mean(0)), variances.append(want.var(0, ddof=1))
        check(np.median(seen) < 1e-4, f"single samples at {name}: {max(seen):.1e}")
        close(s.map(f"at-smoothgrad-{name}")[:, 0], maps, f"smoothgrad at {name}", 1e-3)
        close(s.map(f"at-vargrad-{name}")[:, 0], variances, f"vargrad at {name}", 1e-2)
    check((s.file["items/forwards"][:] == 1 + SAMPLES).all(),
          "input and layers share one sweep of forward passes")
    check((s.file["items/backwards"][:] == 1 + SAMPLES).all(), "and of backward passes")
    shape = s.file["maps/at-gradient-relu3/map"]
    check([d[0].name for d in (shape.dims[k] for k in (2, 3, 4))] == ["/layer_channel", "/layer_y", "/layer_x"],
          "a layer's axes have scales of their own")


def main():
    with tempfile.TemporaryDirectory() as folder:
        layers(folder)
    sys.exit(len(failures) > 0)


if __name__ == "__main__":
    main()
