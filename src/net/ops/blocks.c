/* src/net/ops/blocks.c - ONNX DepthToSpace and SpaceToDepth: blocks of channels and of pixels. */
#include "net/ops/ops_impl.h"

#include <string.h>

static sg_status read_block(const struct sg_node *node, struct sg_layout *in, int64_t *block) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    sg_input_layout(node, 0, in);
    SG_TRY(sg_attribute_int(node, "blocksize", 0, block));
    SG_NODE_CHECK(in->n_axes == 4 && *block >= 1 && *block <= 1024, node,
                  "it needs an input of 4 axes and a block size");
done:
    return status;
}

/* DCR: channels are [block row, block column, channel]; CRD: [channel, block row, block column]. */
static sg_status depth_to_space(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in = {0};
    struct sg_map map = {0};
    const char *mode;
    int64_t b, c;
    int channels_last;

    SG_TRY(read_block(node, &in, &b));
    SG_TRY(sg_attribute_text(node, "mode", "DCR", &mode));
    channels_last = strcmp(mode, "DCR") == 0;
    SG_NODE_CHECK(channels_last || strcmp(mode, "CRD") == 0, node, "the mode '%s' is none", mode);
    SG_NODE_CHECK(in.axes[1] % (b * b) == 0, node, "its channels are no multiple of its block");
    c = in.axes[1] / (b * b);
    SG_TRY(sg_map_steps(node, &map, 0, in.axes[0], 0, in.strides[0]));
    SG_TRY(sg_map_steps(node, &map, 1, c, 0, (channels_last ? 1 : b * b) * in.strides[1]));
    SG_TRY(sg_map_steps(node, &map, 2, in.axes[2], 0, in.strides[2]));
    SG_TRY(sg_map_steps(node, &map, 2, b, 0, (channels_last ? b * c : b) * in.strides[1]));
    SG_TRY(sg_map_steps(node, &map, 3, in.axes[3], 0, in.strides[3]));
    SG_TRY(sg_map_steps(node, &map, 3, b, 0, (channels_last ? c : 1) * in.strides[1]));
    SG_TRY(sg_map_end(node, &map, 4,
                      (const int64_t[]){in.axes[0], c, in.axes[2] * b, in.axes[3] * b}));
done:
    return status;
}

static sg_status space_to_depth(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in = {0};
    struct sg_map map = {0};
    int64_t b;

    SG_TRY(read_block(node, &in, &b));
    SG_NODE_CHECK(in.axes[2] % b == 0 && in.axes[3] % b == 0, node,
                  "its image is no multiple of its block");
    SG_TRY(sg_map_steps(node, &map, 0, in.axes[0], 0, in.strides[0]));
    SG_TRY(sg_map_steps(node, &map, 1, b, 0, in.strides[2]));
    SG_TRY(sg_map_steps(node, &map, 1, b, 0, in.strides[3]));
    SG_TRY(sg_map_steps(node, &map, 1, in.axes[1], 0, in.strides[1]));
    SG_TRY(sg_map_steps(node, &map, 2, in.axes[2] / b, 0, b * in.strides[2]));
    SG_TRY(sg_map_steps(node, &map, 3, in.axes[3] / b, 0, b * in.strides[3]));
    SG_TRY(sg_map_end(
        node, &map, 4,
        (const int64_t[]){in.axes[0], in.axes[1] * b * b, in.axes[2] / b, in.axes[3] / b}));
done:
    return status;
}

SG_MAPPING("DepthToSpace", depth_to_space);
SG_MAPPING("SpaceToDepth", space_to_depth);
