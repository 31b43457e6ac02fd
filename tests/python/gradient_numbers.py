"""Cases of functions of single numbers, of pairs with broadcasting, of reductions, products, norms and softmax."""
import math

import numpy as np
import torch
import torch.nn.functional as F

SQRT2 = math.sqrt(2.0)

# name: first operator set, meaning, interval of x, attributes with their range
PLAIN = (-1.5, 1.5)
UNARY = {
    "Abs": (7, torch.abs, PLAIN, {}), "Acos": (7, torch.acos, (-0.9, 0.9), {}),
    "Acosh": (9, torch.acosh, (1.2, 3), {}), "Asin": (7, torch.asin, (-0.9, 0.9), {}),
    "Asinh": (9, torch.asinh, PLAIN, {}), "Atan": (7, torch.atan, PLAIN, {}),
    "Atanh": (9, torch.atanh, (-0.9, 0.9), {}),
    "Celu": (12, lambda x, alpha: F.celu(x, alpha), PLAIN, {"alpha": (0.5, 2)}),
    "Cos": (7, torch.cos, PLAIN, {}), "Cosh": (9, torch.cosh, PLAIN, {}),
    "Elu": (7, lambda x, alpha: F.elu(x, alpha), PLAIN, {"alpha": (0.5, 2)}),
    "Erf": (9, torch.erf, PLAIN, {}), "Exp": (7, torch.exp, PLAIN, {}),
    "HardSigmoid": (7, lambda x, alpha, beta: torch.clamp(alpha * x + beta, 0, 1), (-4, 4),
                    {"alpha": (0.15, 0.25), "beta": (0.4, 0.6)}),
    "HardSwish": (14, F.hardswish, (-5, 5), {}),
    "LeakyRelu": (7, lambda x, alpha: F.leaky_relu(x, alpha), PLAIN, {"alpha": (0.01, 0.5)}),
    "Log": (7, torch.log, (0.3, 3), {}), "Mish": (7, F.mish, PLAIN, {}),
    "Neg": (7, torch.neg, PLAIN, {}),
    "Reciprocal": (7, torch.reciprocal, (0.5, 3), {}), "Relu": (7, torch.relu, PLAIN, {}),
    "Selu": (7, lambda x, alpha, gamma: gamma * F.elu(x, alpha), PLAIN, {"alpha": (1, 2), "gamma": (0.8, 1.2)}),
    "Shrink": (9, lambda x, lambd, bias: torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, 0 * x)),
               PLAIN, {"lambd": (0.4, 0.6), "bias": (0, 0.3)}),
    "Sigmoid": (7, torch.sigmoid, (-4, 4), {}), "Sin": (7, torch.sin, PLAIN, {}),
    "Sinh": (9, torch.sinh, PLAIN, {}), "Softplus": (7, F.softplus, (-4, 4), {}),
    "Softsign": (7, F.softsign, PLAIN, {}), "Sqrt": (7, torch.sqrt, (0.3, 3), {}),
    "Tan": (7, torch.tan, (-1.2, 1.2), {}), "Tanh": (7, torch.tanh, (-2, 2), {}),
    "ThresholdedRelu": (10, lambda x, alpha: torch.where(x > alpha, x, 0 * x), PLAIN, {"alpha": (0.2, 0.8)}),
    "IsNaN": (9, lambda x: x.isnan().double(), PLAIN, {}),
    "Sign": (9, torch.sign, PLAIN, {}), "Floor": (7, torch.floor, PLAIN, {}), "Ceil": (7, torch.ceil, PLAIN, {}),
    "Round": (11, torch.round, PLAIN, {}),
}


def shape_of(c, least=1, most=4, longest=4):
    return [c.between(1, longest) for _ in range(c.between(least, most))]


def unary(c):
    kind = c.pick(*UNARY)
    since, f, (low, high), ranges = UNARY[kind]
    c.opset = max(c.opset, since)
    x = c.operand(*shape_of(c), low=low, high=high)
    kinks = {"Floor": 1.0, "Ceil": 1.0, "Round": 0.5}.get(kind)
    attributes = {k: c.number(*r) for k, r in ranges.items()}
    y = c.op(kind, [x], lambda v: f(v, **attributes), **attributes)
    c.kinks = [attributes[k] * s for k in ("lambd",) if k in attributes for s in (-1, 1)]
    c.kinks += [attributes["alpha"]] if kind == "ThresholdedRelu" else []
    c.kinks += [-3.0, 3.0] if kind == "HardSwish" else []
    c.kinks += [k * 0.5 for k in range(-4, 5)] if kinks else []
    if kind == "HardSigmoid":
        c.kinks += [(k - attributes["beta"]) / attributes["alpha"] for k in (0, 1)]
    c.kink_at = x
    return c.finish(y, x)


def broadcastable(c):
    """Two shapes that broadcast to one, of any ranks."""
    whole = shape_of(c, 1, 5, 3)
    def lesser():
        shape = [1 if c.chance(0.35) else n for n in whole]
        return shape[c.between(0, len(shape) - 1):] if c.chance(0.4) else shape
    a, b = lesser(), lesser()
    return (whole, b) if c.chance(0.5) else (a, whole)


def pair_of(c, low, high):
    """Two operands: both of the network's input, or one of them a constant."""
    way = c.pick("rows", "rows", "images", "constant", "constant", "whole constant")
    if way == "images":
        channels, plane = c.between(1, 3), [c.between(2, 3), c.between(2, 3)]
        a, b = c.images([channels, channels], *plane, low=low, high=high)
        over = c.pick(None, [2, 3], [1], [2], [3], [1, 2, 3])
        if over and low < 0:
            b = c.op("ReduceMean", [b], lambda v: v.mean(over, keepdim=True), axes=over)
        pair = [a, b]
        return pair[::-1] if c.chance(0.3) else pair
    sa, sb = broadcastable(c)
    if way == "rows":
        return c.operands([sa, sb], low, high)
    a = c.operand(*sa, low=low, high=high) if way == "constant" else c.operands([sa], low, high)[0]
    numbers = np.abs(c.rng.uniform(0.5, 1.5, sb)) * (c.rng.choice([-1, 1], sb) if low < 0 else 1)
    pair = [a, c.const(numbers)]
    return pair[::-1] if c.chance(0.4) else pair


def prelu(a, b):
    return torch.where(a < 0, a * b, a)


BINARY = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Pow": torch.pow,
          "PRelu": prelu, "Min": torch.minimum, "Max": torch.maximum, "Sum": torch.add, "Mean": lambda a, b: (a + b) / 2}


def binary(c):
    kind = c.pick(*BINARY)
    c.opset = max(c.opset, 8) if kind in ("Min", "Max", "Sum", "Mean") else c.opset
    low, high = (0.5, 2) if kind in ("Div", "Pow") else (-1.5, 1.5)
    a, b = pair_of(c, low, high)
    if kind in ("Sum", "Mean", "Min", "Max") and c.chance(0.4):
        d = c.weight(*c.of(b)[1:]) if c.of(b)[1:] else c.weight()
        f = {"Sum": lambda *v: v[0] + v[1] + v[2], "Mean": lambda *v: (v[0] + v[1] + v[2]) / 3,
             "Min": lambda *v: torch.minimum(torch.minimum(v[0], v[1]), v[2]),
             "Max": lambda *v: torch.maximum(torch.maximum(v[0], v[1]), v[2])}[kind]
        y = c.op(kind, [a, b, d], f)
    elif kind == "PRelu" and np.broadcast_shapes(c.of(a), c.of(b)) != c.of(a):
        y = c.op("Add", [a, b], torch.add)      # the slope may not be larger than x
    else:
        y = c.op(kind, [a, b], BINARY[kind])
    c.near = [(a, b)] if kind in ("Min", "Max") else []
    return c.finish(y)


def choice(c):
    """Where, comparisons and Clip."""
    kind = c.pick("Where", "Where", "compared", "Clip", "Clip", "flags")
    if kind == "Clip":
        x = c.operand(*shape_of(c))
        low, high = c.number(-1.2, -0.1), c.number(0.1, 1.2)
        has = [c.chance(0.8), c.chance(0.8)]
        c.kinks, c.kink_at = [low, high], x
        meaning = lambda v, *_: torch.clamp(v, low if has[0] else -math.inf, high if has[1] else math.inf)
        if c.opset < 11:
            y = c.op("Clip", [x], meaning, min=low if has[0] else None, max=high if has[1] else None)
        else:
            bounds = [c.const(np.float32(b)) if h else "" for b, h in zip((low, high), has)]
            y = c.op("Clip", [x] + (bounds if has[1] else bounds[:1]), meaning)
        return c.finish(y, x)
    c.opset = max(c.opset, 9)
    if kind == "Where":
        a, b = pair_of(c, *PLAIN)
        shape = np.broadcast_shapes(c.of(a), c.of(b))
        flags = c.const(c.rng.random([1 if c.chance(0.3) else n for n in shape]) < 0.5)
        return c.finish(c.op("Where", [flags, a, b], torch.where), a)
    test, f = c.pick(("Greater", torch.gt), ("Less", torch.lt), ("GreaterOrEqual", torch.ge), ("LessOrEqual", torch.le))
    c.opset = max(c.opset, 12)
    a, b = pair_of(c, *PLAIN)
    c.near = [(a, b)]
    flags = c.op(test, [a, b], f)
    if kind == "flags":
        flags = c.op("Not", [flags], torch.logical_not)
        return c.finish(c.op("Mul", [c.op("Cast", [flags], lambda v: v.double(), to=1), a], torch.mul))
    return c.finish(c.op("Where", [flags, a, b], torch.where))


def kept(f):
    return lambda v, over, keep: f(v, over, keep)


REDUCTIONS = {
    "ReduceL1": kept(lambda v, o, k: v.abs().sum(o, keepdim=k)),
    "ReduceL2": kept(lambda v, o, k: (v * v).sum(o, keepdim=k).sqrt()),
    "ReduceLogSum": kept(lambda v, o, k: v.sum(o, keepdim=k).log()),
    "ReduceLogSumExp": kept(lambda v, o, k: v.logsumexp(o, keepdim=k)),
    "ReduceMax": kept(lambda v, o, k: v.amax(o, keepdim=k)), "ReduceMin": kept(lambda v, o, k: v.amin(o, keepdim=k)),
    "ReduceMean": kept(lambda v, o, k: v.mean(o, keepdim=k)), "ReduceSum": kept(lambda v, o, k: v.sum(o, keepdim=k)),
    "ReduceSumSquare": kept(lambda v, o, k: (v * v).sum(o, keepdim=k)),
}


def product(v, over, keep):
    for axis in sorted(over, reverse=True):
        v = v.prod(axis, keepdim=keep)
    return v


REDUCTIONS["ReduceProd"] = product


def reduction(c):
    kind = c.pick(*REDUCTIONS)
    low, high = (0.3, 2) if kind in ("ReduceLogSum", "ReduceProd") else PLAIN
    x = c.operand(*shape_of(c), low=low, high=high) if c.chance(0.7) else c.operands([shape_of(c)], low, high)[0]
    rank = len(c.of(x))
    # A reduction over the batch axis of length 1 belongs to it too.
    over = sorted(int(i) for i in c.rng.permutation(rank)[:c.between(1, rank)])
    if c.of(x)[0] == 1 and rank > 1 and over != [0] and c.chance(0.8):
        over = [i for i in over if i > 0]
    keep = c.chance(0.5)
    said = [i - rank if c.chance(0.5) and c.opset >= 11 else i for i in over]
    everything = c.chance(0.15)
    meaning = lambda v: REDUCTIONS[kind](v, list(range(rank)) if everything else over, keep)
    if everything:
        y = c.op(kind, [x], meaning, keepdims=int(keep))
    elif kind == "ReduceSum":
        y = c.with_ints(kind, x, meaning, "axes", said, keepdims=int(keep))
    else:
        y = c.op(kind, [x], meaning, axes=said, keepdims=None if keep else 0)
    return c.finish(y, x)


def matrices(c):
    kind = c.pick("Gemm", "Gemm", "MatMul", "MatMul", "both")
    if kind == "Gemm":
        return gemm(c)
    m, k, n = c.between(1, 4), c.between(1, 4), c.between(1, 4)
    front = shape_of(c, 0, 2, 3)
    def spread():
        shape = [1 if c.chance(0.3) else v for v in front]
        return shape[c.between(0, len(shape)):] if c.chance(0.3) else shape
    a, b = spread() + [m, k], spread() + [k, n]
    a = [k] if c.chance(0.1) else a
    b = [k] if c.chance(0.1) and len(a) > 1 else b
    if kind == "both":
        left, right = c.operands([a, b])
    elif c.chance(0.5):
        left, right = (c.operand(*a[-3:]) if c.chance(0.5) else c.operands([a])[0]), c.weight(*b)
        if len(c.of(left)) > 5:
            return matrices(type(c)(c.rng, c.opset))
    else:
        left, right = c.weight(*a), c.operands([b])[0]
    return c.finish(c.op("MatMul", [left, right], torch.matmul), None)


def gemm(c):
    m, k, n = c.between(1, 4), c.between(1, 5), c.between(1, 4)
    ta, tb = c.chance(0.4), c.chance(0.5)
    sa, sb = [k, m] if ta else [m, k], [n, k] if tb else [k, n]
    way = c.pick("weight", "weight", "both", "left")
    if way == "weight":
        plain = not ta and c.chance(0.6)
        a, b = c.operand(k) if plain else c.operands([sa])[0], c.weight(*sb)
        m = 1 if plain else m
    elif way == "left":
        a, b = c.weight(*sa), c.operands([sb])[0]
    else:
        a, b = c.operands([sa, sb])
    alpha, beta = c.pick(None, c.number(0.3, 1.5)), c.pick(None, c.number(0.3, 1.5))
    shapes = [[n], [1], [1, n], [m, 1], [m, n], [1, 1], []]
    bias = [c.weight(*c.pick(*shapes))] if c.chance(0.7) or c.opset < 11 else []

    def meaning(a, b, d=None):
        y = (a.mT if ta else a) @ (b.mT if tb else b) * (1 if alpha is None else alpha)
        return y if d is None else y + d * (1 if beta is None else beta)
    y = c.op("Gemm", [a, b] + bias, meaning, alpha=alpha, beta=beta, transA=1 if ta else None, transB=1 if tb else None)
    return c.finish(y, a if way == "weight" else None)


def batch_norm(v, scale, bias, mean, var, eps):
    """By hand: torch 1.13 gives a wrong gradient where its input is a permuted view and dy is not."""
    scale, bias, mean, var = (t.reshape(-1, *[1] * (v.dim() - 2)) for t in (scale, bias, mean, var))
    return (v - mean) / (var + eps).sqrt() * scale + bias


def normalisation(c):
    kind = c.pick("BatchNormalization", "BatchNormalization", "InstanceNormalization", "LayerNormalization", "LRN",
                  "LpNormalization", "MeanVarianceNormalization")
    shape = [c.between(1, 5)] + [c.between(1 if kind != "InstanceNormalization" else 2, 4)
                                 for _ in range(c.between(0 if kind == "BatchNormalization" else 1, 3))]
    if kind == "LRN":
        shape = (shape + [2, 3])[:3] if c.chance(0.7) else shape
    x = c.operand(*shape)
    channels, eps = shape[0], c.number(1e-5, 1e-2)
    if kind == "BatchNormalization":
        scale, bias, mean = c.weight(channels), c.weight(channels), c.weight(channels)
        var = c.weight(channels, low=0.5, high=2)
        return c.finish(c.op(kind, [x, scale, bias, mean, var],
                             lambda v, s, b, m, r: batch_norm(v, s, b, m, r, eps), epsilon=eps), x)
    if kind == "InstanceNormalization":
        return c.finish(c.op(kind, [x, c.weight(channels), c.weight(channels)],
                             lambda v, s, b: F.instance_norm(v, weight=s, bias=b, eps=eps), epsilon=eps), x)
    if kind == "LayerNormalization":
        c.opset = 17
        axis = c.between(1, len(shape))
        tail = c.of(x)[axis:]
        bias = [c.weight(*tail)] if c.chance(0.7) else []
        if int(np.prod(tail)) == 1:
            return normalisation(type(c)(c.rng, c.opset))
        over = list(range(axis, len(shape) + 1))

        def layer(v, s, b=None):
            mean = v.mean(over, keepdim=True)
            inverse = ((v - mean).square().mean(over, keepdim=True) + eps).rsqrt()
            return F.layer_norm(v, tail, s, b, eps), mean, inverse
        y = c.op(kind, [x, c.weight(*tail)] + bias, layer, n_out=3, epsilon=eps,
                 axis=axis - len(shape) - 1 if c.chance(0.5) else axis)
        return c.finish(c.op("Mul", [y[0], y[c.between(1, 2)]], torch.mul) if c.chance(0.3) else y[0], x)
    if kind == "MeanVarianceNormalization":
        c.opset = max(c.opset, 9)
        over = sorted({0} | {c.between(1, len(shape)) for _ in range(3)})
        if int(np.prod([c.of(x)[i] for i in over])) < 4:
            return normalisation(type(c)(c.rng, c.opset))
        def mvn(v):
            d = v - v.mean(over, keepdim=True)
            return d / ((d * d).mean(over, keepdim=True).sqrt() + float(np.float32(1e-9)))
        return c.finish(c.op(kind, [x], mvn, axes=over), x)
    if kind == "LpNormalization":
        p, axis = c.pick(1, 2), c.between(1, len(shape))
        norm = {1: lambda v: v.abs().sum(axis, keepdim=True), 2: lambda v: (v * v).sum(axis, keepdim=True).sqrt()}[p]
        return c.finish(c.op(kind, [x], lambda v: v / norm(v), p=p, axis=axis), x)
    size = c.between(1, 5)
    alpha, beta, bias = c.number(0.01, 0.5), c.number(0.5, 1), c.number(0.8, 2)

    def lrn(v):
        squares = F.pad((v * v).movedim(1, -1), ((size - 1) // 2, size // 2))
        total = squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
        return v / (bias + alpha / size * total) ** beta
    return c.finish(c.op(kind, [x], lrn, size=size, alpha=alpha, beta=beta, bias=bias), x)




def softmax(c):
    kind = c.pick("Softmax", "LogSoftmax")
    shape = shape_of(c, 1, 4)
    x = c.operand(*shape)
    if c.chance(0.3):
        x = c.op("Mul", [x, c.const(np.float32(8))], torch.mul)
    axis = c.pick(None, c.between(1, len(shape)))
    f = torch.softmax if kind == "Softmax" else torch.log_softmax
    if c.opset < 13:
        at = 1 if axis is None else axis
        meaning = lambda v: f(v.flatten(at), -1).reshape(v.shape)
    else:
        meaning = lambda v: f(v, -1 if axis is None else axis)
    said = axis - len(shape) - 1 if axis and c.opset >= 11 and c.chance(0.4) else axis
    return c.finish(c.op(kind, [x], meaning, axis=said), x)
