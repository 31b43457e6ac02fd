"""Show 2: the input gradient of every differentiable operator, at least 200 random cases a family.

Every case is a tiny ONNX file with random shapes, attributes, broadcasts, operator set (7 to 17) and layout of its
operands, run for two samples at a time with a random dy (gradient_case.py and the families beside it). Compared are

  a. the gradient of the runtime compiled in double, with the reference loops as kernels (tests/float64), with central
     differences of its own forward pass: the five-point rule, all elements;
  b. outputs and gradient of that with float64 torch, which reads the case's steps and never the file;
  c. outputs and gradient of the runtime as it is, in float32, with float64 torch;
  d. the gradient of (c) with that by way of the gates of each sample alone: counted, then read back as means.

Bounds: (a) and (b) leave room for rounding in double; (c) for ROUNDINGS roundings of float32 of numbers of the size
of the largest ones at hand. Cases nearer to a kink than central differences reach are drawn again; at kinks
themselves the operators' own tests say what holds.
"""
import argparse
import os
import subprocess
import sys
import zlib     # for its CRC: the seed of a family is its name

import numpy as np

try:
    import torch
except ImportError:
    sys.exit(77)

import gradient_layers as layers
import gradient_movers as movers
import gradient_numbers as numbers
import gradient_windows as windows
from gradient_case import SAMPLES, Case

LEAST = 200
ROUNDINGS = 16
FAMILIES = {    # a generator and its number of cases
    "convolution": (windows.convolution, 250), "transposed convolution": (windows.transposed, 250),
    "pooling": (windows.pooling, 300), "resize": (windows.resize, 250), "matrices": (numbers.matrices, 300),
    "unary": (numbers.unary, 500), "binary": (numbers.binary, 400), "choice": (numbers.choice, 250),
    "reduction": (numbers.reduction, 400), "normalisation": (numbers.normalisation, 300),
    "softmax": (numbers.softmax, 200), "movers": (movers.mover, 700), "einsum": (movers.einsum, 250),
    "networks": (movers.network, 250), "layers": (layers.layer, 400), "rows": (layers.rows, 400),
}
# Of the table: what makes constants only, or is the same number of every input.
NO_GRADIENT = {"And", "ConstantOfShape", "Equal", "Mod", "Or", "Range", "Shape", "Size", "Xor"}


def draw(family, make, i):
    """Case i of a family: the same in every run."""
    for attempt in range(50):
        rng = np.random.Generator(np.random.PCG64([zlib.crc32(family.encode()), i, attempt]))
        case = make(Case(rng, int(rng.integers(7, 18))))
        if case.is_smooth():
            return case
    raise AssertionError(f"{family} {i}: always near a kink")


def packed(case, y, dy):
    file = case.file()
    head = np.array([len(file), SAMPLES, case.x[0].size, y.shape[1]], np.int64)
    return head.tobytes() + file + case.x.astype(np.float64).tobytes() + dy.tobytes()


def run(program, cases):
    """(y, dx, differences) of every case, or the message of one that was refused."""
    out = subprocess.run([program], input=b"".join(packed(c, y, dy) for c, y, _, dy, _ in cases), stdout=subprocess.PIPE,
                         check=True).stdout
    at, results = 0, []

    def take(kind, n):
        nonlocal at
        at += n * np.dtype(kind).itemsize
        return np.frombuffer(out, kind, n, at - n * np.dtype(kind).itemsize)
    for _, y, dx, _, _ in cases:
        length = int(take(np.int64, 1)[0])
        if length:
            results.append(take(np.uint8, length).tobytes().decode())
        else:
            results.append([take(np.float64, v.size).reshape(v.shape) for v in (y, dx, dx)])
    return results


def worst(found, want, size):
    """The largest difference, as a multiple of the size of the numbers at hand."""
    if not np.isfinite(found).all():
        return np.inf
    return np.abs(found - want).max() / size if want.size else 0.0


def judge(wanted, double, single):
    """The worst of every comparison, in units of its bound."""
    y, dx, _, (size_y, size_dx) = wanted
    return {"double: dx and central differences": worst(double[1], double[2], size_dx) / 1e-9,
            "double: y and torch": worst(double[0], y, size_y) / 1e-13,
            "double: dx and torch": worst(double[1], dx, size_dx) / 1e-12,
            "float: y and torch": worst(single[0], y, size_y) / (ROUNDINGS * 2.0 ** -24),
            "float: dx and torch": worst(single[1], dx, size_dx) / (ROUNDINGS * 2.0 ** -24),
            "float: dx by gates and dx": worst(single[2], single[1], size_dx) / (ROUNDINGS * 2.0 ** -24)}


def one_family(family, make, n, programs, verbose):
    torch.manual_seed(0)
    drawn = [draw(family, make, i) for i in range(n)]
    cases = [(c, *c.judge()) for c in drawn]
    double, single = (run(p, cases) for p in programs)
    most, wrong = {}, []
    for i, ((case, *wanted), d, s) in enumerate(zip(cases, double, single)):
        text = f"{family} {i} (opset {case.opset}): " + " ".join(k for k, *_ in case.nodes)
        if isinstance(d, str) or isinstance(s, str):
            wrong.append(f"{text}: refused: {d if isinstance(d, str) else s}")
            continue
        for what, ratio in judge(wanted, d, s).items():
            most[what] = max(most.get(what, 0), ratio)
            if not ratio <= 1:
                wrong.append(f"{text}: {what}: {ratio:.3g} times the bound")
    kinds = sorted({k for c in drawn for k, *_ in c.nodes})
    print(f"{family:24} {n} cases, {len(wrong)} wrong; of the bounds: "
          + " ".join(f"{v:.2g}" for v in most.values()))
    if verbose:
        print("   ", " ".join(kinds))
    for line in wrong[:12 if not verbose else None]:
        print("   ", line)
    return len(wrong), kinds


def operators(program):
    """The table of operators of the program."""
    listed = subprocess.run([program, "list", "ops"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if " opset " in line}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--family")
    parser.add_argument("--cases", type=int, help="of each family, for a closer look")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = os.path.join(os.path.dirname(os.path.abspath(options.program)), "tests", "float64")
    programs = [os.path.join(folder, p) for p in ("gradient_dump_float64", "gradient_dump")]
    wrong, kinds = 0, set()
    for family, (make, n_cases) in FAMILIES.items():
        if options.family in (None, family):
            n, seen = one_family(family, make, options.cases or n_cases, programs, options.verbose)
            assert options.cases or n_cases >= LEAST, f"{family} has fewer than {LEAST} cases"
            wrong += n
            kinds |= set(seen)
    print(f"{wrong} wrong")
    if not options.family:
        left_out = operators(options.program) - kinds - NO_GRADIENT
        print(f"{len(kinds)} operators; without a case: {' '.join(sorted(left_out)) or 'none'}")
        wrong += len(left_out)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
