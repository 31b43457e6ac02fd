#!/usr/bin/python3
"""Bad input of every kind, as a table: what is wrong, the exit code, and what the message must say.

    bad_input.py [--show] [TEXT]     all rows, or those whose name contains TEXT, with the program's answers

SGDIST is the program, WORK a scratch folder, PARALLEL the number of rows at a time (one per CPU, at most 3).
Each row starts from the good folder of `good_folder` and spoils one thing. Whatever the row, the program must
not end by a signal, must not show its source, and a refused job must leave no result behind.
"""
import concurrent.futures
import dataclasses
import gzip
import io
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import bad_models  # noqa: E402
import tiny_onnx as onnx  # noqa: E402

SGDIST = os.environ.get("SGDIST", "sgdist")
WORK = pathlib.Path(os.environ.get("WORK", "/tmp/sgdist-bad-input"))
PARALLEL = int(os.environ.get("PARALLEL", min(3, os.cpu_count() or 1)))
TIMEOUT_S = 60

GOOD_JOB = """\
study: {name: bad, output: out.h5, seed: 1}
model: {file: model.onnx}
data:
  idx: images-idx3-ubyte
  labels: labels-idx1-ubyte
  domain: {space: pixel, bounds: [0, 1]}
target: predicted
sampling:
  samples: 16
  noise: {level: 0.1, range: item}
methods: [smoothgrad]
"""
SHAPE = [1, 4, 4]  # what the network eats
CLASSES = 3
IMAGES = 3


class Skip(Exception):
    """Something that a row needs is missing on this machine."""


@dataclasses.dataclass
class Row:
    name: str
    code: int                # exit code
    says: tuple = ()         # regular expressions, each must be found in the output
    at: str = ""             # a text of the job file: the message must name its line
    edit: tuple = ()         # (old, new) pairs: the good job, spoiled
    job: bytes = None        # or a whole job file
    prepare: object = None   # function of the folder, run before
    args: tuple = ("job.yaml",)
    ranks: int = 1           # above 1: by mpirun, and the first of `says` must be found exactly once


# ---- the good folder, and ways to spoil it ----

def idx(shape, data):
    return b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(data)


def png(width, height, data=None):
    """A grey 8-bit PNG, black unless `data` are its rows, each behind a zero."""
    def part(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    rows = data if data is not None else b"".join(b"\0" + bytes(width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


def linear_model(outputs=CLASSES, shape=SHAPE):
    d = onnx.size(shape)
    return onnx.linear(shape, [[(k + 1) * (j % 3 - 1) for j in range(d)] for k in range(outputs)])


def log_model():
    """The logarithm of a sum less 1: no number at a baseline of zeros."""
    d = onnx.size(SHAPE)
    return onnx.model([onnx.node("Flatten", ["x"], ["flat"], axis=1), onnx.node("Gemm", ["flat", "w", "b"], ["sum"], transB=1),
                       onnx.node("Log", ["sum"], ["y"])],
                      [onnx.tensor("w", [CLASSES, d], [1.0] * (CLASSES * d)), onnx.tensor("b", [CLASSES], [-1.0] * CLASSES)],
                      SHAPE, [CLASSES])


def open_model():
    """Rows and columns are not said."""
    return onnx.model([onnx.node("Relu", ["x"], ["y"])], [], [SHAPE[0], "rows", "columns"], [CLASSES])


def good_folder(folder):
    folder.mkdir(parents=True)
    (folder / "job.yaml").write_text(GOOD_JOB)
    (folder / "model.onnx").write_bytes(linear_model())
    pixels = [i * 37 % 256 for i in range(IMAGES * 16)]
    (folder / "images-idx3-ubyte").write_bytes(idx([IMAGES, 4, 4], pixels))
    (folder / "labels-idx1-ubyte").write_bytes(idx([IMAGES], range(IMAGES)))
    (folder / "pictures").mkdir()
    (folder / "pictures/good.png").write_bytes(png(4, 4, b"".join(b"\0" + bytes([0, 80, 160, 240]) for _ in range(4))))


def put(name, data):
    """prepare: writes this file."""
    def prepare(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return prepare


def cut(name, share):
    """prepare: leaves only the first part of a file."""
    def prepare(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:int(len(data) * share)])
    return prepare


def make_folder(name):
    return lambda folder: (folder / name).mkdir()


def run_first(folder):
    """prepare: a good run, so that there is a result."""
    done = run([SGDIST, "job.yaml"], folder)
    assert done.returncode == 0, f"the good job fails: {done.stdout}"


def stop_early(folder):
    """A run that is stopped before anything is finished, in folder/out.h5."""
    done = run([SGDIST, "job.yaml", "--max-hours", "1e-9"], folder)
    assert done.returncode == 85, f"the job was not stopped: {done.stdout}"


def damage(change):
    """prepare: a good run, whose result is then changed by a function of the open file."""
    def prepare(folder):
        h5py = need_h5py()
        run_first(folder)
        with h5py.File(folder / "out.h5", "r+") as file:
            change(file)
    return prepare


def forget_maps(file):
    del file["maps/smoothgrad/map"]


def age(file):
    import numpy
    file.attrs["format_version"] = numpy.bytes_(b"2")


def lock(host=None, pid=2**22, started=1, idle_s=0):
    """prepare: the lock of another process, by default one of this host that is gone."""
    def prepare(folder):
        path = folder / "out.h5.lock"
        path.write_text(f"host {host or os.uname().nodename}\npid {pid}\nstarted {started}\n"
                        f"since {int(time.time())}\njob -\n")
        os.utime(path, (time.time() - idle_s,) * 2)
    return prepare


def fail_first(folder):
    """prepare: a run that ends because of a bad picture, which stays."""
    put("pictures/text.png", b"no picture\n")(folder)
    done = run([SGDIST, "job.yaml"], folder)
    assert done.returncode == 3, f"the bad picture passes: {done.stdout}"


def npy(shape, descr="<f4", fortran=False, data=None):
    """Zeros as a NumPy file of float32, or of another type with its data."""
    head = repr({"descr": descr, "fortran_order": fortran, "shape": tuple(shape)}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + (bytes(4 * onnx.size(shape)) if data is None else data)


def npz(**arrays):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in arrays.items():
            archive.writestr(name + ".npy", data)
    return out.getvalue()


def tar(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def source(text):
    """The good job with other data, whose failures are its own."""
    return (("idx: images-idx3-ubyte\n  labels: labels-idx1-ubyte", text), NO_FAILURES)


def hdf5_file(folder):
    h5py = need_h5py()
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"], file["y"], file["words"] = [[[0.0] * 4] * 4] * 3, [0, 1], "text"


def garbage_checkpoint(folder):
    stop_early(folder)
    put("out.h5.partial/item-0", os.urandom(300))(folder)


def link(name, to):
    return lambda folder: (folder / name).symlink_to(to)


def run_part(folder):
    """prepare: a result of the first item alone."""
    text = (folder / "job.yaml").read_text()
    (folder / "first.yaml").write_text(text.replace("{from: first.h5}", "predicted"))
    done = run([SGDIST, "first.yaml", "--set", "data.limit=1", "--set", "study.output=first.h5"], folder)
    assert done.returncode == 0, f"the first item fails: {done.stdout}"


def run_two(folder):
    """prepare: two studies that differ in their seed."""
    run_first(folder)
    run([SGDIST, "job.yaml", "--set", "study.seed=2", "--set", "study.output=other.h5"], folder)


def run_samples(folder):
    """prepare: single samples, which have the form of a result."""
    done = run([SGDIST, "sample", "job.yaml", "--item", "0", "--samples", "0:4", "-o", "s.h5"], folder)
    assert done.returncode == 0, f"no samples: {done.stdout}"


def run_and_cut(folder):
    """prepare: a good run, whose result has lost its end."""
    run_first(folder)
    cut("out.h5", 0.9)(folder)


def run_two_channels(folder):
    """prepare: a result of items that are no pictures."""
    put("model.onnx", linear_model(shape=(2, 4, 4)))(folder)
    put("a.npy", npy((3, 2, 4, 4)))(folder)
    run_first(folder)


def run_first_and_cut(folder):
    run_first(folder)
    cut("out.h5", 0.5)(folder)


def run_beside(folder):
    """prepare: a long run of the same result, which the caller ends."""
    process = subprocess.Popen([SGDIST, "job.yaml", "--set", "sampling.samples=2000000000"], cwd=folder, env=ENV,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not (folder / "out.h5").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def foreign_hdf5(folder):
    h5py = need_h5py()
    with h5py.File(folder / "out.h5", "w") as file:
        file["temperature"] = [1.0, 2.0]


def need_h5py():
    try:
        import h5py
    except ImportError as missing:
        raise Skip(missing) from missing
    return h5py


def node_model(*nodes, weights=(), opset=13):
    return onnx.model(list(nodes), list(weights), SHAPE, [CLASSES], opset=opset)


HUGE_WEIGHTS = onnx.number(1, 2**40) * 2 + onnx.number(2, 1) + onnx.chunk(8, "w") + onnx.chunk(9, bytes(16))
FLATTEN = onnx.node("Flatten", ["x"], ["flat"], axis=1)
WEIGHTS = onnx.tensor("w", [CLASSES, 16], [0.1] * 48)
SHORT_WEIGHTS = onnx.tensor("w", [CLASSES, 16], [0.1] * 47)
NAN_WEIGHTS = onnx.tensor("w", [CLASSES, 16], [float("nan")] * 48)
ODD_WEIGHTS = onnx.tensor("w", [CLASSES, 15], [0.1] * 45)
GEMM = onnx.node("Gemm", ["flat", "w"], ["y"], transB=1)
FOLDER_DATA = ("idx: images-idx3-ubyte\n  labels: labels-idx1-ubyte", "folder: pictures\n  preprocess: {color: grey}")
NO_FAILURES = ("methods: [smoothgrad]", "methods: [smoothgrad]\nrun: {max_failed: 0}")


def edited(old, new):
    return ((old, new),)


def sampling(text):
    return edited("samples: 16", text)


def noise(text):
    return edited("{level: 0.1, range: item}", text)


def methods(text):
    return edited("methods: [smoothgrad]", f"methods: {text}")


def pictures(*more):
    return (FOLDER_DATA, NO_FAILURES, *more)


JOB = [
    Row("unknown key", 2, (r"sampling\.smaples", r"\bsamples\b"), "smaples", sampling("smaples: 16"), ranks=3),
    Row("unknown section", 2, (r"sampeling", r"\bsampling\b"), "sampeling", edited("sampling:", "sampeling:")),
    Row("unknown key of a method", 2, (r"confidense", r"\bconfidence\b"), "confidense",
        methods("[{method: adaptgrad, confidense: 0.9}]")),
    Row("layer that is not there", 2, (r"no tensor 'nothing'", r"info --layers"), edit=methods("[{method: smoothgrad, layer: nothing}]")),
    Row("no layer with places", 2, (r"layer: auto finds none", r"info --layers"), edit=methods("[grad_cam]")),
    Row("channels of a class activation map", 2, (r"has no effect on grad_cam", r"allowed for it here"), "channels",
        methods("[{method: grad_cam, layer: x, channels: sum}]")),
    Row("feature map beyond the layer", 2, (r"no feature map 5", r"0 to 0"), "maps: [5]",
        methods("[{method: grad_cam, layer: x, maps: [5]}]")),
    Row("neurons beyond the layer", 2, (r"the box ends at 9", r"at 4"), "neurons", methods("[{method: grad_cam, layer: x, neurons: [0, 0, 4, 9]}]")),
    Row("rule of a rule", 2, (r"has no effect on guided_backprop",), "rule", methods("[{method: guided_backprop, rule: deconvnet}]")),
    Row("clip beyond 100", 2, (r"filter\.clip", r"at most 100"), "101", methods("[{method: gradient, filter: {clip: 101}}]")),
    Row("filter that is not there", 2, (r"filter", r"absolute, clip, lowpass"), "blur", methods("[{method: gradient, filter: {blur: 2}}]")),
    Row("pixels of a layer", 2, (r"space", r"layer"), "layer: x", methods("[{method: smoothgrad, layer: x, space: pixel}]")),
    Row("input that is not there", 2, (r"no input 'xx'",), edit=edited("{file: model.onnx}", "{file: model.onnx, inputs: {xx: 1}}")),
    Row("word for a number", 2, (r"sampling\.samples", r"many"), "many", sampling("samples: many")),
    Row("fraction for a whole number", 2, (r"sampling\.samples", r"1\.5"), "1.5", sampling("samples: 1.5")),
    Row("number with a tail", 2, (r"sampling\.samples", r"16x"), "16x", sampling("samples: 16x")),
    Row("no samples at all", 2, (r"sampling\.samples", r"\b0\b"), "samples: 0", sampling("samples: 0")),
    Row("negative samples", 2, (r"sampling\.samples", r"-3"), "-3", sampling("samples: -3")),
    Row("more samples than an integer holds", 2, (r"sampling\.samples",), "99999",
        sampling("samples: 99999999999999999999")),
    Row("empty value", 2, (r"sampling\.samples",), "samples:", sampling("samples:")),
    Row("map for a number", 2, (r"sampling\.samples",), "samples: {", sampling("samples: {a: 1}")),
    Row("number for a section", 2, (r"\bmodel\b",), "model: 5", edited("model: {file: model.onnx}", "model: 5")),
    Row("key given twice", 2, (r"samples", r"twice|again|duplicate"), "samples: 17",
        sampling("samples: 16\n  samples: 17")),
    Row("section given twice", 2, (r"target", r"twice|again|duplicate"), "target: label",
        edited("sampling:", "target: label\nsampling:")),
    Row("no model", 2, (r"\bmodel\b",), edit=edited("model: {file: model.onnx}\n", "")),
    Row("no methods", 2, (r"\bmethods\b",), edit=edited("methods: [smoothgrad]\n", "")),
    Row("empty list of methods", 2, (r"\bmethods\b",), "methods: []", methods("[]")),
    Row("unknown method", 2, (r"smothgrad", r"\bsmoothgrad\b"), "smothgrad", methods("[smothgrad]")),
    Row("one label for two instances", 2, (r"\bas\b", r"smoothgrad"), edit=methods(
        "[smoothgrad, {method: smoothgrad, samples: 8}]")),
    Row("label with a slash", 2, (r"\bas\b", r"label"), "a/b", methods("[{method: smoothgrad, as: a/b}]")),
    Row("label too long", 2, (r"\b63\b",), "sss", methods("[{method: smoothgrad, as: " + "s" * 64 + "}]")),
    Row("level and sigma together", 2, (r"level", r"sigma"), "level", noise("{level: 0.1, sigma: 2}")),
    Row("negative noise", 2, (r"noise\.level", r"-0\.1"), "-0.1", noise("{level: -0.1}")),
    Row("noise that is no number", 2, (r"noise\.level",), ".nan", noise("{level: .nan}")),
    Row("infinite noise", 2, (r"noise\.sigma",), "inf", noise("{sigma: inf}")),
    Row("unknown word for a choice", 2, (r"noise\.range", r"itme", r"\bitem\b"), "itme",
        noise("{level: 0.1, range: itme}")),
    Row("noise on a channel that is not there", 2, (r"noise\.channels",), "channels: [3]",
        noise("{level: 0.1, channels: [3]}")),
    Row("block of nothing", 2, (r"sampling\.block",), "block: 0", sampling("samples: 16\n  block: 0")),
    Row("two sources of data", 2, (r"\bidx\b", r"\bfolder\b"),
        edit=edited("  labels:", "  folder: pictures\n  labels:")),
    Row("no source of data", 2, (r"\bdata\b", r"\bfolder\b", r"\bidx\b"),
        edit=edited("  idx: images-idx3-ubyte\n  labels: labels-idx1-ubyte\n", "")),
    Row("labels without their images", 2, (r"data\.labels", r"\bidx\b"), "labels:",
        edited("idx: images-idx3-ubyte", "folder: pictures")),
    Row("bounds the wrong way round", 2, (r"bounds",), "[1, 0]", edited("[0, 1]", "[1, 0]")),
    Row("three bounds", 2, (r"bounds",), "[0, 1, 2]", edited("[0, 1]", "[0, 1, 2]")),
    Row("two means for one channel", 2, (r"mean",), "mean:",
        edited("domain:", "preprocess: {mean: [0.5, 0.5], std: 1}\n  domain:")),
    Row("zero standard deviation", 2, (r"std",), "std: 0",
        edited("domain:", "preprocess: {mean: 0, std: 0}\n  domain:")),
    Row("negative limit", 2, (r"data\.limit",), "limit: -5", edited("domain:", "limit: -5\n  domain:")),
    Row("index past the end", 2, (r"indices", r"\b7\b"), "indices:", edited("domain:", "indices: [0, 7]\n  domain:")),
    Row("unknown target", 2, (r"target", r"lable", r"\blabel\b"), "lable", edited("predicted", "lable")),
    Row("two ways to choose a class", 2, (r"top", r"class"), "{class", edited("predicted", "{class: 1, top: 2}")),
    Row("element with too many indices", 2, (r"element", r"\b3 indices"), edit=edited("predicted", "{element: [0, 1, 2]}")),
    Row("box of an output without positions", 2, (r"box", r"axes"), edit=edited("predicted", "{box: [0, 0, 2, 2]}")),
    Row("box inside out", 2, (r"target\.box", r"past the last"), "[3,", edited("predicted", "{box: [3, 0, 2, 2]}")),
    Row("region of an output without positions", 2, (r"region", r"positions"), edit=edited("predicted", "{region: predicted}")),
    Row("output that is not there", 2, (r"no tensor 'nothing'",), edit=edited("predicted", "{output: nothing}"), ranks=3),
    Row("class that the model has not", 2, (r"\b7\b", rf"\b{CLASSES}\b"), "class: 7", edited("predicted", "{class: 7}"),
        ranks=3),
    Row("more top classes than classes", 2, (r"top", rf"\b{CLASSES}\b"), "top: 4", edited("predicted", "{top: 4}")),
    Row("labels wanted and none given", 2, (r"labels?",),
        edit=edited("  labels: labels-idx1-ubyte\n", "") + edited("predicted", "label")),
    Row("a composition that makes no sense", 2, (r"methods\[0\]\.of", r"vargrad; allowed: smoothgrad, adaptgrad"), "vargrad}",
        methods("[{method: integrated_gradients, of: vargrad}]")),
    Row("an option of the whole inside of", 2, (r"methods\[0\]\.of", r"channels.*beside"), "channels: sum",
        methods("[{method: smoothgrad, of: {method: idg, channels: sum}}]")),
    Row("more constants than channels", 2, (r"integrated_gradients\.baseline", r"2 constants for 1 channels"), "[1, 2]",
        methods("[{method: integrated_gradients, baseline: {constant: [1, 2]}}]")),
    Row("a baseline that is no file", 2, (r"baseline", r"nothere\.npy", r"no such file"), "nothere.npy",
        methods("[{method: integrated_gradients, baseline: {file: nothere.npy}}]")),
    Row("a baseline that is not finite", 2, (r"baseline", r"start\.npy", r"not finite"), edit=edited(
        "[smoothgrad]", "[{method: integrated_gradients, baseline: {file: start.npy}}]"),
        prepare=put("start.npy", npy(SHAPE, data=struct.pack("<16f", *[0.0] * 15, float("nan"))))),
    Row("a baseline beyond all numbers", 2, (r"baseline", r"3\.4\d*e\+38"), "1e300",
        methods("[{method: integrated_gradients, baseline: {constant: 1e300}}]")),
    Row("a baseline without a score", 3, (r"score of class \d is -?nan at the baseline",),
        edit=edited("[smoothgrad]", "[integrated_gradients]"), prepare=put("model.onnx", log_model())),
    Row("a rule for SmoothDiff", 2, (r"rule", r"no effect on smoothdiff", r"\bgroups\b"), "guided",
        methods("[{method: smoothdiff, rule: guided_backprop}]")),
    Row("groups that are none", 2, (r"groups", r"\b5\b", r"\b16\b"), "groups: 5", methods("[{method: smoothdiff, groups: 5}]")),
    Row("AdaptGrad without bounds", 2, (r"adaptgrad", r"domain"), "[adaptgrad]",
        methods("[adaptgrad]") + edited("  domain: {space: pixel, bounds: [0, 1]}\n", "")),
    Row("confidence above one", 2, (r"confidence", r"1\.5"), "1.5", methods("[{method: adaptgrad, confidence: 1.5}]")),
    Row("a rule without a Relu", 2, (r"gradient\.rule", r"no Relu", r"Clip"), "deconvnet",
        methods("[{method: gradient, rule: deconvnet}]")),
    Row("a preset that does not exist", 2, (r"\blike\b", r"did you mean 'captum'", r"zennit"), "captun",
        methods("[{method: smoothgrad, like: captun}]")),
    Row("a range beside a preset's sigma", 2, (r"noise\.range", r"\blike\b", r"level"), "range: domain",
        methods("[{method: smoothgrad, like: captum, noise: {range: domain}}]")),
    Row("confidence too small for z", 2, (r"adaptgrad\.confidence", r"0\.4", r"one_sided"), "one_sided",
        methods("[{method: adaptgrad, confidence: 0.4, z: one_sided}]")),
    Row("VarGrad of one sample", 2, (r"vargrad", r"\b2\b"), "samples: 1", methods("[vargrad]") + sampling("samples: 1")),
    Row("unknown channel reduction", 2, (r"maps\.channels", r"abs_sum"), "abssum",
        edited("methods:", "maps: {channels: abssum}\nmethods:")),
    Row("negative hours", 2, (r"run\.max_hours",), "max_hours", edited("methods:", "run: {max_hours: -1}\nmethods:")),
    Row("less memory than it takes", 2, (r"memory_mb",), edit=edited("methods:", "run: {memory_mb: 0.01}\nmethods:")),
    Row("model file is not there", 2, (r"model\.file", r"gone\.onnx"), "gone.onnx",
        edited("model.onnx", "gone.onnx"), ranks=3),
    Row("data file is not there", 2, (r"gone-ubyte",), "gone-ubyte", edited("images-idx3-ubyte", "gone-ubyte")),
    Row("folder is not there", 2, (r"gone-folder",), edit=(FOLDER_DATA, ("folder: pictures", "folder: gone-folder"))),
    Row("tab for blanks", 2, (r"tab",), "\tsamples", edited("  samples", "\tsamples")),
    Row("bracket left open", 2, (r"job\.yaml:\d+",), edit=methods("[smoothgrad")),
    Row("nested too deep", 2, (r"deep|nest|depth",), job=(GOOD_JOB + "x: " + "[" * 200000).encode()),
    Row("job file too large", 2, (r"large|bytes|MiB|size",), job=(GOOD_JOB + "# filler\n" * 300000).encode()),
    Row("empty job file", 2, (r"job\.yaml", r"empty|study|map"), job=b""),
    Row("job is a list", 2, (r"job\.yaml",), job=b"- study\n- model\n"),
    Row("job is not text", 2, (r"job\.yaml",), job=bytes(range(256)) * 4),
    Row("two documents in one job", 2, (r"document",), job=(GOOD_JOB + "---\n" + GOOD_JOB).encode()),
    Row("--set of an unknown key", 2, (r"sampling\.smaples", r"--set", r"\bsamples\b"),
        args=("job.yaml", "--set", "sampling.smaples=4")),
    Row("--set without a value", 2, (r"--set", r"key.*=|="), args=("job.yaml", "--set", "sampling.samples")),
    Row("--set of a wrong value", 2, (r"sampling\.samples", r"few", r"--set"),
        args=("job.yaml", "--set", "sampling.samples=few")),
]

MODEL = [
    Row("model cut off", 2, (r"model\.onnx",), prepare=cut("model.onnx", 0.6), ranks=3),
    Row("empty model", 2, (r"model\.onnx",), prepare=put("model.onnx", b"")),
    Row("model is a text", 2, (r"model\.onnx", r"ONNX"), prepare=put("model.onnx", b"import torch\n" * 100)),
    Row("model is a folder", 2, (r"pictures",), edit=edited("model.onnx", "pictures")),
    Row("model without a graph", 2, (r"model\.onnx",), prepare=put("model.onnx", onnx.number(1, 7))),
    Row("unknown operator", 2, (r"Quantum", r"Quantum_y"), prepare=put(
        "model.onnx", node_model(FLATTEN, onnx.node("Quantum", ["flat"], ["y"])))),
    Row("opset of the future", 2, (r"opset", r"\b99\b"),
        prepare=put("model.onnx", node_model(FLATTEN, GEMM, weights=[WEIGHTS], opset=99))),
    Row("fewer weights than their shape", 2, (r"\bw\b",),
        prepare=put("model.onnx", node_model(FLATTEN, GEMM, weights=[SHORT_WEIGHTS]))),
    Row("weights of a huge shape", 2, (r"\bw\b", r"1099511627776|too large|bytes"),
        prepare=put("model.onnx", node_model(FLATTEN, GEMM, weights=[HUGE_WEIGHTS]))),
    Row("weights that are not numbers", 3, (r"item failed", r"\bnan\b"), edit=edited(*NO_FAILURES),
        prepare=put("model.onnx", node_model(FLATTEN, GEMM, weights=[NAN_WEIGHTS]))),
    Row("input that is no image", 2, (r"\b2\b.*\baxes\b|axes.*\b2\b|1 axis",), prepare=put(
        "model.onnx", linear_model(shape=[16]))),
    Row("lengths that the model leaves open", 2, (r"model\.shape",), prepare=put("model.onnx", open_model())),
    Row("lengths that the model does not have", 2, (r"\b3\b.*does not fit",), prepare=put("model.onnx", open_model()),
        edit=edited("file: model.onnx", "file: model.onnx, shape: [3, 4, 4]")),
    Row("weights that do not fit", 2, (r"Gemm_y", r"\b15\b", r"\b16\b"),
        prepare=put("model.onnx", node_model(FLATTEN, GEMM, weights=[ODD_WEIGHTS]))),
    Row("kernel of another size than it says", 2, (r"Conv_y", r"kernel_shape"), prepare=put("model.onnx", node_model(
        onnx.node("Conv", ["x", "k"], ["y"], kernel_shape=[5, 5]),
        weights=[onnx.tensor("k", [CLASSES, 1, 3, 3], [0.1] * 27)]))),
    Row("tensor that nothing makes", 2, (r"nowhere",), prepare=put(
        "model.onnx", node_model(onnx.node("Gemm", ["nowhere", "w"], ["y"], transB=1), weights=[WEIGHTS]))),
    Row("node that eats itself", 2, (r"Relu_a|Relu_b|\ba\b|\bb\b",), prepare=put("model.onnx", node_model(
        onnx.node("Relu", ["b"], ["a"]), onnx.node("Relu", ["a"], ["b"]),
        onnx.node("Gemm", ["b", "w"], ["y"], transB=1), weights=[WEIGHTS]))),
    Row("tensor to explain is not in the graph", 2, (r"logist",), edit=edited(
        "{file: model.onnx}", "{file: model.onnx, explain: {tensor: logist}}")),
    Row("info of a model cut off", 2, (r"model\.onnx",), prepare=cut("model.onnx", 0.6), args=("info", "model.onnx")),
    *(Row(f"{value} for an input of whole numbers", 2, (r"'n'", r"whole numbers"), prepare=put("model.onnx", bad_models.with_whole_number()),
          edit=edited("{file: model.onnx}", f"{{file: model.onnx, inputs: {{n: {value}}}}}")) for value in (0.5, 1e30)),
    *(Row(name, 2, (r"model\.onnx", says), prepare=prepare) for name, says, prepare in bad_models.rows()),
]

DATA = [
    Row("images are no IDX", 2, (r"images-idx3-ubyte", r"IDX"), "idx:", prepare=put("images-idx3-ubyte", b"GIF89a" * 20)),
    Row("IDX cut off", 2, (r"images-idx3-ubyte",), prepare=cut("images-idx3-ubyte", 0.5)),
    Row("gz cut off", 2, (r"images-idx3-ubyte\.gz",), edit=edited("images-idx3-ubyte", "images-idx3-ubyte.gz"),
        prepare=put("images-idx3-ubyte.gz", gzip.compress(idx([3, 4, 4], os.urandom(48)))[:40])),
    Row("IDX head that promises the moon", 2, (r"images-idx3-ubyte",),
        prepare=put("images-idx3-ubyte", idx([4294967295, 4294967295, 4294967295], b""))),
    Row("images of another size", 2, (r"5 ?x ?5", r"4 ?x ?4"), prepare=put(
        "images-idx3-ubyte", idx([3, 5, 5], bytes(75)))),
    Row("labels of another number", 2, (r"labels-idx1-ubyte", r"\b2\b", r"\b3\b"),
        prepare=put("labels-idx1-ubyte", idx([2], [0, 1]))),
    Row("images of no bytes", 2, (r"images-idx3-ubyte",), prepare=put("images-idx3-ubyte", b"")),
    Row("labels of no bytes", 2, (r"labels-idx1-ubyte",), prepare=put("labels-idx1-ubyte", b"")),
    Row("gz of rubbish", 2, (r"images-idx3-ubyte\.gz",), edit=edited("images-idx3-ubyte", "images-idx3-ubyte.gz"),
        prepare=put("images-idx3-ubyte.gz", b"\x1f\x8b" + b"rubbish" * 9)),
    Row("no images in the IDX", 2, (r"data\.idx|no items|images-idx3",), prepare=put("images-idx3-ubyte", idx([0, 4, 4], []))),
    Row("floats in the IDX", 2, (r"images-idx3-ubyte", r"bytes|uint8|0x0[dD]"),
        prepare=put("images-idx3-ubyte", b"\0\0\x0d\3" + struct.pack(">3I", 3, 4, 4) + bytes(192))),
    Row("labels that are images", 2, (r"labels",), edit=edited("labels-idx1-ubyte", "images-idx3-ubyte")),
    Row("label that is no class", 2, (r"\b9\b", rf"\b{CLASSES - 1}\b"), edit=edited("predicted", "label"),
        prepare=put("labels-idx1-ubyte", idx([3], [0, 1, 9]))),
    Row("class names of another number", 2, (r"data\.class_names", r"names\.txt"), prepare=put("names.txt", b"one\n"),
        edit=edited("domain:", "class_names: names.txt\n  domain:")),
    Row("folder that holds itself", 0, edit=pictures(), prepare=link("pictures/again", ".")),
    Row("link to nowhere", 3, (r"item failed.*gone\.png",), edit=pictures(), prepare=link("pictures/gone.png", "nowhere")),
    Row("link to itself", 3, (r"item failed.*self\.png",), edit=pictures(), prepare=link("pictures/self.png", "self.png")),
    Row("all pictures are broken", 3, (r"all|2 of 2|1 of 1",), edit=(FOLDER_DATA,),
        prepare=put("pictures/good.png", b"no picture\n")),
    Row("folder without pictures", 2, (r"empty-folder",), edit=(FOLDER_DATA, (": pictures", ": empty-folder")),
        prepare=make_folder("empty-folder")),
    Row("text that calls itself PNG", 3, (r"item failed.*text\.png",), edit=pictures(), prepare=put(
        "pictures/text.png", b"I am no picture\n"), ranks=3),
    Row("PNG cut off on three ranks", 3, (r"item failed.*half\.png",), edit=pictures(),
        prepare=put("pictures/half.png", png(4, 4)[:50]), ranks=3),
    Row("empty picture", 3, (r"void\.png",), edit=pictures(), prepare=put("pictures/void.png", b"")),
    Row("picture cut off", 3, (r"half\.png",), edit=pictures(), prepare=put("pictures/half.png", png(4, 4)[:50])),
    Row("picture with damaged pixels", 3, (r"odd\.png",), edit=pictures(),
        prepare=put("pictures/odd.png", png(4, 4, b"\0\1\2"))),
    Row("picture with a huge head", 3, (r"huge\.png",), edit=pictures(),
        prepare=put("pictures/huge.png", png(2000000000, 2000000000, b"\0"))),
    Row("text that calls itself JPEG", 3, (r"text\.jpg",), edit=pictures(),
        prepare=put("pictures/text.jpg", b"\xff\xd8\xff\xe0 and nothing else")),
    Row("colours for a grey network", 2, (r"\b3\b.*\b1\b", r"grey"), edit=pictures(("{color: grey}", "{color: rgb}"))),
    Row("picture of another size", 3, (r"large\.png", r"9 ?x ?9"), edit=pictures(),
        prepare=put("pictures/large.png", png(9, 9))),
    Row("list of files that are not there", 3, (r"item failed.*gone\.png",), edit=source("list: list.txt\n  preprocess: {color: grey}"),
        prepare=put("list.txt", b"pictures/good.png 1\ngone.png 2\n")),
    Row("list of nothing", 2, (r"data\.list", r"list\.txt"), "list:", source("list: list.txt"), prepare=put("list.txt", b"# none\n\n")),
    Row("list with a line twice", 2, (r"data\.list", r"a\.png twice"), "list:",
        source("list: list.txt\n  preprocess: {color: grey}"), prepare=put("list.txt", b"a.png\nb.png\na.png\n")),
    Row("list with an impossible class", 2, (r"list\.txt:2:", r"99999999999"), "list:", source("list: list.txt"),
        prepare=put("list.txt", b"a.png 1\nb.png 99999999999\n")),
    Row("list that is a picture", 2, (r"data\.list", r"text"), "list:", source("list: pictures/good.png")),
    Row("tar cut off", 2, (r"a\.tar", r"cut short"), "tar:", source("tar: a.tar"), prepare=put("a.tar", tar(a_png=png(4, 4))[:600]),
        ranks=3),
    Row("tar that is gzipped", 2, (r"a\.tar\.gz", r"gunzip"), "tar:", source("tar: a.tar.gz"),
        prepare=put("a.tar.gz", gzip.compress(tar(a_png=png(4, 4))))),
    Row("tar that is a picture", 2, (r"good\.png", r"no tar archive"), "tar:", source("tar: pictures/good.png")),
    Row("tar without pictures", 2, (r"a\.tar", r"no image"), "tar:", source("tar: a.tar"), prepare=put("a.tar", tar(a_txt=b"a"))),
    Row("tar pattern that means nothing", 2, (r"b\*\.tar",), "tar:", source("tar: b*.tar")),
    Row("tar with a broken picture", 3, (r"item failed.*b\.png.*a\.tar",), edit=source("tar: a.tar\n  preprocess: {color: grey}"),
        prepare=put("a.tar", tar(a_png=png(4, 4), b_png=b"no picture"))),
    Row("tar with a class that is none", 2, (r"a\.cls", r"cat"), "tar:", source("tar: a.tar"),
        prepare=put("a.tar", tar(a_png=png(4, 4), a_cls=b"cat"))),
    Row("npy cut off", 2, (r"a\.npy", r"early"), "npy:", source("npy: a.npy"), prepare=put("a.npy", npy([3, 1, 4, 4])[:200])),
    Row("npy of a huge shape", 2, (r"a\.npy", r"shape|early"), "npy:", source("npy: a.npy"),
        prepare=put("a.npy", npy([2**62, 4, 4], data=b""))),
    Row("npy in Fortran order", 2, (r"a\.npy", r"ascontiguousarray"), "npy:", source("npy: a.npy"),
        prepare=put("a.npy", npy([3, 1, 4, 4], fortran=True))),
    Row("npy of words", 2, (r"a\.npy", r"<U3"), "npy:", source("npy: a.npy"),
        prepare=put("a.npy", npy([3, 4, 4], "<U3", data=bytes(576)))),
    Row("npy that is a text", 2, (r"job\.yaml", r"not a \.npy"), "npy:", source("npy: job.yaml")),
    Row("npy of another size", 2, (r"5x4", r"4x4"), "npy:", source("npy: a.npy"), prepare=put("a.npy", npy([3, 1, 5, 4]))),
    Row("npy of other channels", 2, (r"2 channels", r"layout"), "npy:", source("npy: a.npy"), prepare=put("a.npy", npy([3, 2, 4, 4]))),
    Row("npy whose numbers are not finite", 3, (r"item failed.*a\.npy#1.*inf",), edit=source("npy: a.npy"),
        prepare=put("a.npy", npy([3, 4, 4], data=bytes(64) + struct.pack("<f", float("inf")) + bytes(124)))),
    Row("npz cut off", 2, (r"a\.npz", r"cut short"), "npz:", source("npz: {file: a.npz}"),
        prepare=put("a.npz", npz(x=npy([3, 4, 4]))[:150])),
    Row("npz without that array", 2, (r"a\.npz", r"'z'", r"\bx\b"), "npz:", source("npz: {file: a.npz, array: z}"),
        prepare=put("a.npz", npz(x=npy([3, 4, 4])))),
    Row("npz of several arrays", 2, (r"a\.npz", r"x, y"), "npz:", source("npz: {file: a.npz}"),
        prepare=put("a.npz", npz(x=npy([3, 4, 4]), y=npy([3, 4, 4])))),
    Row("npz with labels of another number", 2, (r"data\.labels", r"2 labels for 3"), edit=source("npz: {file: a.npz, labels: y}"),
        prepare=put("a.npz", npz(x=npy([3, 4, 4]), y=npy([2], "<i4")))),
    Row("HDF5 that is a text", 2, (r"job\.yaml", r"no HDF5"), "hdf5:", source("hdf5: {file: job.yaml, dataset: x}")),
    Row("HDF5 without that dataset", 2, (r"a\.h5", r"'z'"), "hdf5:", source("hdf5: {file: a.h5, dataset: z}"), prepare=hdf5_file),
    Row("HDF5 of words", 2, (r"a\.h5", r"numbers"), "hdf5:", source("hdf5: {file: a.h5, dataset: words}"), prepare=hdf5_file),
    Row("HDF5 with labels of another number", 2, (r"a\.h5", r"2 labels for 3"), "hdf5:",
        source("hdf5: {file: a.h5, dataset: x, labels: y}"), prepare=hdf5_file),
    Row("targets from nothing", 2, (r"target\.from", r"gone\.h5"), "gone.h5", edited("predicted", "{from: gone.h5}")),
    Row("targets from a text", 2, (r"target\.from", r"labels-idx1-ubyte"), "{from:", edited("predicted", "{from: labels-idx1-ubyte}")),
    Row("targets from a result that is written", 2, (r"target\.from", r"study\.output"), edit=edited("predicted", "{from: first.h5}"),
        prepare=run_part, args=("job.yaml", "--fresh", "--set", "study.output=first.h5", "--set", "data.limit=1")),
    Row("targets from a result without the item", 2, (r"images-idx3-ubyte#1",), "{from:",
        edited("predicted", "{from: first.h5}"), prepare=run_part),
    Row("one bad picture is allowed", 0, (r"text\.png",), edit=(FOLDER_DATA, (
        NO_FAILURES[0], NO_FAILURES[1].replace("0", "1"))), prepare=put("pictures/text.png", b"no picture\n")),
]

RESULT = [
    Row("output is a text file", 4, (r"out\.h5",), prepare=put("out.h5", b"my precious notes\n"), ranks=3),
    Row("output is another program's HDF5", 4, (r"out\.h5",), prepare=foreign_hdf5),
    Row("output is a folder", 4, (r"out\.h5",), prepare=make_folder("out.h5")),
    Row("output below a file", 4, (r"model\.onnx",), edit=edited("output: out.h5", "output: model.onnx/out.h5")),
    Row("folder that cannot be written", 4, (r"/proc/",), edit=edited("output: out.h5", "output: /proc/out.h5")),
    Row("output of another job", 2, (r"study\.seed", r"\b1\b.*\b2\b", r"--fresh"), prepare=run_first,
        args=("job.yaml", "--set", "study.seed=2"), ranks=3),
    Row("result cut off", 4, (r"out\.h5",), prepare=run_first_and_cut),
    Row("result of a run that goes on", 4, (r"out\.h5", r"process|pid|run"), prepare=run_beside,
        args=("job.yaml", "--set", "sampling.samples=2000000000")),
    Row("result of a later version", 4, (r"out\.h5", r"version 2\b.*version 1\b"), prepare=damage(age)),
    Row("result without its maps", 4, (r"out\.h5", r"maps/smoothgrad/map"), prepare=damage(forget_maps)),
    Row("output is the model", 2, (r"model\.onnx", r"study\.output"), edit=edited("out.h5", "model.onnx"),
        args=("job.yaml", "--fresh")),
    Row("output is the job", 2, (r"job\.yaml", r"study\.output"), edit=edited("out.h5", "job.yaml"),
        args=("job.yaml", "--fresh")),
    Row("output is a text file, started over", 0, prepare=put("out.h5", b"old notes\n"), args=("job.yaml", "--fresh")),
    Row("output is a folder, started over", 4, (r"out\.h5.*folder",), prepare=put("out.h5/notes", b"mine"), args=("job.yaml", "--fresh")),
    Row("failures of the run before", 3, (r"text\.png|earlier", r"--retry-failed"), edit=pictures(), prepare=fail_first),
    Row("checkpoint of rubbish", 0, (r"item-0",), prepare=garbage_checkpoint),
    Row("lock of a run that is gone", 0, (r"gone",), prepare=lock()),
    Row("lock of rubbish", 0, prepare=lambda folder: (put("out.h5.lock", b"\0\1\2")(folder), os.utime(
        folder / "out.h5.lock", (0, 0)))),
    Row("lock of another host", 4, (r"out\.h5.*process 77 on elsewhere",), prepare=lock("elsewhere", 77)),
    Row("lock of another host, long silent", 0, (r"elsewhere",), prepare=lock("elsewhere", 77, idle_s=600)),
    Row("status of a folder", 4, (r"pictures.*folder",), args=("status", "pictures")),
    Row("show of an item past the end", 2, (r"\b99\b",), prepare=run_first, args=("show", "out.h5", "--items", "99")),
    Row("show of an item that is no number", 2, (r"--items", r"one"), prepare=run_first,
        args=("show", "out.h5", "--items", "one")),
    Row("show of a method that is not in it", 2, (r"'smothgrad'", r"'smoothgrad'"), prepare=run_first,
        args=("show", "out.h5", "--methods", "smothgrad")),
    Row("show into a folder that is not there", 4, (r"gone/out\.png",), prepare=run_first,
        args=("show", "out.h5", "-o", "gone/out.png")),
    Row("show of items that are no pictures", 0, (r"no grey or coloured pictures",), edit=source("npy: a.npy"),
        prepare=run_two_channels, args=("show", "out.h5")),
    Row("status of nothing", 4, (r"gone\.h5",), args=("status", "gone.h5")),
    Row("status of a text", 4, (r"job\.yaml",), args=("status", "job.yaml")),
    Row("diff of two studies", 1, (r"study\.seed: 1 in A, 2 in B", r"they differ"), prepare=run_two,
        args=("diff", "out.h5", "other.h5")),
    Row("diff with nothing", 4, (r"gone\.h5",), prepare=run_first, args=("diff", "out.h5", "gone.h5")),
    Row("show as a picture that is no PNG", 2, (r"out\.jpg", r"\.png"), prepare=run_first,
        args=("show", "out.h5", "-o", "out.jpg")),
    Row("help of an unknown verb", 2, (r"'shw'", r"'show'"), args=("help", "shw")),
    Row("show of a text", 4, (r"job\.yaml",), args=("show", "job.yaml")),
    Row("describe of a model", 4, (r"model\.onnx",), args=("describe", "model.onnx")),
]

ARGUMENTS = [
    Row("nothing at all", 2, (r"[Uu]sage",), args=()),
    Row("unknown verb", 2, (r"chekc", r"\bcheck\b"), args=("chekc", "job.yaml")),
    Row("unknown option", 2, (r"--sett", r"--set\b"), args=("job.yaml", "--sett", "a=b"), ranks=3),
    Row("option without its value", 2, (r"--set",), args=("job.yaml", "--set")),
    Row("job that is not there", 2, (r"gone\.yaml",), args=("gone.yaml",)),
    Row("two jobs", 2, (r"job\.yaml",), args=("job.yaml", "job.yaml")),
    Row("check without a job", 2, (r"check",), args=("check",)),
    Row("check of a bad job", 2, (r"sampling\.samples",), edit=sampling("samples: x"), args=("check", "job.yaml")),
    Row("pack of nothing", 4, (r"gone\.h5",), args=("pack", "gone.h5")),
    Row("pack of nothing, in its place", 4, (r"gone\.h5",), args=("pack", "gone.h5", "--in-place")),
    Row("pack of a text", 4, (r"job\.yaml",), args=("pack", "job.yaml")),
    Row("pack of a folder", 4, (r"pictures.*folder",), args=("pack", "pictures")),
    Row("pack without a file", 2, (r"pack",), args=("pack",)),
    Row("pack at a level that is none", 2, (r"--level", r"'0'", r"1 to 9"), args=("pack", "out.h5", "--level", "0")),
    Row("pack twice over", 2, (r"-o", r"--in-place"), args=("pack", "out.h5", "-o", "b.h5", "--in-place")),
    Row("pack of a result that is not complete", 2, (r"out\.h5: is not complete", r"3 of its 3 items"), prepare=stop_early,
        args=("pack", "out.h5")),
    Row("pack into itself", 2, (r"out\.h5 is the result itself", r"--in-place"), prepare=run_first,
        args=("pack", "out.h5", "-o", "./out.h5")),
    Row("pack over something", 2, (r"job\.yaml exists",), prepare=run_first, args=("pack", "out.h5", "-o", "job.yaml")),
    Row("pack of samples", 2, (r"s\.h5", r"not the result of a study"), prepare=run_samples, args=("pack", "s.h5")),
    Row("pack below a file", 4, (r"job\.yaml/p\.h5",), prepare=run_first, args=("pack", "out.h5", "-o", "job.yaml/p.h5")),
    Row("pack of a result that has been cut", 4, (r"out\.h5", r"has been cut"), prepare=run_and_cut, args=("pack", "out.h5")),
    Row("diff of one file", 2, (r"diff",), args=("diff", "out.h5")),
    Row("diff with a tolerance that is no number", 2, (r"--rtol", r"tiny"),
        args=("diff", "a.h5", "b.h5", "--rtol", "tiny")),
    Row("show without a file", 2, (r"show",), args=("show",)),
    Row("list of the unknown", 2, (r"metods", r"\bmethods\b"), args=("list", "metods")),
    Row("info of nothing", 2, (r"gone\.onnx",), args=("info", "gone.onnx")),
    Row("bench of nothing", 2, (r"gone\.onnx",), args=("bench", "gone.onnx")),
    Row("bench of a text", 2, (r"job\.yaml",), args=("bench", "job.yaml")),
    Row("bench of no samples", 2, (r"--block", r"1 to 4096"), args=("bench", "model.onnx", "--block", "0")),
    Row("bench for no time", 2, (r"--seconds", r"above 0"), args=("bench", "model.onnx", "--seconds", "0")),
    Row("bench into no folder", 4, (r"no/t\.json",), args=("bench", "model.onnx", "--seconds", "0.01", "--json", "no/t.json")),
    Row("bench of an open shape", 2, (r"shape",), prepare=put("open.onnx", open_model()), args=("bench", "open.onnx")),
    Row("eval without an input", 2, (r"--input",), args=("eval", "model.onnx")),
    Row("eval of an input that is not there", 2, (r"gone\.npy",),
        args=("eval", "model.onnx", "--input", "gone.npy", "--output", "y.npy")),
    Row("sample without an item", 2, (r"--item",), args=("sample", "job.yaml", "-o", "s.h5")),
    Row("sample of an item past the end", 2, (r"\b99\b",),
        args=("sample", "job.yaml", "--item", "99", "--samples", "0:4", "-o", "s.h5")),
    Row("sample of an unknown item", 2, (r"nobody",),
        args=("sample", "job.yaml", "--item", "nobody", "--samples", "0:4", "-o", "s.h5")),
    Row("sample of an unknown method", 2, (r"vargrad",),
        args=("sample", "job.yaml", "--item", "0", "--samples", "0:4", "--method", "vargrad", "-o", "s.h5")),
    Row("more samples than there are", 2, (r"0:17", r"\b15\b"),
        args=("sample", "job.yaml", "--item", "0", "--samples", "0:17", "-o", "s.h5")),
    Row("sample into a file for a folder", 4, (r"model\.onnx",),
        args=("sample", "job.yaml", "--item", "0", "--samples", "0:4", "-o", "model.onnx/s.h5")),
    Row("hours that are no number", 2, (r"max_hours", r"soon"), args=("job.yaml", "--max-hours", "soon")),
    Row("check for no ranks", 2, (r"--ranks",), args=("check", "job.yaml", "--ranks", "0")),
    Row("option that takes no value", 2, (r"--fresh",), args=("job.yaml", "--fresh=yes")),
    Row("eval of a text", 3, (r"job\.yaml",), args=("eval", "model.onnx", "--input", "job.yaml")),
    Row("target that is no output", 2, (r"--target", r"\b3\b"),
        prepare=lambda folder: put("x.npy", npy(SHAPE))(folder),
        args=("eval", "model.onnx", "--input", "x.npy", "--target", "3")),
    Row("samples the wrong way round", 2, (r"4:0",),
        args=("sample", "job.yaml", "--item", "0", "--samples", "4:0", "-o", "s.h5")),
]

# The table's own check: what all rows spoil is good.
GOOD = [
    Row("the good job runs", 0),
    Row("the good job runs on three ranks", 0, ranks=3),
    Row("the good folder of pictures runs", 0, edit=pictures()),
]
ROWS = GOOD + JOB + MODEL + DATA + RESULT + ARGUMENTS

ENV = dict(os.environ, LC_ALL="C", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
           OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_hwloc_base_binding_policy="none",
           OPENBLAS_NUM_THREADS="1")

# Signs of a program that broke, and of a message that is for programmers.
NEVER = (r"core dumped", r"[Aa]ssert", r"Segmentation", r"Sanitizer", r"runtime error:", r"HDF5-DIAG",
         r"\b\w+\.c:\d+", r"SG_E_\w+", r"\(null\)", r"MPI_Abort|MPI_ABORT was invoked")


def run(command, folder, settings=None):
    return subprocess.run(command, cwd=folder, env=ENV | (settings or {}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT_S)


def write_job(row, folder):
    """The row's job file; returns its text."""
    if row.job is not None:
        (folder / "job.yaml").write_bytes(row.job)
        return ""
    text = GOOD_JOB
    for old, new in row.edit:
        assert old in text, f"row '{row.name}': the job has no {old!r} to replace"
        text = text.replace(old, new, 1)
    (folder / "job.yaml").write_text(text)
    return text


def complaints(row, done, job, before, folder):
    """What is wrong with the program's answer."""
    bad, out = [], done.stdout
    if done.returncode != row.code:
        bad.append(f"exit code {done.returncode}, expected {row.code}")
    bad += [f"the output lacks /{pattern}/" for pattern in row.says if not re.search(pattern, out)]
    bad += [f"the output has /{pattern}/" for pattern in NEVER if re.search(pattern, out)]
    if row.at:
        line = job[:job.index(row.at)].count("\n") + 1
        if not re.search(rf"job\.yaml:{line}:\d+", out):
            bad.append(f"the output does not name job.yaml:{line}:<column>")
    if row.ranks > 1 and row.says:
        lines = sum(1 for line in out.splitlines() if re.search(row.says[0], line))
        if lines != 1:
            bad.append(f"/{row.says[0]}/ is in {lines} lines, expected it from one rank in one line")
    if row.code == 2 and not before and (folder / "out.h5").exists():
        bad.append("a refused job left a result behind")
    return bad


def run_row(row, folder):
    if folder.exists():
        shutil.rmtree(folder)
    good_folder(folder)
    job = write_job(row, folder)
    try:
        beside = row.prepare(folder) if row.prepare else None
    except (OSError, AssertionError, subprocess.TimeoutExpired) as error:
        return [f"the row cannot be prepared: {error}"], "", ""
    before = (folder / "out.h5").exists()
    command = [SGDIST, *row.args]
    if row.ranks > 1:
        command = ["mpirun", "-n", str(row.ranks), *command]
    try:
        done = run(command, folder)
    except subprocess.TimeoutExpired:
        return [f"no answer in {TIMEOUT_S} s"], " ".join(command), ""
    finally:
        if isinstance(beside, subprocess.Popen):
            beside.kill()
            beside.wait()
    return complaints(row, done, job, before, folder), " ".join(command), done.stdout


def judge(row, show):
    """Runs a row in a folder of its own; 1 if the answer is wrong, and what to print."""
    folder = WORK / re.sub(r"\W+", "-", row.name)
    try:
        bad, command, output = run_row(row, folder)
    except Skip as reason:
        return 0, f"skipped: {row.name} ({reason})"
    answer = "\n".join(f"  | {line}" for line in output.splitlines()[:40 if show else 12])
    if bad:
        reasons = "\n".join(f"  - {text}" for text in bad)
        return 1, f"FAILED: {row.name}\n  {command}   (in {folder})\n{reasons}\n{answer}"
    shutil.rmtree(folder)
    return 0, f"{row.name}: exit code {row.code}\n  {command}\n{answer}" if show else ""


def main():
    arguments = sys.argv[1:]
    show = "--show" in arguments
    words = [word for word in arguments if word != "--show"]
    wanted = [row for row in ROWS if all(word in row.name for word in words)]
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names), "two rows have one name"
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for bad, text in pool.map(lambda row: judge(row, show), wanted):
            failed += bad
            if text:
                print(text, flush=True)
    print(f"{len(wanted) - failed} of {len(wanted)} kinds of input got the right answer")
    return 1 if failed or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
