"""Every source of data against independent readers: what the network gets is what Pillow, tarfile, NumPy and h5py hold.

For a network y = sum(x) the map of gradient_x_input is x itself: one run shows every item of a source, with its name and
label, to the last bit. Usage: test_sources.py SGDIST"""
import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest

try:
    import h5py
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import same_bits
import tiny_onnx as onnx
from program import REPOSITORY, sgdist, write_job

SGDIST = os.path.abspath(sys.argv[1])
RANDOM = np.random.default_rng(11)
PHOTO = (3, 10, 14)


class Scratch(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.count = 0

    def path(self, name):
        path = os.path.join(self.scratch.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def job(self, data, shape, methods="[gradient_x_input]", **sections):
        """The path of a job on `data` whose network adds up an item, and that of its result."""
        self.count += 1
        model, result = self.path(f"{self.count}.onnx"), self.path(f"{self.count}.h5")
        with open(model, "wb") as f:
            f.write(onnx.linear(list(shape), [[1.0] * onnx.size(shape)]))
        job = write_job(self.path(f"{self.count}.yaml"), study={"output": result}, model={"file": model}, data=data,
                        methods=methods, **sections)
        return job, result

    def read(self, data, shape):
        """{name: (label, x)} as sgdist reads the source, in its order."""
        job, result = self.job(data, shape)
        if self.count == 1:  # once a test, that is with every kind of source
            self.assertIn("memory a rank", sgdist(SGDIST, "check", job))
        sgdist(SGDIST, job)
        with h5py.File(result, "r") as f:
            self.assertTrue((f["items/status"][()] == 1).all(), f["items/message"][()])
            maps = f["maps/gradient_x_input/map"][()].reshape(-1, *shape)
            return {name: (label, x) for name, label, x in zip(f["items/id"].asstr()[()], f["items/label"][()], maps)}

    def refused(self, data, shape, *words):
        job, _ = self.job(data, shape)
        run = subprocess.run([SGDIST, "check", job], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2, run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)

    def assert_same(self, got, want):
        """Names in order, labels, and numbers to the last bit."""
        self.assertEqual(list(got), list(want))
        for name, (label, x) in want.items():
            self.assertEqual(got[name][0], label, name)
            self.assertEqual(got[name][1].dtype, np.float32)
            x = x.astype(np.float32)
            self.assertTrue(np.array_equal(got[name][1], x), f"{name}: {np.abs(got[name][1] - x).max()}")


def photo():
    return Image.fromarray(RANDOM.integers(0, 256, (PHOTO[1], PHOTO[2], 3), np.uint8))


def encoded(image, name):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if name.lower().endswith(("jpg", "jpeg")) else "PNG")
    return buffer.getvalue()


def shown(data):
    """What Pillow sees in the bytes of a file."""
    x = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).transpose(2, 0, 1)
    return x.astype(np.float32) / np.float32(255)


LONG = "a-very-long-folder-name-of-a-class/" + "deeper/" * 30 + "x" * 90 + ".png"
NAMES = ["cat/1.png", "cat/2.jpg", "cat/b c.PNG", "dog/1.png", "dog/\u00fcber.jpeg", "eel/deep/er/9.png", LONG,
         "zebra/" + "n" * 95 + ".png", "zebra/" + "m" * 200 + ".jpg"]
FILES = {name: encoded(photo(), name) for name in sorted(NAMES, key=str.encode)}
CLASSES = sorted({name.split("/")[0] for name in NAMES})
WANTED = {name: (CLASSES.index(name.split("/")[0]), shown(data)) for name, data in FILES.items()}


def write_tar(path, files, kind=tarfile.PAX_FORMAT, start="", folders=False):
    with tarfile.open(path, "w", format=kind) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(start + name)
            info.size = len(data)
            info.mtime = 1.5 if kind == tarfile.PAX_FORMAT else 1  # a fraction needs a pax head of its own
            if folders:
                above = tarfile.TarInfo(os.path.dirname(start + name))
                above.type = tarfile.DIRTYPE
                tar.addfile(above)
            tar.addfile(info, io.BytesIO(data))


class Files(Scratch):
    def test_folder_list_and_tar_are_the_same_items(self):
        for name, data in FILES.items():
            with open(self.path("tree/" + name), "wb") as f:
                f.write(data)
        self.assert_same(self.read({"folder": self.path("tree")}, PHOTO), WANTED)
        with open(self.path("tree/list.txt"), "w") as f:
            f.write("# path and class\n\n" + "".join(f"{'./' * (i % 2)}{n}{' ' if i % 3 else chr(9)}{WANTED[n][0]}\r\n"
                                                    for i, n in enumerate(reversed(FILES))))
        want = {name: WANTED[name] for name in reversed(FILES)}
        self.assert_same(self.read({"list": self.path("tree/list.txt")}, PHOTO), want)
        write_tar(self.path("a[1]b.tar"), FILES)
        self.assert_same(self.read({"tar": f"'{self.path('a[1]b.tar')}'"}, PHOTO), WANTED)
        for start in ("", "./", "/"):
            write_tar(self.path("a.tar"), FILES, start=start, folders=start == "./")
            self.assert_same(self.read({"tar": self.path("a.tar")}, PHOTO), WANTED)
        subprocess.run(["tar", "-C", self.path("tree"), "-cf", self.path("gnu.tar"), "."], check=True)
        self.assert_same(self.read({"tar": self.path("gnu.tar")}, PHOTO), WANTED)

    def test_list_without_labels_and_with_absolute_paths(self):
        data = encoded(photo(), "x.png")
        for name in ("a 7 b.png", "b.png"):
            with open(self.path(name), "wb") as f:
                f.write(data)
        absolute = self.path("b.png")
        with open(self.path("l/list"), "w") as f:
            f.write(f"../a 7 b.png\n{absolute} 3")
        self.assert_same(self.read({"list": self.path("l/list")}, PHOTO),
                         {"../a 7 b.png": (-1, shown(data)), absolute: (3, shown(data))})

    def test_formats_of_tar(self):
        short = {n: d for n, d in FILES.items() if len(n) < 240}
        for kind, files in ((tarfile.GNU_FORMAT, FILES), (tarfile.PAX_FORMAT, FILES), (tarfile.USTAR_FORMAT, short)):
            if kind == tarfile.USTAR_FORMAT:
                files = {n: d for n, d in short.items() if len(os.path.basename(n)) <= 100 and len(n) < 200}
            write_tar(self.path("a.tar"), files, kind)
            labels = sorted({n.split("/")[0] for n in files})
            self.assert_same(self.read({"tar": self.path("a.tar")}, PHOTO),
                             {n: (labels.index(n.split("/")[0]), WANTED[n][1]) for n in files})

    def test_large_numbers_in_binary(self):
        """GNU's base-256 size, which tarfile writes above 8 GiB only."""
        write_tar(self.path("a.tar"), {"1.png": FILES["cat/1.png"]}, tarfile.GNU_FORMAT)
        with open(self.path("a.tar"), "r+b") as f:
            head = bytearray(f.read(512))
            head[124:136] = b"\x80" + int(head[124:135], 8).to_bytes(11, "big")
            head[148:156] = b" " * 8
            head[148:156] = b"%06o\0 " % sum(head)
            f.seek(0)
            f.write(head)
        self.assert_same(self.read({"tar": self.path("a.tar")}, PHOTO), {"1.png": (-1, WANTED["cat/1.png"][1])})

    def test_shards_never_show(self):
        names = list(FILES)
        for k in range(3):
            write_tar(self.path(f"shards/{k}.tar"), {n: FILES[n] for n in names[k::3]})
        self.assert_same(self.read({"tar": self.path("shards/*.tar")}, PHOTO), WANTED)
        self.assert_same(self.read({"tar": [self.path("shards/2.tar"), self.path("shards/0.tar"),
                                          self.path("shards/1.tar")]}, PHOTO), WANTED)
        self.refused({"tar": [self.path("shards/*.tar"), self.path("shards/1.tar")]}, PHOTO, "1.tar is named twice")
        write_tar(self.path("shards/again.tar"), {names[0]: FILES[names[0]]})
        self.refused({"tar": self.path("shards/*.tar")}, PHOTO, "two images " + names[0], "0.tar", "again.tar")

    def test_archives_inside_of_an_archive(self):
        """ImageNet comes as one archive of a class each."""
        inner = {}
        for c in CLASSES:
            write_tar(self.path("inner.tar"), {n.split("/", 1)[1]: d for n, d in FILES.items() if n.startswith(c + "/")})
            with open(self.path("inner.tar"), "rb") as f:
                inner[c + ".tar"] = f.read()
        write_tar(self.path("outer.tar"), inner, tarfile.GNU_FORMAT)
        self.assert_same(self.read({"tar": self.path("outer.tar")}, PHOTO), WANTED)

    def test_labels_in_cls_files(self):
        files = {}
        for i, data in enumerate(list(FILES.values())[:4]):
            files[f"s/{i:04d}.left.png"] = data
            if i != 2:
                files[f"s/{i:04d}.cls"] = b"%d\n" % (i * 7)
        write_tar(self.path("a.tar"), files)
        want = {n: (-1 if n[5] == "2" else 7 * int(n[5]), shown(d)) for n, d in files.items() if n.endswith("png")}
        self.assert_same(self.read({"tar": self.path("a.tar")}, PHOTO), want)
        write_tar(self.path("b.tar"), {"s/0000.cls": b"1"})
        self.refused({"tar": self.path("?.tar")}, PHOTO, "two files s/0000.cls")

    def test_bad_archives(self):
        write_tar(self.path("good.tar"), FILES)
        with open(self.path("good.tar"), "rb") as f:
            good = f.read()
        bad = self.path("bad.tar")
        for data, *words in ((gzip.compress(good), "gzip", "gunzip"), (b"BZh9" + good, "bzip2"), (b"", "no tar"),
                             (b"x" * 2000, "no tar archive"), (good[:700], "cut short"), (good[:5000], "cut short"),
                             (good + good, "more behind the archive's end"),
                             (good[:1024] + b"\1" * 512 + good[1536:], "damaged"), (bytes(1024), "no image")):
            with open(bad, "wb") as f:
                f.write(data)
            self.refused({"tar": bad}, PHOTO, "bad.tar", *words)
        with tarfile.open(bad, "w") as tar:
            link = tarfile.TarInfo("b.png")
            link.type, link.linkname = tarfile.SYMTYPE, "a.png"
            tar.addfile(link)
        self.refused({"tar": bad}, PHOTO, "b.png", "is a link", "--dereference")
        self.refused({"tar": self.path("gone-*.tar")}, PHOTO, "gone-*.tar")


class Arrays(Scratch):
    def numbers(self, dtype, shape):
        kind = np.dtype(dtype).kind
        if kind == "b":
            return RANDOM.integers(0, 2, shape).astype(bool)
        if kind == "f":
            return (RANDOM.standard_normal(shape) * 3).astype(dtype)
        info = np.iinfo(dtype)
        return RANDOM.integers(info.min, info.max, shape, dtype=np.dtype(dtype).newbyteorder("="), endpoint=True)

    def as_input(self, a):
        """The documented rule: bytes over 255, 16-bit unsigned over 65535, others as they are; float32."""
        white = {"u1": 255, "u2": 65535}.get(a.dtype.kind + str(a.dtype.itemsize), 1)
        return a.astype(np.float32) / np.float32(white)

    def wanted(self, stem, a, labels=None):
        return {f"{stem}#{i}": (-1 if labels is None else labels[i], x) for i, x in enumerate(self.as_input(a))}

    def test_npy_of_every_type(self):
        for dtype in ("|b1", "|u1", "|i1", ">u2", "<i2", "<u4", ">i8", "<u8", "<f2", ">f4", "<f8"):
            a = self.numbers(dtype, (5, 3, 4, 6)).astype(dtype)
            if dtype == "<f2":
                a.flat[:6] = [0.0, -0.0, 6e-8, -6.1e-5, 65504, 1e-4]
            np.save(self.path("a.npy"), a)
            self.assert_same(self.read({"npy": self.path("a.npy")}, (3, 4, 6)), self.wanted("a.npy", a))

    def test_layouts(self):
        a = self.numbers("f4", (4, 5, 6, 3))
        first = a.transpose(0, 3, 1, 2)
        np.save(self.path("a.npy"), a)
        want = self.wanted("a.npy", first)
        for layout in ({}, {"layout": "auto"}, {"layout": "channels_last"}):
            self.assert_same(self.read({"npy": self.path("a.npy"), **layout}, (3, 5, 6)), want)
        self.refused({"npy": self.path("a.npy"), "layout": "channels_first"}, (3, 5, 6), "5 channels", "data.layout")
        cube = self.numbers("u1", (2, 3, 3, 3))
        np.save(self.path("b.npy"), cube)
        self.assert_same(self.read({"npy": self.path("b.npy")}, (3, 3, 3)), self.wanted("b.npy", cube))
        self.assert_same(self.read({"npy": self.path("b.npy"), "layout": "channels_last"}, (3, 3, 3)),
                         self.wanted("b.npy", cube.transpose(0, 3, 1, 2)))
        grey = self.numbers("f4", (2, 5, 6))
        np.save(self.path("c.npy"), grey)
        self.assert_same(self.read({"npy": self.path("c.npy")}, (1, 5, 6)), self.wanted("c.npy", grey[:, None]))
        self.assert_same(self.read({"npy": self.path("c.npy")}, (3, 5, 6)),
                         self.wanted("c.npy", np.repeat(grey[:, None], 3, 1)))

    def test_other_inputs_than_pictures(self):
        """Feature vectors, time series, volumes, many channels."""
        for shape in ((7,), (12, 50), (2, 3, 4, 5), (13, 8, 8)):
            a = self.numbers("f8", (4, *shape))
            np.save(self.path("a.npy"), a)
            self.assert_same(self.read({"npy": self.path("a.npy")}, shape), self.wanted("a.npy", a))
            last = np.ascontiguousarray(np.moveaxis(a, 1, -1))
            with h5py.File(self.path("a.h5"), "w") as f:
                f["x"] = last
            self.assert_same(self.read({"hdf5": {"file": self.path("a.h5"), "dataset": "x"}}, shape),
                             self.wanted("a.h5/x", a))
        series = self.numbers("f4", (4, 50))
        np.save(self.path("a.npy"), series)
        self.assert_same(self.read({"npy": self.path("a.npy")}, (1, 50)), self.wanted("a.npy", series[:, None]))
        self.refused({"npy": self.path("a.npy")}, (2, 50), "50")
        self.refused({"npy": self.path("a.npy")}, (3, 5, 10), "the model takes 3 axes (3x5x10)")
        self.refused({"npy": self.path("a.npy"), "preprocess": {"crop": 5}}, (1, 50), "data.preprocess")

    def test_white_scale_mean_and_std(self):
        a = self.numbers("u2", (3, 3, 4, 4)) % 4096
        np.save(self.path("a.npy"), a)
        preprocess = {"white": 4095, "scale": 2, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
        got = self.read({"npy": self.path("a.npy"), "preprocess": preprocess}, (3, 4, 4))
        pixels = a.astype(np.float32) / np.float32(4095) * np.float32(2)
        mean, std = (np.float32(preprocess[k]).reshape(3, 1, 1) for k in ("mean", "std"))
        self.assert_same(got, {f"a.npy#{i}": (-1, (p - mean) / std) for i, p in enumerate(pixels)})

    def test_arrays_are_resized_as_pillow_does(self):
        a = self.numbers("f4", (2, 3, 20, 30))
        np.save(self.path("a.npy"), a)
        got = self.read({"npy": self.path("a.npy"), "preprocess": {"resize": 8, "crop": [8, 10]}}, (3, 8, 10))
        want = np.stack([[np.asarray(Image.fromarray(c).resize((12, 8), Image.BILINEAR))[:, 1:11] for c in x] for x in a])
        self.assert_same(got, self.wanted("a.npy", want))

    def test_labels_beside_npy(self):
        a = self.numbers("u1", (6, 4, 4))
        np.save(self.path("a.npy"), a)
        labels = [3, 0, -1, 7, 1000, 2]
        for dtype in ("i1", "<i2", ">i4", "i8"):
            own = [v if np.iinfo(dtype).max >= v else 5 for v in labels]
            np.save(self.path("y.npy"), np.array(own, dtype))
            got = self.read({"npy": self.path("a.npy"), "labels": self.path("y.npy")}, (1, 4, 4))
            self.assert_same(got, self.wanted("a.npy", a[:, None], own))
        for y, word in ((np.zeros(5, int), "5 labels for 6 images"), (np.zeros((6, 2), int), "shape 6x2"),
                        (np.zeros(6), "float64"), (np.array([0, 1, 2, 3, 4, -2]), "label number 5"),
                        (np.full(6, 2**40), "label number 0"), (np.full(6, 2**63, np.uint64), "label number 0")):
            np.save(self.path("y.npy"), y)
            self.refused({"npy": self.path("a.npy"), "labels": self.path("y.npy")}, (1, 4, 4), "y.npy", word)

    def test_packed_npy(self):
        a = self.numbers("f4", (50, 3, 9, 9))
        np.save(self.path("a.npy"), a)
        with open(self.path("a.npy"), "rb") as f, gzip.open(self.path("a.npy.gz"), "wb") as g:
            g.write(f.read())
        self.assert_same(self.read({"npy": self.path("a.npy.gz")}, (3, 9, 9)), self.wanted("a.npy", a))

    def test_npz(self):
        x, y = self.numbers("u1", (40, 28, 28, 3)), RANDOM.integers(0, 9, 40)
        other = self.numbers("f4", (2, 2))
        want = self.wanted("a.npz/x_test", x.transpose(0, 3, 1, 2), list(y))
        for save in (np.savez, np.savez_compressed):
            save(self.path("a.npz"), x_test=x, other=other, y_test=y)
            npz = {"file": self.path("a.npz"), "array": "x_test", "labels": "y_test"}
            self.assert_same(self.read({"npz": npz}, (3, 28, 28)), want)
            backwards = self.read({"npz": npz, "indices": list(range(39, -1, -1))}, (3, 28, 28))
            self.assert_same(backwards, dict(reversed(want.items())))
            self.refused({"npz": {"file": self.path("a.npz"), "labels": "y_test"}}, (3, 28, 28), "several arrays",
                         "x_test, other, y_test")
            self.refused({"npz": {**npz, "array": "X"}}, (3, 28, 28), "no array 'X'", "x_test, other, y_test")
            save(self.path("a.npz"), x_test=x, y_test=y)
            self.assert_same(self.read({"npz": {"file": self.path("a.npz"), "labels": "y_test"}}, (3, 28, 28)), want)

    def test_hdf5_however_it_is_stored(self):
        y = np.arange(10, dtype=np.uint8)
        ways = ({}, {"chunks": (4, 2, 3, 5), "compression": "gzip", "shuffle": True}, {"chunks": (1, 3, 6, 5)},
                {"chunks": (10, 1, 1, 1), "compression": "gzip"})
        for i, dtype in enumerate(("u1", ">u2", "i1", "<i4", ">i8", "u8", "f2", ">f4", "f8")):
            a = self.numbers(dtype, (10, 3, 6, 5)).astype(dtype)
            with h5py.File(self.path("a.h5"), "w") as f:
                f.create_dataset("deep/images", data=a, **ways[(i + 1) % 4])
                f["y"] = y
            hdf5 = {"file": self.path("a.h5"), "dataset": "/deep/images", "labels": "y"}
            self.assert_same(self.read({"hdf5": hdf5}, (3, 6, 5)), self.wanted("a.h5/deep/images", a, y))

    def test_bad_hdf5(self):
        with h5py.File(self.path("a.h5"), "w") as f:
            f["x"], f["text"], f["y"] = np.zeros((4, 1, 3, 3)), "words", np.zeros(3, int)
            f["float"], f["none"] = np.zeros(4), np.zeros((0, 1, 3, 3))
            f.create_group("group")
        for dataset, word in (("gone", "no dataset 'gone'"), ("group", "no dataset"), ("text", "no numbers"),
                              ("none", "empty"), ("y", "items are single numbers")):
            self.refused({"hdf5": {"file": self.path("a.h5"), "dataset": dataset}}, (1, 3, 3), word)
        for labels, word in (("y", "3 labels for 4 images"), ("float", "whole numbers"), ("gone", "no dataset")):
            self.refused({"hdf5": {"file": self.path("a.h5"), "dataset": "x", "labels": labels}}, (1, 3, 3), word)
        with open(self.path("a.h5"), "r+b") as f:
            f.truncate(2000)
        self.refused({"hdf5": {"file": self.path("a.h5"), "dataset": "x"}}, (1, 3, 3), "no HDF5 file, or is damaged")

    def test_numbers_that_are_not_finite_fail_their_item(self):
        a = np.zeros((3, 1, 2, 2), np.float32)
        a[1, 0, 1, 0] = np.nan
        np.save(self.path("a.npy"), a)
        job, result = self.job({"npy": self.path("a.npy")}, (1, 2, 2))
        sgdist(SGDIST, job)
        with h5py.File(result, "r") as f:
            self.assertEqual(list(f["items/status"][()]), [1, 2, 1])
            self.assertIn("a.npy#1: number 2 of the item is nan", f["items/message"].asstr()[1])


class Ranks(Scratch):
    def test_same_bits_on_any_number_of_ranks(self):
        for k in range(2):
            write_tar(self.path(f"{k}.tar"), dict(list(FILES.items())[k::2]))
        with h5py.File(self.path("a.h5"), "w") as f:
            f.create_dataset("x", data=RANDOM.random((9, *PHOTO), np.float32), chunks=(4, 3, 5, 7), compression="gzip")
        np.savez_compressed(self.path("a.npz"), x=RANDOM.random((9, *PHOTO)))
        for data in ({"tar": self.path("?.tar")}, {"hdf5": {"file": self.path("a.h5"), "dataset": "x"}},
                     {"npz": {"file": self.path("a.npz")}}):
            job, result = self.job(data, PHOTO, "[gradient_x_input, smoothgrad]", sampling={"samples": 20})
            results = [result.replace(".h5", f"-{ranks}.h5") for ranks in (1, 2, 3)]
            for ranks, path in zip((1, 2, 3), results):
                sgdist(SGDIST, job, "--set", f"study.output={path}", launcher=["mpirun", "-n", str(ranks)] if ranks > 1 else [])
            for path in results[1:]:
                self.assertEqual(same_bits.compare(results[0], path), 0, data)


class Documentation(Scratch):
    def test_every_job_of_the_page_works_as_typed(self):
        with open(os.path.join(REPOSITORY, "docs", "data.md")) as f:
            page = f.read()
        os.symlink(os.path.join(REPOSITORY, "jobs"), self.path("jobs"))
        folder = {"cwd": self.scratch.name, "check": True, "capture_output": True, "text": True}
        script, = re.findall(r"```python\n(.*?)```", page, re.S)
        subprocess.run([sys.executable, "-W", "ignore", "-c", script], **folder)
        scores = {}
        for job in re.findall(r"```yaml\n(.*?)```", page, re.S):
            with open(self.path("try.yaml"), "w") as f:
                f.write(job)
            subprocess.run([SGDIST, "check", "try.yaml"], **folder)
            subprocess.run([SGDIST, "try.yaml", "--set", "sampling.samples=2"], **folder)
            name, = re.findall("name: (.*)}", job)
            with h5py.File(self.path(f"results/{name}.h5"), "r") as f:
                self.assertTrue((f["items/status"][()] == 1).all())
                scores[name] = np.sort(f["items/score"][:60].ravel())
                if name == "again":
                    again = f["items/target"][()]
        self.assertEqual(list(scores), ["folder", "list", "tar", "npy", "npz", "hdf5", "idx", "again"])
        for name in ("tar", "npy", "npz", "hdf5", "idx"):  # the same 60 pictures and labels, however they are stored
            self.assertTrue(np.array_equal(scores["list"], scores[name]), name)
        with h5py.File(self.path("results/folder.h5"), "r") as f:
            self.assertTrue((again == f["items/target"][:10]).all())


if __name__ == "__main__":
    sys.argv = sys.argv[:1] + sys.argv[2:]
    unittest.main(verbosity=1)
