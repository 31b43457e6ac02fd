"""A tiny network of known operators, written down twice: as an ONNX file, and as steps in float64 torch.

The steps never read the file: whoever adds a node says in torch what it means. They run one sample at a time, with
a batch axis of length 1.
"""
import numpy as np
import torch

import tiny_onnx as onnx

SAMPLES = 2
MAXIMA = ("ReduceMax", "ReduceMin", "MaxPool", "GlobalMaxPool")
KINKED = ("Relu", "PRelu", "Abs", "LpPool", "GlobalLpPool", "LpNormalization", "ReduceL1")   # at 0


def spaced(rng, n, low=-1.5, high=1.5):
    """n different numbers in random order, none near another or near the middle: no maximum is close, no kink at 0 near."""
    return ((rng.permutation(n) + 0.25 + 0.5 * rng.random()) / n * (high - low) + low).astype(np.float32)


class Case:
    def __init__(self, rng, opset):
        self.rng, self.opset = rng, opset
        self.nodes, self.weights, self.steps = [], [], []
        self.now = {}
        self.kinks, self.kink_at = [], None   # numbers that no element of this value may come near
        self.near, self.gaps = [], []         # values that may not meet; values of which no two elements may

    # -- random choices

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, p):
        return self.rng.random() < p

    def between(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def number(self, low, high):
        return float(np.float32(self.rng.uniform(low, high)))

    # -- building

    def input(self, *shape, low=-1.5, high=1.5):
        n = int(np.prod(shape))
        self.shape = shape
        self.x = np.stack([spaced(self.rng, n, low, high).reshape(shape) for _ in range(SAMPLES)])
        self.now["x"] = torch.from_numpy(self.x[:1]).double()
        return "x"

    def const(self, array, node=None):
        """A constant: an initialiser, or the attribute of a node. Floats are rounded to what the file holds."""
        array = np.asarray(array)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        elif array.dtype.kind == "i":
            array = array.astype(np.int64)
        name = f"c{len(self.now)}"
        value = torch.from_numpy(array.copy())
        self.now[name] = value.double() if array.dtype.kind == "f" else value
        self.steps.append((lambda v=self.now[name]: v, [], [name]))
        if self.chance(0.2) if node is None else node:
            self.nodes.append(("Constant", [], [name], {"value": onnx.tensor_of("", array)}))
        else:
            self.weights.append(onnx.tensor_of(name, array))
        return name

    def weight(self, *shape, low=-1.0, high=1.0):
        return self.const(self.rng.uniform(low, high, shape))

    def op(self, kind, ins, meaning, n_out=1, **attributes):
        """Adds a node; `meaning` takes and gives torch tensors. Returns its outputs' names, or the only one."""
        outs = [f"t{len(self.now)}_{i}" for i in range(n_out)]
        self.nodes.append((kind, ins, outs, {k: v for k, v in attributes.items() if v is not None}))
        given = [i for i in ins if i]
        self.steps.append((meaning, given, outs))
        result = meaning(*(self.now[i] for i in given))
        for name, value in zip(outs, [result] if n_out == 1 else result):
            self.now[name] = value
        return outs[0] if n_out == 1 else outs

    def of(self, name):
        return tuple(self.now[name].shape)

    # -- nodes whose form depends on the operator set

    def reshape(self, name, shape, wanted=None):
        """`wanted` is what the file says, with its 0 and -1."""
        shape = tuple(int(n) for n in shape)
        return self.op("Reshape", [name, self.const(np.array(wanted or shape, np.int64))],
                       lambda v, _: v.reshape(shape))

    def slice(self, name, axis, start, end, step=1):
        def meaning(v, *_):
            return v.index_select(axis, torch.tensor(range(v.shape[axis])[start:end:step]))
        lists = [[start], [end], [axis]] + ([[step]] if step != 1 else [])
        if self.opset < 10 and step == 1:
            return self.op("Slice", [name], meaning, starts=[start], ends=[end], axes=[axis])
        return self.op("Slice", [name] + [self.const(np.array(v, np.int64)) for v in lists], meaning)

    def with_ints(self, kind, name, meaning, what, ints, since=13, **attributes):
        """A node whose whole numbers are an attribute before the operator set `since`, and an input from then on."""
        if self.opset < since:
            return self.op(kind, [name], meaning, **{what: ints}, **attributes)
        return self.op(kind, [name, self.const(np.array(ints, np.int64))], lambda v, _: meaning(v), **attributes)

    def slice_to(self, name, shape):
        """The value cut down to [1, *shape] at its start."""
        for axis, n in enumerate(shape, 1):
            if n < self.of(name)[axis]:
                name = self.slice(name, axis, 0, n)
        return name

    # -- where operands come from

    def operand(self, *shape, low=-1.5, high=1.5):
        """A value [1, *shape] of the network's input, which lies in memory in one of several ways."""
        way = self.pick("direct", "direct", "row", "turned", "sliced", "scaled")
        if way == "row":
            x = self.input(int(np.prod(shape)), low=low, high=high)
            return self.reshape(x, (1, *shape), [self.pick(0, -1, 1), *shape])
        if way == "turned" and len(shape) > 1:
            order = [int(i) for i in self.rng.permutation(len(shape))]
            x = self.input(*(shape[i] for i in order), low=low, high=high)
            back = [0] + [order.index(i) + 1 for i in range(len(shape))]
            return self.op("Transpose", [x], lambda v: v.permute(back), perm=back)
        if way == "sliced":
            axis = self.between(0, len(shape) - 1)
            longer = [n + (2 if i == axis else 0) for i, n in enumerate(shape)]
            return self.slice(self.input(*longer, low=low, high=high), axis + 1, 1, longer[axis] - 1)
        x = self.input(*shape, low=low, high=high)
        if way == "scaled" and low <= -1.5:
            return self.op("Mul", [x, self.weight(shape[0], *[1] * (len(shape) - 1), low=0.6, high=1.2)], torch.mul)
        return x

    def operands(self, shapes, low=-1.5, high=1.5):
        """Values of any shapes, the batch axis not among them: parts of one row."""
        sizes = [int(np.prod(s)) for s in shapes]
        x = self.input(sum(sizes), low=low, high=high)
        at, out = 0, []
        for shape, n in zip(shapes, sizes):
            part = self.slice(x, 1, at, at + n) if len(shapes) > 1 else x
            out.append(self.reshape(part, shape))
            at += n
        return out

    def images(self, channels, *plane, low=-1.5, high=1.5):
        """Values [1, c, *plane], parts of one image."""
        x = self.input(sum(channels), *plane, low=low, high=high)
        ends = np.cumsum(channels)
        return [self.slice(x, 1, int(e - c), int(e)) for c, e in zip(channels, ends)]

    # -- the end

    def finish(self, name, source=None):
        """What follows the node: nothing, what is fused into it, or a second reader of its own input."""
        rank = len(self.of(name))
        way = self.pick("nothing", "nothing", "relu", "scale", "shift", "twice")
        if way == "relu" and self.now[name].abs().min() > 0.02:
            name = self.op("Relu", [name], torch.relu)
        elif way in ("scale", "shift") and rank >= 2 and self.of(name)[0] == 1:
            vector = self.weight(self.of(name)[1], *[1] * (rank - 2), low=0.5, high=1.5)
            name = self.op(*(("Mul", [name, vector], torch.mul) if way == "scale" else
                             ("Add", [name, vector], torch.add)))
        elif (way == "twice" and source and rank > 1 < len(self.of(source))
              and self.of(name)[0] == self.of(source)[0] == 1):
            flat = [self.op("Flatten", [v], lambda t: t.flatten(1), axis=1) for v in (source, name)]
            name = self.op("Concat", flat, lambda *v: torch.cat(v, 1), axis=1)
        self.last = name
        return self

    def run(self, x):
        """All values of one sample."""
        values = {"x": x}
        for meaning, ins, outs in self.steps:
            result = meaning(*(values[i] for i in ins))
            values.update(zip(outs, [result] if len(outs) == 1 else result))
        return values

    def is_smooth(self):
        """No sample is so near a kink that central differences would see both sides."""
        def far(v):
            return bool((v.abs() > 0.01).all())
        for sample in self.x:
            values = self.run(torch.from_numpy(sample[None]).double())
            if not all(far(values[self.kink_at] - k) for k in self.kinks):
                return False
            if not all(far(values[a] - values[b]) for a, b in self.near):
                return False
            apart = self.gaps + [ins[0] for kind, ins, _, _ in self.nodes if kind in MAXIMA]
            if not all(bool((values[v].flatten().sort()[0].diff() > 0.003).all()) for v in apart):
                return False
            if not all(far(values[ins[0]]) for kind, ins, _, _ in self.nodes if kind in KINKED):
                return False
        return True

    def file(self):
        def named(names):
            return ["y" if n == self.last else n for n in names]
        nodes = [onnx.node(kind, named(ins), named(outs), **attributes) for kind, ins, outs, attributes in self.nodes]
        return onnx.model(nodes, self.weights, self.shape, self.of(self.last)[1:], self.opset)

    def judge(self):
        """y, dx and the dy that was used of all samples, in float64, and the largest number and gradient on the way."""
        rows, sizes = [], [0.0, 0.0]
        for sample in self.x:
            x = torch.from_numpy(sample[None]).double().requires_grad_()
            values = self.run(x)
            out = values[self.last]
            dy = torch.from_numpy(self.rng.uniform(-1, 1, tuple(out.shape)).astype(np.float32)).double()
            path = [x] + [v for v in values.values() if v.requires_grad and v is not x]
            gradients = [torch.zeros_like(x)]
            if out.requires_grad:
                gradients = torch.autograd.grad((out * dy).sum(), path, allow_unused=True)
            found = [g for g in gradients if g is not None]
            sizes = [max(size, *(float(t.detach().abs().max()) for t in tensors))
                     for size, tensors in zip(sizes, (path, [dy, *found]))]
            g = gradients[0] if gradients[0] is not None else torch.zeros_like(x)
            rows.append([t.detach().numpy().reshape(-1) for t in (out, g, dy)])
        return [np.stack(column) for column in zip(*rows)] + [sizes]
