"""Networks and pictures that are the same everywhere: weights and pixels from NumPy's frozen RandomState.

ResNet-18 (He et al. 2016, arXiv:1512.03385) as torchvision builds it, written as ONNX node by node; with `smooth` its
Relu is a Softplus of steepness 4 and its max pooling an average, so that it has derivatives of all orders.
"""
import numpy as np

import tiny_onnx

SIDE, CLASSES = 128, 1000


class Builder:
    def __init__(self, seed, smooth):
        self.random, self.smooth, self.nodes, self.weights = np.random.RandomState(seed), smooth, [], []

    def weight(self, name, values):
        self.weights.append(tiny_onnx.tensor_of(name, np.ascontiguousarray(values, "f4")))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(tiny_onnx.node(op, inputs, [output], **attributes))
        return output

    def conv(self, x, name, c_in, c_out, kernel, stride):
        w = self.random.standard_normal((c_out, c_in, kernel, kernel)) * np.sqrt(2 / (c_in * kernel * kernel))
        y = self.node("Conv", [x, self.weight(name + ".w", w)], name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                      pads=[kernel // 2] * 4)
        of_norm = [self.random.uniform(0.5, 1, c_out), 0.2 * self.random.standard_normal(c_out),
                   0.2 * self.random.standard_normal(c_out), self.random.uniform(0.8, 2, c_out)]
        names = [self.weight(f"{name}.{k}", v) for k, v in zip(("scale", "shift", "mean", "var"), of_norm)]
        return self.node("BatchNormalization", [y, *names], name + ".norm")

    def relu(self, x):
        if not self.smooth:
            return self.node("Relu", [x], x + ".relu")
        steep = self.node("Mul", [x, "four"], x + ".steep")
        return self.node("Mul", [self.node("Softplus", [steep], x + ".soft"), "quarter"], x + ".relu")

    def block(self, x, name, c_in, c_out, stride):
        y = self.relu(self.conv(x, name + ".1", c_in, c_out, 3, stride))
        y = self.conv(y, name + ".2", c_out, c_out, 3, 1)
        skip = x if stride == 1 else self.conv(x, name + ".skip", c_in, c_out, 1, stride)
        return self.relu(self.node("Add", [y, skip], name + ".sum"))


def resnet18(path, smooth=False):
    b = Builder(18, smooth)
    if smooth:
        b.weight("four", np.array(4.0)), b.weight("quarter", np.array(0.25))
    x = b.relu(b.conv("x", "stem", 3, 64, 7, 2))
    x = b.node("AveragePool" if smooth else "MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    c_in = 64
    for stage, c in enumerate((64, 128, 256, 512)):
        for i in range(2):
            x = b.block(x, f"stage{stage + 1}.{i}", c_in, c, 2 if stage > 0 and i == 0 else 1)
            c_in = c
    x = b.node("Flatten", [b.node("GlobalAveragePool", [x], "average")], "flat")
    w = b.random.standard_normal((CLASSES, 512)) * np.sqrt(1 / 512)
    b.node("Gemm", [x, b.weight("fc.w", w), b.weight("fc.b", np.zeros(CLASSES))], "y", transB=1)
    with open(path, "wb") as f:
        f.write(tiny_onnx.model(b.nodes, b.weights, (3, SIDE, SIDE), (CLASSES,)))
    return path


def picture():
    """Waves in three colours and some grain, in about -2..2 as standardised pictures are."""
    random = np.random.RandomState(7)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = [np.sin(2 * np.pi * (random.uniform(1, 6) * x + random.uniform(1, 6) * y) + c) for c in range(9)]
    colours = [sum(waves[c::3]) / 2 for c in range(3)]
    return (np.stack(colours) + 0.1 * random.standard_normal((3, SIDE, SIDE))).astype("f4")
