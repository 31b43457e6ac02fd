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

    def values(self, judge, tensor):
        return judge.run(torch.from_numpy(self.items).double(), tensor).numpy()

    def y(self, judge, tensor):
        return self.values(judge, tensor).reshape(ITEMS, -1)

    def gradient(self, judge, score, tensor):
        return judge.layers(self.items, ["x"], score, tensor)["x"][1]

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
    for ranks in (2, 3):
        other = f"{s.output}.{ranks}"
        sgdist(PROGRAM, s.job, "--set", f"study.output={other}", launcher=("mpirun", "-n", str(ranks)))
        said = sgdist(PROGRAM, "diff", s.output, other)
        check("no difference" in said, f"{ranks} ranks: {said.splitlines()[-1]}")
    shape = s.file["maps/at-gradient-relu3/map"]
    check([d[0].name for d in (shape.dims[k] for k in (2, 3, 4))] == ["/layer_channel", "/layer_y", "/layer_x"],
          "a layer's axes have scales of their own")


def two_heads(folder):
    net = Net(2)
    net.node("Relu", [net.conv("x", "c", 1, 4)], "r")
    net.node("Flatten", ["r"], "f")
    net.node("Gemm", ["f", net.weight("wa", 3, 256), net.weight("ba", 3)], "a", transB=1)
    net.node("Gemm", ["f", net.weight("wb", 1, 256), net.weight("bb", 1)], "b", transB=1)
    net.node("Softmax", ["a"], "p")
    path = net.save(os.path.join(folder, "heads.onnx"), [("p", [3]), ("b", [1])])
    judge = onnx_judge.Model(path)
    target = [{"class": 1}, {"output": "b"}, {"output": "a", "top": 2}]
    s = Study(folder, "heads", path, ["gradient"], target)
    y = s.y(judge, "a")
    check((s.file["items/predicted"][:] == y.argmax(1)).all(), "the predicted class is that of the first tensor")
    order = np.argsort(-y, 1)
    want = np.column_stack([np.full(ITEMS, 1), np.full(ITEMS, -1), order[:, :2]])
    check((s.file["items/target"][:] == want).all(), "targets of two heads are known by class; a number has none")
    scores = np.column_stack([y[:, 1], s.y(judge, "b")[:, 0], np.sort(-y, 1)[:, :2] * -1])
    close(s.file["items/score"][:], scores, "scores of two heads")
    check(np.isnan(s.file["items/probability"][:, 1]).all(), "a single number has no probability")
    text = [t.decode() for t in s.file["provenance/targets"][:]]
    check(text == ["class 1 of a", "value of b", "predicted of a", "rank 2 of a"], f"targets in words: {text}")
    for t, (tensor, k) in enumerate([("a", want[:, 0]), ("b", np.zeros(ITEMS, int)), ("a", want[:, 2]), ("a", want[:, 3])]):
        close(s.map("gradient")[:, t], s.gradient(judge, lambda y, k=k: y[range(ITEMS), k].sum(), tensor), f"head {tensor}, target {t}")
    s = Study(folder, "probability", path, ["gradient"], {"class": 2}, {"tensor": "a"}, score="probability")
    close(s.map("gradient")[:, 0], s.gradient(judge, lambda y: torch.softmax(y, 1)[:, 2].sum(), "a"), "probability of a head")


def field(folder):
    """Three classes at 8 x 8 places, and a regression field."""
    net = Net(4)
    net.node("Relu", [net.conv("x", "c", 1, 6)], "r")
    net.conv("r", "masks", 6, 3)
    net.conv("r", "rain", 6, 1)
    path = net.save(os.path.join(folder, "field.onnx"), [("masks", [3, SIDE, SIDE]), ("rain", [1, SIDE, SIDE])])
    judge = onnx_judge.Model(path)
    box = [1, 2, 5, 8]
    target = ["predicted", {"class": 2}, {"class": 1, "box": box, "reduce": "mean"}, {"class": 1, "reduce": "max"},
              {"element": [2, 3, 4]}, {"region": "predicted"}, {"output": "rain", "box": box, "reduce": "mean"},
              {"output": "rain", "element": [0, 7, 1]}, {"box": box, "class": "predicted"}]
    s = Study(folder, "field", path, ["gradient", "smoothgrad"], target)
    y = s.y(judge, "masks").reshape(ITEMS, 3, SIDE, SIDE)

    def winner(v):
        best = v.argmax(1).reshape(ITEMS, -1)
        return np.array([max(range(3), key=lambda k: ((b == k).sum(), u[k].sum(), -k)) for b, u in zip(best, v)])

    inside = y[:, :, 1:5, 2:8]
    first = winner(y)
    top = y[:, 1].reshape(ITEMS, -1).argmax(1)
    wins = torch.from_numpy(y.argmax(1) == first[:, None, None])
    i = torch.arange(ITEMS)
    scores = [("masks", lambda y: y[i, first].sum((1, 2))), ("masks", lambda y: y[:, 2].sum((1, 2))),
              ("masks", lambda y: y[:, 1, 1:5, 2:8].mean((1, 2))), ("masks", lambda y: y[:, 1].flatten(1)[i, top]),
              ("masks", lambda y: y[:, 2, 3, 4]), ("masks", lambda y: (y[i, first] * wins).sum((1, 2))),
              ("rain", lambda y: y[:, 0, 1:5, 2:8].mean((1, 2))), ("rain", lambda y: y[:, 0, 7, 1]),
              ("masks", lambda y: y[i, winner(inside)][:, 1:5, 2:8].sum((1, 2)))]
    for t, (tensor, score) in enumerate(scores):
        words = s.file["provenance/targets"][t].decode()
        close(s.file["items/score"][:, t], score(torch.from_numpy(s.values(judge, tensor))).numpy(), f"score: {words}")
        close(s.map("gradient")[:, t], s.gradient(judge, lambda y, score=score: score(y).sum(), tensor), f"gradient: {words}")
    x, _ = s.noisy("smoothgrad", 1)
    _, g = judge.layers(x, ["x"], lambda y: (y[:, first[1]] * wins[1]).sum(), "masks")["x"]
    close(s.map("smoothgrad")[1, 5], g.mean(0), "smoothgrad: the region stays that of the clean item")
    s = Study(folder, "shares", path, ["gradient"], {"class": 0, "box": box}, score="log_probability")
    close(s.map("gradient")[:, 0], s.gradient(judge, lambda y: torch.log_softmax(y, 1)[:, 0, 1:5, 2:8].sum(), "masks"),
          "log probability over the classes of each place")


def two_inputs(folder):
    """x is explained; a mask of x's shape and a factor of any length are held fixed."""
    net = Net(5)
    net.node("Mul", ["x", "mask"], "masked")
    net.node("Relu", [net.conv("masked", "c", 1, 4)], "r")
    net.node("Mul", ["r", "factor"], "scaled")
    net.node("Flatten", ["scaled"], "f")
    net.node("Gemm", ["f", net.weight("w", 3, 256), net.weight("b", 3)], "y", transB=1)
    path = net.save(os.path.join(folder, "inputs.onnx"), [("y", [3])],
                    more_inputs=[("mask", ["batch", 1, SIDE, SIDE]), ("factor", [1, 4, 1, 1])])
    judge = onnx_judge.Model(path)
    mask = np.random.default_rng(6).random((1, SIDE, SIDE))
    np.save(os.path.join(folder, "mask.npy"), mask.astype("f4"))
    s = Study(folder, "inputs", path, ["smoothgrad", "gradient"], {"class": 1}, {"input": "x"}, {"mask": "mask.npy", "factor": 0.5})
    fixed = {"mask": torch.from_numpy(mask.astype("f4")).double(), "factor": torch.full((1, 4, 1, 1), 0.5).double()}
    _, want = judge.layers(s.items, ["x"], lambda y: y[:, 1].sum(), fixed=fixed)["x"]
    close(s.map("gradient")[:, 0], want, "two inputs held fixed")
    other = s.output + ".3"
    sgdist(PROGRAM, s.job, "--set", f"study.output={other}", launcher=("mpirun", "-n", "3"))
    check("no difference" in sgdist(PROGRAM, "diff", s.output, other), "three ranks have the inputs")
    for inputs, words in ((None, "hold it fixed"), ({"mask": 1}, "'factor' of shape [1,4,1,1]"), ({"mask": 1, "facto": 1}, "'factor'")):
        try:
            Study(folder, "refused", path, ["gradient"], explain={"input": "x"}, fixed=inputs)
            check(False, "a missing input is refused")
        except RuntimeError as e:
            check(words in str(e), f"refused: {str(e).splitlines()[-1][-120:]}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        layers(folder)
        two_heads(folder)
        field(folder)
        two_inputs(folder)
    sys.exit(len(failures) > 0)


if __name__ == "__main__":
    main()
