"""Cases of operators that move numbers, of einsum, and of short random networks with several readers of one value."""
import numpy as np
import torch
import torch.nn.functional as F

from gradient_numbers import batch_norm, shape_of

EPSILON = float(np.float32(1e-5))   # ONNX's default is a float


def mover(c):
    return c.pick(*MOVERS)(c)


def reshaped(c):
    shape = shape_of(c, 2, 4)
    x = c.operand(*shape)
    n = int(np.prod(shape))
    way = c.pick("cut", "flatten", "squeeze", "unsqueeze", "zero", "nothing")
    if way == "nothing":
        y = c.op("Dropout", [c.op("Identity", [x], torch.clone)], torch.clone)
        if c.opset >= 15:
            y = c.op("CastLike", [y, c.const(np.zeros(1))], lambda v, _: v)
        return c.finish(y, x)
    if way == "flatten":
        axis = c.between(1, len(shape))
        return c.finish(c.op("Flatten", [x], lambda v: v.flatten(0, axis - 1).flatten(1).reshape(
            int(np.prod(v.shape[:axis])), -1), axis=axis), None)
    if way == "squeeze":
        shape.insert(c.between(0, len(shape)), 1)
        y = c.reshape(x, (1, *shape), [-1, *shape])
        axes = [i + 1 for i, v in enumerate(shape) if v == 1]
        axes = axes if c.chance(0.5) else axes[:1]
        kept = [1] + [v for i, v in enumerate(shape) if i + 1 not in axes]
        return c.finish(c.with_ints("Squeeze", y, lambda v: v.reshape(kept), "axes", axes), x)
    if way == "unsqueeze":
        axes = sorted({c.between(1, len(shape) + 1) for _ in range(2)})
        def meaning(v):
            for a in axes:
                v = v.unsqueeze(a)
            return v
        return c.finish(c.with_ints("Unsqueeze", x, meaning, "axes", axes), x)
    if way == "zero":
        return c.finish(c.reshape(x, (1, shape[0], n // shape[0]), [0, 0, -1]), x)
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    d = c.pick(*divisors)
    return c.finish(c.reshape(x, (1, d, n // d), c.pick([-1, d, n // d], [1, d, n // d], [1, -1, n // d])), x)


def transposed(c):
    shape = shape_of(c, 1, 4)
    x = c.operand(*shape) if c.chance(0.6) else c.operands([shape])[0]
    rank = len(c.of(x))
    perm = [int(i) for i in c.rng.permutation(rank)]
    if c.of(x)[0] == 1 and c.chance(0.6):
        perm = [0] + [int(i) + 1 for i in c.rng.permutation(rank - 1)]
    if c.chance(0.2):
        return c.finish(c.op("Transpose", [x], lambda v: v.permute(list(range(rank))[::-1])), None)
    return c.finish(c.op("Transpose", [x], lambda v: v.permute(perm), perm=perm), None)


def joined(c):
    rank = c.between(1, 4)
    shape, axis, n = [c.between(1, 3) for _ in range(rank)], c.between(0, rank - 1), c.between(1, 4)
    shapes = [[c.between(1, 3) if i == axis else v for i, v in enumerate(shape)] for _ in range(n)]
    if c.chance(0.4):
        shapes, axis = [[1] + s for s in shapes], axis + 1
    parts = c.operands(shapes)
    if c.chance(0.3):
        parts.insert(c.between(0, n), c.weight(*shapes[0]))
    said = axis - len(shapes[0]) if c.opset >= 11 and c.chance(0.3) else axis
    return c.finish(c.op("Concat", parts, lambda *v: torch.cat(v, axis), axis=said), None)


def joined_images(c):
    channels = [c.between(1, 3) for _ in range(c.between(2, 3))]
    parts = c.images(channels, c.between(1, 3), c.between(1, 3))
    axis = c.pick(1, 2, 3) if len(set(channels)) == 1 else 1
    return c.finish(c.op("Concat", parts[::-1], lambda *v: torch.cat(v, axis), axis=axis), None)


def sliced(c):
    shape = shape_of(c, 1, 4)
    x = c.operand(*shape) if c.chance(0.6) else c.operands([shape])[0]
    axes = [i for i, n in enumerate(c.of(x)) if n > 1] or [len(c.of(x)) - 1]
    axis = c.pick(*axes)
    n = c.of(x)[axis]
    start = c.between(0, n - 1)
    end, step = c.between(start + 1, n + 1), 1
    y = x
    if c.opset >= 10 and c.chance(0.5):
        step = c.pick(2, -1, -2)
        start, end = (c.between(0, n - 1), None) if step < 0 else (start, end)
        at = torch.tensor(range(n)[start:end:step])
        ins = [c.const(np.array(v, np.int64)) for v in ([start], [-n - 1 if end is None else end], [axis], [step])]
        y = c.op("Slice", [x] + ins, lambda v, *_: v.index_select(axis, at))
    else:
        y = c.slice(x, axis, start - n if c.chance(0.3) else start, end)
    return c.finish(y, x if axis else None)


def split(c):
    shape = shape_of(c, 1, 4)
    axis = c.between(1, len(shape))
    n = c.between(2, 3)
    sizes = [c.between(1, 3) for _ in range(n)]
    equal = c.chance(0.4)
    sizes = [sizes[0]] * n if equal else sizes
    shape[axis - 1] = sum(sizes)
    x = c.operand(*shape)
    meaning = lambda v, *_: list(torch.split(v, sizes, axis))
    if equal and c.chance(0.5):
        parts = c.op("Split", [x], meaning, n_out=n, axis=axis)
    elif c.opset < 13:
        parts = c.op("Split", [x], meaning, n_out=n, axis=axis, split=sizes)
    else:
        parts = c.op("Split", [x, c.const(np.array(sizes, np.int64))], meaning, n_out=n, axis=axis)
    if equal:
        return c.finish(c.op("Mul", [parts[0], parts[-1]], torch.mul), x)
    return c.finish(parts[c.between(0, n - 1)], x)


def gathered(c):
    shape = shape_of(c, 1, 3)
    x = c.operand(*shape)
    axis = c.between(1, len(shape))
    n = shape[axis - 1]
    index = c.rng.integers(-n, n, shape_of(c, 0, 2, 3))
    if c.opset < 11:
        index = index % n
    def meaning(v, i):
        picked = v.index_select(axis, i.reshape(-1) % n)
        return picked.reshape(v.shape[:axis] + i.shape + v.shape[axis + 1:])
    return c.finish(c.op("Gather", [x, c.const(index)], meaning, axis=axis), x)


def padded(c):
    shape = shape_of(c, 1, 4)
    mode = c.pick("constant", "constant", "reflect", "edge")
    if mode == "reflect":
        shape = [max(2, n) for n in shape]
    x = c.operand(*shape)
    rank = len(shape) + 1
    most = [0] + [n - 1 if mode == "reflect" else 2 for n in shape]
    pads = [c.between(0, most[i % rank]) for i in range(2 * rank)]
    if mode == "constant" and c.chance(0.25):
        pads[c.between(1, rank - 1)] = -1 if max(shape) > 1 else 0
        pads = [p if shape[(i % rank) - 1] > 1 or p >= 0 else 0 for i, p in enumerate(pads)]
    fill = c.number(-1, 1) if mode == "constant" and c.chance(0.5) else 0.0
    places = []
    for i, n in enumerate([1] + shape):
        places.append({"constant": list(range(-pads[i], n + pads[i + rank])),
                       "edge": [min(max(k, 0), n - 1) for k in range(-pads[i], n + pads[i + rank])],
                       "reflect": [n - 1 - abs(n - 1 - abs(k)) for k in range(-pads[i], n + pads[i + rank])]}[mode])

    def meaning(v, *_):
        for i, at in enumerate(places):
            inside = torch.tensor([0 <= k < v.shape[i] for k in at]).reshape([-1 if j == i else 1 for j in range(v.dim())])
            picked = v.index_select(i, torch.tensor([k if 0 <= k < v.shape[i] else 0 for k in at]))
            v = torch.where(inside, picked, torch.tensor(fill, dtype=v.dtype))
        return v
    if c.opset < 11:
        return c.finish(c.op("Pad", [x], meaning, pads=pads, mode=mode if mode != "constant" else None,
                             value=fill if fill else None), x)
    ins = [x, c.const(np.array(pads, np.int64))] + ([c.const(np.float32(fill))] if fill else [])
    return c.finish(c.op("Pad", ins, meaning, mode=mode), x)


def repeated(c):
    shape = shape_of(c, 1, 3, 3)
    x = c.operand(*shape)
    if c.chance(0.5):
        times = [1] + [c.between(1, 3) for _ in shape]
        return c.finish(c.op("Tile", [x, c.const(np.array(times, np.int64))], lambda v, _: v.repeat(times)), x)
    c.opset = max(c.opset, 8)
    shape = [1 if c.chance(0.5) else n for n in shape]
    x = c.slice_to(x, shape)
    wide = [n if n > 1 else c.between(1, 3) for n in shape]
    said = [1] + [1 if n > 1 and c.chance(0.3) else w for n, w in zip(shape, wide)]
    return c.finish(c.op("Expand", [x, c.const(np.array(said, np.int64))], lambda v, _: v.expand(1, *wide)), x)


def depth(c):
    b, channels, h, w = c.between(1, 3), c.between(1, 2), c.between(1, 3), c.between(1, 3)
    if c.chance(0.5):
        mode = c.pick(None, "DCR", "CRD") if c.opset >= 11 else None
        x = c.operand(channels * b * b, h, w)
        def meaning(v):
            if mode == "CRD":
                return F.pixel_shuffle(v, b)
            t = v.reshape(1, b, b, channels, h, w).permute(0, 3, 4, 1, 5, 2)
            return t.reshape(1, channels, h * b, w * b)
        return c.finish(c.op("DepthToSpace", [x], meaning, blocksize=b, mode=mode), x)
    x = c.operand(channels, h * b, w * b)
    def meaning(v):
        t = v.reshape(1, channels, h, b, w, b).permute(0, 3, 5, 1, 2, 4)
        return t.reshape(1, channels * b * b, h, w)
    return c.finish(c.op("SpaceToDepth", [x], meaning, blocksize=b), x)


def picked(c):
    """Single elements by indices that are known."""
    kind = c.pick("GatherElements", "GatherND", "ScatterElements", "ScatterND", "Compress", "ReverseSequence", "Trilu",
                  "CumSum", "Hardmax", "ArgMax", "ArgMin", "Scatter")
    c.opset = 10 if kind == "Scatter" else max(c.opset, 14 if kind == "Trilu" else 12)
    shape = shape_of(c, 2 if kind == "Trilu" else 1, 3, 4)
    if kind.startswith("Scatter"):
        return scattered(c, kind, shape)
    x = c.operand(*shape)
    rank, axis = len(shape) + 1, c.between(1, len(shape))
    n = shape[axis - 1]
    if kind == "GatherElements":
        index = c.rng.integers(-n, n, [1] + [c.between(1, 4) if i + 1 == axis else c.between(1, v) for i, v in enumerate(shape)])
        return c.finish(c.op(kind, [x, c.const(index)], lambda v, i: torch.gather(v[tuple(
            slice(None) if k == axis else slice(0, i.shape[k]) for k in range(rank))], axis, i % n), axis=axis), x)
    if kind == "GatherND":
        first, n_index = c.between(0, 1), c.between(1, rank - 1)
        rows = [1] + [c.between(1, 3)] if first else [c.between(1, 3)]
        sizes = ([1] + shape)[first:first + n_index]
        index = np.stack([c.rng.integers(-s, s, rows) for s in sizes], -1)
        def meaning(v, i):
            v = v[0] if first else v
            i = i[0] if first else i
            y = v[tuple(i[..., k] % s for k, s in enumerate(sizes))]
            return y[None] if first else y
        return c.finish(c.op(kind, [x, c.const(index)], meaning, batch_dims=first or None), None)
    if kind == "Compress":
        flat = c.chance(0.3)
        keep = c.rng.random(c.between(1, int(np.prod(shape)) if flat else n)) < 0.6
        keep[0] = True
        at = torch.tensor(np.flatnonzero(keep))
        meaning = lambda v, _: v.flatten()[at] if flat else v.index_select(axis, at)
        return c.finish(c.op(kind, [x, c.const(keep)], meaning, axis=None if flat else axis), None)
    if kind == "ReverseSequence":
        length = c.between(1, shape[0])
        return c.finish(c.op(kind, [x, c.const(np.array([length]))], lambda v, _: torch.cat(
            [v[:, :length].flip(1), v[:, length:]], 1), time_axis=1, batch_axis=0), x)
    if kind == "Trilu":
        upper, k = c.chance(0.5), c.between(-3, 3)
        f = torch.triu if upper else torch.tril
        return c.finish(c.op(kind, [x, c.const(np.array(k))], lambda v, _: f(v, k), upper=int(upper)), x)
    if kind == "CumSum":
        late, back = c.chance(0.4), c.chance(0.4)
        def meaning(v, _):
            v = v.flip(axis) if back else v
            y = v.cumsum(axis) - (v if late else 0)
            return y.flip(axis) if back else y
        return c.finish(c.op(kind, [x, c.const(np.array(axis))], meaning, exclusive=int(late), reverse=int(back)), x)
    if kind == "Hardmax":
        flat = c.opset < 13
        def meaning(v):
            t = v.flatten(axis) if flat else v
            at = -1 if flat else axis
            return F.one_hot(t.argmax(at), t.shape[at]).movedim(-1, at).reshape(v.shape).double()
        y = c.op(kind, [x], meaning, axis=axis)
        c.gaps.append(x)
        return c.finish(c.op("Mul", [y, x], torch.mul), x)
    keep = c.chance(0.5)
    f = torch.argmax if kind == "ArgMax" else torch.argmin
    y = c.op(kind, [x], lambda v: f(v, axis, keepdim=True).double(), axis=axis)
    c.gaps.append(x)
    return c.finish(c.op("Mul", [y, x], torch.mul), x)


def scattered(c, kind, shape):
    """Updates of the input, of a constant, or into a constant."""
    axis = c.between(0, len(shape) - 1)
    if kind == "ScatterND":
        k = c.between(1, len(shape))
        places = c.rng.permutation(int(np.prod(shape[:k])))[:c.between(1, 3)]
        index = np.stack(np.unravel_index(places, shape[:k]), -1)
        updates = [len(places)] + shape[k:]
        meaning = lambda v, i, u: v.index_put(tuple(i[:, j] for j in range(k)), u)
    else:
        updates = [c.between(1, n) for n in shape]
        lines = np.array([c.rng.permutation(shape[axis])[:updates[axis]]
                          for _ in range(int(np.prod(updates)) // updates[axis])])
        index = np.moveaxis(lines.reshape([n for i, n in enumerate(updates) if i != axis] + [updates[axis]]), -1, axis)
        meaning = lambda v, i, u: v.scatter(axis, i, u)
    way = c.pick("both", "input", "updates")
    if way == "both":
        x, u = c.operands([shape, updates])
    elif way == "input":
        x, u = c.operands([shape])[0], c.weight(*updates)
    else:
        x, u = c.weight(*shape), c.operands([updates])[0]
    return c.finish(c.op(kind, [x, c.const(index), u], meaning, axis=axis if kind != "ScatterND" else None), None)


MOVERS = [picked, picked, picked, reshaped, transposed, joined, joined_images, sliced, split, gathered, padded, repeated, depth]


FORMULAS = ["bhid,bhjd->bhij", "bhij,bhjd->bhid", "bij,bjk->bik", "bij,jk", "bnc,dc->bnd", "i,i", "i,j->ij", "bij->bji",
            "bij->bi", "bii->bi", "ii->", "...ii->...i", "...ij,...jk->...ik", "...ij,jk->...ik", "bcxy,bcxy->bc",
            "bhwc,hkc->bhwk", "bhwc,wkc->bhwk", "bij,bik->jk", "bij,cj->bc", "ijk,jil->kl", "bn,bn->b",
            "bqc,bkc->bqk", "xij,xij->ij", "a...,a...->..."]


def einsum(c):
    """Contractions as vision transformers write them, and others."""
    c.opset = max(c.opset, 12)
    said = c.pick(*FORMULAS)
    length = {letter: c.between(1, 4) for letter in "abcdhijklnqwxy"}
    more = shape_of(c, 0, 2, 3)

    def shape(term):
        return [n for part in term.replace("...", "0") for n in (more if part == "0" else [length[part]])]
    terms = said.split("->")[0].split(",")
    shapes = [shape(t) for t in terms]
    way = c.pick("all", "first", "last") if len(terms) > 1 else "all"
    if way == "all":
        parts = c.operands(shapes)
    elif way == "first":
        parts = [c.operands(shapes[:1])[0], c.weight(*shapes[1])]
    else:
        parts = [c.weight(*shapes[0]), c.operands(shapes[1:])[0]]
    spaces = said.replace(",", ", ") if c.chance(0.3) else said
    y = c.op("Einsum", parts, lambda *v: torch.einsum(said, *v), equation=spaces)
    return c.finish(y, None)


def network(c):
    """A few layers with residual connections: several readers of one value, and what the runtime fuses."""
    channels, plane = c.between(1, 4), [c.between(3, 6), c.between(3, 6)]
    x = c.operand(channels, *plane)
    for _ in range(c.between(2, 4)):
        before, n = x, c.of(x)[1]
        way = c.pick("conv", "conv", "scale", "smooth", "gate", "join", "attend")
        if way == "conv":
            k = c.pick(1, 3)
            x = c.op("Conv", [x, c.weight(n, n, k, k), c.weight(n)], lambda v, w, b, k=k: F.conv2d(v, w, b, 1, k // 2),
                     kernel_shape=[k, k], pads=[k // 2] * 4)
            if c.chance(0.5):
                var = c.weight(n, low=0.5, high=2)
                x = c.op("BatchNormalization", [x, c.weight(n), c.weight(n), c.weight(n), var],
                         lambda v, s, b, m, r: batch_norm(v, s, b, m, r, EPSILON))
        elif way == "scale":
            x = c.op("Mul", [x, c.weight(n, 1, 1)], torch.mul)
        elif way == "smooth":
            f, kind = c.pick((torch.sigmoid, "Sigmoid"), (torch.tanh, "Tanh"), (F.softplus, "Softplus"))
            x = c.op("Mul", [x, c.op(kind, [x], f)], torch.mul)
        elif way == "gate":
            pooled = c.op("GlobalAveragePool", [x], lambda v: v.mean((2, 3), keepdim=True))
            pooled = c.op("Sigmoid", [pooled], torch.sigmoid)
            x = c.op("Mul", [x, pooled], torch.mul)
        elif way == "join":
            half = c.op("Tanh", [x], torch.tanh)
            x = c.op("Concat", [x, half], lambda *v: torch.cat(v, 1), axis=1)
        else:
            rows = c.reshape(x, (1, n, plane[0] * plane[1]), [0, n, -1])
            turned = c.op("Transpose", [rows], lambda v: v.permute(0, 2, 1), perm=[0, 2, 1])
            like = c.op("MatMul", [rows, turned], torch.matmul)
            like = c.op("Mul", [like, c.const(np.float32(0.25))], torch.mul)
            weights = c.op("Softmax", [like], lambda v: torch.softmax(v, 2), axis=2)
            x = c.reshape(c.op("MatMul", [weights, rows], torch.matmul), (1, n, *plane), [-1, n, *plane])
        if c.of(before) == c.of(x) and c.chance(0.5):
            x = c.op("Add", [x, before] if c.chance(0.5) else [before, x], torch.add)
        if c.chance(0.4) and c.now[x].abs().min() > 0.02:
            x = c.op("Relu", [x], torch.relu)
    return c.finish(x)
