"""Writes small ONNX files byte by byte: networks whose attributions are known in closed form, and broken ones.

Only what the tests need of the format (onnx.proto): a field is its number and kind, then its value.
"""
import struct


def varint(n):
    out = b""
    n &= (1 << 64) - 1
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def chunk(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(name, shape, values):
    """A float32 TensorProto; `values` in C order."""
    flat = list(values)
    return (b"".join(number(1, n) for n in shape) + number(2, 1) + chunk(8, name)
            + chunk(9, struct.pack(f"<{len(flat)}f", *flat)))


def tensor_of(name, array):
    """A TensorProto of a NumPy array of float32, float64, int64 or bool."""
    kind = {"float32": 1, "float64": 11, "int64": 7, "bool": 9}[array.dtype.name]
    return (b"".join(number(1, n) for n in array.shape) + number(2, kind) + chunk(8, name)
            + chunk(9, array.tobytes()))


def single(field, value):
    return varint(field << 3 | 5) + struct.pack("<f", value)


def attribute(name, value):
    """A whole number, a number, a text, a TensorProto in bytes, or a list of numbers of one kind."""
    if isinstance(value, int):
        return chunk(1, name) + number(3, value) + number(20, 2)
    if isinstance(value, float):
        return chunk(1, name) + single(2, value) + number(20, 1)
    if isinstance(value, str):
        return chunk(1, name) + chunk(4, value) + number(20, 3)
    if isinstance(value, bytes):
        return chunk(1, name) + chunk(5, value) + number(20, 4)
    if value and isinstance(value[0], float):
        return chunk(1, name) + b"".join(single(7, v) for v in value) + number(20, 6)
    return chunk(1, name) + b"".join(number(8, i) for i in value) + number(20, 7)


def node(op, inputs, outputs, **attributes):
    return (b"".join(chunk(1, i) for i in inputs) + b"".join(chunk(2, o) for o in outputs)
            + chunk(3, f"{op}_{outputs[0]}") + chunk(4, op)
            + b"".join(chunk(5, attribute(k, v)) for k, v in attributes.items()))


def value_info(name, shape):
    """A float32 ValueInfoProto; a length that is a text stays free, as "batch" does."""
    dims = b"".join(chunk(1, chunk(2, n) if isinstance(n, str) else number(1, n)) for n in shape)
    return chunk(1, name) + chunk(2, chunk(1, number(1, 1) + chunk(2, dims)))


def model(nodes, weights, input_shape, output_shape, opset=13, x="x", y="y"):
    graph = (b"".join(chunk(1, n) for n in nodes) + chunk(2, "tiny") + b"".join(chunk(5, w) for w in weights)
             + chunk(11, value_info(x, ["batch", *input_shape])) + chunk(12, value_info(y, ["batch", *output_shape])))
    return number(1, 7) + chunk(2, "tiny_onnx") + chunk(7, graph) + chunk(8, chunk(1, "") + number(2, opset))


def size(shape):
    n = 1
    for length in shape:
        n *= length
    return n


def linear(input_shape, rows, bias=None):
    """y_k = sum_j rows[k][j] x_j + bias_k: SmoothGrad is the row, VarGrad is 0."""
    k, d = len(rows), size(input_shape)
    return model([node("Flatten", ["x"], ["flat"], axis=1), node("Gemm", ["flat", "w", "b"], ["y"], transB=1)],
                 [tensor("w", [k, d], (v for row in rows for v in row)), tensor("b", [k], bias or [0.0] * k)],
                 input_shape, [k])


def quadratic(input_shape, a, b=None):
    """y = x'Ax / 2 + b'x, A symmetric: SmoothGrad tends to Ax + b, VarGrad to sigma^2 sum_j A_ij^2."""
    d = size(input_shape)
    return model([node("Flatten", ["x"], ["flat"], axis=1), node("Gemm", ["flat", "a", "bb"], ["ax2b"]),
                  node("Mul", ["flat", "ax2b"], ["twice"]), node("Gemm", ["twice", "half", "zero"], ["y"], transB=1)],
                 [tensor("a", [d, d], (v for row in a for v in row)),
                  tensor("bb", [d], (2 * v for v in b) if b is not None else [0.0] * d),
                  tensor("half", [1, d], [0.5] * d), tensor("zero", [1], [0.0])], input_shape, [1])


def relu_net(input_shape, hidden, bias, out):
    """y_k = sum_h out[k][h] relu(hidden[h] . x + bias[h]): a gate is open with probability Phi(z_h / s_h)."""
    d, h, k = size(input_shape), len(hidden), len(out)
    return model([node("Flatten", ["x"], ["flat"], axis=1), node("Gemm", ["flat", "w", "b"], ["z"], transB=1),
                  node("Relu", ["z"], ["r"]), node("Gemm", ["r", "v", "c"], ["y"], transB=1)],
                 [tensor("w", [h, d], (v for row in hidden for v in row)), tensor("b", [h], bias),
                  tensor("v", [k, h], (v for row in out for v in row)), tensor("c", [k], [0.0] * k)],
                 input_shape, [k])
