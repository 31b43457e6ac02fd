"""Models made to harm: what a file may claim, and files outside of its folder that it may name. Rows for bad_input.py:
(name, what the message must say, files beside the job by name). All are refused with exit code 2."""
import struct

import tiny_onnx as onnx

SHAPE = [1, 4, 4]
D = onnx.size(SHAPE)
FLATTEN = onnx.node("Flatten", ["x"], ["flat"], axis=1)
GEMM = onnx.node("Gemm", ["flat", "w"], ["y"], transB=1)
NUMBERS = struct.pack("<48f", *([0.1] * 48))


def model(*nodes, weights=(), shape=SHAPE, opset=13):
    return onnx.model(list(nodes), list(weights), shape, [3], opset=opset)


def claimed(name, shape, data, kind=1):
    """A tensor whose numbers need not fit its shape."""
    return b"".join(onnx.number(1, n) for n in shape) + onnx.number(2, kind) + onnx.chunk(8, name) + onnx.chunk(9, data)


def ints(name, values):
    return claimed(name, [len(values)], struct.pack(f"<{len(values)}q", *values), 7)


def elsewhere(location, offset=None, length=None, shape=(3, D), kind=1):
    """The weights in another file."""
    entries = [("location", location), ("offset", offset), ("length", length)]
    return (b"".join(onnx.number(1, n) for n in shape) + onnx.number(2, kind) + onnx.chunk(8, "w") + onnx.number(14, 1)
            + b"".join(onnx.chunk(13, onnx.chunk(1, key) + onnx.chunk(2, str(value)))
                       for key, value in entries if value is not None))


def external(*arguments, **options):
    return model(FLATTEN, GEMM, weights=[elsewhere(*arguments, **options)])


def nested(depth):
    """A node that holds a graph that holds a node ..."""
    body = onnx.node("If", ["flat"], ["y"])
    for _ in range(depth):
        body = onnx.node("If", ["flat"], ["y"]) + onnx.chunk(
            5, onnx.chunk(1, "then_branch") + onnx.chunk(6, onnx.chunk(1, body)) + onnx.number(20, 5))
    return body


def with_input(axes):
    """The shape of the input as the file claims it, the batch too."""
    value = onnx.chunk(1, "x") + onnx.chunk(2, onnx.chunk(1, onnx.number(1, 1) + onnx.chunk(
        2, b"".join(onnx.chunk(1, onnx.number(1, n)) for n in axes))))
    graph = (onnx.chunk(1, FLATTEN) + onnx.chunk(1, GEMM) + onnx.chunk(5, onnx.tensor("w", [3, D], [0.1] * 48))
             + onnx.chunk(11, value) + onnx.chunk(12, onnx.value_info("y", ["batch", 3])))
    return onnx.number(1, 7) + onnx.chunk(7, graph) + onnx.chunk(8, onnx.chunk(1, "") + onnx.number(2, 13))


def with_whole_number():
    """A network with a second input `n` of int64, which scales the first."""
    value = onnx.chunk(1, "n") + onnx.chunk(2, onnx.chunk(1, onnx.number(1, 7) + onnx.chunk(2, onnx.chunk(1, onnx.number(1, 1)))))
    nodes = (FLATTEN, onnx.node("Cast", ["n"], ["f"], to=1), onnx.node("Mul", ["flat", "f"], ["g"]),
             onnx.node("Gemm", ["g", "w"], ["y"], transB=1))
    graph = (b"".join(onnx.chunk(1, node) for node in nodes) + onnx.chunk(5, onnx.tensor("w", [3, D], [0.1] * 48))
             + onnx.chunk(11, onnx.value_info("x", ["batch", *SHAPE])) + onnx.chunk(11, value)
             + onnx.chunk(12, onnx.value_info("y", ["batch", 3])))
    return onnx.number(1, 7) + onnx.chunk(7, graph) + onnx.chunk(8, onnx.chunk(1, "") + onnx.number(2, 13))


KERNEL = onnx.tensor("k", [3, 1, 3, 3], [0.1] * 27)


def conv(**attributes):
    return model(onnx.node("Conv", ["x", "k"], ["y"], **attributes), weights=[KERNEL])


HOSTILE = [
    ("weights of 2^62 by 2^62", r"\bw\b", model(FLATTEN, GEMM, weights=[claimed("w", [2**62, 2**62], NUMBERS)])),
    ("weights of a negative length", r"\bw\b.*-3", model(FLATTEN, GEMM, weights=[claimed("w", [-3, -D], NUMBERS)])),
    ("weights with 20 axes", r"axes", model(FLATTEN, GEMM, weights=[claimed("w", [1] * 20, NUMBERS[:4])])),
    ("weights of a type that is none", r"\bw\b.*\b77\b", model(FLATTEN, GEMM, weights=[claimed("w", [3, D], NUMBERS, 77)])),
    ("two weights of one name", r"\bw\b", model(FLATTEN, GEMM, weights=[onnx.tensor("w", [3, D], [0.1] * 48)] * 2)),
    ("two nodes make one tensor", r"\bflat\b", model(FLATTEN, FLATTEN, GEMM, weights=[onnx.tensor("w", [3, D], [0.1] * 48)])),
    ("input of 2^62", r"\bx\b", with_input([1, 2**62, 4, 4])),
    ("input of 2^20 by 2^20", r"\bx\b", with_input([1, 1, 2**20, 2**20])),
    ("input of a negative length", r"\bx\b.*-4", with_input([1, 1, -4, -4])),
    ("input with 30 axes", r"axes", with_input([1] * 30)),
    ("graph in a graph, a thousand deep", r"If|graph", model(FLATTEN, nested(1000))),
    ("name of a million bytes", r"Q{200}", model(FLATTEN, onnx.node("Q" * 10**6, ["flat"], ["y"]))),
    ("name with an escape in it", r"damaged", model(FLATTEN, onnx.node("Re\x1b[31mlu", ["flat"], ["y"]))),
    ("constant of 2^62", r"ConstantOfShape", model(
        FLATTEN, onnx.node("ConstantOfShape", ["n"], ["c"]), onnx.node("Add", ["flat", "c"], ["y"]), weights=[ints("n", [2**62])])),
    ("range to 2^62", r"Range", model(
        FLATTEN, onnx.node("Range", ["a", "b", "c"], ["r"]), onnx.node("Add", ["flat", "r"], ["y"]),
        weights=[claimed(n, [], struct.pack("<q", v), 7) for n, v in (("a", 0), ("b", 2**62), ("c", 1))])),
    ("tiled 2^40 times", r"Tile", model(onnx.node("Tile", ["x", "n"], ["y"]), weights=[ints("n", [1, 1, 2**40, 1])])),
    ("reshaped to 2^40", r"Reshape", model(onnx.node("Reshape", ["x", "n"], ["y"]), weights=[ints("n", [1, 2**40, -1])])),
    ("padded by 2^62", r"Conv", conv(kernel_shape=[3, 3], pads=[2**62] * 4)),
    ("stride of zero", r"Conv", conv(kernel_shape=[3, 3], strides=[0, 0])),
    ("dilated by 2^62", r"Conv", conv(kernel_shape=[3, 3], dilations=[2**62, 2**62])),
    ("2^62 groups", r"Conv", conv(kernel_shape=[3, 3], group=2**62)),
    ("upside-down padding", r"Conv", conv(kernel_shape=[3, 3], pads=[-9, -9, -9, -9])),
    ("window of 2^40", r"MaxPool", model(onnx.node("MaxPool", ["x"], ["y"], kernel_shape=[2**40, 2**40]))),
    ("node without its input", r"Relu", model(onnx.node("Relu", [], ["y"]))),
    ("node with its first input left out", r"ReduceSum", model(FLATTEN, onnx.node("ReduceSum", ["", "flat"], ["y"]))),
    ("perm that repeats", r"Transpose", model(onnx.node("Transpose", ["x"], ["y"], perm=[0, 0, 0, 0]))),
    ("axis of 2^62", r"Concat", model(onnx.node("Concat", ["x", "x"], ["y"], axis=2**62))),
]

# What is needed beside the model, and the model.
EXTERNAL = [
    ("data above the model's folder", r"\bw\b.*\.\./w\.bin.*below", {"../w.bin": NUMBERS}, external("../w.bin")),
    ("data up and down again", r"\bw\b.*below", {"w.bin": NUMBERS}, external("sub/../../here/w.bin")),
    ("data by an absolute path", r"\bw\b.*/etc/passwd.*below", {}, external("/etc/passwd")),
    ("data by a link that leads out", r"\bw\b.*passwd.*below", {"w.bin": "/etc/passwd"}, external("w.bin")),
    ("data in a folder that leads out", r"\bw\b.*below", {"sub": "/etc"}, external("sub/passwd")),
    ("data in a file that is not there", r"\bw\b.*gone\.bin", {}, external("gone.bin")),
    ("data in a folder", r"\bw\b.*pictures.*file", {}, external("pictures")),
    ("data in no file at all", r"\bw\b.*name", {}, external("")),
    ("data that are too short", r"\bw\b.*\b192\b.*w\.bin.*\b191\b", {"w.bin": NUMBERS[:-1]}, external("w.bin")),
    ("data behind the end", r"\bw\b.*w\.bin", {"w.bin": NUMBERS}, external("w.bin", offset=4)),
    ("data at 2^63 - 1", r"\bw\b.*w\.bin", {"w.bin": NUMBERS}, external("w.bin", offset=2**63 - 1)),
    ("data at no number", r"damaged", {"w.bin": NUMBERS}, external("w.bin", offset="0x10")),
    ("data at a negative place", r"damaged", {"w.bin": NUMBERS}, external("w.bin", offset=-4)),
    ("data of another length", r"\bw\b.*\b100\b.*\b192\b", {"w.bin": NUMBERS}, external("w.bin", length=100)),
    ("data of an impossible shape", r"\bw\b", {"w.bin": NUMBERS}, external("w.bin", shape=(2**62, 2**62))),
    ("data of an unknown type", r"\bw\b.*\b77\b", {"w.bin": NUMBERS}, external("w.bin", kind=77)),
]


def prepare(files, data):
    """Writes the model and what is beside it; a file given as a text is a link to it."""
    def write(folder):
        for name, content in files.items():
            if isinstance(content, str):
                (folder / name).symlink_to(content)
            else:
                (folder / name).write_bytes(content)
        (folder / "model.onnx").write_bytes(data)
    return write


def rows():
    for name, says, data in HOSTILE:
        yield name, says, prepare({}, data)
    for name, says, files, data in EXTERNAL:
        yield name, says, prepare(files, data)
