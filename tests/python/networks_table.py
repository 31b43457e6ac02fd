"""Measures the networks of docs/models.md against float64 PyTorch and remakes its table.

    networks_table.py SGDIST [--images N] [--only WORD] [--print]

Every network is exported four times (operator sets 13 and 17, batch frozen at 1 and dynamic) and run by
`sgdist eval` on N noisy pictures (8); the judge is the network itself in PyTorch, in float64. On networks
with kinks (ReLU, max pooling) a unit near its kink may be on one side in 32 bits and on the other in 64:
such a sample's gradient is off by more than FLIP, the others' by about 1e-6. So the bounds are: outputs
1e-4 at worst; gradients a median of 1e-2 and a worst of 5e-2, and on smooth networks 1e-5 at worst, or
twice what PyTorch itself is off by in 32 bits where that is more. `--only` remakes the rows of some networks, `--print` leaves docs/models.md alone.
"""
import argparse
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
    from networks import UNet, by_torch, calibrated, each, evaluate, export, noisy_fields, smooth
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

OUTPUT, MEDIAN, WORST, SMOOTH, FLIP = 1e-4, 1e-2, 5e-2, 1e-5, 1e-5
FILES = [(opset, dynamic) for opset in (13, 17) for dynamic in (False, True)]
DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "models.md")
BEGIN, END = "<!-- networks_table.py: begin -->", "<!-- networks_table.py: end -->"


def builder(name, **options):
    return lambda: getattr(torchvision.models, name)(**options)


NETWORKS = {  # name: (network, input shape, has no kinks)
    "u-net": (UNet, (2, 128, 128), False),
    "alexnet": (builder("alexnet"), (3, 224, 224), False),
    "squeezenet1_1": (builder("squeezenet1_1"), (3, 224, 224), False),
    "mobilenet_v3_large": (builder("mobilenet_v3_large"), (3, 224, 224), False),
    "mobilenet_v2": (builder("mobilenet_v2"), (3, 224, 224), False),
    "efficientnet_b0": (builder("efficientnet_b0"), (3, 224, 224), True),
    "resnet18": (builder("resnet18"), (3, 224, 224), False),
    "convnext_tiny": (builder("convnext_tiny"), (3, 224, 224), True),
    "efficientnet_v2_s": (builder("efficientnet_v2_s"), (3, 224, 224), True),
    "resnet50": (builder("resnet50"), (3, 224, 224), False),
    "resnet50, smooth": (lambda: smooth(torchvision.models.resnet50()), (3, 224, 224), True),
    "resnext50_32x4d": (builder("resnext50_32x4d"), (3, 224, 224), False),
    "inception_v3": (builder("inception_v3", init_weights=False), (3, 299, 299), False),
    "vgg11_bn": (builder("vgg11_bn"), (3, 224, 224), False),
    "wide_resnet50_2": (builder("wide_resnet50_2"), (3, 224, 224), False),
    "vgg16": (builder("vgg16"), (3, 224, 224), False),
    "vit_b_16": (builder("vit_b_16"), (3, 224, 224), True),
}


class Errors:
    """Relative errors (L2) of every sample of one file, or why there are none."""

    def __init__(self, result, truth):
        self.refusal = result if isinstance(result, str) else None
        if self.refusal is None:
            self.y, self.dx = (each(got, want) for got, want in zip(result, truth))

    def holds(self, is_smooth, torch32):
        return self.refusal is None and self.y.max() <= OUTPUT and (
            self.dx.max() <= max(SMOOTH, 2 * torch32.dx.max()) if is_smooth
            else np.median(self.dx) <= MEDIAN and self.dx.max() <= WORST)

    def text(self):
        if self.refusal is not None:
            return self.refusal
        return (f"output {self.y.max():.1e}  gradient median {np.median(self.dx):.1e} "
                f"worst {self.dx.max():.1e}  flipped {np.count_nonzero(self.dx > FLIP)}/{len(self.dx)}")


def measure(sgdist, name, n_images):
    """The row of one network, and whether all of its files hold the bounds."""
    build, shape, is_smooth = NETWORKS[name]
    torch.manual_seed(7)
    net = calibrated(build(), noisy_fields(8, *shape, seed=3))
    x = noisy_fields(n_images, *shape, seed=5)
    truth = by_torch(net, x, torch.float64)
    torch32 = Errors(by_torch(net, x, torch.float32), truth)
    print(f"{name}: logits of size {np.sqrt(np.mean(truth[0] ** 2)):.2g}, gradients that change them by "
          f"{np.median(np.linalg.norm(truth[1].reshape(n_images, -1), axis=1)) * np.sqrt(x[0].size):.2g} "
          f"along an input of size 1\n   {'PyTorch in float32':32} {torch32.text()}", flush=True)
    files = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.onnx")
        for opset, dynamic in FILES:
            export(net, shape, path, opset, dynamic)
            files.append(Errors(evaluate(sgdist, path, x), truth))
            print(f"   {'ok' if files[-1].holds(is_smooth, torch32) else 'FAILED':6} opset {opset}, batch "
                  f"{'dynamic' if dynamic else 'of 1   '}  {files[-1].text()}", flush=True)
    good = [f for f in files if f.holds(is_smooth, torch32)]
    return row(name, shape, is_smooth, net, good, torch32), len(good) == len(files)


def row(name, shape, is_smooth, net, good, torch32):
    def share(dx):
        return "-" if is_smooth else f"{100 * np.mean(dx > FLIP):.0f} %"

    dx = np.concatenate([f.dx for f in good]) if good else np.array([np.nan])
    size = sum(p.numel() for p in net.parameters()) / 1e6
    y = max((f.y.max() for f in good), default=np.nan)
    return (f"| {name} | {'x'.join(map(str, shape))} | {size:.1f} | {len(good)} of {len(FILES)} | {y:.1e} | "
            f"{np.median(dx):.1e} | {dx.max():.1e} | {share(dx)} | "
            f"{np.median(torch32.dx):.1e} | {torch32.dx.max():.1e} | {share(torch32.dx)} |")


def heading(sgdist, n_images):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.onnx")
        export(torch.nn.Flatten(), (2,), path, 13, True)
        kernels = evaluate(sgdist, path, np.zeros((1, 2), "f4"))[2]
    return (f"Measured with torch {torch.__version__}, torchvision {torchvision.__version__}, kernels "
            f"{kernels}, {n_images} pictures a file.")


def rewrite(first, name, line):
    """Puts the row of one network into docs/models.md; rows that were measured otherwise go."""
    with open(DOCS) as f:
        before, rest = f.read().split(BEGIN)
    old, after = rest.split(END)
    rows = {row.split("|")[1].strip(): row for row in old.split("\n") if first in old and row.count("|") == 12}
    rows[name] = line
    columns = ("| network | input | weights (million) | files | output | gradient, median | worst | flipped | "
               "PyTorch float32: median | worst | flipped |\n|" + " --- |" * 11)
    table = "\n".join([first, "", columns] + [rows[name] for name in NETWORKS if name in rows])
    with open(DOCS, "w") as f:
        f.write(f"{before}{BEGIN}\n{table}\n{END}{after}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sgdist")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--only", default="")
    parser.add_argument("--print", action="store_true")
    args = parser.parse_args()
    first, lines, good = heading(args.sgdist, args.images), [], True
    print(first)
    for name in (name for name in NETWORKS if args.only in name):
        line, holds = measure(args.sgdist, name, args.images)
        lines, good = lines + [line], good and holds
        if not args.print:
            rewrite(first, name, line)
    print("\n".join(lines))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
