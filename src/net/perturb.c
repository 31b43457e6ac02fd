/* src/net/perturb.c - the parameters of a model's file, and noise on them.
 *
 * The noise is put on a tensor the moment it is read, before anything is folded into anything: what
 * the operators make of it follows by itself. */
#include "net/net_impl.h"
#include "sgdist/rng.h"
#include "sgdist/text.h"

#include <string.h>

/* A rank that leaves the making of the weights to another does not need the numbers of larger
 * tensors: operators keep such numbers in their weights alone. */
enum { LARGE = 1024 };

/* What is trained is a parameter. A batch norm's mean and variance are observed, the others say
 * what an operator does. */
static const struct {
    const char *op_type;
    int64_t first, last;
} settings[] = {{"BatchNormalization", 3, 4},
                {"Clip", 1, 2},
                {"Dropout", 1, 1},
                {"Pad", 2, 2},
                {"Pow", 1, 1},
                {"Range", 0, 2},
                {"Resize", 1, 2},
                {"Upsample", 1, 1}};

int sg_is_setting(const char *op_type, int64_t i) {
    for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++) {
        if (strcmp(settings[k].op_type, op_type) == 0) {
            return i >= settings[k].first && i <= settings[k].last;
        }
    }
    return 0;
}

static int has_numbers(const struct onnx_tensor *t) {
    return onnx_type_class(t->type) == 1 && t->n_axes > 0;
}

/* Most files keep weights as initialisers, and numbers of computation in Constant nodes; some keep
 * all in Constant nodes. */
static int keeps_initialisers(const struct sg_model *m) {
    for (int64_t i = 0; i < m->graph.n_tensors; i++) {
        if (has_numbers(&m->graph.tensors[i])) {
            return 1;
        }
    }
    return 0;
}

static sg_status list(struct sg_model *m, const struct sg_value *v) {
    sg_status status = SG_OK;

    if (m->parameters == NULL) {
        m->parameters = sg_region_take(
            &m->keep, (size_t)(m->graph.n_tensors + m->graph.n_nodes) + 1, sizeof *m->parameters);
    }
    SG_CHECK(m->parameters != NULL, SG_E_NOMEM, "%s: no memory for its parameters", m->file);
    m->parameters[m->n_listed++] = (struct sg_parameter){.name = v->name, .n = v->constant.n};
done:
    return status;
}

/* Each operation is rounded to float. */
static void add_noise(const struct sg_weight_noise *noise, int64_t n, const float *theta,
                      float *z) {
    const float tau = (float)noise->tau;

    for (int64_t i = 0; i < n; i++) {
        const float step = tau * z[i];

        z[i] = noise->kind == SG_WEIGHTS_ADDITIVE ? theta[i] + step : theta[i] * (1.0f + step);
    }
}

static sg_status perturb(struct sg_model *m, struct sg_value *v) {
    sg_status status = SG_OK;
    const struct sg_weight_draw *draw = m->what->draw;
    const struct sg_rng_address at = {.seed = draw->seed,
                                      .stream = SG_STREAM_WEIGHTS,
                                      .item = sg_hash64(v->name, strlen(v->name)),
                                      .sample = draw->number};
    float *floats = sg_region_floats(&m->scratch, v->constant.n);

    SG_CHECK(floats != NULL, SG_E_NOMEM, "%s: no memory for the noise on tensor '%s'", m->file,
             v->name);
    sg_rng_normals(&at, v->constant.n, floats);
    add_noise(draw->noise, v->constant.n, v->constant.floats, floats);
    v->constant.floats = floats;
done:
    return status;
}

sg_status sg_take_parameter(struct sg_model *m, struct sg_value *v) {
    sg_status status = SG_OK;
    const struct sg_weight_draw *draw = m->what->draw;

    if (v->constant.floats == NULL || v->constant.n_axes == 0 || v->constant.n == 0 ||
        v->is_setting || (v->source != NULL && keeps_initialisers(m))) {
        return SG_OK;
    }
    SG_TRY(list(m, v));
    if (draw != NULL && sg_weight_noise_takes(draw->noise, v->name) &&
        !(m->what->is_filled_elsewhere && v->constant.n >= LARGE)) {
        SG_TRY(perturb(m, v));
    }
done:
    return status;
}

const struct sg_parameter *sg_model_parameter(const struct sg_model *m, int64_t i) {
    return i >= 0 && i < m->n_listed ? &m->parameters[i] : NULL;
}
