/* src/job/values.c - the values of a job that are more than one scalar: how they are read, and how
 * they stand in the echo. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct sg_key any_number = {.low = -INFINITY, .high = INFINITY};
static const struct sg_key positive = {.high = INFINITY, .flags = SG_KEY_ABOVE};

static void add_numbers(struct sg_text *t, const double *v, int n) {
    char buf[40];

    sg_text_add(t, "[");
    for (int i = 0; i < n; i++) {
        sg_text_add(t, "%s%s", i > 0 ? ", " : "", sg_number_text(v[i], buf, sizeof buf));
    }
    sg_text_add(t, "]");
}

int sg_read_numbers(struct sg_reader *r, const struct sg_node *node, const char *path, int max,
                    int64_t *out) {
    if (!sg_is_list(r, node, path, 1, max)) {
        return 0;
    }
    for (int i = 0; i < node->n; i++) {
        if (!sg_read_int(r, node->children[i], path, 0, INT32_MAX, &out[i])) {
            return 0;
        }
    }
    return node->n;
}

int sg_read_box(struct sg_reader *r, const struct sg_node *node, const char *path, int max_axes,
                int64_t *box) {
    const int n = sg_read_numbers(r, node, path, 2 * max_axes, box);

    for (int i = 0; i < n / 2; i++) {
        if (n % 2 != 0 || box[i] >= box[n / 2 + i]) {
            sg_problem(r, &node->at, path,
                       "must be the first position of each axis, then the one past the last, like "
                       "[y0, x0, y1, x1]");
            return 0;
        }
    }
    return n / 2;
}

/* data.indices: [0, 5, "10:20"], a range without its end */

int sg_read_range(struct sg_reader *r, const struct sg_node *node, const char *path, int64_t *first,
                  int64_t *end) {
    const char *colon = node->kind == SG_NODE_SCALAR ? strchr(node->text, ':') : NULL;
    char text[24];

    if (colon == NULL) {
        const int ok = sg_read_int(r, node, path, 0, INT64_MAX - 1, first);

        *end = *first + 1;
        return ok;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)(colon - node->text), node->text);
    if (sg_text_to_int(text, first) != SG_OK || sg_text_to_int(colon + 1, end) != SG_OK ||
        *first < 0 || *end <= *first || colon - node->text >= (int64_t)sizeof text) {
        sg_problem(r, &node->at, path,
                   "'%.60s' is not a range; \"10:20\" means the ten positions 10 to 19",
                   node->text);
        return 0;
    }
    return 1;
}

/* The number of positions, or -1 after a problem. */
static int64_t count_indices(struct sg_reader *r, const struct sg_node *node, const char *path) {
    int64_t n = 0;

    for (int i = 0; i < node->n; i++) {
        int64_t first = 0;
        int64_t end = 0;

        if (!sg_read_range(r, node->children[i], path, &first, &end)) {
            return -1;
        }
        if (end - first > SG_JOB_MAX_INDICES - n) {
            sg_problem(r, &node->at, path, "more than %d positions", SG_JOB_MAX_INDICES);
            return -1;
        }
        n += end - first;
    }
    return n;
}

void sg_read_indices(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_data_options *data = at;
    int64_t n;

    if (!sg_is_list(r, node, path, 1, SG_JOB_MAX_INDICES)) {
        return;
    }
    n = count_indices(r, node, path);
    data->indices = n > 0 ? sg_calloc((size_t)n, sizeof data->indices[0]) : NULL;
    r->out_of_memory |= n > 0 && data->indices == NULL;
    for (int i = 0; data->indices != NULL && i < node->n; i++) {
        int64_t first = 0;
        int64_t end = 0;

        (void)sg_read_range(r, node->children[i], path, &first, &end);
        for (int64_t k = first; k < end; k++) {
            data->indices[data->n_indices++] = k;
        }
    }
}

/* Runs of neighbours stand as ranges, so that [0, 1, 2] and ["0:3"] are the same study. */
int sg_echo_indices(struct sg_text *t, const void *at) {
    const struct sg_data_options *data = at;
    int64_t end;

    sg_text_add(t, data->n_indices == 0 ? "all" : "[");
    for (int64_t i = 0; i < data->n_indices; i = end) {
        const int64_t first = data->indices[i];

        for (end = i + 1; end < data->n_indices && data->indices[end] == first + end - i; end++) {
        }
        sg_text_add(t, "%s%lld", i > 0 ? ", " : "", (long long)first);
        if (end - i > 1) {
            sg_text_add(t, ":%lld", (long long)(first + end - i));
        }
    }
    sg_text_add(t, data->n_indices == 0 ? "" : "]");
    return 1;
}

/* data.preprocess */

void sg_read_crop(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_preprocess *p = at;
    enum { MAX_CROP = 1 << 14 };

    if (node->kind == SG_NODE_SCALAR) {
        if (sg_read_int(r, node, path, 1, MAX_CROP, &p->crop[0])) {
            p->crop[1] = p->crop[0];
        }
    } else if (sg_is_list(r, node, path, 2, 2)) {
        for (int i = 0; i < 2; i++) {
            (void)sg_read_int(r, node->children[i], path, 1, MAX_CROP, &p->crop[i]);
        }
    }
}

int sg_echo_crop(struct sg_text *t, const void *at) {
    const struct sg_preprocess *p = at;

    sg_text_add(t, "[%lld, %lld]", (long long)p->crop[0], (long long)p->crop[1]);
    return 1;
}

void sg_read_shape(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_shape *shape = at;

    if (sg_is_list(r, node, path, 1, SG_MAX_AXES)) {
        for (int i = 0; i < node->n; i++) {
            (void)sg_read_int(r, node->children[i], path, 1, INT32_MAX, &shape->axes[i]);
        }
        shape->n_axes = node->n;
    }
}

int sg_echo_shape(struct sg_text *t, const void *at) {
    const struct sg_shape *shape = at;

    for (int i = 0; i < shape->n_axes; i++) {
        sg_text_add(t, "%s%lld", i > 0 ? ", " : "[", (long long)shape->axes[i]);
    }
    sg_text_add(t, "]");
    return shape->n_axes > 0;
}

/* A number for all channels, or a list with one a channel. */
static int read_per_channel(struct sg_reader *r, const struct sg_key *range,
                            const struct sg_node *node, const char *path, double *v) {
    if (node->kind == SG_NODE_SCALAR) {
        return sg_read_number(r, range, node, path, v) ? 1 : 0;
    }
    if (!sg_is_list(r, node, path, 1, SG_MAX_CHANNELS)) {
        return 0;
    }
    for (int i = 0; i < node->n; i++) {
        if (!sg_read_number(r, range, node->children[i], path, &v[i])) {
            return 0;
        }
    }
    return node->n;
}

void sg_read_mean(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_preprocess *p = at;

    p->n_mean = read_per_channel(r, &any_number, node, path, p->mean);
}

void sg_read_std(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_preprocess *p = at;

    p->n_std = read_per_channel(r, &positive, node, path, p->std);
}

int sg_echo_mean(struct sg_text *t, const void *at) {
    const struct sg_preprocess *p = at;

    add_numbers(t, p->mean, p->n_mean);
    return 1;
}

int sg_echo_std(struct sg_text *t, const void *at) {
    const struct sg_preprocess *p = at;

    add_numbers(t, p->std, p->n_std);
    return 1;
}

/* data.domain.bounds: [lower, upper] */

void sg_read_bounds(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_data_options *data = at;

    if (!sg_is_list(r, node, path, 2, 2) ||
        !sg_read_number(r, &any_number, node->children[0], path, &data->domain[0]) ||
        !sg_read_number(r, &any_number, node->children[1], path, &data->domain[1])) {
        return;
    }
    data->has_domain = data->domain[0] < data->domain[1];
    if (!data->has_domain) {
        sg_problem(r, &node->at, path, "the lower bound must be less than the upper one");
    }
}

int sg_echo_bounds(struct sg_text *t, const void *at) {
    const struct sg_data_options *data = at;

    add_numbers(t, data->domain, data->has_domain ? 2 : 0);
    return 1;
}
