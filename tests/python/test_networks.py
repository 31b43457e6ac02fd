"""Whole networks, exported by torch, through `sgdist eval` against float64 (onnx_judge.py).

    test_networks.py SGDIST [--slow] [--only WORD]

On networks of ReLU and max pooling single units flip between float32 and float64, so gradients agree
to 1e-6 on some inputs and to 1e-2 on others (float32 torch on vgg11: 5.6e-3, 5e-7, 3.6e-3): the median
over the inputs is held to 1e-2 and the worst to 5e-2. Smooth networks have no such units and are held
to 1e-5; so the large ones run with Softplus and average pooling in place as well.
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torchvision
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from onnx_judge import Model

OUTPUT, MEDIAN, WORST, SMOOTH = 1e-4, 1e-2, 5e-2, 1e-5


def scaled(net):
    """Random weights under which activations keep their size, and batch norms that do something."""
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            if m.bias is not None:
                nn.init.normal_(m.bias, std=0.1)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.0)
            nn.init.normal_(m.bias, std=0.2)
            nn.init.normal_(m.running_mean, std=0.2)
            nn.init.uniform_(m.running_var, 0.5, 2.0)
    return net.eval()


class View(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return self.how(x)


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, 4, 1), nn.ReLU(),
                                  nn.Conv2d(4, c, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.gate(x) + x - 0.5 * torch.tanh(x)


def quickstart(how=lambda x: x.flatten(1)):
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32),
                         nn.ReLU(), nn.MaxPool2d(2), View(how), nn.Linear(32 * 7 * 7, 10))


def lenet(how):
    return nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5),
                         nn.Sigmoid(), nn.AvgPool2d(2, padding=1), View(how),
                         nn.Linear(400, 120), nn.Softplus(), nn.Dropout(), nn.Linear(120, 10),
                         nn.LogSoftmax(1))


def odd():
    """Grouped, dilated, strided, padded by Pad; a batch norm with nothing before it; both ends of a
    branch; a spatial mean."""
    return nn.Sequential(nn.BatchNorm2d(3), nn.ZeroPad2d((1, 2, 0, 3)),
                         nn.Conv2d(3, 12, 3, groups=3, stride=(2, 1)), nn.LeakyReLU(0.2),
                         nn.Conv2d(12, 16, 3, dilation=2, bias=False), nn.BatchNorm2d(16),
                         SqueezeExcite(16), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.ReLU6(),
                         View(lambda x: x.mean((2, 3))), nn.Linear(16, 7))


class Branches(nn.Module):
    """Values that several nodes read, joined and reshaped through batch, channels and rows."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4)
        self.gate, self.line = SqueezeExcite(4), nn.Linear(108, 3)

    def forward(self, x):
        y = self.gate(torch.relu(self.norm(self.conv(nn.functional.pad(x, (1, 0, 0, 1))))))
        z = nn.functional.avg_pool2d(torch.cat([y, y * 2, y], 1), 2, ceil_mode=True)
        z = z.view(z.size(0), -1)
        twisted = z.reshape(z.size(0), 2, -1, 3).reshape(z.shape[0], -1)
        return torch.log_softmax(self.line(z + 0.5 * twisted), 1)


def smooth(net):
    """The network with every kink rounded off."""
    for name, m in net.named_children():
        if isinstance(m, nn.ReLU):
            setattr(net, name, nn.Softplus())
        elif isinstance(m, nn.MaxPool2d):
            setattr(net, name, nn.AvgPool2d(m.kernel_size, m.stride, m.padding, m.ceil_mode))
        else:
            smooth(m)
    return net


class UNet(nn.Module):
    """Two levels down and up again by ConvTranspose, with skips; regresses a field."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([self.block(2, 8), self.block(8, 16), self.block(16, 32)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 4, 2, 1)])
        self.join = nn.ModuleList([self.block(32, 16), self.block(16, 8)])
        self.head = nn.Conv2d(8, 1, 1)

    @staticmethod
    def block(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
                             nn.Conv2d(b, b, 3, padding=1), nn.GroupNorm(4, b), nn.GELU())

    def forward(self, x):
        a = self.down[0](x)
        b = self.down[1](nn.functional.max_pool2d(a, 2))
        c = self.down[2](nn.functional.avg_pool2d(b, 2))
        b = self.join[0](torch.cat([self.up[0](c), b], 1))
        return self.head(self.join[1](torch.cat([self.up[1](b), a], 1)))


class Attention(nn.Module):
    """A small vision transformer of torch's own parts."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 4, 4)
        self.token = nn.Parameter(0.5 * torch.randn(1, 1, 24))
        self.place = nn.Parameter(0.1 * torch.randn(1, 17, 24))
        self.layer = nn.TransformerEncoderLayer(24, 4, 48, activation="gelu", batch_first=True)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.layer(x)[:, 0])


def vgg_body():
    return nn.Sequential(torchvision.models.vgg11().features, nn.Flatten(), nn.Linear(2048, 10))


FAST = {
    # name: (network, input shape, opset, keep batch norms, batch axis, smooth)
    "quickstart": (quickstart, (1, 28, 28), 13, True, True, False),
    "quickstart, view(N, -1)": (lambda: quickstart(lambda x: x.view(x.size(0), -1)), (1, 28, 28), 9,
                                True, True, False),
    "lenet, view(-1, K), opset 9": (lambda: lenet(lambda x: x.view(-1, 400)), (1, 28, 28), 9, True,
                                    True, True),
    "lenet, batch frozen": (lambda: lenet(lambda x: x.view(x.size(0), -1)), (1, 28, 28), 17, False,
                            False, True),
    "lenet, reshape to 4 axes": (lambda: lenet(lambda x: x.reshape(-1, 20, 20, 1).flatten(1)),
                                 (1, 28, 28), 15, False, True, True),
    "odd": (odd, (3, 29, 31), 11, True, True, False),
    "odd, opset 17": (odd, (3, 29, 31), 17, True, True, False),
    "branches, opset 9": (Branches, (2, 8, 8), 9, True, True, False),
    "branches, batch frozen": (Branches, (2, 8, 8), 13, False, False, False),
    "resnet18": (torchvision.models.resnet18, (3, 96, 96), 13, True, True, False),
    "resnet18, smooth": (lambda: smooth(torchvision.models.resnet18()), (3, 64, 64), 13, False, True,
                         True),
    "squeezenet1_1, smooth": (lambda: smooth(torchvision.models.squeezenet1_1()), (3, 65, 65), 13,
                              False, True, True),
    "vgg11, small classifier": (vgg_body, (3, 64, 64), 13, False, True, False),
    "squeezenet1_1": (torchvision.models.squeezenet1_1, (3, 97, 97), 13, False, True, False),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, (3, 64, 64), 13, False, True, False),
    "mobilenet_v3_small": (torchvision.models.mobilenet_v3_small, (3, 64, 64), 17, False, True, False),
    "u-net": (UNet, (2, 32, 32), 13, False, True, False),
    "u-net, batch frozen": (UNet, (2, 24, 40), 17, False, False, False),
    "attention": (Attention, (3, 16, 16), 13, False, True, False),
    "attention, batch frozen": (Attention, (3, 16, 16), 17, False, False, False),
}
SLOW = {
    "resnet50, smooth": (lambda: smooth(torchvision.models.resnet50()), (3, 224, 224), 13, False,
                         True, True),
    "vgg11": (torchvision.models.vgg11, (3, 224, 224), 13, False, True, False),
    "vgg16": (torchvision.models.vgg16, (3, 224, 224), 13, False, True, False),
    "resnet18, 224": (torchvision.models.resnet18, (3, 224, 224), 13, False, True, False),
    "squeezenet1_0, 224": (torchvision.models.squeezenet1_0, (3, 224, 224), 13, False, True, False),
    "resnet50": (torchvision.models.resnet50, (3, 224, 224), 13, False, True, False),
    **{f"{name}, opset {opset}": (getattr(torchvision.models, name), (3, side, side), opset, False,
                                  opset == 13, False)
       for name, side in (("mobilenet_v2", 224), ("mobilenet_v3_large", 224),
                          ("efficientnet_b0", 224), ("inception_v3", 299),
                          ("resnext50_32x4d", 224), ("convnext_tiny", 224), ("vit_b_16", 224))
       for opset in (13, 17)},
}


def relative(a, b):
    return np.linalg.norm((a - b).ravel()) / np.linalg.norm(b.ravel())


def check(sgdist, folder, name, build, shape, opset, keep, symbolic, is_smooth):
    torch.manual_seed(7)
    net = scaled(build())
    path = os.path.join(folder, "net.onnx")
    mode = torch.onnx.TrainingMode.PRESERVE if keep else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(net, torch.zeros(1, *shape), path, opset_version=opset, training=mode,
                      do_constant_folding=not keep, input_names=["x"],
                      dynamic_axes={"x": {0: "N"}} if symbolic else None)
    x = np.random.default_rng(1).normal(size=(3 if len(name) > 6 else 5, *shape)).astype("f4")
    files = [os.path.join(folder, f) for f in ("x.npy", "y.npy", "dx.npy")]
    np.save(files[0], x)
    run = subprocess.run([sgdist, "eval", path, "--input", files[0], "--output", files[1],
                          "--gradient", files[2]], capture_output=True, text=True)
    if run.returncode != 0:
        print(f"FAILED {name}: exit code {run.returncode}: {run.stderr.strip()}")
        return False
    judge = Model(path)
    last = judge.nodes[-1]
    tensor = last[1][0] if "Softmax" in last[0] else None  # what `auto` explains
    if symbolic:
        y, dx = judge.gradient(x, tensor=tensor)
    else:  # the file may have the batch of 1 in its shapes
        parts = [judge.gradient(x[i:i + 1], tensor=tensor) for i in range(len(x))]
        y, dx = (np.concatenate(p) for p in zip(*parts))
    e_y = relative(np.load(files[1]), y)
    e_dx = np.array([relative(a, b) for a, b in zip(np.load(files[2]), dx)])
    good = e_y < OUTPUT and (e_dx.max() < SMOOTH if is_smooth else
                             np.median(e_dx) < MEDIAN and e_dx.max() < WORST)
    print(f"{'ok' if good else 'FAILED':6} {name:30} output {e_y:.1e}  gradient median "
          f"{np.median(e_dx):.1e} worst {e_dx.max():.1e}")
    return bool(good)


def main():
    cases = SLOW if "--slow" in sys.argv else FAST
    if "--only" in sys.argv:
        word = sys.argv[sys.argv.index("--only") + 1]
        cases = {name: case for name, case in cases.items() if word in name}
    with tempfile.TemporaryDirectory() as folder:
        results = [check(sys.argv[1], folder, name, *case) for name, case in cases.items()]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
