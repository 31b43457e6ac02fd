/* src/methods/adaptgrad_width.c - AdaptGrad's sigma of an element, from its distances to the two
 * bounds of the data.
 *
 * With t the smaller distance, sigma = t / z. The forms of z in use promise different things of the
 * probability p that the noisy value is out of range (methods.md 2.6):
 *   centred    Phi^-1((1 + c) / 2), the authors' code: p = 1 - c half-way between the bounds, and
 *              falls to (1 - c) / 2 near one: at most 1 - c.
 *   half       sqrt(2) erfinv((1 + c) / 2), as one reading of the paper prints it: the centred form
 *              at (1 + c) / 2, so at most (1 - c) / 2.
 *   one_sided  Phi^-1(c), c > 1/2: p = 1 - c near a bound, and up to 2 (1 - c) half-way between.
 *   exact      p = 1 - c everywhere: the widest noise that keeps p <= 1 - c. sigma solves
 *              p(sigma) = 1 - (P(a / sigma) + P(b / sigma)) / 2, P(z) = P(|Z| < z), for the
 *              distances a and b. On a bound p is at least 1/2, so sigma is 0 there for c >= 1/2.
 *
 * All is own arithmetic, so that sigma does not depend on the C library. */
#include "methods/methods_impl.h"

#include <math.h>

enum { MAX_STEPS = 100 }; /* Newton's; it takes fewer than ten */

/* exp(-y) for 0 <= y < 100: a short series of y / 4096, squared twelve times. */
double sg_exp_minus(double y) {
    const double h = y / 4096;
    double e = 1 - h * (1 - h / 2 * (1 - h / 3 * (1 - h / 4 * (1 - h / 5))));

    for (int i = 0; i < 12; i++) {
        e *= e;
    }
    return e;
}

static const double z_max = 8.5; /* P(|Z| < 8.5) rounds to 1 */

/* The density of a standard normal. */
static double density(double z) {
    return z < z_max ? 0.39894228040143267794 * sg_exp_minus(z * z / 2) : 0; /* 1 / sqrt(2 pi) */
}

/* P(|Z| < z) of a standard normal = 2 phi(z) sum z^(2k+1) / (1 3 5 .. 2k+1): positive terms only.
 */
static double central_probability(double z) {
    double term = z;
    double sum = z;

    if (z >= z_max) {
        return 1;
    }
    for (int k = 1; term > 1e-18 * sum; k++) {
        term *= z * z / (2 * k + 1);
        sum += term;
    }
    return 2 * density(z) * sum;
}

/* z with P(|Z| < z) = c, by halving. */
static double central_quantile(double c) {
    double low = 0;
    double high = z_max;

    for (int i = 0; i < 60; i++) {
        const double z = (low + high) / 2;

        if (central_probability(z) < c) {
            low = z;
        } else {
            high = z;
        }
    }
    return (low + high) / 2;
}

sg_status sg_width_init(enum sg_adaptgrad_z form, double c, struct sg_width *out) {
    sg_status status = SG_OK;

    SG_CHECK(c > 0 && c < 1, SG_E_ARG, "adaptgrad confidence %g: it must lie between 0 and 1", c);
    SG_CHECK(form != SG_Z_ONE_SIDED || c > 0.5, SG_E_ARG,
             "adaptgrad confidence %g: z: one_sided needs more than 0.5", c);
    *out = (struct sg_width){.form = form,
                             .confidence = c,
                             .z_near = c > 0.5 ? central_quantile(2 * c - 1) : 0,
                             .z_far = central_quantile(c)};
    out->z = form == SG_Z_HALF        ? central_quantile((1 + c) / 2)
             : form == SG_Z_ONE_SIDED ? out->z_near
                                      : out->z_far;
done:
    return status;
}

/* Newton for y = 1 / sigma. The probability to stay inside grows with y and is concave, so from
 * below the root the steps only go up to it. Below it are 1 / sigma of the two limits: both
 * distances `far`, and `far` infinite. */
static double exact_sigma(const struct sg_width *w, double near, double far) {
    double y = w->z_far / far;

    if (w->z_near > 0) {
        y = fmax(y, w->z_near / near);
    }
    for (int i = 0; i < MAX_STEPS; i++) {
        const double inside =
            (central_probability(near * y) + central_probability(far * y)) / 2 - w->confidence;
        const double slope = near * density(near * y) + far * density(far * y);
        const double step = -inside / slope;

        if (!(step > 1e-15 * y)) {
            break;
        }
        y += step;
    }
    return 1 / y;
}

double sg_width_sigma(const struct sg_width *w, double below, double above) {
    const double near = fmin(below, above);
    const double far = fmax(below, above);

    if (w->form != SG_Z_EXACT) {
        return near / w->z;
    }
    if (!(far > 0) || (!(near > 0) && w->confidence >= 0.5)) {
        return 0;
    }
    return exact_sigma(w, near, far);
}
