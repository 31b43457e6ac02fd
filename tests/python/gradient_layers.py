"""Cases of layers that files write as several nodes, in many spellings: GELU, layer normalisation, attention.

Some spellings are near misses (an inner tensor that something else reads, a constant in the wrong place), which have to
stay what they are.
"""
import numpy as np
import torch


def scaled(c, name, number):
    """Times a number, in one of its spellings."""
    if c.chance(0.5):
        return c.op("Div", [name, c.const(np.float32(1 / number))], torch.div)
    ins = [name, c.const(np.full([1] * c.between(0, 2), number, np.float32))]
    return c.op("Mul", ins if c.chance(0.5) else ins[::-1], torch.mul)


def plus(c, name, number):
    if c.chance(0.3):
        return c.op("Sub", [name, c.const(np.float32(-number))], torch.sub)
    ins = [name, c.const(np.float32(number))]
    return c.op("Add", ins if c.chance(0.5) else ins[::-1], torch.add)


def product(c, a, b):
    return c.op("Mul", [a, b] if c.chance(0.5) else [b, a], torch.mul)


def cubic(c, x):
    """x + 0.045 x^3, or something like it."""
    way = c.pick("pow", "mul", "factored")
    if way == "pow":
        cube = c.op("Pow", [x, c.const(np.float32(3))], lambda v, _: v ** 3)
        return c.op("Add", [x, scaled(c, cube, 0.044715)], torch.add)
    square = product(c, x, x)
    if way == "mul":
        return c.op("Add", [scaled(c, product(c, square, x), 0.044715), x], torch.add)
    return product(c, x, plus(c, scaled(c, square, 0.044715), 1.0))


def gelu_of(c, x):
    """GELU, or something like it, and two tensors inside it."""
    if c.opset >= 9 and c.chance(0.5):
        inner = c.op("Erf", [scaled(c, x, c.pick(0.70710678, 0.9))], torch.erf)
    else:
        inner = c.op("Tanh", [scaled(c, cubic(c, x) if c.chance(0.7) else x, 0.79788456)], torch.tanh)
    one_more = plus(c, inner, c.pick(1.0, 1.0, 1.0, 0.5))
    half = c.number(0.4, 0.6) if c.chance(0.3) else 0.5
    way = c.between(0, 2)
    if way == 0:
        y = scaled(c, product(c, x, one_more), half)
    elif way == 1:
        y = product(c, scaled(c, x, half), one_more)
    else:
        y = product(c, x, scaled(c, one_more, half))
    return y, inner, one_more


def gelu(c):
    c.opset = max(c.opset, 9)
    x = c.operand(*[c.between(1, 4) for _ in range(c.between(1, 3))], low=-3.0, high=3.0)
    y, *inside = gelu_of(c, x)
    if c.chance(0.25):
        y = c.op("Add", [y, c.pick(*inside, x)], torch.add)
    return c.finish(y, x)


def layer_norm_of(c, x, axes):
    """The normalisation of x over these axes, and three tensors inside it."""
    shape = c.of(x)[1:]
    said = [a - len(shape) - 1 for a in axes] if c.opset >= 11 and c.chance(0.5) else axes

    def mean(v):
        return c.op("ReduceMean", [v], lambda t: t.mean(axes, keepdim=True), axes=said, keepdims=1)
    m = mean(x)
    d = c.op("Sub", [x, m], torch.sub)
    square = product(c, d, d) if c.chance(0.5) else c.op("Pow", [d, c.const(np.float32(2))], lambda v, _: v ** 2)
    variance = plus(c, mean(square), c.number(1e-3, 1e-1))
    way = c.between(0, 3)
    root = variance
    if way < 2:
        root = c.op("Sqrt", [variance], torch.sqrt) if c.chance(0.6) else \
            c.op("Pow", [variance, c.const(np.float32(0.5))], lambda v, _: v ** 0.5)
    if way == 0:
        y = c.op("Div", [d, root], torch.div)
    elif way == 1:
        y = product(c, d, c.op("Reciprocal", [root], torch.reciprocal))
    else:
        y = product(c, d, c.op("Pow", [variance, c.const(np.float32(-0.5))], lambda v, _: v ** -0.5))
    tail = [shape[a - 1] for a in axes] if axes != [1] else [shape[-1]]
    if c.chance(0.7):
        y = c.op("Mul", [y, c.weight(*tail)], torch.mul)
        y = c.op("Add", [y, c.weight(*tail)], torch.add) if c.chance(0.8) else y
    return y, d, m, root


def layer_norm(c):
    shape = [c.between(2, 4) for _ in range(c.between(1, 3))]
    x = c.operand(*shape)
    axes = list(range(c.between(max(1, len(shape) - 1), len(shape)), len(shape) + 1)) if c.chance(0.85) else [1]
    y, *inside = layer_norm_of(c, x, axes)
    if c.chance(0.2):
        y = c.op("Add", [y, c.pick(*inside)], torch.add)
    return c.finish(y, x)


def dense(c, x, n):
    size = c.of(x)[-1]
    return c.op("MatMul", [x, c.weight(size, n, low=-size ** -0.5, high=size ** -0.5)], torch.matmul)


def by_rows(c, x, plain=False):
    """A layer that works on each row of [1, .., size] for itself."""
    size = c.of(x)[-1]
    way = c.pick("product", "product", "norm", "gelu", "function", "bias", *["residual", "residual", "gated"] * (not plain))
    if way == "product":
        y = dense(c, x, c.between(1, 6))
        return c.op("Add", [y, c.weight(c.of(y)[-1])], torch.add) if c.chance(0.6) else y
    if way == "norm" and size > 1:
        return layer_norm_of(c, x, [len(c.of(x)) - 1])[0]
    if way == "gelu":
        return gelu_of(c, x)[0]
    if way == "bias":
        return c.op("Mul", [x, c.weight(*c.of(x)[-c.between(1, 2):], low=0.5, high=1.5)], torch.mul)
    if way in ("residual", "gated"):
        inner = by_rows(c, by_rows(c, x, True), True)
        inner = dense(c, inner, size) if c.of(inner) != c.of(x) else inner
        pair = [x, inner] if c.chance(0.5) else [inner, x]
        return c.op("Add", pair, torch.add) if way == "residual" else c.op("Mul", pair, torch.mul)
    return c.op(*c.pick(("Tanh", [x], torch.tanh), ("Sigmoid", [x], torch.sigmoid), ("Neg", [x], torch.neg)))


def picked_rows(c, x):
    """One token, some that are neighbours, or some that are not; or all."""
    axis = c.between(1, len(c.of(x)) - 2) if len(c.of(x)) > 2 else 1
    n = c.of(x)[axis]
    way = c.pick("one", "one", "one", "slice", "list", "all")
    if way == "one":
        i = c.between(0, n - 1)
        return c.op("Gather", [x, c.const(i)], lambda v, _: v.select(axis, i), axis=axis)
    if way == "slice":
        first = c.between(0, n - 1)
        return c.slice(x, axis, first, c.between(first + 1, n))
    if way == "list":
        return c.op("Gather", [x, c.const(c.rng.integers(0, n, c.between(1, 3)))], lambda v, i: v.index_select(axis, i), axis=axis)
    return x


def rows(c):
    """Layers by rows, of which not all are read: behind the layers, between them, by one reader or by several."""
    x = c.operand(c.between(1, 5), *([c.between(1, 3)] if c.chance(0.2) else []), c.between(1, 6))
    y = x
    for _ in range(c.between(1, 4)):
        y = by_rows(c, y)
    read = [picked_rows(c, y) for _ in range(c.pick(1, 1, 2))]
    if c.chance(0.25):
        read.append(picked_rows(c, by_rows(c, c.pick(x, y))))
        read.append(picked_rows(c, by_rows(c, x)))
    if c.chance(0.3):
        read[0] = by_rows(c, read[0])
    if len(read) == 1:
        return c.finish(read[0])
    flat = [c.reshape(v, (1, int(np.prod(c.of(v))))) for v in read]
    return c.finish(c.op("Concat", flat, lambda *v: torch.cat(v, 1), axis=1))


def attention(c):
    """Heads from one tensor or from three, scores scaled before or after their product."""
    n, heads, size = c.between(1, 4), c.between(1, 3), c.between(1, 3)
    x = c.input(n, 3 * heads * size)
    whole = c.reshape(x, (1, n, 3, heads, size)) if c.chance(0.5) else None

    def head(i, order):
        if whole is not None:
            part = c.reshape(c.slice(whole, 2, i, i + 1), (1, n, heads, size))
        else:
            part = c.reshape(c.slice(x, 2, i * heads * size, (i + 1) * heads * size), (1, n, heads, size))
        return c.op("Transpose", [part], lambda v: v.permute(order), perm=order)
    q, k, v = head(0, [0, 2, 1, 3]), head(1, [0, 2, 3, 1]), head(2, [0, 2, 1, 3])
    factor = 1 / float(np.sqrt(size))
    when = c.between(0, 2)
    if when < 2:
        q, k = (scaled(c, t, factor ** 0.5) for t in (q, k)) if when else (scaled(c, q, factor), k)
    scores = c.op("MatMul", [q, k], torch.matmul)
    scores = scaled(c, scores, factor) if when == 2 else scores
    if c.opset >= 13:
        share = c.op("Softmax", [scores], lambda t: t.softmax(-1), axis=-1)
    else:
        share = c.op("Softmax", [scores], lambda t: t.softmax(-1), axis=3)
    y = c.op("MatMul", [share, v], torch.matmul)
    order = c.pick([0, 2, 1, 3], [0, 2, 1, 3], [0, 2, 3, 1])
    turned = c.op("Transpose", [y], lambda t: t.permute(order), perm=order)
    out = c.reshape(turned, (1, n, heads * size)) if order[3] == 3 else turned
    if c.chance(0.2):
        out = c.op("Add", [c.reshape(out, (1, n * heads * size)), c.reshape(c.pick(y, v), (1, n * heads * size))], torch.add)
    return c.finish(out, None)


def layer(c):
    return c.pick(gelu, layer_norm, attention)(c)
