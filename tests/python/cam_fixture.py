"""Grad-CAM, Guided Backpropagation and DeconvNet of ResNet-18 and SqueezeNet by Captum in float64: makes fixtures/cam.npz.

    cam_fixture.py            writes that file; needs captum (0.8.0 made it) and torchvision

ResNet-18 has calibrated random weights (networks.py), once with Relu and once without a kink; SqueezeNet has its published
ones (../shared/models), in torchvision's module. Grad-CAM is Captum's LayerGradCam with its relu, and brought to the
input's size by LayerAttribution.interpolate (bilinear). Of large maps some places are kept, the same for all pictures.
Kept is also the share of Relu units that flip between float32 and float64.
"""
import os
import sys

import numpy as np
import skimage
import torch
import torchvision
from PIL import Image

from networks import calibrated, noisy_fields, smooth
from onnx_judge import Model
from program import SHARED

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(HERE, "fixtures", "cam.npz")
SQUEEZENET = os.path.join(SHARED, "models", "SqueezeNet_fp16.onnx")
N_PICTURES, SHAPE = 8, (3, 224, 224)
PLACES = np.sort(np.random.default_rng(1).choice(np.prod(SHAPE), 400, replace=False))  # of maps of the input
ENLARGED = np.sort(np.random.default_rng(2).choice(224 * 224, 200, replace=False))     # of enlarged maps


def photos():
    """What SqueezeNet eats, BGR 0 to 255: four photos cut without resizing, twice, with noise."""
    folder = os.path.join(os.path.dirname(skimage.__file__), "data")
    paths = [os.path.join(SHARED, "models", "kitten_224.png"), *(os.path.join(folder, n) for n in (
        "coffee.png", "chelsea.png", "astronaut.png"))]
    cut = [np.asarray(Image.open(p).convert("RGB"))[:224, -224:] for p in paths]
    x = np.stack(cut + cut).transpose(0, 3, 1, 2)[:, ::-1].astype("f8")
    return (x + np.random.default_rng(13).normal(0, 8, x.shape)).astype("f4")


def squeezenet():
    """torchvision's module with the file's weights, which stand in the order of evaluation."""
    judge = Model(SQUEEZENET)
    net = torchvision.models.squeezenet1_1()
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    nodes = [n for n in judge.nodes if n[0] == "Conv"]
    assert len(nodes) == len(convolutions)
    for node, m in zip(nodes, convolutions):
        m.weight.data = judge.values[node[1][1]]
        m.bias.data = judge.values[node[1][2]]
    return net.eval()


def resnet18(is_smooth):
    torch.manual_seed(7)
    net = torchvision.models.resnet18()
    return calibrated(smooth(net) if is_smooth else net, noisy_fields(8, *SHAPE, seed=3))


# name: (network, its pictures, the module whose output is the layer)
NETWORKS = {
    "resnet18": (lambda: resnet18(False), lambda: noisy_fields(N_PICTURES, *SHAPE, seed=5), lambda net: net.layer4),
    "resnet18-smooth": (lambda: resnet18(True), lambda: noisy_fields(N_PICTURES, *SHAPE, seed=5), lambda net: net.layer4),
    "squeezenet": (squeezenet, photos, lambda net: net.features),
}


def apart_relus(net):
    """Captum wants a module of its own for every Relu, and none that writes over its input."""
    for m in net.modules():
        if isinstance(m, torch.nn.ReLU):
            m.inplace = False
        if isinstance(m, torchvision.models.resnet.BasicBlock) and isinstance(m.relu, torch.nn.ReLU):
            m.relu2 = torch.nn.ReLU()
            m.forward = lambda x, m=m: m.relu2(
                m.bn2(m.conv2(m.relu(m.bn1(m.conv1(x))))) + (x if m.downsample is None else m.downsample(x)))
    return net


def flipped(net, x):
    """The share of the units before a Relu that are on another side of 0 in float32 than in float64."""
    signs = []
    hooks = [m.register_forward_hook(lambda m, x, y: signs.append(x[0] > 0)) for m in net.modules()
             if isinstance(m, torch.nn.ReLU)]
    with torch.no_grad():
        net.float()(x.float())
        net.double()(x)  # the weights are float32, so nothing is lost on the way
    for hook in hooks:
        hook.remove()
    half = len(signs) // 2
    n = sum(s.numel() for s in signs[half:])
    return sum(int((a != b).sum()) for a, b in zip(signs, signs[half:])) / max(n, 1)


def by_captum(name):
    from captum.attr import Deconvolution, GuidedBackprop, LayerAttribution, LayerGradCam

    build, pictures, layer_of = NETWORKS[name]
    net = apart_relus(build()).double()
    x = torch.from_numpy(pictures()).double()
    target = net(x).argmax(1)
    cam = LayerGradCam(net, layer_of(net)).attribute(x, target=target, relu_attributions=True)
    found = {"target": target, "logit": net(x)[range(N_PICTURES), target], "cam": cam[:, 0],
             "enlarged": LayerAttribution.interpolate(cam, SHAPE[1:], "bilinear").flatten(1)[:, ENLARGED]}
    found["flipped"] = torch.tensor(flipped(net, x))
    for key, tool in () if "smooth" in name else (("guided_backprop", GuidedBackprop), ("deconvnet", Deconvolution)):
        found[key] = tool(net).attribute(x.clone().requires_grad_(True), target=target).flatten(1)[:, PLACES]
    return {f"{name}/{key}": value.detach().numpy() for key, value in found.items()}


def main():
    values = {}
    for name in NETWORKS:
        values.update(by_captum(name))
    np.savez_compressed(FIXTURE, **{k: v if v.dtype.kind == "i" else v.astype("f4") for k, v in values.items()})
    for k, v in values.items():
        print(f"{k:30} {str(v.shape):16} {np.abs(v).max():.3g}")
    print(f"{FIXTURE}: {os.path.getsize(FIXTURE)} bytes")


if __name__ == "__main__":
    sys.exit(main())
