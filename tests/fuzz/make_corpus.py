#!/usr/bin/python3
"""The first files of every fuzzing target: small good ones, from which the fuzzer departs.

    make_corpus.py FOLDER [--words FILE]    writes FOLDER/<target>/*; with --words also the dictionary for ONNX

corpus/ holds what this wrote, and beside it the files that once showed a fault (fault_*).
"""
import gzip
import io
import pathlib
import re
import struct
import sys
import tarfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
import tiny_onnx as onnx  # noqa: E402


def ints(name, shape, values):
    """An int64 TensorProto."""
    return (b"".join(onnx.number(1, n) for n in shape) + onnx.number(2, 7) + onnx.chunk(8, name)
            + onnx.chunk(9, struct.pack(f"<{len(values)}q", *values)))


def floats(name, shape, start=-0.4, step=0.07):
    return onnx.tensor(name, shape, [start + step * (i % 13) for i in range(onnx.size(shape))])


IMAGE = [2, 5, 5]
# name: nodes, weights, input, opset. What the output is called stands last.
NETWORKS = {
    "conv_relu_pool": ([onnx.node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
                        onnx.node("Relu", ["c"], ["r"]),
                        onnx.node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                        onnx.node("Flatten", ["p"], ["f"], axis=1),
                        onnx.node("Gemm", ["f", "v", "c2"], ["y"], transB=1)],
                       [floats("w", [3, 2, 3, 3]), floats("b", [3]), floats("v", [2, 12]), floats("c2", [2])], IMAGE, 13),
    "conv_strided": ([onnx.node("Conv", ["x", "w"], ["y"], kernel_shape=[2, 3], strides=[2, 1], dilations=[1, 2],
                                pads=[0, 2, 1, 0], group=2)], [floats("w", [4, 1, 2, 3])], IMAGE, 11),
    "conv_1d": ([onnx.node("Conv", ["x", "w"], ["y"], kernel_shape=[3], pads=[1, 1])], [floats("w", [2, 2, 3])], [2, 7], 13),
    "conv_bn_transposed": ([onnx.node("ConvTranspose", ["x", "w"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
                            onnx.node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
                            onnx.node("GlobalAveragePool", ["n"], ["y"])],
                           [floats("w", [2, 3, 2, 2]), floats("s", [3]), floats("b", [3]), floats("m", [3]),
                            floats("v", [3], 0.5)], IMAGE, 13),
    "pools": ([onnx.node("AveragePool", ["x"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
               onnx.node("MaxPool", ["a"], ["m"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
               onnx.node("GlobalMaxPool", ["m"], ["y"])], [], IMAGE, 13),
    "reshape_by_shape": ([onnx.node("Shape", ["x"], ["s"]), onnx.node("Gather", ["s", "zero"], ["n"], axis=0),
                          onnx.node("Unsqueeze", ["n"], ["n1"], axes=[0]),
                          onnx.node("Concat", ["n1", "rest"], ["to"], axis=0),
                          onnx.node("Reshape", ["x", "to"], ["y"])],
                         [ints("zero", [], [0]), ints("rest", [1], [-1])], IMAGE, 11),
    "transposes": ([onnx.node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]), onnx.node("MatMul", ["t", "w"], ["m"]),
                    onnx.node("Add", ["m", "b"], ["a"]), onnx.node("Softmax", ["a"], ["y"], axis=3)],
                   [floats("w", [2, 3]), floats("b", [3])], IMAGE, 13),
    "attention": ([onnx.node("MatMul", ["x", "q"], ["a"]), onnx.node("Transpose", ["a"], ["t"], perm=[0, 2, 1]),
                   onnx.node("MatMul", ["a", "t"], ["s"]), onnx.node("Softmax", ["s"], ["p"], axis=2),
                   onnx.node("MatMul", ["p", "x"], ["z"]), onnx.node("ReduceMean", ["z"], ["y"], axes=[1], keepdims=0)],
                  [floats("q", [4, 4])], [3, 4], 13),
    "slices": ([onnx.node("Slice", ["x", "from", "to", "axes", "steps"], ["s"]), onnx.node("Pad", ["s", "pads"], ["y"])],
               [ints("from", [2], [0, -1]), ints("to", [2], [4, -9]), ints("axes", [2], [2, 3]), ints("steps", [2], [1, -2]),
                ints("pads", [8], [0, 0, 1, 0, 0, 0, 0, 2])], IMAGE, 13),
    "split_concat": ([onnx.node("Split", ["x", "parts"], ["a", "b"], axis=2), onnx.node("Concat", ["b", "a"], ["c"], axis=2),
                      onnx.node("Mul", ["c", "x"], ["y"])], [ints("parts", [2], [2, 3])], IMAGE, 13),
    "resize": ([onnx.node("Resize", ["x", "", "scales"], ["r"]), onnx.node("DepthToSpace", ["r"], ["y"], blocksize=1)],
               [onnx.tensor("scales", [4], [1, 1, 2, 1.5])], IMAGE, 13),
    "broadcasts": ([onnx.node("Mul", ["x", "w"], ["a"]), onnx.node("Add", ["a", "s"], ["b"]), onnx.node("Sub", ["b", "x"], ["c"]),
                    onnx.node("Div", ["c", "d"], ["e"]), onnx.node("Pow", ["e", "two"], ["y"])],
                   [floats("w", [2, 1, 5]), floats("s", []), floats("d", [5], 0.5), onnx.tensor("two", [], [2])], IMAGE, 13),
    "norms": ([onnx.node("InstanceNormalization", ["x", "s", "b"], ["i"]), onnx.node("LRN", ["i"], ["l"], size=3),
               onnx.node("LayerNormalization", ["l", "g"], ["y"], axis=3)],
              [floats("s", [2]), floats("b", [2]), floats("g", [5])], IMAGE, 17),
    "reductions": ([onnx.node("ReduceMax", ["x"], ["m"], axes=[1], keepdims=1), onnx.node("Sub", ["x", "m"], ["d"]),
                    onnx.node("Exp", ["d"], ["e"]), onnx.node("ReduceL2", ["e"], ["y"], axes=[2, 3], keepdims=0)],
                   [], IMAGE, 13),
    "choices": ([onnx.node("Greater", ["x", "zero"], ["g"]), onnx.node("Where", ["g", "x", "w"], ["c"]),
                 onnx.node("PRelu", ["c", "slope"], ["p"]), onnx.node("Clip", ["p", "low", "high"], ["y"])],
                [onnx.tensor("zero", [], [0]), floats("w", [5]), floats("slope", [2, 1, 1]), onnx.tensor("low", [], [-1]),
                 onnx.tensor("high", [], [1])], IMAGE, 13),
    "constants": ([onnx.node("ConstantOfShape", ["shape"], ["zeros"]), onnx.node("Range", ["i0", "i5", "i1"], ["r"]),
                   onnx.node("Cast", ["r"], ["f"], to=1), onnx.node("Add", ["zeros", "f"], ["c"]),
                   onnx.node("Expand", ["c", "wide"], ["e"]), onnx.node("Tile", ["x", "twice"], ["t"]),
                   onnx.node("Mul", ["x", "e"], ["y"])],
                  [ints("shape", [1], [5]), ints("i0", [], [0]), ints("i5", [], [5]), ints("i1", [], [1]),
                   ints("wide", [2], [5, 5]), ints("twice", [4], [1, 1, 2, 1])], IMAGE, 13),
}


def onnx_files():
    for name, (nodes, weights, shape, opset) in NETWORKS.items():
        yield f"{name}.onnx", onnx.model(nodes, weights, shape, [1], opset)
    curves = ["Sigmoid", "Tanh", "Elu", "Softplus", "HardSwish", "Erf", "LeakyRelu", "Abs", "Neg", "Identity"]
    names = ["x", *(f"v{i}" for i in range(len(curves) - 1)), "y"]
    yield "curves.onnx", onnx.model([onnx.node(op, [a], [b]) for op, a, b in zip(curves, names, names[1:])],
                                    [], [3], [3], opset=14)
    good = onnx.linear([4], [[1, 2, 3, 4]])
    yield "cut.onnx", good[:len(good) // 2]


def picture(size=(7, 5), mode="RGB"):
    from PIL import Image
    channels = len(Image.new(mode, (1, 1)).tobytes())
    data = bytes((i * 37 + i * i % 91) % 256 for i in range(size[0] * size[1] * channels))
    return Image.frombytes(mode, size, data)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png_files():
    from PIL import Image
    for mode in ("L", "LA", "RGB", "RGBA", "P", "1"):
        image = picture().convert("P", palette=Image.Palette.ADAPTIVE, colors=4) if mode == "P" else picture().convert(mode)
        yield f"{mode}.png", saved(image, "PNG")
    deep = Image.new("I;16", (3, 2), 40000)
    yield "I16.png", saved(deep, "PNG")
    yield "transparent.png", saved(picture(mode="L"), "PNG", transparency=7)
    yield "turned.png", saved(picture(), "PNG", exif=turned(5))


def turned(orientation):
    from PIL import Image
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def jpeg_files():
    for mode in ("L", "RGB", "CMYK"):
        yield f"{mode}.jpg", saved(picture(mode=mode), "JPEG", quality=60)
    yield "progressive.jpg", saved(picture((17, 9)), "JPEG", progressive=True, quality=30)
    yield "turned.jpg", saved(picture(), "JPEG", exif=turned(6))
    yield "halved.jpg", saved(picture((17, 9)), "JPEG", subsampling=2, quality=30)


def idx(shape, data):
    return b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(data)


def idx_files():
    yield "grey.idx", idx([2, 3, 4], range(24))
    yield "color.idx", idx([1, 2, 3, 3], range(18))
    yield "labels.idx", idx([5], range(5))
    yield "grey.idx.gz", gzip.compress(idx([2, 3, 4], range(24)), mtime=0)


def npy(header, data, version=1):
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def npy_files():
    row = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }"
    yield "floats.npy", npy(row % ("<f4", "False", "(2, 3)"), struct.pack("<6f", *range(6)))
    yield "doubles.npy", npy(row % ("<f8", "False", "(2,)"), struct.pack("<2d", 1, 2), version=2)
    yield "fortran.npy", npy(row % ("<f4", "True", "(1, 2)"), struct.pack("<2f", 1, 2), version=3)
    yield "bytes.npy", npy(row % ("|u1", "False", "(2, 3, 2, 2)"), bytes(range(24)))
    yield "halves.npy", npy(row % (">f2", "False", "(1, 2, 3)"), struct.pack(">6e", *range(6)))
    yield "labels.npy", npy(row % ("<i8", "False", "(3,)"), struct.pack("<3q", 0, -1, 9))
    yield "scalar.npy", npy(row % (">f4", "False", "()"), struct.pack(">f", 1))


def npz_files():
    x = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 3), }", bytes(range(12)))
    y = npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", struct.pack("<2i", 1, 0))
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for member, data in (("x.npy", x), ("y.npy", y)):
                info = zipfile.ZipInfo(member)
                info.compress_type = method
                with archive.open(info, "w", force_zip64=name == "stored") as f:
                    f.write(data)
        yield f"{name}.npz", out.getvalue()


def tar_of(files, kind=tarfile.USTAR_FORMAT, mtime=0):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), mtime
            archive.addfile(info, io.BytesIO(data))
        end = archive.offset
    return out.getvalue()[:end] + bytes(1024)  # without the padding to 10 KiB


def tar_files():
    small = saved(picture((3, 2)), "PNG")
    plain = tar_of({"a/1.png": small, "b/2.png": small})
    yield "ustar.tar", plain
    yield "long.tar", tar_of({"d" * 99 + "/" + "n" * 120 + ".png": small}, tarfile.GNU_FORMAT)
    yield "pax.tar", tar_of({"d" * 99 + "/\u00fc" + "n" * 120 + ".png": small}, tarfile.PAX_FORMAT, 1.5)
    yield "labels.tar", tar_of({"1.png": small, "1.cls": b"7\n"})
    yield "nested.tar", tar_of({"c.tar": plain})


def job_files():
    root = HERE.parent.parent
    for path in sorted((root / "jobs").glob("*.yaml")):  # without the comments
        text = re.sub(r"^ *#.*\n| +#.*", "", path.read_text(), flags=re.M)
        yield path.name, text.encode()
    yield "block.yaml", b"""\
study:
  name: &n "a \\u00e9"
  output: *n
model: {file: m.onnx, explain: {tensor: auto, score: probability}}
data: {npy: a.npy}
target: {top: 3}
sampling: {samples: 1e3, noise: {sigma: 0.5, space: input, outside: clip}}
methods:
  - [smoothgrad, vargrad]
  - {method: smoothgrad, as: wide, noise: {level: [0.1, 0.3]}, samples: 50}
run: {max_hours: 0.5, memory_mb: 100}
"""


TARGETS = {"onnx": onnx_files, "png": png_files, "jpeg": jpeg_files, "idx": idx_files, "npy": npy_files, "npz": npz_files,
           "tar": tar_files, "job": job_files}


def words():
    """Names of operators and attributes, from the source, for libFuzzer's -dict."""
    net = HERE.parent.parent / "src" / "net"
    found = set()
    for path in [*net.glob("*.c"), *net.glob("ops/*.c")]:
        text = path.read_text()
        found |= set(re.findall(r'\.name = "(\w+)"', text)) | set(re.findall(r'\w+\("(\w+)", \w+', text))
        found |= set(re.findall(r'sg_(?:attribute_\w+|ints_from|float_from)\(\w+, "(\w+)"', text))
        found |= set(re.findall(r'strcmp\([^,"]+, "(\w+)"\)', text))
    return "".join(f'"{w}"\n' for w in sorted(found))


def main():
    for target, files in TARGETS.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files():
            (folder / name).write_bytes(data)
    if "--words" in sys.argv:
        pathlib.Path(sys.argv[sys.argv.index("--words") + 1]).write_text(words())


if __name__ == "__main__":
    main()
