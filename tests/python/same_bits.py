#!/usr/bin/python3
"""Compares two results with h5py alone: the judge beside `sgdist diff`, which shares code with the writer.

    same_bits.py A.h5 B.h5        exit 0 if all that a study found is equal to the last bit, else 1
    same_bits.py --opens A.h5     exit 0 if the file opens and every finished item can be read
"""
import sys

import h5py
import numpy as np

STUDY = ("items", "maps", "convergence", "dataset")  # provenance and performance tell of the run itself
OF_THE_RUN = {"seconds", "host", "rank", "time", "team"}  # and so do fields of these names, wherever they are
DONE = 1


def datasets(file):
    found = {}

    def visit(path, node):
        parts = path.split("/")
        if isinstance(node, h5py.Dataset) and parts[0] in STUDY and parts[-1] not in OF_THE_RUN:
            found[path] = node

    file.visititems(visit)
    return found


def difference(a, b):
    """What differs between two datasets, or None."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype}{a.shape} and {b.dtype}{b.shape}"
    x, y = np.asarray(a[()]), np.asarray(b[()])
    if x.tobytes() == y.tobytes():
        return None
    return f"{np.count_nonzero(x != y)} of {x.size} values"


def emptiness(file):
    """Why equality would mean nothing: items that are not done, maps without numbers, or None."""
    status = file["items/status"][()]
    if not np.all(status == DONE):
        return f"{np.count_nonzero(status != DONE)} of {len(status)} items are not done"
    labels = list(file["maps"])
    if not labels:
        return "it has no maps"
    for label in labels:
        values = file[f"maps/{label}/map"][()]
        if not np.all(np.isfinite(values)) or not np.any(values):
            return f"maps/{label} is all zero, or not finite"
    return None


def compare(path_a, path_b):
    bad = []
    with h5py.File(path_a, "r", locking=False) as a, h5py.File(path_b, "r", locking=False) as b:
        for path, file in ((path_a, a), (path_b, b)):
            reason = emptiness(file)
            if reason:
                bad.append(f"{path}: {reason}")
        left, right = datasets(a), datasets(b)
        bad += [f"{path}: only in one file" for path in sorted(set(left) ^ set(right))]
        for path in sorted(set(left) & set(right)):
            reason = difference(left[path], right[path])
            if reason:
                bad.append(f"{path}: {reason}")
    print("\n".join(bad) or f"{len(left)} datasets are equal")
    return 1 if bad else 0


def opens(path):
    with h5py.File(path, "r", locking=False) as file:
        status = file["items/status"][()]
        done = np.flatnonzero(status == DONE)
        for label in file["maps"]:
            values = file[f"maps/{label}/map"]
            for i in done:
                if not np.all(np.isfinite(values[i])) or not np.any(values[i]):
                    print(f"{path}: item {i} is marked done, but maps/{label} has no numbers")
                    return 1
        print(f"{len(done)} of {len(status)}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--opens":
        sys.exit(opens(sys.argv[2]))
    if len(sys.argv) == 3:
        sys.exit(compare(sys.argv[1], sys.argv[2]))
    sys.exit(__doc__)
