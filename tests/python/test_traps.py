"""What exporters write that readers of ONNX files stumble over, one small file for each: it runs and gives what NumPy
gives in float64, or it is refused with words that help. Weights in files of their own: test_model.c.

x is [2 samples, 2, 4, 4]; every network is linear in x where not said otherwise, so its gradient is known too.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import tiny_onnx as onnx

rng = np.random.default_rng(5)
SHAPE = (2, 4, 4)
X = rng.normal(size=(2, *SHAPE)).astype(np.float32)
W = rng.normal(size=(3, 32)).astype(np.float32)
K = rng.normal(size=(3, 2, 3, 2)).astype(np.float32)
FLAT = X.reshape(2, -1).astype(float)
PRODUCT = FLAT @ W.T.astype(float)


def node(op, ins, outs, **attributes):
    return onnx.node(op, ins, outs, **attributes)


def constant(name, array):
    return node("Constant", [], [name], value=onnx.tensor_of("", array))


def ints(name, *values):
    return onnx.tensor_of(name, np.array(values, np.int64))


def half(name, array):
    """A tensor of 16 bits, as raw bytes."""
    return (b"".join(onnx.number(1, n) for n in array.shape) + onnx.number(2, 10) + onnx.chunk(8, name)
            + onnx.chunk(9, array.astype("<f2").tobytes()))


def model(nodes, weights=(), opset=13, batch="batch", inputs=(), outputs=("y",), shape=SHAPE):
    graph = (b"".join(onnx.chunk(1, n) for n in nodes) + onnx.chunk(2, "trap")
             + b"".join(onnx.chunk(5, w) for w in weights) + onnx.chunk(11, onnx.value_info("x", [batch, *shape]))
             + b"".join(onnx.chunk(11, i) for i in inputs)
             + b"".join(onnx.chunk(12, onnx.value_info(o, [batch, 3])) for o in outputs))
    return (onnx.number(1, 7) + onnx.chunk(7, graph)
            + onnx.chunk(8, onnx.chunk(1, "") + onnx.number(2, opset)))


def windows(pads, strides):
    """Convolution with K by its definition: [2, 3, out, out]."""
    top, left, bottom, right = pads
    x = np.pad(X.astype(float), ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows = range(0, x.shape[2] - 2, strides[0])
    columns = range(0, x.shape[3] - 1, strides[1])
    return np.stack([np.stack([np.tensordot(x[:, :, i:i + 3, j:j + 2], K, ((1, 2, 3), (1, 2, 3))) for j in columns], -1)
                     for i in rows], -2)


def soft(v, axis):
    e = np.exp(v - v.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def mean_pool():
    x = np.pad(X.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    n = np.pad(np.ones((4, 4)), 1)
    places = [(i, j) for i in range(4) for j in range(4)]
    return np.stack([x[:, :, i:i + 3, j:j + 3].sum((2, 3)) / n[i:i + 3, j:j + 3].sum() for i, j in places], -1)


FLATTEN = node("Flatten", ["x"], ["f"], axis=1)
GEMM = node("Gemm", ["f", "w"], ["y"], transB=1)
WEIGHT = onnx.tensor_of("w", W)
CONV = {"kernel_shape": [3, 2]}
COMPUTED = [node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"], axis=0),
            node("Unsqueeze", ["n", "axes"], ["nn"]), node("Concat", ["nn", "rest"], ["t"], axis=0),
            node("Reshape", ["x", "t"], ["f"]), GEMM]
BRANCH = onnx.chunk(1, "then_branch") + onnx.chunk(6, b"") + onnx.number(20, 5)
IF = (onnx.chunk(1, "f") + onnx.chunk(2, "y") + onnx.chunk(3, "choice") + onnx.chunk(4, "If") + onnx.chunk(5, BRANCH))

# What, the file, what NumPy gives or words of the refusal, the tensor to explain.
TRAPS = [
    ("1 weights in Constant nodes", model([constant("w", W), FLATTEN, GEMM]), PRODUCT),
    ("2 initialisers among the inputs", model([FLATTEN, GEMM], [WEIGHT], inputs=[onnx.value_info("w", [3, 32])]), PRODUCT),
    ("3 weights of 16 bits", model([FLATTEN, GEMM], [half("w", W)]), FLAT @ W.astype("<f2").T.astype(float)),
    ("4 Identity of an initialiser", model([node("Identity", ["v"], ["w"]), FLATTEN, GEMM], [onnx.tensor_of("v", W)]),
     PRODUCT),
    ("5 batch of 1 in a Reshape", model([node("Reshape", ["x", "t"], ["f"]), GEMM], [WEIGHT, ints("t", 1, -1)], batch=1),
     PRODUCT),
    ("5 batch of 1 in a long Reshape", model([node("Reshape", ["x", "t"], ["r"]), node("Flatten", ["r"], ["f"], axis=1),
                                              GEMM], [WEIGHT, ints("t", 1, 2, 2, 2, 4)], batch=1), PRODUCT),
    ("5 batch of 8 in a Reshape", model([node("Reshape", ["x", "t"], ["f"]), GEMM], [WEIGHT, ints("t", 8, -1)], batch=8),
     PRODUCT),
    ("5 batch of 8 that moves", model([node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])], batch=8),
     ("Transpose_y", "batch of 8", "dynamic")),
    ("6 computed target", model(COMPUTED, [WEIGHT, onnx.tensor_of("zero", np.array(0)), ints("axes", 0), ints("rest", -1)]),
     PRODUCT),
    ("6 height not in the file", model([FLATTEN, GEMM], [WEIGHT], shape=(2, "H", 4)), PRODUCT),
    ("7 SAME_UPPER", model([node("Conv", ["x", "k"], ["y"], auto_pad="SAME_UPPER", **CONV)], [onnx.tensor_of("k", K)]),
     windows((1, 0, 1, 1), (1, 1))),
    ("8 Clip by attribute", model([node("Clip", ["x"], ["y"], min=-0.5, max=0.75)], opset=9), np.clip(X, -0.5, 0.75)),
    ("8 Clip by input", model([node("Clip", ["x", "", "c"], ["y"])], [onnx.tensor_of("c", np.array(0.75, np.float32))]),
     np.minimum(X, 0.75)),
    ("8 Pad by attribute", model([node("Pad", ["x"], ["y"], pads=[0, 0, 1, 0, 0, 0, 0, 2])], opset=9),
     np.pad(X, ((0, 0), (0, 0), (1, 0), (0, 2)))),
    ("8 Pad by input", model([node("Pad", ["x", "p"], ["y"])], [ints("p", 0, 0, 1, 0, 0, 0, 0, 2)]),
     np.pad(X, ((0, 0), (0, 0), (1, 0), (0, 2)))),
    ("9 old Softmax flattens", model([node("Softmax", ["x"], ["y"])], opset=12), soft(FLAT, 1)),
    ("9 new Softmax does not", model([node("Softmax", ["x"], ["y"])], opset=13), soft(X.astype(float), 3)),
    ("9 outputs of 3 x 1 x 1", model([node("Conv", ["x", "k"], ["c"]), node("GlobalAveragePool", ["c"], ["y"])],
                                     [onnx.tensor_of("k", K)]), windows((0, 0, 0, 0), (1, 1)).mean((2, 3))),
    ("10 the tensor before the softmax", model([FLATTEN, node("Gemm", ["f", "w"], ["logits"], transB=1),
                                                node("Softmax", ["logits"], ["y"])], [WEIGHT]), PRODUCT, "logits"),
    ("11 the second of two outputs", model([FLATTEN, GEMM, node("Neg", ["y"], ["z"])], [WEIGHT], outputs=("y", "z")),
     -PRODUCT, "z"),
    ("12 means do not count the padding", model([node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4)]),
     mean_pool()),
    ("13 strides that differ", model([node("Conv", ["x", "k"], ["y"], strides=[1, 2], pads=[1, 0, 0, 1], **CONV)],
                                     [onnx.tensor_of("k", K)]), windows((1, 0, 0, 1), (1, 2))),
    ("14 a branch", model([FLATTEN, IF]), ("'choice' (If)", "branch")),
]


def run(sgdist, folder, file, tensor):
    paths = [str(folder / n) for n in ("net.onnx", "x.npy", "y.npy")]
    pathlib.Path(paths[0]).write_bytes(file)
    np.save(paths[1], X)
    return subprocess.run([sgdist, "eval", paths[0], "--input", paths[1], "--output", paths[2], "--tensor", tensor],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True), paths[2]


def main():
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        for what, file, want, *tensor in TRAPS:
            done, path = run(sys.argv[1], pathlib.Path(name), file, tensor[0] if tensor else "y")
            if isinstance(want, tuple):
                good = done.returncode == 2 and all(word in done.stderr for word in want)
            else:
                good = done.returncode == 0 and np.allclose(np.load(path).ravel(), want.ravel(), rtol=1e-5, atol=2e-6)
            wrong += not good
            print("ok" if good else "FAILED", what, "" if good else done.stderr.strip())
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
