/* src/methods/filter.c - filters of a finished map, each value |v|, then low-pass, then clip.
 *
 * The low-pass is FORGrad (Muzellec, Fel, Boutin, Andeol, VanRullen and Serre 2023,
 * arXiv:2307.09591): of |v| the frequencies beyond a radius are taken out, then |.| again. The clip
 * cuts at a percentile of |v|, as the saliency library's pictures do. */
#include "methods/methods_impl.h"

#include <math.h>
#include <string.h>

const char *const sg_lowpass_bibtex =
    "@inproceedings{muzellec2024saliency,\n"
    "  title = {Saliency Strikes Back: How Filtering out High Frequencies Improves White-Box "
    "Explanations},\n"
    "  author = {Muzellec, Sabine and Fel, Thomas and Boutin, Victor and And{\\'e}ol, L{\\'e}o and "
    "VanRullen, Rufin and Serre, Thomas},\n"
    "  booktitle = {International Conference on Machine Learning},\n"
    "  pages = {37041--37075},\n"
    "  year = {2024}\n"
    "}\n";

int sg_filter_is_on(const struct sg_filter *f) {
    return f->absolute || f->lowpass > 0 || f->clip > 0;
}

/* A map is some planes of rows and columns; one axis is one row. */
struct planes {
    int64_t n;
    int64_t rows;
    int64_t columns;
};

static struct planes planes_of(const struct sg_shape *s) {
    struct planes p = {.n = sg_shape_size(s), .rows = 1, .columns = 1};

    if (s->n_axes > 0) {
        p.columns = s->axes[s->n_axes - 1];
    }
    if (s->n_axes > 1) {
        p.rows = s->axes[s->n_axes - 2];
    }
    p.n /= p.rows * p.columns;
    return p;
}

int64_t sg_filter_n_work(const struct sg_filter *f, const struct sg_shape *shape) {
    const struct planes p = planes_of(shape);
    const int64_t sorted = f->clip > 0 ? sg_shape_size(shape) : 0;
    const int64_t lowpass = f->lowpass > 0 ? sg_lowpass_n_work(p.rows, p.columns, f->lowpass) : 0;

    return sorted > lowpass ? sorted : lowpass;
}

static void take_absolute(double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        v[i] = fabs(v[i]);
    }
}

static double median_of(double a, double b, double c) {
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* Hoare's selection: v[k] is the k-th smallest then, and nothing behind it is smaller. (qsort would
 * do more, and takes memory of its own.) */
static double select_smallest(double *v, int64_t n, int64_t k) {
    int64_t first = 0;
    int64_t last = n - 1;

    while (first < last) {
        const double pivot = median_of(v[first], v[first + (last - first) / 2], v[last]);
        int64_t i = first;
        int64_t j = last;

        while (i <= j) {
            for (; v[i] < pivot; i++) {
            }
            for (; v[j] > pivot; j--) {
            }
            if (i <= j) {
                const double other = v[i];

                v[i++] = v[j];
                v[j--] = other;
            }
        }
        last = k <= j ? j : last;
        first = k >= i ? i : first;
        if (k > j && k < i) {
            break;
        }
    }
    return v[k];
}

/* NumPy's "linear": the values in order are 0 % to 100 % in equal steps, straight lines between. */
static double percentile_of_absolute(const double *v, int64_t n, double percent, double *work) {
    const double at = percent / 100 * (double)(n - 1);
    const int64_t low = (int64_t)at < n - 1 ? (int64_t)at : n - 1;
    double below;
    double above = INFINITY;

    memcpy(work, v, (size_t)n * sizeof *v);
    take_absolute(work, n);
    below = select_smallest(work, n, low);
    for (int64_t i = low + 1; i < n; i++) {
        above = fmin(above, work[i]);
    }
    return low + 1 < n ? below + (at - (double)low) * (above - below) : below;
}

static void clip(double *v, int64_t n, double limit) {
    for (int64_t i = 0; i < n; i++) {
        v[i] = fmax(-limit, fmin(limit, v[i]));
    }
}

void sg_filter_apply(const struct sg_filter *f, const struct sg_shape *shape, double *work,
                     double *map) {
    const int64_t n = sg_shape_size(shape);
    const struct planes p = planes_of(shape);

    if (f->absolute || f->lowpass > 0) {
        take_absolute(map, n);
    }
    for (int64_t i = 0; f->lowpass > 0 && i < p.n; i++) {
        sg_lowpass(p.rows, p.columns, f->lowpass, work, map + i * p.rows * p.columns);
    }
    if (f->lowpass > 0) {
        take_absolute(map, n);
    }
    if (f->clip > 0) {
        clip(map, n, percentile_of_absolute(map, n, f->clip, work));
    }
}
