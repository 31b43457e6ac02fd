"""`precision: bfloat16` of the whole program, on a processor played in plain C (like_tiles.c).

    SGDIST_LIKE_AMX=PROGRAM test_bfloat16.py SGDIST

The judge of the numbers is PyTorch in float64 with inputs and weights of every convolution and product rounded to bfloat16, in
both directions; further facts: the same bits on 1 and 3 ranks, no going on from float32 or from other blocks, and what the
result says of itself.
"""
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    from networks import calibrated, each, export, noisy_fields
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from program import sgdist, write_job

PROGRAM, LIKE_AMX = os.path.abspath(sys.argv[1]), os.environ["SGDIST_LIKE_AMX"]
failures = []


def check(fact, text):
    print("ok     " if fact else "FAILED ", text, flush=True)
    if not fact:
        failures.append(text)


def refusal(program, job, *sets, like="amx"):
    """Exit code and message."""
    run = subprocess.run([program, job, *sets], capture_output=True, text=True, env={**os.environ, "SGDIST_LIKE": like})
    return run.returncode, run.stderr


class Rounded(torch.autograd.Function):
    """A layer that is linear in x, on rounded numbers."""

    @staticmethod
    def forward(ctx, x, layer):
        ctx.layer, ctx.shape = layer, x.shape
        return layer(x.bfloat16().double())

    @staticmethod
    def backward(ctx, dy):
        x = torch.zeros(ctx.shape, dtype=torch.float64, requires_grad=True)
        with torch.enable_grad():
            return torch.autograd.grad(ctx.layer(x), x, dy.bfloat16().double())[0], None


class Layer(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        layer.weight.data = layer.weight.data.bfloat16().double()

    def forward(self, x):
        return Rounded.apply(x, self.layer)


def network():
    """Smooth and shallow: a sum that differs in its last bit may be rounded to the other neighbour, which later sums
    multiply. No batch norms, whose folding into the weights would have to be followed before these are rounded."""
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(3, 24, 5, 2, 2), nn.Softplus(), nn.Conv2d(24, 24, 3, 1, 1, groups=24),
                         nn.Conv2d(24, 40, 3, 2, 1), nn.Softplus(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(40 * 4 * 4, 20))


def rounded(net):
    """The same in float64, with layers of 16 channels and more on both sides rounded."""
    def one(m):
        if not isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)):
            return m
        groups = getattr(m, "groups", 1)
        sides = m.weight.shape[0] // groups, m.weight.shape[1]
        return Layer(m) if min(sides) >= 16 else m
    return torch.nn.Sequential(*[one(m) for m in net.double()])


def gradients(net, x, target):
    out = []
    for sample in x:
        leaf = torch.from_numpy(sample[None].astype("f8")).requires_grad_()
        out.append(torch.autograd.grad(net(leaf)[0, target], leaf)[0][0].numpy())
    return np.stack(out)


def read(path):
    with h5py.File(path) as f:
        assert (f["items/status"][:] == 1).all(), f["items/message"][:]
        text = {k: f["provenance/" + k].asstr()[()] for k in ("kernel", "identity")}
        effect = {k: v[:] for k, v in f["precision"].items()} if "precision" in f else None
        return f["maps/smoothgrad/map"][:], text, effect


def main(folder):
    def path(name):
        return os.path.join(folder, name)

    torch.manual_seed(7)
    x = noisy_fields(6, 3, 32, 32, seed=3)
    net = calibrated(network(), x)
    export(net, (3, 32, 32), path("net.onnx"), 13, True)
    np.save(path("x.npy"), x)
    job = write_job(path("job.yaml"), study={"output": path("r.h5")}, model={"file": path("net.onnx")}, precision="bfloat16",
                    data={"npy": path("x.npy"), "layout": "channels_first"}, methods=["smoothgrad"],
                    sampling={"samples": 24, "block": 8}, maps={"channels": "none"})

    code, message = refusal(PROGRAM, job)
    with open("/proc/cpuinfo") as cpu:
        flags = cpu.read()
    if "amx_bf16" not in flags and "avx512_bf16" not in flags:
        check(code == 2 and "job.yaml:" in message and "amx_bf16" in message and "avx512_bf16" in message
              and "float32" in message and not os.path.exists(path("r.h5")),
              f"a processor without bfloat16 is named, exit code 2: {message.strip()}")
    code, message = refusal(LIKE_AMX, job, like="wrong")
    check(code == 2 and "not those of the manual" in message, "a processor that multiplies wrong is refused, exit code 2")

    sgdist(LIKE_AMX, job)
    sgdist(LIKE_AMX, "sample", job, "--item", 1, "--samples", "0:16", "-o", path("samples.h5"))
    with h5py.File(path("samples.h5")) as f:
        inputs, got, target = f["inputs"][:], f["gradients"][:, 0], int(f["target"][0])
    exact, judge = gradients(net.double(), inputs, target), gradients(rounded(net), inputs, target)
    near, far = np.median(each(got, judge)), np.median(each(got, exact))
    check(near < far / 10 and far > 1e-3,
          f"gradients are those of rounded layers to {near:.1e}, of exact ones to {far:.1e}")

    maps, text, effect = read(path("r.h5"))
    check("precision: bfloat16" in text["identity"] and text["kernel"].endswith("+bfloat16-like-amx"),
          f"the result says so: {text['kernel']}")
    sgdist(PROGRAM, job, "--set", "precision=float32", "--set", f"study.output={path('r32.h5')}")
    maps32, text32, effect32 = read(path("r32.h5"))
    check(effect32 is None and "bfloat16" not in text32["kernel"], "a result of float32 measures no effect")
    whole = each(maps[:, 0].astype("f8"), maps32[:, 0].astype("f8"))
    check(list(effect["item"]) == [0, 1, 3, 4] and ((0 < effect["map"]) & (effect["map"] < effect["gradient"])).all()
          and (whole[effect["item"]] < 2 * effect["map"]).all() and (whole[effect["item"]] > effect["map"] / 3).all(),
          f"stored effect on maps {effect['map'].round(5)}, between the two results {whole[effect['item']].round(5)}")

    sgdist(LIKE_AMX, job, "--set", f"study.output={path('r3.h5')}", launcher=("mpirun", "-n", "3"))
    again, _, effect3 = read(path("r3.h5"))
    check((again == maps).all() and all((effect3[k] == effect[k]).all() for k in effect), "the same bits on 3 ranks")
    for name, program, sets, like in (("float32", PROGRAM, ("--set", "precision=float32"), "amx"),
                                      ("other blocks", LIKE_AMX, (), "avx512")):
        code, message = refusal(program, job, *sets, like=like)
        check(code == 2 and "another study" in message and "kernel" in message, f"{name}: does not go on from this result")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(scratch)
    sys.exit(1 if failures else 0)
