"""An ONNX interpreter over torch in float64: the independent judge of outputs and input gradients.

It reads the file with the protobuf classes of Debian's python3-onnx where they are, otherwise with
the generic reader below; nothing of sgdist takes part.
"""
import struct

import numpy as np
import torch
import torch.nn.functional as F


def fields(data):
    """Yields (number, value) of a protobuf message; value is an int or bytes."""
    at, end = 0, len(data)

    def varint(at):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return value, at

    while at < end:
        key, at = varint(at)
        kind = key & 7
        if kind == 0:
            value, at = varint(at)
        elif kind == 2:
            n, at = varint(at)
            value, at = data[at:at + n], at + n
        else:
            n = 8 if kind == 1 else 4
            value, at = data[at:at + n], at + n
        yield key >> 3, value


def signed(v):
    return v - (1 << 64) if v >> 63 else v


def packed(value):
    if isinstance(value, int):
        return [signed(value)]
    return [signed(v) for _, v in fields(b"".join(
        b"\x08" + part for part in split_varints(value)))]


def split_varints(data):
    start = 0
    for i, byte in enumerate(data):
        if byte < 128:
            yield data[start:i + 1]
            start = i + 1


TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "u1", 10: "<f2", 11: "<f8"}


def tensor(data):
    name, dims, kind, raw, typed = "", [], 0, None, []
    for number, value in fields(data):
        if number == 1:
            dims += packed(value)
        elif number == 2:
            kind = value
        elif number == 8:
            name = value.decode()
        elif number == 9:
            raw = value
        elif number == 4:
            typed.append(np.frombuffer(value, "<f4"))
        elif number == 10:
            typed.append(np.frombuffer(value, "<f8"))
        elif number in (5, 7):
            typed.append(np.array(packed(value)))
    if raw is not None:
        array = np.frombuffer(raw, TYPES[kind])
    else:
        array = np.concatenate(typed) if typed else np.zeros(0)
        array = array.astype("<u2").view("<f2") if kind == 10 else array.astype(TYPES[kind])
    return name, array.reshape(dims)


def attribute(data):
    name, kind, value = "", 0, {}
    ints, floats = [], []
    for number, v in fields(data):
        if number == 1:
            name = v.decode()
        elif number == 20:
            kind = v
        elif number == 8:
            ints += packed(v)
        elif number == 7:
            floats += list(np.frombuffer(v, "<f4"))
        else:
            value[number] = v
    return name, {1: lambda: struct.unpack("<f", value[2])[0], 2: lambda: signed(value.get(3, 0)),
                  3: lambda: value.get(4, b"").decode(), 4: lambda: tensor(value[5])[1],
                  6: lambda: floats, 7: lambda: ints}[kind]()


class Model:
    def __init__(self, path):
        graph = next(v for n, v in fields(open(path, "rb").read()) if n == 7)
        self.opset = [dict(fields(v)).get(2) for n, v in fields(open(path, "rb").read()) if n == 8][0]
        self.values, self.nodes, inputs, self.outputs = {}, [], [], []
        for number, v in fields(graph):
            if number == 1:
                self.nodes.append(self.node(v))
            elif number == 5:
                name, array = tensor(v)
                self.values[name] = torch.from_numpy(array.copy())
            elif number in (11, 12):
                name = dict(fields(v))[1].decode()
                (inputs if number == 11 else self.outputs).append(name)
        self.values = {k: v.double() if v.is_floating_point() else v for k, v in self.values.items()}
        self.input = next(name for name in inputs if name not in self.values)

    @staticmethod
    def node(data):
        ins, outs, attrs, op = [], [], {}, ""
        for number, v in fields(data):
            if number == 1:
                ins.append(v.decode())
            elif number == 2:
                outs.append(v.decode())
            elif number == 4:
                op = v.decode()
            elif number == 5:
                attrs.update([attribute(v)])
        return op, ins, outs, attrs

    def layers(self, x, names, score, tensor=None, fixed=()):
        """{name: (activation, gradient)} of the number that `score` makes of `tensor` (the first output if None)."""
        x = torch.from_numpy(np.asarray(x)).double().requires_grad_()
        seen = {}
        y = self.run(x, tensor, seen, fixed)
        kept = [seen[name] for name in names]
        gradients = torch.autograd.grad(score(y), kept)
        return {n: (a.detach().numpy(), g.numpy()) for n, a, g in zip(names, kept, gradients)}

    def run(self, x, tensor=None, seen=None, fixed=()):
        """All of the graph up to `tensor` (the first output if None), in float64. `seen` gets all values on the way, `fixed`
        holds the values of other inputs."""
        values = {} if seen is None else seen
        values.update(self.values, **dict(fixed))
        values[self.input] = x
        want = tensor or self.outputs[0]
        for op, ins, outs, attrs in self.nodes:
            args = [values[i] if i else None for i in ins]
            if op == "Split":
                attrs["n_out"] = len(outs)
            result = getattr(self, "op_" + op)(*args, **attrs)
            for name, value in zip(outs, result if op == "Split" else [result]):
                values[name] = value
            if want in outs:
                break
        return values[want]

    def gradient(self, x, target=None, tensor=None):
        """y[N, K] and d y[target] / dx of every sample (target None: its largest output)."""
        x = torch.from_numpy(np.asarray(x)).double().requires_grad_()
        y = self.run(x, tensor).flatten(1)
        k = y.argmax(1) if target is None else torch.full((len(y),), target)
        (dx,) = torch.autograd.grad(y.gather(1, k[:, None]).sum(), x)
        return y.detach().numpy(), dx.numpy()

    @staticmethod
    def padded(x, pads, value=0.0):
        n = len(pads) // 2
        return F.pad(x, [p for i in reversed(range(n)) for p in (pads[i], pads[i + n])], value=value)

    def op_Conv(self, x, w, b=None, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1, **_):
        return F.conv2d(self.padded(x, pads), w, b, strides, 0, dilations, group)

    def op_Gemm(self, a, b, c=None, alpha=1.0, beta=1.0, transA=0, transB=0):
        y = alpha * (a.T if transA else a) @ (b.T if transB else b)
        return y if c is None else y + beta * c

    def op_MaxPool(self, x, kernel_shape, strides=(1, 1), pads=(0, 0, 0, 0), ceil_mode=0, **_):
        return F.max_pool2d(self.padded(x, pads, -torch.inf), kernel_shape, strides,
                            ceil_mode=bool(ceil_mode))

    def op_AveragePool(self, x, kernel_shape, strides=(1, 1), pads=(0, 0, 0, 0), ceil_mode=0,
                       count_include_pad=0, **_):
        def pool(v):
            return F.avg_pool2d(self.padded(v, pads), kernel_shape, strides, 0, bool(ceil_mode))
        return pool(x) if count_include_pad else pool(x) / pool(torch.ones_like(x))

    def op_BatchNormalization(self, x, scale, b, mean, var, epsilon=1e-5, **_):
        return F.batch_norm(x, mean, var, scale, b, False, 0.0, epsilon)

    def op_Pad(self, x, pads=None, value=None, mode="constant", **kw):
        pads = kw.get("pads", pads)
        return self.padded(x, [int(p) for p in pads], float(value) if value is not None else 0.0)

    def op_Clip(self, x, low=None, high=None, min=None, max=None):
        return torch.clamp(x, min if low is None else float(low), max if high is None else float(high))

    def op_ReduceMean(self, x, axes=None, keepdims=1):
        return x.mean(axes, keepdim=bool(keepdims))

    def op_ReduceMax(self, x, axes=None, keepdims=1):
        """The gradient goes to the first of equal ones, as that of MaxPool."""
        (axis,) = axes
        return x.max(axis, keepdim=bool(keepdims)).values

    @staticmethod
    def op_Max(a, b):
        return torch.where(a >= b, a, b)

    def op_Softmax(self, x, axis=None):
        if self.opset < 13:
            axis = 1 if axis is None else axis
            return F.softmax(x.flatten(axis), -1).reshape(x.shape)
        return F.softmax(x, -1 if axis is None else axis)

    def op_Split(self, x, parts=None, axis=0, n_out=1, split=None):
        parts = split if split is not None else parts
        sizes = [int(p) for p in parts] if parts is not None else x.shape[axis] // n_out
        return torch.split(x, sizes, axis)

    def op_Expand(self, x, shape):
        return x * torch.ones(shape.tolist(), dtype=x.dtype)

    def op_LayerNormalization(self, x, scale, bias=None, axis=-1, epsilon=1e-5, **_):
        return F.layer_norm(x, x.shape[axis:], scale, bias, epsilon)

    def op_InstanceNormalization(self, x, scale, bias, epsilon=1e-5):
        return F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)

    def op_ConvTranspose(self, x, w, b=None, strides=(1, 1), pads=(0, 0, 0, 0), group=1,
                         dilations=(1, 1), output_padding=(0, 0), **_):
        return F.conv_transpose2d(x, w, b, strides, tuple(pads[:2]), tuple(output_padding), group,
                                  dilations)

    def op_Cast(self, x, to):
        return x.double() if to in (1, 10, 11) else x.bool() if to == 9 else x.long()

    def op_Resize(self, x, roi=None, scales=None, sizes=None, mode="nearest",
                  coordinate_transformation_mode="half_pixel", **_):
        size = [int(v) for v in sizes[2:]] if sizes is not None else [
            int(n * float(v)) for n, v in zip(x.shape[2:], scales[2:])]
        if mode == "nearest":
            return F.interpolate(x, size, mode="nearest")
        return F.interpolate(x, size, mode="bilinear",
                             align_corners=coordinate_transformation_mode == "align_corners")

    def op_LogSoftmax(self, x, axis=None):
        return torch.log(self.op_Softmax(x, axis))

    def op_Constant(self, value):
        value = torch.from_numpy(np.array(value))
        return value.double() if value.is_floating_point() else value

    def op_Reshape(self, x, shape, **_):
        return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape.tolist())])

    def op_Concat(self, *xs, axis):
        return torch.cat([x.reshape(-1) if x.dim() == 0 else x for x in xs], axis)

    def op_Gather(self, x, i, axis=0):
        picked = x.index_select(axis, i.reshape(-1) % x.shape[axis])
        return picked.reshape(x.shape[:axis] + i.shape + x.shape[axis % x.dim() + 1:])

    def op_Unsqueeze(self, x, axes=None, **kw):
        for a in sorted(int(a) for a in (kw["axes"] if "axes" in kw else axes)):
            x = x.unsqueeze(a)
        return x

    def op_Squeeze(self, x, axes=None, **kw):
        for a in sorted((int(a) for a in (kw["axes"] if "axes" in kw else axes)), reverse=True):
            x = x.squeeze(a)
        return x

    def op_ConstantOfShape(self, shape, value=(0.0,)):
        return torch.full(shape.tolist(), np.asarray(value)[0].item(),
                          dtype=torch.from_numpy(np.array(value)).dtype)

    def op_Slice(self, x, starts=None, ends=None, axes=None, steps=None):
        lists = [None if v is None else [int(i) for i in v] for v in (starts, ends, axes, steps)]
        for i, (start, end) in enumerate(zip(lists[0], lists[1])):
            axis, step = lists[2][i] if lists[2] else i, lists[3][i] if lists[3] else 1
            at = torch.tensor(range(x.shape[axis])[start:end:step])
            x = x.index_select(axis, at)
        return x

    op_Transpose = staticmethod(lambda x, perm=None: x.permute(perm or range(x.dim())[::-1]))
    op_Relu = staticmethod(torch.relu)
    op_LeakyRelu = staticmethod(lambda x, alpha=0.01: F.leaky_relu(x, alpha))
    op_Sigmoid = staticmethod(torch.sigmoid)
    op_Tanh = staticmethod(torch.tanh)
    op_Softplus = staticmethod(F.softplus)
    op_Add = staticmethod(torch.add)
    op_Sub = staticmethod(torch.sub)
    op_Mul = staticmethod(torch.mul)
    op_Div = staticmethod(lambda a, b: torch.div(a, b) if a.is_floating_point() else
                          torch.div(a, b, rounding_mode="trunc"))
    op_MatMul = staticmethod(torch.matmul)
    op_GlobalAveragePool = staticmethod(lambda x: x.mean((2, 3), keepdim=True))
    op_Flatten = staticmethod(lambda x, axis=1: x.flatten(axis))
    op_Dropout = staticmethod(lambda x, *_, **__: x)
    op_Identity = staticmethod(lambda x: x)
    op_Shape = staticmethod(lambda x: torch.tensor(x.shape))
    op_Where = staticmethod(torch.where)
    op_Equal = staticmethod(torch.eq)
    op_Erf = staticmethod(torch.erf)
    op_Sqrt = staticmethod(torch.sqrt)
    op_Pow = staticmethod(torch.pow)
    op_HardSigmoid = staticmethod(lambda x, alpha=0.2, beta=0.5: torch.clamp(alpha * x + beta, 0, 1))
    op_HardSwish = staticmethod(F.hardswish)
    op_Neg = staticmethod(torch.neg)
    op_Exp = staticmethod(torch.exp)
    op_Range = staticmethod(lambda a, b, c: torch.arange(a.item(), b.item(), c.item()))
