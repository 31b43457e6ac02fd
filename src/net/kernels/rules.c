/* src/net/kernels/rules.c - the backward pass of Relu by other rules than its derivative.
 * Guided backpropagation: Springenberg, Dosovitskiy, Brox and Riedmiller 2014, arXiv:1412.6806;
 * DeconvNet: Zeiler and Fergus 2013, arXiv:1311.2901. */
#include "net/kernels.h"

/* dy where it is not negative, and where `mask` (NULL: everywhere) has a bit. */
static void positive_backward(const uint32_t *mask, const float *dy, float *dx, int64_t n,
                              int accumulate) {
    for (int64_t i = 0; i < n; i++) {
        const int passes = mask == NULL || (mask[i / 32] >> (i % 32) & 1) != 0;
        const float d = passes && !(dy[i] < 0.0f) ? dy[i] : 0.0f;

        dx[i] = accumulate ? dx[i] + d : d;
    }
}

void sg_relu_backward_by(enum sg_rule rule, const uint32_t *mask, const float *dy, float *dx,
                         int64_t n, int accumulate) {
    switch (rule) {
    case SG_RULE_GUIDED_BACKPROP:
        positive_backward(mask, dy, dx, n, accumulate);
        break;
    case SG_RULE_DECONVNET:
        positive_backward(NULL, dy, dx, n, accumulate);
        break;
    default:
        sg_relu_backward(mask, dy, dx, n, accumulate);
        break;
    }
}
