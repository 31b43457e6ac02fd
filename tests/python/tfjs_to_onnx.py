"""A layers model of TensorFlow.js, its weights quantised to bytes, as an ONNX file.

Knows the layers of a Keras MobileNetV2 on 3xHxW. The model may be wrapped into JavaScript, as nsfwjs
wraps it: an object literal, and the weights in base 64.
"""
import base64
import json
import re

import numpy as np

from tiny_onnx import model, node, tensor


def topology(script):
    """The object literal of model.min.js: JSON but for bare keys, !0, !1 and numbers like .5."""
    text = script[script.index("a.exports=") + 10:script.rindex("},{}]},{},[1])")]
    text = re.sub(r"([{,])([A-Za-z_]\w*):", r'\1"\2":', text)
    text = re.sub(r"(?<=[:\[,])!([01])", lambda m: ("true", "false")[int(m[1])], text)
    return json.loads(re.sub(r"(?<=[:\[,])(-?)\.", r"\g<1>0.", text))


def weights(manifest, data):
    """name: float32 array, from bytes b of value b * scale + min that lie one after the other."""
    arrays, at = {}, 0
    for entry in (w for group in manifest for w in group["weights"]):
        n, q = int(np.prod(entry["shape"])), entry["quantization"]
        assert q["dtype"] == "uint8"
        raw = np.frombuffer(data, np.uint8, n, at).astype("f8")
        arrays[entry["name"]] = (raw * q["scale"] + q["min"]).astype("f4").reshape(entry["shape"])
        at += n
    assert at == len(data)
    return arrays


class Converter:
    def __init__(self, arrays):
        self.arrays, self.nodes, self.tensors = arrays, [], []

    def weight(self, layer, what, order=None):
        array = self.arrays[f"{layer}/{what}"]
        array = array if order is None else array.transpose(order)
        self.tensors.append(tensor(f"{layer}/{what}", array.shape, array.ravel().tolist()))
        return f"{layer}/{what}"

    def activation(self, name, kind):
        if kind != "linear":
            self.nodes.append(node({"relu": "Relu", "softmax": "Softmax"}[kind], [name + "/sum"], [name]))

    def layer(self, kind, name, c, ins):
        """Adds the nodes of one layer; they make the tensor of its name."""
        made = [name if c.get("activation", "linear") == "linear" else name + "/sum"]
        if kind in ("Conv2D", "DepthwiseConv2D"):
            deep = kind == "DepthwiseConv2D"
            w = self.weight(name, "depthwise_kernel" if deep else "kernel", (2, 3, 0, 1) if deep else (3, 2, 0, 1))
            same = c["padding"] == "same"
            assert not same or c["strides"] == [1, 1]  # otherwise the padding depends on the size
            self.nodes.append(node("Conv", [*ins, w], made, strides=c["strides"],
                                   group=self.arrays[w].shape[2] if deep else 1,
                                   pads=[k // 2 if same else 0 for k in c["kernel_size"]] * 2))
        elif kind == "BatchNormalization":
            four = [self.weight(name, part) for part in ("gamma", "beta", "moving_mean", "moving_variance")]
            self.nodes.append(node("BatchNormalization", [*ins, *four], made, epsilon=c["epsilon"]))
        elif kind == "ReLU":
            self.nodes.append(node("Clip", ins, made, min=0.0, max=float(c["max_value"])))
        elif kind == "ZeroPadding2D":
            (top, bottom), (left, right) = c["padding"]
            self.nodes.append(node("Pad", ins, made, pads=[0, 0, top, left, 0, 0, bottom, right]))
        elif kind == "AveragePooling2D":
            self.nodes.append(node("AveragePool", ins, made, kernel_shape=c["pool_size"], strides=c["strides"]))
        elif kind == "Dense":
            self.nodes.append(node("Gemm", [*ins, self.weight(name, "kernel"), self.weight(name, "bias")], made))
        else:
            self.nodes.append(node({"Add": "Add", "Flatten": "Flatten", "Dropout": "Identity"}[kind], ins, made))
        self.activation(name, c.get("activation", "linear"))


def convert(model_script, shard_script):
    """The bytes of an ONNX file whose input is 3xHxW."""
    m = topology(model_script)
    encoded = max(re.findall(r'"([A-Za-z0-9+/=]+)"', shard_script), key=len)
    convert = Converter(weights(m["weightsManifest"], base64.b64decode(encoded)))
    config = m["modelTopology"]["model_config"]["config"]
    shape = config["layers"][0]["config"]["batch_input_shape"]
    for layer in config["layers"][1:]:
        ins = [i[0] for i in layer["inbound_nodes"][0]]
        convert.layer(layer["class_name"], layer["name"], layer["config"], ins)
    y = config["output_layers"][0][0]
    units = config["layers"][-1]["config"]["units"]
    return model(convert.nodes, convert.tensors, [shape[3], *shape[1:3]], [units], opset=10,
                 x=config["layers"][0]["name"], y=y)
