"""Class activation maps, controls and filters through the whole program, against float64 PyTorch, NumPy and SciPy.

    test_cam.py SGDIST

Two networks: one without kinks (Sigmoid, Tanh, average pooling), on which every number must agree, and one with Relu
and max pooling. The formulas are those of the papers (docs/methods.md), written here once more over torch's autograd;
upsampling is judged by torch.nn.functional.interpolate, Sobel by scikit-image, filters by NumPy's FFT and percentile.
"""
import os
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import skimage.filters
    import torch
    import torch.nn.functional as F
    from PIL import Image
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import tiny_onnx
from program import sgdist, write_job
import test_sample_audit
from test_sample_audit import documented_normals

PROGRAM = os.path.abspath(sys.argv[1])
SHAPE, CLASSES, SAMPLES, SIGMA = (3, 12, 10), 4, 40, 0.2
MAPS, BOX = [1, 2, 6], [1, 1, 4, 5]  # feature maps, and neurons [y0, x0, y1, x1] of the layer's 6 x 5 places
STREAM_MAPS = 4
ENOUGH = 2e-5  # of the largest value of a map
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def close(name, got, expected, enough=ENOUGH):
    off = np.abs(got - expected).max() / np.abs(expected).max()
    check(got.shape == expected.shape and off < enough, f"{name}: {off:.1e}")


class Network(torch.nn.Module):
    """Convolution, activation, pooling (the layer "p"), convolution, activation (the last places, "r" or, behind a
    Tanh, "t"), pooling, dense."""

    def __init__(self, is_smooth):
        super().__init__()
        torch.manual_seed(11)
        self.is_smooth = is_smooth
        self.conv = torch.nn.ModuleList([torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 6, 3, padding=1)])
        self.dense = torch.nn.Linear(6, CLASSES)
        for part in (self.conv[1], self.dense):  # so that maps have positive values for whatever class
            part.weight.data += 0.3 * part.weight.data.abs().max()

    def activation(self, x):
        return torch.sigmoid(x) if self.is_smooth else torch.relu(x)

    def pooled(self, x):
        return F.avg_pool2d(x, 2) if self.is_smooth else F.max_pool2d(x, 2)

    def layer(self, x):
        return self.pooled(self.activation(self.conv[0](x)))

    def last(self, p):
        r = self.activation(self.conv[1](p))
        return r if self.is_smooth else torch.tanh(3 * r)

    def forward(self, x):
        return self.score(self.last(self.layer(x)))

    def score(self, r):
        return self.dense(r.mean((2, 3)))

    def onnx(self):
        node, same = tiny_onnx.node, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        act, pool = ("Sigmoid", "AveragePool") if self.is_smooth else ("Relu", "MaxPool")
        nodes = [node("Conv", ["x", "conv.0.weight", "conv.0.bias"], ["z0"], **same), node(act, ["z0"], ["a"]),
                 node(pool, ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                 node("Conv", ["p", "conv.1.weight", "conv.1.bias"], ["z1"], **same), node(act, ["z1"], ["r"])]
        if not self.is_smooth:
            nodes += [node("Mul", ["r", "three"], ["r3"]), node("Tanh", ["r3"], ["t"])]
        nodes += [node("GlobalAveragePool", ["r" if self.is_smooth else "t"], ["m"]), node("Flatten", ["m"], ["f"], axis=1),
                  node("Gemm", ["f", "dense.weight", "dense.bias"], ["y"], transB=1)]
        weights = [tiny_onnx.tensor(k, w.shape, w.detach().ravel().tolist()) for k, w in self.named_parameters()]
        return tiny_onnx.model(nodes, weights + [tiny_onnx.tensor("three", [], [3.0])], SHAPE, [CLASSES])


# ---- the formulas, over a[K,H,W] and the powers d1, d2, d3 of the gradient ----

def plus_plus(a, d1, d2, d3, numerator="second", denominator="local"):
    third = a.sum((1, 2), keepdims=True) * d3 if denominator == "local" else (a * d3).sum((1, 2), keepdims=True)
    below = 2 * d2 + third
    top = d2 if numerator == "second" else d1
    alpha = np.divide(top, below, out=np.zeros_like(below), where=below != 0)
    return np.tensordot((alpha * d1.clip(0)).sum((1, 2)), a, 1)


def grad_cam(a, d1, d2, d3):
    return np.tensordot(d1.mean((1, 2)), a, 1)


def xgrad_cam(a, d1, d2, d3):
    total = a.sum((1, 2))
    return np.tensordot(np.divide((a * d1).sum((1, 2)), total, out=np.zeros_like(total), where=total != 0), a, 1)


CAMS = {"grad_cam": grad_cam, "grad_cam_plus_plus": plus_plus, "xgrad_cam": xgrad_cam,
        "hires_cam": lambda a, d1, d2, d3: (d1 * a).sum(0), "layer_cam": lambda a, d1, d2, d3: (d1.clip(0) * a).sum(0)}


def relu(v):
    return v.clip(0)


def enlarged(v):
    return F.interpolate(torch.from_numpy(v)[None, None], SHAPE[1:], mode="bilinear", align_corners=False)[0, 0].numpy()


def lowpassed(v, radius):
    """FORGrad on a plane: |v|, frequencies to the radius, |.|."""
    f = np.fft.fft2(np.abs(v))
    far = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in v.shape), indexing="ij")) > radius
    f[far] = 0
    return np.abs(np.fft.ifft2(f).real)


def clipped(v, percent):
    limit = np.percentile(np.abs(v), percent)
    return v.clip(-limit, limit)


def jackknife(g, finish):
    """Of a finish that gives a plane or planes, from gradients g[N,C,H,W]."""
    return test_sample_audit.jackknife(g, lambda part: np.atleast_3d(finish(part).T).T).squeeze()


# ---- the study ----

INSTANCES = (
    [{"method": m, "layer": "p"} for m in CAMS] + [{"method": m, "as": f"{m}-auto"} for m in CAMS]
    + [{"method": "grad_cam", "as": "enlarged", "layer": "p", "size": "input"},
       {"method": "grad_cam", "as": "kept", "layer": "p", "relu": False},
       {"method": "grad_cam", "as": "maps", "layer": "p", "maps": ["1:3", 6]},
       {"method": "grad_cam_plus_plus", "as": "neurons", "layer": "p", "neurons": BOX},
       {"method": "grad_cam_plus_plus", "as": "summed", "layer": "p", "denominator": "summed"},
       {"method": "smooth_grad_cam_plus_plus", "layer": "p"},
       {"method": "smooth_grad_cam_plus_plus", "as": "first", "layer": "p", "numerator": "first"},
       {"method": "smooth_grad_cam_plus_plus", "as": "extra", "layer": "p", "noise": {"clean": "extra"}, "size": "input"},
       "random", "sobel", {"method": "sobel", "as": "edges", "channels": "l2"}, "gradient", "smoothgrad",
       {"method": "smoothgrad", "as": "forgrad", "channels": "mean", "filter": {"lowpass": 2.5}},
       {"method": "smoothgrad", "as": "all", "filter": {"absolute": True, "lowpass": 3, "clip": 80}},
       {"method": "gradient", "as": "cut", "filter": {"clip": True}},
       {"method": "gradient", "as": "absolute", "filter": {"absolute": True}},
       {"method": "grad_cam", "as": "cam-cut", "layer": "p", "filter": {"clip": 70}}])


def gradients(net, target, points):
    """Activations of p and r at the points, gradients by them and by the input."""
    v = torch.from_numpy(points).requires_grad_(True)
    p = net.layer(v)
    r = net.last(p)
    grads = torch.autograd.grad(net.score(r)[:, target].sum(), (v, p, r))
    return [t.detach().numpy() for t in (p, r, *grads)]


def judge_cams(name, ours, p, r, gp, gr):
    for method, formula in CAMS.items():
        close(f"{name}, {method} of p", ours[method], relu(formula(p, gp, gp**2, gp**3)))
        close(f"{name}, {method} of the layer that auto finds", ours[f"{method}-auto"], relu(formula(r, gr, gr**2, gr**3)))
    cam = grad_cam(p, gp, None, None)
    close(f"{name}, brought to the input's size", ours["enlarged"], enlarged(relu(cam)))
    close(f"{name}, negative values kept", ours["kept"], cam)
    close(f"{name}, three feature maps", ours["maps"], relu(grad_cam(p[MAPS], gp[MAPS], None, None)))
    y0, x0, y1, x1 = BOX
    part, a, g = np.zeros_like(cam), p[:, y0:y1, x0:x1], gp[:, y0:y1, x0:x1]
    part[y0:y1, x0:x1] = relu(plus_plus(a, g, g**2, g**3))
    close(f"{name}, a box of neurons", ours["neurons"], part)
    close(f"{name}, denominator summed", ours["summed"], relu(plus_plus(p, gp, gp**2, gp**3, denominator="summed")))
    close(f"{name}, a class activation map, clipped", ours["cam-cut"], clipped(relu(cam), 70))


def judge_smooth(name, ours, errors, p, clean, samples, enough):
    def smooth(g, **options):
        return relu(plus_plus(p, g.mean(0), (g**2).mean(0), (g**3).mean(0), **options))

    close(f"{name}, smooth", ours["smooth_grad_cam_plus_plus"], smooth(samples), enough)
    close(f"{name}, smooth, its error", errors["smooth_grad_cam_plus_plus"], jackknife(samples, smooth), 10 * enough)
    close(f"{name}, smooth, the paper's numerator", ours["first"], smooth(samples, numerator="first"), enough)
    with_clean = np.concatenate([samples, clean[None]])
    close(f"{name}, smooth, the clean one counts, enlarged", ours["extra"], enlarged(smooth(with_clean)), enough)


def judge_controls(x, ours, seed, key):
    z = documented_normals()(seed, key, 0, x.size, STREAM_MAPS).reshape(SHAPE)
    check(np.abs(ours["random"] - z).max() < 1e-6, "random: the documented normals of a stream of its own")
    edges = np.stack([skimage.filters.sobel(channel) for channel in x])
    close("sobel, by scikit-image", ours["sobel"], edges, 1e-6)
    close("sobel, channels by l2", ours["edges"], np.sqrt((edges**2).sum(0)), 1e-6)


def judge_filters(ours, errors, clean, samples):
    def forgrad(g):
        return lowpassed(g.mean(0).mean(0), 2.5)

    def everything(g):
        return clipped(np.stack([lowpassed(plane, 3) for plane in g.mean(0)]), 80)

    close("low-pass of the mean over channels", ours["forgrad"], forgrad(samples))
    close("low-pass, its error", errors["forgrad"], jackknife(samples, forgrad), 1e-3)
    close("absolute, low-pass and clip", ours["all"], everything(samples))
    close("absolute, low-pass and clip, the error", errors["all"], jackknife(samples, everything), 1e-3)
    close("clip at 99", ours["cut"], clipped(clean, 99))
    close("absolute", ours["absolute"], np.abs(clean), 1e-5)


def judge_plan(job, file, ours):
    plan = sgdist(PROGRAM, "check", job)
    check("grad_cam-auto (layer r)" in plan and "(layer auto)" not in plan, "check names the layer that auto finds")
    check(f"{2 * SAMPLES + 1} an item" in plan, "two sweeps serve all: one gradient a sample, one at the item")
    identity = file["provenance/identity"].asstr()[()]
    check("methods.grad_cam-auto.layer: r\n" in identity, "the layer's name is stored")
    check("methods.all.filter: absolute, lowpass 3, clip 80\n" in identity, "filters are stored in their order")
    words = sgdist(PROGRAM, "describe", job.replace("job.yaml", "result.h5"))
    check("of the layer p, its feature maps [1:3, 6] alone" in words and "frequencies up to a radius of 2.5" in words
          and "brought to the input's size" in words, "describe says layer, options and filters")
    check("{muzellec2024saliency," in words and words.count("{selvaraju2017") == 1, "its BibTeX has methods and filters, once")
    axes = {label: file[f"maps/{label}/map"].attrs["axes"].decode() for label in ("grad_cam", "enlarged", "gradient")}
    check(axes["grad_cam"].split()[2:] == ["layer_y_6", "layer_x_5"] or axes["grad_cam"].split()[2:] == ["layer_y", "layer_x"],
          f"axes of a map of a layer: {axes['grad_cam']}")
    check(axes["enlarged"].split()[2:] == ["y", "x"], f"axes of an enlarged map: {axes['enlarged']}")
    check(ours["grad_cam"].shape == (6, 5) and ours["enlarged"].shape == SHAPE[1:], "shapes of both")


def judge_sheet(folder, job):
    """Without a map of the input, too, the sheet has the pictures."""
    result = os.path.join(folder, "alone.h5")
    sgdist(PROGRAM, job, "--set", "methods=[grad_cam]", "--set", f"study.output={result}")
    said = sgdist(PROGRAM, "show", result)
    check("left out" not in said, f"show has the pictures beside a layer's maps: {said.strip()}")


def judge(folder, is_smooth):
    name = "smooth network" if is_smooth else "Relu network"
    net = Network(is_smooth)
    os.makedirs(os.path.join(folder, "photos"))
    with open(os.path.join(folder, "net.onnx"), "wb") as f:
        f.write(net.onnx())
    pixels = np.random.default_rng(5).integers(0, 256, (*SHAPE[1:], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(os.path.join(folder, "photos", "0.png"))
    result = os.path.join(folder, "result.h5")
    job = write_job(os.path.join(folder, "job.yaml"), study={"output": result}, model={"file": "net.onnx"},
                    data={"folder": "photos"}, sampling={"samples": SAMPLES, "noise": {"sigma": SIGMA}},
                    methods=list(INSTANCES))
    sgdist(PROGRAM, job)
    x = (pixels.transpose(2, 0, 1) / np.float32(255)).astype("f8")
    with h5py.File(result, "r") as f:
        ours = {label: f[f"maps/{label}/map"][0, 0].astype("f8") for label in f["maps"]}
        errors = {label: f[f"maps/{label}/se"][0, 0].astype("f8") for label in f["maps"] if "se" in f[f"maps/{label}"]}
        target, key, seed = int(f["items/target"][0, 0]), int(f["items/noise_key"][0]), int(f["provenance/seed"][()])
        if is_smooth:
            judge_plan(job, f, ours)
            judge_sheet(folder, job)
    z = np.stack([documented_normals()(seed, key, k, x.size).reshape(SHAPE) for k in range(SAMPLES)])
    net = net.double()
    p, r, gx, gp, gr = (v[0] for v in gradients(net, target, x[None]))
    samples = gradients(net, target, x + SIGMA * z.astype("f8"))
    judge_cams(name, ours, p, r, gp, gr)
    judge_smooth(name, ours, errors, p, gp, samples[3], 1e-4 if is_smooth else 1e-3)
    if is_smooth:
        judge_controls(x, ours, seed, key)
        judge_filters(ours, errors, gx, samples[2])
    return job, result


def main():
    with tempfile.TemporaryDirectory() as folder:
        for is_smooth in (True, False):
            job, result = judge(os.path.join(folder, str(is_smooth)), is_smooth)
        other = os.path.join(folder, "ranks.h5")
        sgdist(PROGRAM, job, "--set", f"study.output={other}", launcher=("mpirun", "-n", "3"))
        print(sgdist(PROGRAM, "diff", result, other).strip())  # raises where they differ
        check(True, "the same bits on 1 and 3 ranks")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
