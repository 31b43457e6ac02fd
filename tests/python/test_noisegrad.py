"""NoiseGrad and FusionGrad against float64 PyTorch with the same noise on the weights, through the whole program.

    test_noisegrad.py SGDIST

The network has a convolution with a batch norm behind it (the noise comes before the two become one), a tensor that two
convolutions have in common, a depthwise convolution, a product with a bias, a Gemm, and constants that are no
parameters. Linear and quadratic scores have closed forms. Draws never show in anything but their own methods, and
nothing of ranks, sharing, stops and resumes shows in them.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

try:
    import h5py
    import numpy as np
    import torch
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

import same_bits
import tiny_onnx
from program import sgdist, write_idx, write_job
from test_sample_audit import documented, documented_normals

PROGRAM = os.path.abspath(sys.argv[1])
SIDE, CLASSES, SEED, SIGMA = 10, 4, 2017, 0.1
WEIGHTS_STREAM = 1
ENOUGH = 2e-5  # of the largest value of a map: float32 against float64 through six layers
normals, name_key = documented_normals(), documented("name_key")
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def noisy(weights, names, draw, tau, additive=False):
    """The weights of a draw, with the noise on those that are named."""
    out = dict(weights)
    for name in names:
        z = normals(SEED, name_key(name), draw, weights[name].size, WEIGHTS_STREAM).astype("f8")
        step = tau * z.reshape(weights[name].shape)
        out[name] = weights[name] + step if additive else weights[name] * (1 + step)
    return out


# ---- the network ----

PARAMETERS = ("conv.weight", "bn.weight", "bn.bias", "both.weight", "depth.weight", "depth.bias", "dense.weight",
              "dense.bias", "classifier.weight", "classifier.bias")


def make_weights():
    random = np.random.default_rng(8)

    def normal(*shape, scale=1.0):
        return (scale * random.normal(size=shape)).astype("f4").astype("f8")
    return {"conv.weight": normal(8, 1, 3, 3, scale=0.4), "bn.weight": 1 + normal(8, scale=0.2), "bn.bias": normal(8),
            "bn.mean": normal(8, scale=0.3), "bn.var": 0.5 + normal(8)**2, "both.weight": normal(8, 8, 3, 3, scale=0.2),
            "depth.weight": normal(8, 1, 3, 3, scale=0.4), "depth.bias": normal(8, scale=0.2),
            "dense.weight": normal(200, 16, scale=0.1), "dense.bias": normal(16, scale=0.3),
            "classifier.weight": normal(CLASSES, 16, scale=0.4), "classifier.bias": normal(CLASSES),
            "half": np.array(0.5), "low": np.array(0.0), "high": np.array([20.0])}


def network(w, x):
    """Logits of x[n][1][SIDE][SIDE]; what stands in the file, in float64."""
    f = torch.nn.functional
    w = {name: torch.from_numpy(np.asarray(v, "f8")) for name, v in w.items()}
    a = f.batch_norm(f.conv2d(x, w["conv.weight"], padding=1), w["bn.mean"], w["bn.var"], w["bn.weight"], w["bn.bias"],
                     eps=1e-5).relu()
    b = f.conv2d(a, w["both.weight"], padding=1).relu()
    c = f.conv2d(b, w["both.weight"], padding=1) * w["half"]
    d = f.conv2d(c, w["depth.weight"], w["depth.bias"], padding=1, groups=8).clamp(0, 20)
    e = torch.tanh(f.avg_pool2d(d, 2).flatten(1) @ w["dense.weight"] + w["dense.bias"])
    return e @ w["classifier.weight"].T + w["classifier.bias"]


def write_network(path, w, in_nodes=False):
    """in_nodes: all tensors in Constant nodes, as some exporters have it."""
    node, same = tiny_onnx.node, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [node("Conv", ["x", "conv.weight"], ["z"], **same),
             node("Identity", ["bn.var"], ["variance"]),
             node("BatchNormalization", ["z", "bn.weight", "bn.bias", "bn.mean", "variance"], ["n"], epsilon=1e-5),
             node("Relu", ["n"], ["a"]),
             node("Conv", ["a", "both.weight"], ["b0"], **same), node("Relu", ["b0"], ["b"]),
             node("Conv", ["b", "both.weight"], ["c0"], **same), node("Mul", ["c0", "half"], ["c"]),
             node("Conv", ["c", "depth.weight", "depth.bias"], ["d0"], group=8, **same),
             node("Clip", ["d0", "low", "high"], ["d"]),
             node("AveragePool", ["d"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             node("Flatten", ["p"], ["f"], axis=1), node("MatMul", ["f", "dense.weight"], ["m"]),
             node("Add", ["m", "dense.bias"], ["s"]), node("Tanh", ["s"], ["e"]),
             node("Gemm", ["e", "classifier.weight", "classifier.bias"], ["y"], transB=1)]
    weights = [tiny_onnx.tensor(name, np.shape(v), np.ravel(v)) for name, v in w.items()]
    if in_nodes:
        nodes = [node("Constant", [], [name], value=tensor) for name, tensor in zip(w, weights)] + nodes
        weights = []
    with open(path, "wb") as f:
        f.write(tiny_onnx.model(nodes, weights, (1, SIDE, SIDE), [CLASSES]))


def gradients(w, target, x):
    v = torch.from_numpy(x.reshape(-1, 1, SIDE, SIDE)).requires_grad_(True)
    network(w, v)[:, target].sum().backward()
    return v.grad.numpy()


# ---- what the maps should be ----

def group_errors(g, finish):
    """Jackknife over the draws g[M][N][...], one draw left out at a time for M up to 16."""
    m = len(g)
    left = np.stack([finish(np.delete(g, j, 0).reshape(-1, *g.shape[2:])) for j in range(m)])
    return np.sqrt((m - 1) / m * ((left - left.mean(0))**2).sum(0))


def apart(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def points(x, key, draws, n):
    """x + sigma z[M][N]: every draw of the weights has noise of its own on the input."""
    z = np.stack([normals(SEED, key, k, x.size) for k in range(draws * n)]).reshape(draws, n, *x.shape)
    return x + SIGMA * z.astype("f8")


def judge_network(folder):
    weights = make_weights()
    write_network(os.path.join(folder, "net.onnx"), weights)
    pixels = np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE), dtype=np.uint8)
    write_idx(os.path.join(folder, "items-idx3-ubyte"), pixels)
    noise = {"noise": {"sigma": SIGMA}}
    few = {"draws": 6, "tau": 0.1}
    methods = ["gradient", {"method": "smoothgrad", "samples": 20},
               {"method": "noisegrad", "weights": few},
               {"method": "noisegrad", "as": "extra", "weights": few, "noise": {"clean": "extra"}},
               {"method": "noisegrad", "as": "many", "weights": {"draws": 21, "tau": 0.1, "except": "'*classifier*'"}},
               {"method": "noisegrad", "as": "added",
                "weights": {"draws": 6, "tau": 0.01, "noise": "additive", "only": "['conv.*', bn.bias]"}},
               {"method": "noisegrad", "as": "layer", "weights": few, "layer": "e"},
               {"method": "noisegrad", "as": "path", "weights": few,
                "of": {"method": "integrated_gradients", "nodes": 8, "quadrature": "midpoint"}},
               {"method": "integrated_gradients", "as": "inside", "nodes": 8, "quadrature": "midpoint",
                "of": "noisegrad", "weights": few},
               {"method": "fusiongrad", "samples": 3, "weights": few},
               {"method": "[smoothgrad_squared, vargrad]", "as": "fusion", "samples": 3, "weights": few}]

    def job(name, listed):
        return write_job(os.path.join(folder, name + ".yaml"), study={"output": os.path.join(folder, name + ".h5")},
                         model={"file": "net.onnx"}, data={"idx": "items-idx3-ubyte"}, sampling=noise, methods=listed)
    path = job("study", methods)
    plan = sgdist(PROGRAM, "check", path)
    every = sum(weights[name].size for name in PARAMETERS)
    some = weights["conv.weight"].size + weights["bn.bias"].size
    check(f"6 draws of {len(PARAMETERS)} tensors, {every:,} parameters" in plan, "check counts what gets noise")
    check(f"6 draws of 2 tensors, {some} parameters: only conv.*, bn.bias," in plan, "also within a scope")
    check(len(re.findall(r"weights tau 0.1, 6 draws", plan)) == 3, "fusiongrad and the statistics are one sweep")
    sgdist(PROGRAM, path)
    said = sgdist(PROGRAM, "describe", os.path.join(folder, "study.h5"))
    check("21 draws of the network's parameters, the same for all items, times Gaussian noise of mean 1 and standard "
          "deviation 0.1, except those named *classifier*" in said, "describe says what a draw is")
    with h5py.File(os.path.join(folder, "study.h5"), "r") as f:
        for item in range(2):
            judge_item(f, item, weights, pixels[item].astype("f8") / 255)
    return path, job, methods


def judge_item(f, item, weights, x):
    target, key = int(f["items/target"][item, 0]), int(f["items/noise_key"][item])

    def read(label, what="map"):
        return f[f"maps/{label}/{what}"][item, 0].astype("f8")

    def compare(label, expected, se):
        off, off_se = apart(read(label), expected), apart(read(label, "se"), se)
        check(off < ENOUGH and off_se < 20 * ENOUGH, f"item {item}: {label} {off:.1e}, its error {off_se:.1e}")

    def of_draws(draws, tau, names, additive=False):
        return np.stack([gradients(noisy(weights, names, m, tau, additive), target, x[None])[0] for m in range(draws)])

    clean = gradients(weights, target, x[None])[0]
    g = of_draws(6, 0.1, PARAMETERS)
    se = g.std(0, ddof=1) / np.sqrt(6)
    check(apart(g.mean(0), clean) > 0.02, "the noise matters here")
    compare("noisegrad", g.mean(0), se)
    compare("extra", (g.sum(0) + clean) / 7, se * 6 / 7)
    g = np.stack([noisy(weights, PARAMETERS, m, 0.1)["classifier.weight"][target] for m in range(6)])
    compare("layer", g.mean(0), g.std(0, ddof=1) / np.sqrt(6))
    on_path = np.stack([(j + 0.5) / 8 * x for j in range(8)])
    g = x * np.stack([gradients(noisy(weights, PARAMETERS, m, 0.1), target, on_path).mean(0) for m in range(6)])
    compare("path", g.mean(0), g.std(0, ddof=1) / np.sqrt(6))
    compare("inside", g.mean(0), g.std(0, ddof=1) / np.sqrt(6))
    g = of_draws(21, 0.1, [name for name in PARAMETERS if "classifier" not in name])
    compare("many", g.mean(0), g.std(0, ddof=1) / np.sqrt(21))
    g = of_draws(6, 0.01, ["conv.weight", "bn.bias"], additive=True)
    compare("added", g.mean(0), g.std(0, ddof=1) / np.sqrt(6))
    at = points(x, key, 6, 3)
    g = np.stack([gradients(noisy(weights, PARAMETERS, m, 0.1), target, at[m]) for m in range(6)])
    flat = g.reshape(18, *g.shape[2:])
    compare("fusiongrad", flat.mean(0), group_errors(g, lambda v: v.mean(0)))
    compare("fusion-smoothgrad_squared", (flat**2).mean(0), group_errors(g, lambda v: (v**2).mean(0)))
    compare("fusion-vargrad", flat.var(0, ddof=1), group_errors(g, lambda v: v.var(0, ddof=1)))


def judge_samples(folder, path):
    """A point of a draw, made again: number 4 of fusiongrad is input 1 of draw 1."""
    out = os.path.join(folder, "samples.h5")
    sgdist(PROGRAM, "sample", path, "--item", 0, "--samples", "2:5", "--method", "fusiongrad", "-o", out)
    with h5py.File(out, "r") as f:
        inputs, ours, target = f["inputs"][()].astype("f8"), f["gradients"][()], int(f["target"][0])
    for i, draw in enumerate((0, 1, 1)):
        g = gradients(noisy(make_weights(), PARAMETERS, draw, 0.1), target, inputs[i])[0]
        check(apart(ours[i, 0], g) < ENOUGH, f"sample {2 + i} is one of draw {draw}")


# ---- nothing else shows ----

def maps_of(path):
    with h5py.File(path, "r") as f:
        return {label: f[f"maps/{label}/map"][()].tobytes() for label in f["maps"]}


def judge_bits(folder, path, job, methods):
    reference = os.path.join(folder, "study.h5")
    whole = maps_of(reference)
    sgdist(PROGRAM, job("alone", methods[:2]))
    for label, bits in maps_of(os.path.join(folder, "alone.h5")).items():
        check(bits == whole[label], f"{label} has the same bits without draws in its job")
    write_network(os.path.join(folder, "nodes.onnx"), make_weights(), in_nodes=True)
    sgdist(PROGRAM, job("nodes", methods), "--set", "model.file=" + os.path.join(folder, "nodes.onnx"))
    check(maps_of(os.path.join(folder, "nodes.h5")) == whole, "the same bits with all tensors in Constant nodes")
    if not shutil.which("mpirun"):
        return
    other = os.path.join(folder, "other.h5")
    for ranks, share in ((2, "true"), (3, "true"), (3, "false")):
        sgdist(PROGRAM, path, "--fresh", "--set", f"study.output={other}", "--set", f"run.share_weights={share}",
               launcher=["mpirun", "-n", str(ranks)])
        check(same_bits.compare(reference, other) == 0, f"the same bits on {ranks} ranks, share_weights: {share}")


def judge_resume(folder, path):
    """Killed after a checkpoint within the draws, resumed on another number of ranks."""
    if not shutil.which("mpirun"):
        return
    sets = ["--set", "methods=[{method: fusiongrad, samples: 20, weights: {draws: 400, tau: 0.1}}]",
            "--set", "run.checkpoint_seconds=0.05", "--set", "data.limit=1"]
    whole, killed = os.path.join(folder, "whole.h5"), os.path.join(folder, "killed.h5")
    sgdist(PROGRAM, path, *sets, "--set", f"study.output={whole}")
    run = subprocess.Popen([PROGRAM, path, *sets, "--set", f"study.output={killed}"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    while run.poll() is None and not any(name.startswith("killed.h5.") and "part" in name for name in os.listdir(folder)):
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    check(any(name.startswith("killed.h5.") for name in os.listdir(folder)), "it was killed over a checkpoint")
    sgdist(PROGRAM, path, *sets, "--set", f"study.output={killed}", launcher=["mpirun", "-n", "3"])
    check(same_bits.compare(whole, killed) == 0, "the same bits after a kill and a resume on 3 ranks")


# ---- closed forms ----

def judge_linear(folder):
    """y = W2 W1 x, all of it perturbed: E g = W2 W1, and with independent factors
    Var g_j = sum_i (w2_i w1_ij)^2 ((1 + tau^2)^2 - 1)."""
    random = np.random.default_rng(4)
    w1, w2 = random.normal(size=(6, 16)).astype("f4"), random.normal(size=(1, 6)).astype("f4")
    nodes = [tiny_onnx.node("Flatten", ["x"], ["f"], axis=1), tiny_onnx.node("Gemm", ["f", "w1"], ["h"], transB=1),
             tiny_onnx.node("Gemm", ["h", "w2"], ["y"], transB=1)]
    with open(os.path.join(folder, "linear.onnx"), "wb") as f:
        f.write(tiny_onnx.model(nodes, [tiny_onnx.tensor("w1", (6, 16), w1.ravel()),
                                        tiny_onnx.tensor("w2", (1, 6), w2.ravel())], (1, 4, 4), [1]))
    tau, draws = 0.2, 800
    ours = run_small(folder, "linear.onnx", tau, draws)
    terms = (w2.T * w1).astype("f8")**2
    variance = (terms.sum(0) * ((1 + tau**2)**2 - 1)).reshape(4, 4)
    mean = (w2 @ w1).astype("f8").reshape(4, 4)
    off = np.abs(ours["noisegrad"] - mean) / np.sqrt(variance / draws)
    check(off.max() < 4.5, f"linear: the mean is W2 W1, at most {off.max():.1f} standard errors away")
    check(np.abs(ours["se"] / np.sqrt(variance / draws) - 1).max() < 0.15, "linear: the error is the known one")
    off = np.abs(ours["vargrad"] / variance - 1) * np.sqrt(draws / 2)
    check(off.max() < 4.5, f"linear: the variance is the known one, at most {off.max():.1f} of its errors away")


def judge_quadratic(folder):
    """y = (w x)^2 has g = 2 (w x) w; the weight is in it twice, so E g_j = 2 (w x) w_j + 2 tau^2 w_j^2 x_j."""
    w = np.random.default_rng(6).normal(size=(1, 16)).astype("f4")
    nodes = [tiny_onnx.node("Flatten", ["x"], ["f"], axis=1), tiny_onnx.node("Gemm", ["f", "w"], ["h"], transB=1),
             tiny_onnx.node("Mul", ["h", "h"], ["y"])]
    with open(os.path.join(folder, "quadratic.onnx"), "wb") as f:
        f.write(tiny_onnx.model(nodes, [tiny_onnx.tensor("w", (1, 16), w.ravel())], (1, 4, 4), [1]))
    tau, draws = 0.5, 800
    ours = run_small(folder, "quadratic.onnx", tau, draws)
    x, v = ours["x"].ravel(), w.astype("f8").ravel()
    mean = (2 * (v @ x) * v + 2 * tau**2 * v**2 * x).reshape(4, 4)
    off = np.abs(ours["noisegrad"] - mean) / ours["se"]
    check(off.max() < 4.5, f"quadratic: the mean has the square of tau in it, {off.max():.1f} errors away")
    missed = np.abs((2 * (v @ x) * v).reshape(4, 4) - ours["noisegrad"]) / ours["se"]
    check(missed.max() > 8, "quadratic: which cannot be missed")


def run_small(folder, model, tau, draws):
    pixels = np.random.default_rng(7).integers(40, 256, (1, 4, 4), dtype=np.uint8)
    write_idx(os.path.join(folder, "small-idx3-ubyte"), pixels)
    output = os.path.join(folder, "small.h5")
    weights = {"draws": draws, "tau": tau}
    job = write_job(os.path.join(folder, "small.yaml"), study={"output": output}, model={"file": model},
                    data={"idx": "small-idx3-ubyte"}, target={"class": 0},
                    methods=[{"method": "noisegrad", "weights": weights},
                             {"method": "vargrad", "samples": 1, "noise": {"sigma": 0}, "weights": weights}])
    sgdist(PROGRAM, job, "--fresh")
    with h5py.File(output, "r") as f:
        return {"noisegrad": f["maps/noisegrad/map"][0, 0, 0].astype("f8"), "x": pixels[0] / 255,
                "vargrad": f["maps/vargrad/map"][0, 0, 0].astype("f8"), "se": f["maps/noisegrad/se"][0, 0, 0].astype("f8")}


# ---- what is refused ----

def judge_refusals(path):
    for sets, said in (
            (["methods=[{method: noisegrad, weights: {except: 'clasifier*'}}]"], "fits none of the model's parameters"),
            (["methods=[{method: noisegrad, weights: {except: '*'}}]"], "no parameter of the model would get noise"),
            (["methods=[{method: noisegrad, weights: {draws: 1000000}}]"], "make them fewer"),
            (["methods=[{method: noisegrad, weights: {draws: 4000}}]", "run.memory_mb=100"], "run.memory_mb allows"),
            (["methods=[{method: noisegrad, noise: {clean: one_of_n}}]"], "one_of_n has no meaning"),
            (["methods=[{method: noisegrad, samples: 4}]"], "has no effect on noisegrad"),
            (["methods=[{method: gradient, weights: {tau: 0.1}}]"], "has no effect on gradient"),
            (["methods=[{method: smoothdiff, weights: {tau: 0.1}}]"], "has no effect on smoothdiff")):
        arguments = [part for s in [*sets, "study.output=none.h5"] for part in ("--set", s)]
        run = subprocess.run([PROGRAM, "check", path, *arguments], capture_output=True, text=True)
        check(run.returncode == 2 and said in run.stderr, f"refused: {sets[0][9:70]}")
        if said not in run.stderr:
            print(run.stderr)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path, job, methods = judge_network(folder)
        judge_samples(folder, path)
        judge_linear(folder)
        judge_quadratic(folder)
        judge_refusals(path)
        judge_bits(folder, path, job, methods)
        judge_resume(folder, path)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
