/* src/net/batch.c - files that fix the batch to another length than 1: net_impl.h says under which
 * conditions they are run sample by sample; here these are checked. */
#include "net/net_impl.h"

#include <string.h>

int sg_has_file_batch(const struct sg_node *node) {
    int n_dynamic = 0;

    for (int i = 0; i < node->n_in; i++) {
        n_dynamic += node->in[i] != NULL && node->in[i]->kind == SG_VALUE_DYNAMIC;
    }
    return node->model->frozen_batch > 1 && node->model->folding == 0 && n_dynamic > 0;
}

sg_status sg_check_batch_axis(const struct sg_node *node, int64_t axis) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(axis != 0 || !sg_has_file_batch(node), node,
                  "it works along the first axis, where the file has a batch of %lld; export the "
                  "model with a dynamic batch axis or a batch of 1",
                  (long long)node->model->frozen_batch);
done:
    return status;
}

int sg_is_file_batch(const struct sg_node *node, int i, int64_t length) {
    return sg_has_file_batch(node) && sg_is_constant(node, i) && !node->in[i]->of_shape &&
           length == node->model->frozen_batch;
}

sg_status sg_check_batch_first(const struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_value *out = node->out;
    char text[160];

    if (out->kind == SG_VALUE_DYNAMIC && out->whole && node->model->frozen_batch > 1 &&
        node->model->folding == 0) {
        SG_NODE_CHECK(
            out->shape.n_axes > 0 && out->shape.axes[0] == 1, node,
            "its result has the shape %s for one sample, so the batch of %lld in the file "
            "is not its first axis; export the model with a dynamic batch axis or a "
            "batch of 1",
            sg_axes_text(out->shape.n_axes, out->shape.axes, text, sizeof text),
            (long long)node->model->frozen_batch);
    }
done:
    return status;
}

/* All rows of the constant have the same bits. */
static int has_equal_rows(const struct sg_constant *c, int64_t n_rows) {
    const size_t row = (size_t)(c->n / n_rows) * sizeof(float);

    for (int64_t i = 1; i < n_rows; i++) {
        if (memcmp(c->floats + i * (c->n / n_rows), c->floats, row) != 0) {
            return 0;
        }
    }
    return 1;
}

sg_status sg_take_first_rows(struct sg_node *node) {
    sg_status status = SG_OK;
    const int64_t batch = node->model->frozen_batch;
    int rank = 0;

    if (!sg_has_file_batch(node)) {
        return SG_OK;
    }
    for (int i = 0; i < node->n_in; i++) {
        const struct sg_value *v = node->in[i];

        rank = v != NULL && v->kind == SG_VALUE_DYNAMIC ? v->shape.n_axes + !v->whole : rank;
    }
    for (int i = 0; i < node->n_in; i++) {
        const struct sg_constant *c = sg_is_constant(node, i) ? &node->in[i]->constant : NULL;
        struct sg_value *one;

        if (c != NULL && c->floats != NULL && c->n_axes == rank && c->axes[0] == batch &&
            has_equal_rows(c, batch)) {
            SG_TRY(sg_new_value(node->model, node->in[i]->name, &one));
            one->kind = SG_VALUE_CONSTANT;
            one->constant = *c;
            one->constant.axes[0] = 1;
            one->constant.n = c->n / batch;
            node->in[i] = one;
        }
    }
done:
    return status;
}
