#!/usr/bin/python3
"""Trains the quickstart network on Fashion-MNIST and writes everything this folder ships.

    /usr/bin/python3 jobs/quickstart/train.py [--out FOLDER]

Needs the Debian packages python3-torch, python3-numpy and dataset-fashion-mnist. One thread and
fixed seeds: the same machine gives the same files, another one a network that is equally good.
"""
import argparse
import gzip
import pathlib
import time

import numpy as np
import torch
from torch import nn

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
SHIPPED_IMAGES = 512
EPOCHS = 2
BATCH = 128
PEAK_RATE = 5e-3
CLASS_NAMES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
               "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def read_idx(path):
    """An IDX file of bytes: two zero bytes, the type, the number of axes, the big-endian lengths, the data."""
    with gzip.open(path, "rb") as file:
        raw = file.read()
    assert raw[:3] == b"\0\0\x08", f"{path}: not an IDX file of bytes"
    n_axes = raw[3]
    shape = np.frombuffer(raw, ">u4", n_axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def write_idx(path, array):
    """The same, compressed, with no name and no time in its head: equal data, equal file."""
    head = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(head + array.tobytes())


def load(part):
    """Pixels as the job file asks for them (0..1, no mean, no standard deviation) and labels."""
    images = read_idx(DATA / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(DATA / f"{part}-labels-idx1-ubyte.gz")
    pixels = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)
    return pixels, torch.from_numpy(labels.astype(np.int64))


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


def train(net, x, y):
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    net.train()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].view(-1, BATCH):
            loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {EPOCHS}: loss of the last batch {loss.item():.3f}", flush=True)


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    right = sum((net(a).argmax(1) == b).sum().item() for a, b in zip(x.split(500), y.split(500)))
    return right / len(x)


def export(net, path):
    """The two lines that any PyTorch network needs; `batch` stays free, so that sgdist may choose it."""
    net.eval()
    torch.onnx.export(net, torch.zeros(1, 1, 28, 28), path, opset_version=13,
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    torch.set_num_threads(1)
    torch.manual_seed(2017)

    net = network()
    train(net, *load("train"))
    test_x, test_y = load("t10k")
    print(f"accuracy on the {len(test_x)} test images: {accuracy(net, test_x, test_y):.4f}")
    print(f"accuracy on the first {SHIPPED_IMAGES}: "
          f"{accuracy(net, test_x[:SHIPPED_IMAGES], test_y[:SHIPPED_IMAGES]):.4f}")

    export(net, out / "fashion.onnx")
    write_idx(out / "images-idx3-ubyte.gz", read_idx(DATA / "t10k-images-idx3-ubyte.gz")[:SHIPPED_IMAGES])
    write_idx(out / "labels-idx1-ubyte.gz", read_idx(DATA / "t10k-labels-idx1-ubyte.gz")[:SHIPPED_IMAGES])
    (out / "class_names.txt").write_text("\n".join(CLASS_NAMES) + "\n")
    print(f"written to {out} in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
