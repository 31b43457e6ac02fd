"""Makes fixtures/integrated_gradients.npz: integrated gradients of ResNet-18 and SqueezeNet in float64 PyTorch.

    ig_fixture.py            (a few minutes; needs ../shared/models for SqueezeNet)

By captum's formula, IntegratedGradients with method="gausslegendre", n_steps=50 and a baseline of zeros:
    x * sum_j w_j / 2 * dS/dx((1 + z_j) / 2 * x),   z, w = numpy.polynomial.legendre.leggauss(50)
of the logit of the class that is predicted. Kept are every STRIDE-th element, the sum over all, the scores at both ends, and
the share of the units before a Relu, over all nodes, that are on another side of 0 in float32 than in float64.
"""
import copy
import os
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

import fixture_networks
from onnx_judge import Model
from program import SHARED

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(HERE, "fixtures", "integrated_gradients.npz")
SQUEEZENET = os.path.join(SHARED, "models", "SqueezeNet_fp16.onnx")
KITTEN = os.path.join(SHARED, "models", "kitten_224.png")
STRIDE, NODES = 97, 50


def cases(folder):
    """(name, ONNX file, item, tensor of the logits); SqueezeNet eats BGR, 0..255."""
    for name, smooth in (("resnet18", False), ("resnet18_smooth", True)):
        yield name, fixture_networks.resnet18(os.path.join(folder, name + ".onnx"), smooth), fixture_networks.picture(), None
    if os.path.exists(SQUEEZENET):
        kitten = np.asarray(Image.open(KITTEN).convert("RGB"), "f4")[..., ::-1].transpose(2, 0, 1)
        softmax = next(n for n in reversed(Model(SQUEEZENET).nodes) if n[0] == "Softmax")
        yield "squeezenet", SQUEEZENET, np.ascontiguousarray(kitten), softmax[1][0]


def flipped(judge, single, points, tensor):
    """Units and those that flip between float64 and float32."""
    n = n_flipped = 0
    for x in points:
        exact, rounded = {}, {}
        with torch.no_grad():
            judge.run(torch.from_numpy(x[None]), tensor, exact)
            single.run(torch.from_numpy(x[None].astype("f4")), tensor, rounded)
        for op, ins, _, _ in judge.nodes:
            if op == "Relu" and ins[0] in rounded:
                n += exact[ins[0]].numel()
                n_flipped += int(((exact[ins[0]] > 0) != (rounded[ins[0]] > 0)).sum())
    return n, n_flipped


def integrated_gradients(path, item, tensor):
    judge = Model(path)
    single = copy.copy(judge)
    single.values = {k: v.float() if v.is_floating_point() else v for k, v in judge.values.items()}
    x = item.astype("f8")
    ends = [judge.run(torch.from_numpy(p[None]), tensor).detach().flatten().numpy() for p in (x, 0 * x)]
    k = int(ends[0].argmax())
    z, w = np.polynomial.legendre.leggauss(NODES)
    points = [(1 + t) / 2 * x for t in z]
    ig = x * sum(v / 2 * judge.gradient(p[None], k, tensor)[1][0] for v, p in zip(w, points))
    return k, ig, ends[0][k], ends[1][k], flipped(judge, single, points, tensor)


def main():
    kept = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path, item, tensor in cases(folder):
            k, ig, score, baseline_score, (n, n_flipped) = integrated_gradients(path, item, tensor)
            kept.update({f"{name}.class": k, f"{name}.values": ig.ravel()[::STRIDE], f"{name}.largest": np.abs(ig).max(),
                         f"{name}.sum": ig.sum(), f"{name}.score": score, f"{name}.baseline_score": baseline_score,
                         f"{name}.flipped": n_flipped / max(n, 1)})
            print(f"{name}: class {k}, score {score:.6g} from {baseline_score:.6g}, gap {ig.sum() - score + baseline_score:.2g}, "
                  f"{n_flipped} of {n} units flip", flush=True)
    os.makedirs(os.path.dirname(FIXTURE), exist_ok=True)
    np.savez_compressed(FIXTURE, **kept)


if __name__ == "__main__":
    sys.exit(main())
