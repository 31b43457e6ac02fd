#!/usr/bin/python3
"""sgdist against PyTorch (and Captum's NoiseTunnel where it can be imported) in one run: processor seconds a gradient sample.

    bench/pytorch.py [SGDIST] [--only WORD ...] [--rounds 5] [--seconds 1] [--core 0] [--json FILE] [--table FILE] [--label TEXT]

A gradient sample is noise drawn and added, a forward pass, and the gradient of one logit with respect to the input. Both sides have one core
and measure by turns, in processes that stay alive; a ratio is of two neighbours in time, and the table has the median of ratios. sgdist
runs blocks as a job does. PyTorch runs in eval mode, without gradients of weights, in the fastest of two layouts (NCHW, channels
last) and of batches of 1, 8, 16: a first round tries all. Times are of the processor (user and system), on a GPU those of the clock.

Other columns of the same table: run this with another PyTorch, with --bfloat16, or with --device cuda, and give the same --json: what is there is
kept and shown beside it. Without SGDIST only PyTorch is measured. `bench/pytorch.py --export NETWORK FILE` writes a network for
`sgdist bench`.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
MODELS = {"resnet18": 224, "resnet50": 224, "vgg16": 224, "mobilenet_v2": 224, "efficientnet_b0": 224, "vit_b_16": 224, "fashion": 28}
LAYOUTS, BATCHES = ("NCHW", "channels last"), (1, 8, 16)
SIGMA = 0.15
BEGIN, END = "<!-- pytorch.py: begin -->", "<!-- pytorch.py: end -->"


# ---- the process that runs PyTorch ----

def network(name):
    import torch
    torch.manual_seed(1)
    if name == "fashion":  # the quickstart's
        sys.path.insert(0, str(REPOSITORY / "jobs/quickstart"))
        from train import network as fashion
        net = fashion()
    else:
        import torchvision
        net = getattr(torchvision.models, name)(weights=None)
    return net.eval()


def shape(name):
    return (1 if name == "fashion" else 3, MODELS[name], MODELS[name])


def export(net, name, path):
    import torch
    warnings.simplefilter("ignore")  # of shapes that the trace takes for numbers, which they are
    options = {"dynamo": False} if int(torch.__version__.split(".")[0]) >= 2 and "dynamo" in torch.onnx.export.__code__.co_varnames else {}
    torch.onnx.export(net, torch.zeros(1, *shape(name)), str(path), opset_version=13, input_names=["x"],
                      dynamic_axes={"x": {0: "N"}}, **options)


class Worker:
    """Times one network; answers requests of one line each."""

    def __init__(self, name, device, dtype, path):
        import torch
        self.torch, self.device, self.dtype = torch, device, getattr(torch, dtype)
        torch.set_num_threads(1)
        net = network(name)
        if path:
            export(net, name, path)
        self.net = net.to(device, self.dtype).requires_grad_(False)  # after the export, where it would choose operators that ONNX lacks
        self.x = torch.randn(1, *shape(name), device=device).to(self.dtype)

    def now(self):
        if self.device == "cpu":
            return time.process_time()
        self.torch.cuda.synchronize()
        return time.perf_counter()

    def by_torch(self, batch):
        noise = self.torch.randn(batch, *self.x.shape[1:], device=self.device, dtype=self.dtype)
        x = (self.x + SIGMA * noise).contiguous(memory_format=self.layout).requires_grad_()
        return self.torch.autograd.grad(self.net(x)[:, 0].sum(), x)[0]

    def by_captum(self, batch):
        from captum.attr import NoiseTunnel, Saliency
        return NoiseTunnel(Saliency(self.net)).attribute(self.x.contiguous(memory_format=self.layout), nt_type="smoothgrad", nt_samples=batch,
                                                         stdevs=SIGMA, target=0, abs=False)

    def measure(self, by, layout, batch, seconds):
        """Seconds a sample over whole passes of about so many seconds, after one that is not counted where layout or batch are new."""
        run = getattr(self, by)
        self.layout = self.torch.channels_last if layout == "channels last" else self.torch.contiguous_format
        if getattr(self, "warm", None) != (by, layout, batch):
            self.net = self.net.to(memory_format=self.layout)
            run(batch)
            self.warm = (by, layout, batch)
        n, begun, spent = 0, self.now(), 0.0
        while n == 0 or spent + spent / n / 2 < seconds:
            run(batch)
            n, spent = n + 1, self.now() - begun
        return spent / (n * batch)

    def about(self):
        found = {"torch": self.torch.__version__, "kernels": "oneDNN " + str(self.torch.backends.mkldnn.is_available()),
                 "processor": processor() if self.device == "cpu" else self.torch.cuda.get_device_name()}
        for line in self.torch.__config__.show().split("\n"):
            if "MKL-DNN" in line or "CPU capability" in line:
                found["kernels"] = line.strip(" -").replace(" (Git Hash N/A)", "") if "MKL-DNN" in line else found["kernels"] + ", " + line.strip(" -")
        for module in ("torchvision", "captum"):
            try:
                found[module] = __import__(module).__version__
            except ImportError:
                pass
        return found


def serve(name, device, dtype, path):
    """Lines of JSON in and out: the arguments of measure, the seconds."""
    worker = Worker(name, device, dtype, path)
    print(json.dumps(worker.about()), flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.measure(*json.loads(line))), flush=True)


# ---- the process that compares ----

def processor():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")


class Child:
    """A process that answers each line with one."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hello = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args}: ended with exit code {self.process.wait()}")
        return line.strip()

    def ask(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def compare(options, name, folder, earlier):
    """The record of one network: seconds of each round."""
    path = os.path.join(folder, name + ".onnx")
    torch = Child(sys.executable, __file__, "--serve", name, options.device, "bfloat16" if options.bfloat16 else "float32", path if options.program else "")
    with torch:
        about = json.loads(torch.hello)

        def ask(by, layout, batch):
            return json.loads(torch.ask(json.dumps([by, layout, batch, options.seconds])))

        tried = earlier.get("tried") if earlier.get("about", {}).get("torch") == about["torch"] and not options.try_again else None
        tried = tried or [[layout, batch, ask("by_torch", layout, batch)] for layout in LAYOUTS for batch in BATCHES]
        layout, batch, _ = min(tried, key=lambda t: t[2])
        found = {"about": about, "tried": tried, "layout": layout, "batch": batch, "torch": [],
                 "date": datetime.date.today().isoformat()}
        sides = {"torch": lambda: ask("by_torch", layout, batch)}
        if "captum" in about:
            sides["captum"] = lambda: ask("by_captum", layout, batch)
        if options.program:
            sgdist = Child(options.program, "bench", path, "--on-request", "--seconds", str(options.seconds))
            found["kernels"] = sgdist.hello.split(",")[0].split()[-1]
            sides["sgdist"] = lambda: float(sgdist.ask("").split()[0])
        for _ in range(options.rounds):
            for side, measure in sides.items():
                found.setdefault(side, []).append(measure())
        if options.program:
            with sgdist:
                pass
    if options.program:
        os.unlink(path)
    return found


def ratios(found, side="torch"):
    return [a / b for a, b in zip(found[side], found["sgdist"])] if found.get(side) and found.get("sgdist") else []


def duration(seconds):
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def cell(found, side="torch"):
    if not found or not found.get(side):
        return "-", "-"
    time_text = duration(statistics.median(found[side])) + (f" ({found['layout']}, {found['batch']})" if side == "torch" else "")
    all_ratios = ratios(found, side)
    return time_text, f"{statistics.median(all_ratios):.2f} ({min(all_ratios):.2f} to {max(all_ratios):.2f})" if all_ratios else "-"


def waiting(records):
    """Names for columns that wait."""
    def some(test):
        return any(test(found) for models in records.values() for found in models.values())

    names = [("a current PyTorch", lambda f: int(f["about"]["torch"].split(".")[0]) >= 2), ("bfloat16", lambda f: f["dtype"] == "bfloat16"),
               ("a GPU", lambda f: f["device"] != "cpu")]
    return [name for name, test in names if not some(test)]


def table(records):
    """Markdown: what was measured, model by model, and with what."""
    captum = [label for label in records if any(f.get("captum") for f in records[label].values())]
    head = ["network", "sgdist"]
    for label in records:
        head += [f"{label}: a sample (layout, batch)", "ratio"] + (["NoiseTunnel", "ratio"] if label in captum else [])
    head += waiting(records)
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name in MODELS:
        measured = [records[label][name] for label in records if name in records[label]]
        if measured:
            ours = [f["sgdist"] for f in measured if f.get("sgdist")]
            row = [name, duration(statistics.median(ours[-1])) if ours else "-"]
            for label in records:
                found = records[label].get(name)
                row += [*cell(found), *(cell(found, "captum") if label in captum else ())]
            row += ["-"] * len(waiting(records))
            lines.append("| " + " | ".join(row) + " |")
    lines += ["", "A ratio is PyTorch's time by sgdist's, each from the same run: the median of its rounds (least to largest)."]
    for label, models in records.items():
        found = list(models.values())[-1]
        about = found["about"]
        versions = ", ".join(f"{m} {about[m]}" for m in ("torch", "torchvision", "captum") if m in about)
        lines.append(f"{label}: {versions} ({about['kernels']}), {found['dtype']}, {about['processor']}; sgdist {found.get('kernels', 'not measured')}; "
                     f"{len(found['torch'])} rounds, {found['date']}.")
    return "\n".join(lines) + "\n"


def write(path, text):
    """Between the marks of a document that has them, or as the whole file."""
    old = path.read_text() if path.exists() else ""
    if BEGIN in old:
        before, rest = old.split(BEGIN)
        text = f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}"
    path.write_text(text)


def parse():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--again", action="store_true", help="measure nothing: the table of what --json has")
    parser.add_argument("program", nargs="?", help="sgdist; without it only PyTorch is measured")
    parser.add_argument("--only", nargs="*", default=[], help="networks whose names contain one of these words")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of one measurement")
    parser.add_argument("--core", type=int, help="the one that both sides run on (default: the last that is allowed)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--label", help="heading of the column (default: PyTorch and its version)")
    parser.add_argument("--json", help="file of all that was measured; other labels and networks in it stay")
    parser.add_argument("--table", help="file for the table; a document that has its marks keeps the rest")
    parser.add_argument("--try-again", action="store_true", help="try all layouts and batches even if the file knows the best")
    return parser.parse_args()


def main():
    options = parse()
    records, work = {}, tempfile.TemporaryDirectory()
    if options.json and os.path.exists(options.json):
        with open(options.json) as f:
            records = json.load(f)
    options.program = os.path.abspath(options.program) if options.program else None
    os.sched_setaffinity(0, [options.core if options.core is not None else max(os.sched_getaffinity(0))])
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    os.environ.pop("OPENBLAS_CORETYPE", None)  # its kernels are those that the processor has
    import torch
    label = options.label or f"PyTorch {torch.__version__}" + (", bfloat16" if options.bfloat16 else "") + (f", {options.device}" if options.device != "cpu" else "")
    with work as folder:
        for name in [] if options.again else MODELS:
            if not options.only or any(word in name for word in options.only):
                found = compare(options, name, folder, records.get(label, {}).get(name, {}))
                found.update(device=options.device, dtype="bfloat16" if options.bfloat16 else "float32")
                records.setdefault(label, {})[name] = found
                print(name, *cell(found), *cell(found, "captum"), file=sys.stderr, flush=True)
                if options.json:
                    with open(options.json, "w") as f:
                        json.dump(records, f, indent=1)
    text = table(records)
    print(text)
    if options.table:
        write(pathlib.Path(options.table), text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    elif sys.argv[1:2] == ["--export"]:
        export(network(sys.argv[2]), *sys.argv[2:])
    else:
        main()
