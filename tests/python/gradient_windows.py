"""Cases of convolution, transposed convolution, pooling and resizing. Windows are worked out here from ONNX's own
words, an axis at a time: a pooling layer is an index list per axis, a resize a matrix per axis."""
import math

import numpy as np
import torch
import torch.nn.functional as F


class Axis:
    """One spatial axis of a window."""

    def __init__(self, c, length, kernel, stride, dilation, before, after, auto, ceil):
        span = (kernel - 1) * dilation + 1
        if auto.startswith("SAME"):
            out = -(-length // stride)
            total = max((out - 1) * stride + span - length, 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        else:
            free = length + before + after - span
            out = (-(-free // stride) if ceil else free // stride) + 1
            if ceil and (out - 1) * stride >= length + before:
                out -= 1
        self.length, self.out, self.before, self.after, self.span = length, out, before, after, span
        self.starts = [o * stride - before for o in range(out)]
        self.taps = [[s + t * dilation for t in range(kernel)] for s in self.starts]

    def member(self):
        """[out, length]: 1 where an element belongs to a window."""
        m = np.zeros((self.out, self.length))
        for o, taps in enumerate(self.taps):
            for t in taps:
                if 0 <= t < self.length:
                    m[o, t] = 1
        return m

    def counted(self, padded):
        low, high = (-self.before, self.length + self.after) if padded else (0, self.length)
        return np.array([sum(low <= t < high for t in taps) for taps in self.taps], float)


def window(c, plane, dilates=True, ceils=False, conv=False):
    """Random attributes of a window over `plane` and its axes; None where it does not fit."""
    n = len(plane)
    auto = c.pick("", "", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    kernel = [c.between(1, 3) for _ in plane]
    stride = [c.between(1, 3) for _ in plane]
    dilation = [c.pick(1, 1, 2) if dilates else 1 for _ in plane]
    ceil = ceils and auto in ("", "NOTSET") and c.chance(0.5)
    pads = [0] * 2 * n
    if auto in ("", "NOTSET"):
        pads = [c.between(0, (1 if not conv and kernel[i % n] > 1 else 0) + (2 if conv else 0)) for i in range(2 * n)]
    axes = [Axis(c, plane[i], kernel[i], stride[i], dilation[i], pads[i], pads[i + n], auto, ceil) for i in range(n)]
    if any(a.span > a.length + a.before + a.after or a.out < 1 for a in axes):
        return None
    attributes = {"kernel_shape": kernel}
    if c.chance(0.8) or stride != [1] * n:
        attributes["strides"] = stride
    if dilates and (c.chance(0.3) or dilation != [1] * n):
        attributes["dilations"] = dilation
    if auto:
        attributes["auto_pad"] = auto
    if any(pads):
        attributes["pads"] = pads
    if ceil:
        attributes["ceil_mode"] = 1
    return attributes, axes, stride, dilation


def fitting(c, plane, **kw):
    found = None
    while found is None:
        found = window(c, plane, **kw)
    return found


def plane_of(c, n):
    return [c.between(2, {1: 9, 2: 6, 3: 4}[n]) for _ in range(n)]


def padded(x, axes, value=0.0):
    return F.pad(x, [p for a in reversed(axes) for p in (a.before, a.after)], value=value)


def convolution(c):
    n = c.pick(1, 2, 2, 2, 3)
    plane, groups = plane_of(c, n), c.pick(1, 1, 2, 3)
    depthwise = c.chance(0.2)
    channels = groups * c.between(1, 2)
    groups = channels if depthwise else groups
    k = groups * c.between(1, 3)
    attributes, axes, stride, dilation = fitting(c, plane, conv=True)
    x = c.operand(channels, *plane)
    w = c.weight(k, channels // groups, *attributes["kernel_shape"])
    bias = [c.weight(k)] if c.chance(0.6) else []
    if c.chance(0.3):
        del attributes["kernel_shape"]
    conv = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    y = c.op("Conv", [x, w] + bias,
             lambda v, w, b=None: conv(padded(v, axes), w, b, stride, 0, dilation, groups),
             group=groups if groups > 1 or c.chance(0.3) else None, **attributes)
    return c.finish(y, x)


def transposed(c):
    n = c.pick(1, 2, 2, 3)
    plane, groups = [c.between(1, {1: 6, 2: 4, 3: 3}[n]) for _ in range(n)], c.pick(1, 1, 2)
    channels, per_group = groups * c.between(1, 2), c.between(1, 3)
    kernel, stride = [c.between(1, 3) for _ in plane], [c.between(1, 3) for _ in plane]
    dilation = [c.pick(1, 1, 2) for _ in plane]
    extra = [c.between(0, max(s, d) - 1) if c.chance(0.4) else 0 for s, d in zip(stride, dilation)]
    full = [(s * (m - 1) + e + (k - 1) * d + 1) for m, k, s, d, e in zip(plane, kernel, stride, dilation, extra)]
    pads = [c.between(0, 1) if c.chance(0.5) else 0 for _ in range(2 * n)]
    for i in range(n):
        if full[i] - pads[i] - pads[i + n] < 1:
            pads[i] = pads[i + n] = 0
    attributes = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "pads": pads}
    way = c.pick("pads", "pads", "pads", "shape", "same")
    if way == "shape":     # ONNX: the total padding follows; the odd one goes to the end, SAME_UPPER to the start
        out = [c.between(max(1, f - 2), f) for f in full]
        del attributes["pads"]
        attributes["output_shape"] = out
        upper = c.chance(0.5)
        if upper:
            attributes["auto_pad"] = "SAME_UPPER"
        total = [f - o for f, o in zip(full, out)]
        before = [t // 2 if upper else t - t // 2 for t in total]
        pads = before + [t - b for t, b in zip(total, before)]
    elif way == "same":
        total = [f - m * s for f, m, s in zip(full, plane, stride)]
        if min(total) >= 0:
            upper = c.chance(0.5)
            del attributes["pads"]
            attributes["auto_pad"] = "SAME_UPPER" if upper else "SAME_LOWER"
            before = [t // 2 if upper else t - t // 2 for t in total]
            pads = before + [t - b for t, b in zip(total, before)]
    if any(extra):
        attributes["output_padding"] = extra
    x = c.operand(channels, *plane)
    w = c.weight(channels, per_group, *kernel)
    bias = [c.weight(groups * per_group)] if c.chance(0.6) else []
    conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]

    def meaning(v, w, b=None):
        y = conv(v, w, None, stride, 0, 0, groups, dilation)
        y = F.pad(y, [p for e in reversed(extra) for p in (0, e)])
        if b is not None:
            y = y + b.reshape(-1, *[1] * n)
        for i in range(n):
            y = y.narrow(2 + i, pads[i], y.shape[2 + i] - pads[i] - pads[i + n])
        return y

    return c.finish(c.op("ConvTranspose", [x, w] + bias, meaning, group=groups if groups > 1 else None,
                         **attributes), x)


def along(x, axis, matrix):
    return torch.tensordot(x, torch.from_numpy(matrix), ([axis], [1])).movedim(-1, axis)


def highest(x, axes):
    for i, a in enumerate(axes):
        wide = F.pad(x.movedim(2 + i, -1), (0, 1), value=-math.inf)     # one more element: outside
        index = torch.tensor([[t if 0 <= t < a.length else a.length for t in taps] for taps in a.taps])
        x = wide[..., index].amax(-1).movedim(-1, 2 + i)
    return x


def pooling(c):
    kind = c.pick(*POOLS)
    n = c.pick(1, 2, 2, 2, 3)
    plane, channels = plane_of(c, n), c.between(1, 4)
    if kind.startswith("Global"):
        x = c.operand(channels, *plane)
        over = list(range(2, n + 2))
        p = c.between(1, 3)
        meaning = {"GlobalAveragePool": lambda v: v.mean(over, keepdim=True),
                   "GlobalMaxPool": lambda v: v.amax(over, keepdim=True),
                   "GlobalLpPool": lambda v: (v.abs() ** p).sum(over, keepdim=True) ** (1 / p)}[kind]
        return c.finish(c.op(kind, [x], meaning, **({"p": p} if kind == "GlobalLpPool" else {})), x)
    attributes, axes, _, _ = fitting(c, plane, dilates=kind == "MaxPool" and c.opset >= 10,
                                     ceils=c.opset >= 10 and kind != "LpPool")
    x = c.operand(channels, *plane)
    if kind == "MaxPool":
        return c.finish(c.op(kind, [x], lambda v: highest(v, axes), **attributes), x)
    if kind == "LpPool":
        p = c.between(1, 3)
        def meaning(v):
            v = v.abs() ** p
            for i, a in enumerate(axes):
                v = along(v, 2 + i, a.member())
            return v ** (1 / p)
        return c.finish(c.op(kind, [x], meaning, p=p, **attributes), x)
    pad = c.chance(0.5)
    counts = np.ones([1] * n)
    for i, a in enumerate(axes):
        counts = counts * a.counted(pad).reshape([-1 if j == i else 1 for j in range(n)])

    def meaning(v):
        for i, a in enumerate(axes):
            v = along(v, 2 + i, a.member())
        return v / torch.from_numpy(counts)
    return c.finish(c.op(kind, [x], meaning, count_include_pad=1 if pad else None, **attributes), x)


POOLS = ["MaxPool", "MaxPool", "AveragePool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
         "LpPool", "GlobalLpPool"]


def coordinate(mode, i, old, new, scale, roi):
    """Where output i lies in the input. `new` is the length that the scale asks for: not whole if it says so."""
    if mode == "asymmetric" or scale == 1 and mode != "tf_crop_and_resize":
        return i / scale
    if mode == "align_corners":
        return 0.0 if new < 2 else i * (old - 1) / (new - 1)
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if mode == "tf_crop_and_resize":
        start, end = roi
        return (start * (old - 1) + i * (end - start) * (old - 1) / (new - 1) if new > 1
                else 0.5 * (start + end) * (old - 1))
    if mode == "pytorch_half_pixel" and new < 2:
        return 0.0
    return (i + 0.5) / scale - 0.5


def resize_matrix(mode, coordinates, rounding, cubic, exclude, old, new, scale, roi):
    m = np.zeros((new, old))
    for i in range(new):
        x = coordinate(coordinates, i, old, old * scale, scale, roi)
        if coordinates == "tf_crop_and_resize" and not 0 <= x <= old - 1:
            continue
        if mode == "nearest":
            at = {"round_prefer_floor": math.ceil(x - 0.5), "round_prefer_ceil": math.floor(x + 0.5),
                  "floor": math.floor(x), "ceil": math.ceil(x)}[rounding]
            m[i, min(max(at, 0), old - 1)] = 1
            continue
        first = math.floor(x) - (1 if mode == "cubic" else 0)
        taps = []
        for at in range(first, first + (4 if mode == "cubic" else 2)):
            d = abs(x - at)
            if mode == "linear":
                w = max(1 - d, 0.0)
            elif d <= 1:
                w = (cubic + 2) * d ** 3 - (cubic + 3) * d ** 2 + 1
            else:
                w = cubic * d ** 3 - 5 * cubic * d ** 2 + 8 * cubic * d - 4 * cubic if d < 2 else 0.0
            taps.append((at, 0.0 if exclude and not 0 <= at < old else w))
        total = sum(w for _, w in taps)
        for at, w in taps:
            m[i, min(max(at, 0), old - 1)] += w / total
    return m


MODES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"]


def resize(c):
    channels, plane = c.between(1, 3), [c.between(1, 4), c.between(1, 4)]
    mode = c.pick("nearest", "linear", "linear", "cubic") if c.opset >= 11 else c.pick("nearest", "linear")
    x = c.operand(channels, *plane)
    coordinates = c.pick(*MODES) if c.opset >= 11 else "asymmetric"
    rounding = c.pick("round_prefer_floor", "round_prefer_ceil", "floor", "ceil") if c.opset >= 11 else "floor"
    cubic = c.pick(-0.75, -0.5)
    exclude = mode == "cubic" and c.chance(0.4) and coordinates != "tf_crop_and_resize"
    outside = c.number(-1, 1) if coordinates == "tf_crop_and_resize" and c.chance(0.5) else 0.0
    roi = [(0.0, 1.0)] * 2
    if coordinates == "tf_crop_and_resize":
        roi = [(c.pick(-0.25, 0.0, 0.25), c.pick(0.75, 1.0, 1.125)) for _ in range(2)]
    new = [c.between(1, 7) for _ in plane]
    scale = [n / o for n, o in zip(new, plane)]
    ins = [x]
    with_sizes = c.opset >= 11 and (c.chance(0.5) or coordinates == "tf_crop_and_resize")
    if not with_sizes:      # scales that are exact in float32, as exporters write them
        scale = [c.pick(0.5, 1.0, 1.5, 2.0, 3.0) for _ in plane]
        scale = [s if s * o >= 1 else 1.0 for s, o in zip(scale, plane)]
        new = [int(s * o) for s, o in zip(scale, plane)]
    attributes = {"mode": mode}
    if c.opset >= 11:
        attributes["coordinate_transformation_mode"] = coordinates
        if outside:
            attributes["extrapolation_value"] = outside
        if mode == "nearest":
            attributes["nearest_mode"] = rounding
        if mode == "cubic":
            attributes["cubic_coeff_a"] = cubic
            if exclude:
                attributes["exclude_outside"] = 1
        box = c.const(np.array([0, 0] + [r[0] for r in roi] + [1, 1] + [r[1] for r in roi], np.float32)) \
            if coordinates == "tf_crop_and_resize" else (c.const(np.zeros(0, np.float32)) if c.opset < 13 else "")
        ins.append(box)
        if with_sizes:
            ins += [c.const(np.zeros(0, np.float32)) if c.opset < 13 else "",
                    c.const(np.array([1, channels, *new], np.int64))]
    kind = "Resize" if c.opset >= 10 else "Upsample"
    if not with_sizes:
        if c.opset < 9:
            attributes["scales"] = [1.0, 1.0, *map(float, scale)]
        else:
            ins.append(c.const(np.array([1, 1, *scale], np.float32)))
    if kind == "Upsample" and min(scale) < 1:
        return resize(type(c)(c.rng, c.opset))
    matrices = [resize_matrix(mode, coordinates, rounding, cubic, exclude, o, n, s, r)
                for o, n, s, r in zip(plane, new, scale, roi)]
    empty = [torch.from_numpy(m.sum(1) == 0) for m in matrices]
    fill = outside * (empty[0][:, None] | empty[1])
    return c.finish(c.op(kind, ins, lambda v, *_: along(along(v, 2, matrices[0]), 3, matrices[1]) + fill, **attributes), x)
