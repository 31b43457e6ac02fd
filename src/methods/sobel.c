/* src/methods/sobel.c - the control that only looks at the item: the strength of its edges.
 *   map = sqrt(mean over axes a of E_a^2),  E_a = x * [1 0 -1] along a * [1 2 1]/4 along the others
 * in each channel, continued beyond its border by its mirror image (the border value twice). That
 * is scikit-image's filters.sobel. A baseline of ROAR (Hooker, Erhan, Kindermans and Kim 2019,
 * arXiv:1806.10758); the filter: Sobel and Feldman 1968, see Sobel 2014, "History and definition of
 * the Sobel operator". */
#include "methods/methods_impl.h"

#include <math.h>

/* Places from 0 to n - 1; one beyond the border is the border's. */
static int64_t inside(int64_t i, int64_t n) {
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* E_a at the place with these indices along the axes of a channel. */
static double edge(const struct sg_shape *s, const float *x, const int64_t *at, int axis) {
    static const double smooth[] = {0.25, 0.5, 0.25};
    const int n_axes = s->n_axes - 1;
    double sum = 0;
    int n_taps = 1;

    for (int a = 0; a < n_axes; a++) {
        n_taps *= 3;
    }
    for (int tap = 0; tap < n_taps; tap++) {
        double weight = 1;
        int64_t from = 0;

        for (int a = 0, rest = tap; a < n_axes; a++, rest /= 3) {
            const int step = rest % 3 - 1;

            weight *= a == axis ? step : smooth[step + 1];
            from = from * s->axes[a + 1] + inside(at[a] + step, s->axes[a + 1]);
        }
        sum += weight * x[from];
    }
    return sum;
}

static double strength(const struct sg_shape *s, const float *x, int64_t i) {
    const int n_axes = s->n_axes - 1;
    int64_t at[SG_MAX_AXES];
    double sum = 0;

    for (int a = n_axes - 1; a >= 0; a--) {
        at[a] = i % s->axes[a + 1];
        i /= s->axes[a + 1];
    }
    for (int a = 0; a < n_axes; a++) {
        const double e = edge(s, x, at, a);

        sum += e * e;
    }
    return sqrt(sum / n_axes);
}

static sg_status finish(const struct sg_finish *in, double *map) {
    const int64_t plane = sg_shape_plane(in->shape);

    for (int64_t c = 0; c < in->shape->axes[0]; c++) {
        for (int64_t i = 0; i < plane; i++) {
            map[c * plane + i] = strength(in->shape, in->x + c * plane, i);
        }
    }
    return SG_OK;
}

const struct sg_method sg_method_sobel = {
    .name = "sobel",
    .summary = "a control: the strength of the item's edges, whatever the network",
    .cite = "Hooker et al. 2019, arXiv:1806.10758",
    .bibtex =
        "@inproceedings{hooker2019benchmark,\n"
        "  title = {A Benchmark for Interpretability Methods in Deep Neural Networks},\n"
        "  author = {Hooker, Sara and Erhan, Dumitru and Kindermans, Pieter-Jan and Kim, Been},\n"
        "  booktitle = {Advances in Neural Information Processing Systems},\n"
        "  volume = {32},\n"
        "  year = {2019}\n"
        "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_NOTHING,
    .unit = "the input",
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_PLACES,
    .gradient_power = -1,
    .finish = finish,
};
