/* src/methods/sampler_still.c - the item itself at every point: what is random are the weights. */
#include "methods/methods_impl.h"

const struct sg_sampler sg_sampler_still = {.name = "still",
                                            .is_stochastic = 1,
                                            .is_noiseless = 1,
                                            .is_still = 1,
                                            .prepare = sg_prepare_still,
                                            .draw = sg_draw_still};
