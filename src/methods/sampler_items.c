/* src/methods/sampler_items.c - the item itself, as often as samples are asked for: what is random
 * is the path to it, which begins at an item of the data set. */
#include "methods/methods_impl.h"

#include <string.h>

static sg_status prepare(const struct sg_sampling *p, const struct sg_item_view *item, float *scale,
                         double *sigma) {
    return sg_sampler_clean.prepare(p, item, scale, sigma);
}

static int64_t draw(const struct sg_sampling *p, const struct sg_item_view *item,
                    const float *scale, int64_t k, float *out) {
    return sg_sampler_clean.draw(p, item, scale, k, out);
}

/* Word 0 of the sample chooses the item, word 1 the place. */
void sg_path_draw(const struct sg_item_view *item, int64_t k, int64_t n_items, int64_t *i_item,
                  double *t) {
    const struct sg_rng_address at = {.seed = item->seed,
                                      .stream = SG_STREAM_BASELINES,
                                      .item = item->key,
                                      .sample = (uint32_t)k};
    uint32_t w[2];

    SG_ASSERT(n_items <= UINT32_MAX); /* items are equally likely to n_items / 2^32 */
    sg_rng_words(&at, 2, w);
    *i_item = (int64_t)((uint64_t)w[0] * (uint64_t)n_items >> 32);
    *t = ((double)w[1] + 0.5) / 4294967296.0;
}

const struct sg_sampler sg_sampler_items = {
    .name = "baselines", .is_stochastic = 1, .is_noiseless = 1, .prepare = prepare, .draw = draw};
