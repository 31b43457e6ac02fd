/* src/methods/compose.c - what can be taken of what (`of`), and what is read together.
 *
 *   smoother of path    a path to each noisy point: the statistic of x_k - x0 times gradients
 *   path of smoother    noise round each point of the path, its width made anew there: the
 * gradients on the path are means over noise. Only means pass through the integral. */
#include "methods/methods_impl.h"

#include <string.h>

/* Statistics over noisy points, of whatever is read there. */
static int is_smoother(const struct sg_method *m) {
    return m->sampler->is_stochastic && m->probe == SG_PROBE_GRADIENT &&
           (m->uses & SG_USES_OF) != 0;
}

/* What has a value at every point. */
static int is_pointwise(const struct sg_method *m) {
    return m->sampler->is_clean && (m->uses & SG_USES_OF) != 0;
}

static int is_mean(const struct sg_method *m) {
    return m->n_powers == 1 && m->gradient_power == 1;
}

/* Nodes that depend on scores would depend on the noise of the sample. */
static int takes_noise_inside(const struct sg_method *m) {
    return m->path == SG_PATH_POINT || m->path == SG_PATH_STRAIGHT;
}

/* A smoother of a rule's gradients: the rule is an option of what is read. */
static int is_rule(const struct sg_method *m) {
    return m->rule != 0;
}

int sg_method_can_compose(const struct sg_method *outer, const struct sg_method *inner,
                          enum sg_path_noise *noise) {
    const int is_outside = is_smoother(outer) && (is_pointwise(inner) || is_rule(inner));
    const int is_inside =
        is_pointwise(outer) && takes_noise_inside(outer) && is_smoother(inner) && is_mean(inner);

    *noise = is_inside ? SG_NOISE_INSIDE : SG_NOISE_OUTSIDE;
    return is_outside || is_inside;
}

static int is_path_outside(const struct sg_instance *inst) {
    return inst->path != NULL && inst->params.probing.path.noise == SG_NOISE_INSIDE;
}

const struct sg_method *sg_instance_outer(const struct sg_instance *inst) {
    return is_path_outside(inst) ? inst->path : inst->method;
}

const struct sg_method *sg_instance_inner(const struct sg_instance *inst) {
    return is_path_outside(inst) ? inst->method : inst->path;
}

struct sg_probing sg_probing_pass(const struct sg_probing *p) {
    struct sg_probing pass = *p;

    memset(pass.layer, 0, sizeof pass.layer);
    pass.path.part = 0;
    pass.absolute = p->kind == SG_PROBE_PATH ? 0 : p->absolute;
    return pass;
}
