#!/usr/bin/python3
"""Reads every #include against the table of arrows of docs/architecture.md, and compiles every header alone.

A new arrow is a line in one of the tables below: a visible change with a reason. Standard library only.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A room may include what lies on a lower level; rooms of one level do not know each other.
LEVELS = {"base": 0, "rng": 1, "sums": 1, "comm": 1, "net": 2, "data": 2, "methods": 3, "job": 4, "store": 4,
          "master": 5, "worker": 5, "report": 5, "cli": 6}

# The public headers of a room, where they are not just <room>.h. work.h is what master and worker, who do not
# know each other, say to each other; it lies below both, beside the plan that it refers to.
HEADERS = {"base": {"clock", "events", "log", "memory", "record", "shape", "simd", "status", "text", "weight_noise"},
           "job": {"deal", "job", "plan", "work"}, "comm": {"comm", "shared"}, "data": {"data", "npy"},
           "methods": {"methods", "path"}, "sums": {"sums", "counts"},
           "store": {"compare", "join", "pack", "store"}, "master": {"dispatch", "master", "simulate"}}

# Lower, but still out of sight, also through other headers.
NEVER_SEES = {"master": {"net"}, "methods": {"comm", "store"}, "net": {"comm"}, "data": {"comm"}}

# Foreign headers: the rooms that may include them, and in how many files at most (0: any number).
FOREIGN = {"mpi.h": ({"comm"}, 0), "hdf5.h": ({"store", "data"}, 0), "hdf5_hl.h": ({"store"}, 0), "cblas.h": ({"net"}, 1),
           "yaml.h": ({"job"}, 1), "png.h": ({"data", "report"}, 0), "jpeglib.h": ({"data"}, 1),
           "zlib.h": ({"data", "report"}, 0), "cairo.h": ({"report"}, 0)}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def room_of_header(name):
    for room, names in HEADERS.items():
        if name in names:
            return room
    return name if name in LEVELS and name != "base" else None


def includes(path):
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def reachable(root, header, seen=None):
    """All sgdist headers that including `header` brings along, itself among them."""
    seen = set() if seen is None else seen
    path = root / "include" / header
    if header not in seen and path.exists():
        seen.add(header)
        for _, name in includes(path):
            reachable(root, name, seen)
    return seen


def check_arrow(root, place, room, header):
    target = room_of_header(pathlib.PurePath(header).stem)
    if not (root / "include" / header).exists():
        return [f"{place}: {header} is not in include/"]
    if target is None:
        return [f"{place}: {header} belongs to no room: name it in HEADERS of test_house.py"]
    if target != room and LEVELS[target] >= LEVELS[room]:
        return [f"{place}: {room} (level {LEVELS[room]}) includes {header} of {target} (level {LEVELS[target]})"]
    brought = {room_of_header(pathlib.PurePath(h).stem) for h in reachable(root, header)}
    return [f"{place}: {header} shows {hidden} to {room}" for hidden in brought & NEVER_SEES.get(room, set())]


def check_private(root, place, path, room, name):
    """A quoted header outside include/ must be a file of the same room."""
    for candidate in (path.parent / name, root / "src" / name):
        if candidate.exists():
            inside = candidate.resolve().is_relative_to((root / "src" / room).resolve())
            return [] if inside else [f"{place}: {name} is private to another room"]
    return [f"{place}: {name} is neither a public header nor a file of {room}"]


def check_file(root, path, room, users):
    place, bad = path.relative_to(root), []
    for quote, name in includes(path):
        if name.startswith("sgdist/"):
            bad += check_arrow(root, place, room, name)
        elif quote == '"':
            bad += check_private(root, place, path, room, name)
        else:
            foreign = pathlib.PurePath(name).name
            if foreign in FOREIGN:
                users.setdefault(foreign, []).append((room, place))
    return bad


def check_foreign(users):
    bad = []
    for header, places in users.items():
        rooms, most = FOREIGN[header]
        bad += [f"{place}: {header} is only for {sorted(rooms)}" for room, place in places if room not in rooms]
        if most and len(places) > most:
            bad.append(f"{header} is included in {len(places)} files, {most} allowed: "
                       + ", ".join(str(place) for _, place in places))
    return bad


def check_links(root):
    """What a room links is what it may include."""
    bad = []
    for path in sorted(root.glob("src/*/CMakeLists.txt")):
        room = path.parent.name
        for used in re.findall(r"\bsg_(\w+)", path.read_text()):
            if used in LEVELS and LEVELS[used] >= LEVELS[room]:
                bad.append(f"{path.relative_to(root)}: {room} links {used}, which is not below it")
    return bad


def violations(root):
    bad, users = [], {}
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        if folder.name not in LEVELS:
            bad.append(f"src/{folder.name} has no level in test_house.py")
            continue
        for path in sorted(folder.rglob("*.[ch]")):
            bad += check_file(root, path, folder.name, users)
    for path in sorted((root / "include" / "sgdist").glob("*.h")):
        room = room_of_header(path.stem)
        if room is None:
            bad.append(f"include/sgdist/{path.name} belongs to no room: name it in HEADERS of test_house.py")
        else:
            bad += check_file(root, path, room, users)
    return bad + check_foreign(users) + check_links(root)


class House(unittest.TestCase):
    def test_every_include_follows_the_arrows(self):
        self.assertEqual(violations(ROOT), [])

    def test_every_public_header_compiles_alone(self):
        compiler = os.environ.get("CC", "cc")
        for path in sorted((ROOT / "include" / "sgdist").glob("*.h")):
            with self.subTest(header=path.name):
                run = subprocess.run(
                    [compiler, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                     "-fsyntax-only", "-I", str(ROOT / "include"), "-x", "c", "-"],
                    input=f'#include "sgdist/{path.name}"\nextern int not_empty;\n', capture_output=True, text=True)
                self.assertEqual(run.returncode, 0, run.stderr)
                guard = "SGDIST_" + re.sub(r"\W", "_", path.stem).upper() + "_H"
                self.assertIn(f"#ifndef {guard}\n#define {guard}\n", path.read_text())


class TheReader(unittest.TestCase):
    """The reader itself sees each kind of wrong arrow, in small houses that have one each."""

    def assert_found(self, files, pattern):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "include/sgdist").mkdir(parents=True)
            (root / "src").mkdir()
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            found = violations(root)
        if pattern is None:
            self.assertEqual(found, [])
        else:
            self.assertRegex("\n".join(found), pattern)

    def test_a_good_house(self):
        self.assert_found({"include/sgdist/net.h": "", "src/net/net_impl.h": "", "src/net/ops/relu.c":
                           '#include "net/net_impl.h"\n#include "sgdist/net.h"\n#include <cblas.h>\n'}, None)

    def test_an_arrow_upwards(self):
        self.assert_found({"include/sgdist/job.h": "", "src/net/a.c": '#include "sgdist/job.h"\n'}, "net .level 2")

    def test_an_arrow_sideways(self):
        self.assert_found({"include/sgdist/data.h": "", "src/net/a.c": '  # include "sgdist/data.h"\n'}, "of data")

    def test_a_hidden_room_through_another_header(self):
        self.assert_found({"include/sgdist/net.h": "", "include/sgdist/methods.h": '#include "sgdist/net.h"\n',
                           "src/master/a.c": '#include "sgdist/methods.h"\n'}, "shows net to master")

    def test_private_headers_of_others(self):
        self.assert_found({"src/net/net_impl.h": "", "src/job/a.c": '#include "net/net_impl.h"\n'}, "private")
        self.assert_found({"src/net/net_impl.h": "", "src/job/a.c": '#include "../net/net_impl.h"\n'}, "private")

    def test_foreign_headers_in_other_rooms(self):
        self.assert_found({"src/worker/a.c": "#include <mpi.h>\n"}, "mpi.h is only for")
        self.assert_found({"src/net/a.c": "#include <hdf5/serial/hdf5.h>\n"}, "hdf5.h is only for")

    def test_one_file_for_the_blas(self):
        self.assert_found({"src/net/a.c": "#include <cblas.h>\n", "src/net/b.c": "#include <cblas.h>\n"}, "2 files")

    def test_unknown_rooms_headers_and_links(self):
        self.assert_found({"src/attic/a.c": ""}, "attic has no level")
        self.assert_found({"include/sgdist/odd.h": ""}, "odd.h belongs to no room")
        self.assert_found({"src/store/CMakeLists.txt": "sgdist_module(store USES sg_job)\n"}, "store links job")


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    unittest.main(verbosity=0)
