"""A picture on a white background: of its equal places a MaxPool chooses the first, as float64 PyTorch does.

    test_ties.py SGDIST

The network's convolutions run by Winograd's algorithm where noise covers the whole picture. It rounds differently
from place to place, so without noise it would choose among equal places at random, and the gradient would be another
one: the last check shows how far off that is.
"""
import os
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)
try:
    from networks import evaluate
    from onnx_judge import Model
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import sgdist, write_job

PROGRAM = os.path.abspath(sys.argv[1])
SHAPE = (3, 40, 48)
BOUND = 1e-5
NODES = 8
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def network():
    rng = np.random.default_rng(3)
    nodes, weights = [], []

    def convolution(x, c, k):
        w = rng.normal(size=(k, c, 3, 3)) * np.sqrt(2 / (9 * c))
        weights.extend([tiny_onnx.tensor_of(f"w_{x}", w.astype("f4")),
                        tiny_onnx.tensor_of(f"b_{x}", (rng.normal(size=k) * 0.1).astype("f4"))])
        nodes.extend([tiny_onnx.node("Conv", [x, f"w_{x}", f"b_{x}"], [f"z_{x}"], kernel_shape=[3, 3], pads=[1] * 4),
                      tiny_onnx.node("Relu", [f"z_{x}"], [f"r_{x}"])])
        return f"r_{x}"

    r = convolution(convolution("x", 3, 32), 32, 48)
    nodes.append(tiny_onnx.node("MaxPool", [r], ["pool"], kernel_shape=[3, 3], strides=[2, 2]))
    r = convolution("pool", 48, 64)
    nodes += [tiny_onnx.node("MaxPool", [r], ["last"], kernel_shape=[2, 2], strides=[2, 2]),
              tiny_onnx.node("Flatten", ["last"], ["flat"], axis=1),
              tiny_onnx.node("Gemm", ["flat", "w", "b"], ["y"], transB=1)]
    n = 64 * 9 * 11
    weights += [tiny_onnx.tensor_of("w", (rng.normal(size=(10, n)) / np.sqrt(n)).astype("f4")),
                tiny_onnx.tensor_of("b", np.zeros(10, "f4"))]
    return tiny_onnx.model(nodes, weights, SHAPE, [10])


def cloud_network():
    """A cloud of points, each seen by itself, then the largest of each feature."""
    rng = np.random.default_rng(6)
    sizes, nodes, weights, at = [3, 48, 96], [], [], "x"
    for i, (k, m) in enumerate(zip(sizes, sizes[1:])):
        weights.append(tiny_onnx.tensor_of(f"w{i}", (rng.normal(size=(k, m)) / np.sqrt(k)).astype("f4")))
        weights.append(tiny_onnx.tensor_of(f"b{i}", (rng.normal(size=m) * 0.1).astype("f4")))
        nodes += [tiny_onnx.node("MatMul", [at, f"w{i}"], [f"p{i}"]), tiny_onnx.node("Add", [f"p{i}", f"b{i}"], [f"s{i}"]),
                  tiny_onnx.node("Relu", [f"s{i}"], [f"r{i}"])]
        at = f"r{i}"
    weights.append(tiny_onnx.tensor_of("w", rng.normal(size=(96, 5)).astype("f4")))
    nodes += [tiny_onnx.node("ReduceMax", [at], ["most"], axes=[1], keepdims=0), tiny_onnx.node("MatMul", ["most", "w"], ["y"])]
    cloud = rng.normal(size=(1, 61, 3)).astype("f4")
    cloud[:, 7] *= 5  # far out, so that it has the largest features; and the cloud is filled up with it
    cloud[:, 20:] = cloud[:, 7:8]
    return tiny_onnx.model(nodes, weights, [61, 3], [5]), cloud


def halves_network():
    """Max pooling, written as the larger of two halves of the places."""
    rng = np.random.default_rng(7)
    nodes, weights, at = [], [], "x"
    for i, (c, k) in enumerate(((3, 32), (32, 32))):
        weights.append(tiny_onnx.tensor_of(f"w{i}", (rng.normal(size=(k, c, 3, 3)) * np.sqrt(2 / (9 * c))).astype("f4")))
        nodes += [tiny_onnx.node("Conv", [at, f"w{i}"], [f"z{i}"], kernel_shape=[3, 3], pads=[1] * 4),
                  tiny_onnx.node("Relu", [f"z{i}"], [f"r{i}"])]
        at = f"r{i}"
    for name, values in (("zero", [0]), ("one", [1]), ("end", [48]), ("axis", [3]), ("two", [2])):
        weights.append(tiny_onnx.tensor_of(name, np.array(values, "i8")))
    weights.append(tiny_onnx.tensor_of("w", (rng.normal(size=(4, 32 * 40 * 24)) / 100).astype("f4")))
    nodes += [tiny_onnx.node("Slice", [at, "zero", "end", "axis", "two"], ["even"]),
              tiny_onnx.node("Slice", [at, "one", "end", "axis", "two"], ["odd"]), tiny_onnx.node("Max", ["even", "odd"], ["max"]),
              tiny_onnx.node("Flatten", ["max"], ["flat"], axis=1), tiny_onnx.node("Gemm", ["flat", "w"], ["y"], transB=1)]
    return tiny_onnx.model(nodes, weights, SHAPE, [4]), picture()


def picture():
    """White above, black below, something in the middle."""
    x = np.ones((1, *SHAPE), "f4")
    x[:, :, 30:] = 0
    x[:, :, 8:26, 14:34] = np.random.default_rng(4).random((1, 3, 18, 20))
    return x


class Judge(Model):
    """With sums that are the same for every row, which those of BLAS are not, in float64 either."""
    op_MatMul = staticmethod(lambda a, b: (a.unsqueeze(-1) * b).sum(-2))


def off(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def main():
    with tempfile.TemporaryDirectory() as folder:
        onnx, data, result = (os.path.join(folder, name) for name in ("net.onnx", "x.npy", "result.h5"))
        with open(onnx, "wb") as f:
            f.write(network())
        x = picture()
        np.save(data, x)
        job = write_job(os.path.join(folder, "job.yaml"), study={"output": result}, model={"file": onnx},
                        data={"npy": data, "domain": {"bounds": [0, 1]}}, sampling={"samples": 8},
                        methods=["gradient", {"method": "integrated_gradients", "nodes": NODES, "quadrature": "midpoint"},
                                 "smoothgrad", "adaptgrad"])
        sgdist(PROGRAM, job)
        judge = Model(onnx)
        with h5py.File(result, "r") as f:
            algorithms = f["provenance/algorithms"][()].decode()
            maps = {name: f[f"maps/{name}/map"][0, 0].astype("f8") for name in f["maps"]}
            target = int(f["items/target"][0, 0])
        check("winograd" in algorithms.split("(")[0] and "winograd" not in algorithms.split("(")[1].split(")")[0],
              "Winograd's algorithm only under noise: " + algorithms)

        true = judge.gradient(x, target)[1][0]
        check(off(maps["gradient"], true) < BOUND, f"gradient: {off(maps['gradient'], true):.1e}")
        points = np.concatenate([x * ((i + 0.5) / NODES) for i in range(NODES)])
        path = judge.gradient(points, target)[1].mean(0) * x[0]
        check(off(maps["integrated_gradients"], path) < BOUND,
              f"integrated gradients: {off(maps['integrated_gradients'], path):.1e}")

        for method in ("smoothgrad", "adaptgrad"):
            samples = os.path.join(folder, method + ".h5")
            sgdist(PROGRAM, "sample", job, "--item", "0", "--samples", "0:8", "--method", method, "-o", samples)
            with h5py.File(samples, "r") as f:
                inputs, got = f["inputs"][:], f["gradients"][:, 0].astype("f8")
            still = (inputs == x).all((0, 1)).mean()
            check((still > 0.5) == (method == "adaptgrad"), f"{method}: {still:.0%} of the picture without noise")
            true = judge.gradient(inputs, target)[1]
            check(off(got, true) < BOUND, f"{method}: gradients of samples: {off(got, true):.1e}")

        for name, (model, x2) in (("cloud of points", cloud_network()), ("larger of two halves", halves_network())):
            with open(onnx, "wb") as f:
                f.write(model)
            _, got, _ = evaluate(PROGRAM, onnx, x2, noisy=False)
            true = Judge(onnx).gradient(x2)[1]
            check(off(got, true) < BOUND, f"{name}: gradient: {off(got, true):.1e}")

        rough = judge.gradient(x + 1e-7 * np.random.default_rng(5).normal(size=x.shape), target)[1][0]
        check(off(rough, maps["gradient"]) > 1000 * BOUND,
              f"ties broken at random would be seen: {off(rough, maps['gradient']):.1e}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
