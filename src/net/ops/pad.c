/* src/net/ops/pad.c - ONNX Pad: with a constant, by mirroring or with the outermost elements; a
 * negative pad cuts. Pads are an attribute before opset 11, then an input. */
#include "net/ops/ops_impl.h"

#include <string.h>

static const int64_t max_pad = 1 << 20;

enum mode { CONSTANT, REFLECT, EDGE };

/* The element of an axis of `length` that stands at position i, counted from its start; -1: none.
 */
static int64_t source_of(enum mode mode, int64_t i, int64_t length) {
    if (mode == EDGE) {
        return i < 0 ? 0 : i >= length ? length - 1 : i;
    }
    if (mode == REFLECT && length > 1) {
        const int64_t period = 2 * (length - 1);
        const int64_t at = (i % period + period) % period;

        return at < length ? at : period - at;
    }
    return i < 0 || i >= length ? -1 : i;
}

static sg_status read_mode(const struct sg_node *node, enum mode *out) {
    sg_status status = SG_OK;
    static const char *const names[] = {"constant", "reflect", "edge"};
    const char *mode;
    int i = 0;

    SG_TRY(sg_attribute_text(node, "mode", "constant", &mode));
    while (i < 3 && strcmp(mode, names[i]) != 0) {
        i++;
    }
    SG_NODE_CHECK(i < 3, node,
                  "the mode '%s' is not supported; 'constant', 'reflect' and 'edge' are", mode);
    *out = (enum mode)i;
done:
    return status;
}

static sg_status pad(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in;
    struct sg_map map = {0};
    enum mode mode = CONSTANT;
    const int64_t *pads;
    int64_t n;

    SG_TRY(sg_check_inputs(node, 1, 3));
    SG_TRY(read_mode(node, &mode));
    SG_TRY(sg_ints_from(node, "pads", 1, &n, &pads));
    sg_input_layout(node, 0, &in);
    SG_NODE_CHECK(n == 2 * in.n_axes, node, "it has %lld pads for an input of %d axes",
                  (long long)n, in.n_axes);
    SG_TRY(sg_float_from(node, "value", 2, 0.0f, &map.fill));
    for (int i = 0; i < in.n_axes; i++) {
        const int64_t before = pads[i], after = pads[i + in.n_axes], length = in.axes[i];

        SG_NODE_CHECK(before >= -max_pad && before <= max_pad && after >= -max_pad &&
                          after <= max_pad && length + before + after >= 0,
                      node, "its pads %lld and %lld do not fit an axis of %lld", (long long)before,
                      (long long)after, (long long)length);
        in.axes[i] = length + before + after;
        SG_TRY(sg_map_loop(node, &map, i, in.axes[i]));
        for (int64_t k = 0; k < in.axes[i]; k++) {
            const int64_t at = source_of(mode, k - before, length);

            map.from[i][k] = at >= 0 ? at * in.strides[i] : SG_MAP_HOLE;
        }
    }
    SG_TRY(sg_map_end(node, &map, in.n_axes, in.axes));
done:
    return status;
}

SG_MAPPING("Pad", pad);
