"""Networks of torch and torchvision with random, well-scaled weights, and what `sgdist eval` makes of them.

Shared by test_networks.py, test_trained_networks.py and networks_table.py.
"""
import copy
import os
import subprocess

import numpy as np
import torch
import torch.nn as nn
import torchvision

import skimage.data


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


def calibrated(net, images):
    """The scaled network after one pass over images that sets every layer's output to the standard
    deviation 1 and every batch norm's statistics to those of its input, so neither outputs nor
    gradients vanish or explode, however deep it is. (With batch norms around 0, gradients grow by a
    fifth at every layer, Yang et al. 2019, arXiv:1902.08129; around 1/2 hardly.) Gates of squeeze and excitation (1 x 1 values) get
    1/4: otherwise each block favours the strongest of the images, which ends far beyond the others."""
    def to_one(m, _, y):
        std = y.std() * (4 if y.shape[2:] == (1, 1) else 1)
        m.weight.data /= std
        if m.bias is not None:
            m.bias.data /= std
        return y / std

    scaled(net)
    hooks = [m.register_forward_hook(to_one) for m in net.modules()
             if isinstance(m, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d))]
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.train().momentum = 1.0
            nn.init.normal_(m.bias, mean=0.5, std=0.2)
    for name, p in net.named_parameters():
        if name.endswith("layer_scale"):  # ConvNeXt starts them at 1e-6, which hides its branches
            nn.init.uniform_(p.data, 0.2, 0.6)
    with torch.no_grad():
        net(torch.from_numpy(images))
    for hook in hooks:
        hook.remove()
    return net.eval()


def noisy_fields(n, channels, rows, columns, seed):
    """n pictures with the spectrum of photos (amplitudes fall with the frequency), every channel of mean 0
    and deviation 1, with the noise of SmoothGrad at 15 % of their range."""
    rng = np.random.default_rng(seed)
    waves = np.hypot(np.fft.fftfreq(rows, 1 / rows)[:, None], np.fft.rfftfreq(columns, 1 / columns))
    white = rng.normal(size=(n, channels, rows, columns))
    x = np.fft.irfft2(np.fft.rfft2(white) / (1 + waves), (rows, columns))
    x = (x - x.mean((2, 3), keepdims=True)) / x.std((2, 3), keepdims=True)
    noise = 0.15 * (x.max((1, 2, 3), keepdims=True) - x.min((1, 2, 3), keepdims=True))
    return (x + noise * rng.normal(size=x.shape)).astype("f4")


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


def export(net, shape, path, opset, dynamic, keep_batch_norms=False):
    mode = torch.onnx.TrainingMode.PRESERVE if keep_batch_norms else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(net, torch.zeros(1, *shape), path, opset_version=opset, training=mode,
                      do_constant_folding=not keep_batch_norms, input_names=["x"],
                      dynamic_axes={"x": {0: "N"}} if dynamic else None)


def evaluate(sgdist, path, x, noisy=True):
    """y, dx and the kernels of `sgdist eval`, or the text of its refusal. Without noise no convolution before a maximum
    runs by Winograd's algorithm."""
    folder = os.path.dirname(path)
    files = [os.path.join(folder, f) for f in ("x.npy", "y.npy", "dx.npy")]
    np.save(files[0], x)
    run = subprocess.run([sgdist, "eval", path, "--input", files[0], "--output", files[1],
                          "--gradient", files[2], *["--noisy"] * noisy], capture_output=True, text=True)
    if run.returncode != 0:
        return f"exit code {run.returncode}: {run.stderr.strip()}"
    return np.load(files[1]), np.load(files[2]), run.stdout.split()[-1]


def by_torch(net, x, dtype):
    """Outputs, and the gradients of each sample's largest one, by the network itself."""
    net, ys, dxs = copy.deepcopy(net).to(dtype), [], []
    for sample in x:
        leaf = torch.from_numpy(sample[None]).to(dtype).requires_grad_()
        y = net(leaf).flatten()
        ys.append(y.detach().numpy())
        dxs.append(torch.autograd.grad(y.max(), leaf)[0][0].numpy())
    return np.stack(ys), np.stack(dxs)


def each(a, b):
    """Relative errors (L2) of a, sample by sample."""
    return np.array([np.linalg.norm((u - v).ravel()) / np.linalg.norm(v.ravel()) for u, v in zip(a, b)])
