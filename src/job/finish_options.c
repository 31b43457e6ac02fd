/* src/job/finish_options.c - values of a method's map that decide its finish: the feature maps and
 * neurons of class activation maps, and filters. */
#include "job_impl.h"

#include <stddef.h>
#include <string.h>

/* maps: [0, 5, "10:20"] */

void sg_read_maps(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_cam *cam = at;

    if (!sg_is_list(r, node, path, 1, SG_MAX_FEATURE_MAPS)) {
        return;
    }
    for (int i = 0; i < node->n; i++) {
        int64_t first = 0;
        int64_t end = 0;

        if (!sg_read_range(r, node->children[i], path, &first, &end)) {
            return;
        }
        if (end > SG_MAX_FEATURE_MAPS) {
            sg_problem(r, &node->children[i]->at, path, "feature maps have numbers below %d",
                       SG_MAX_FEATURE_MAPS);
            return;
        }
        for (int64_t k = first; k < end; k++) {
            cam->n_maps += !sg_cam_is_chosen(cam, k);
            cam->maps[k / 64] |= UINT64_C(1) << (k % 64);
        }
    }
}

int sg_echo_maps(struct sg_text *t, const void *at) {
    const struct sg_cam *cam = at;
    const char *before = "[";

    for (int64_t k = 0; k < SG_MAX_FEATURE_MAPS; k++) {
        const int64_t first = k;

        while (k < SG_MAX_FEATURE_MAPS && sg_cam_is_chosen(cam, k)) {
            k++;
        }
        if (k > first) {
            sg_text_add(t, "%s%lld", before, (long long)first);
            before = ", ";
        }
        if (k > first + 1) {
            sg_text_add(t, ":%lld", (long long)k);
        }
    }
    sg_text_add(t, before[0] == '[' ? "all" : "]");
    return 1;
}

/* neurons: [y0, x0, y1, x1] */

void sg_read_neurons(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_cam *cam = at;

    cam->n_neurons = sg_read_box(r, node, path, SG_MAX_NEURON_AXES, cam->neurons);
}

int sg_echo_neurons(struct sg_text *t, const void *at) {
    const struct sg_cam *cam = at;

    for (int i = 0; i < 2 * cam->n_neurons; i++) {
        sg_text_add(t, "%s%lld", i > 0 ? ", " : "[", (long long)cam->neurons[i]);
    }
    sg_text_add(t, cam->n_neurons > 0 ? "]" : "all");
    return 1;
}

/* filter: none, or {absolute: true, lowpass: 15, clip: 99} */

/* What `true` stands for: the sources' own values. */
static const double usual_radius = 15;     /* FORGrad, for maps of 224 x 224 */
static const double usual_percentile = 99; /* PAIR's saliency library */

/* A number, `true` for the usual one, or `false` for none. */
static void read_amount(struct sg_reader *r, const struct sg_key *range, double usual,
                        const struct sg_node *node, const char *path, double *out) {
    const char *word = node->kind == SG_NODE_SCALAR && !node->is_quoted ? node->text : "";

    if (strcmp(word, "true") == 0) {
        *out = usual;
    } else if (strcmp(word, "false") != 0) {
        (void)sg_read_number(r, range, node, path, out);
    }
}

static void read_lowpass(struct sg_reader *r, const struct sg_node *node, const char *path,
                         void *at) {
    static const struct sg_key range = {.high = 1e6, .flags = SG_KEY_ABOVE};

    read_amount(r, &range, usual_radius, node, path, at);
}

static void read_clip(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    static const struct sg_key range = {.high = 100, .flags = SG_KEY_ABOVE};

    read_amount(r, &range, usual_percentile, node, path, at);
}

static const char *const words_bool[] = {"false", "true", NULL};

static const struct sg_key filter_keys[] = {{.name = "absolute",
                                             .kind = SG_KIND_WORD,
                                             .words = words_bool,
                                             .offset = offsetof(struct sg_filter, absolute)},
                                            {.name = "lowpass",
                                             .kind = SG_KIND_CUSTOM,
                                             .read = read_lowpass,
                                             .offset = offsetof(struct sg_filter, lowpass)},
                                            {.name = "clip",
                                             .kind = SG_KIND_CUSTOM,
                                             .read = read_clip,
                                             .offset = offsetof(struct sg_filter, clip)},
                                            {0}};

void sg_read_filter(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_filter *f = at;

    *f = (struct sg_filter){0};
    if (node->kind == SG_NODE_MAP) {
        sg_read_map(r, filter_keys, node, path, 0, f);
    } else if (node->kind != SG_NODE_SCALAR || strcmp(node->text, "none") != 0) {
        sg_problem(r, &node->at, path,
                   "must be none, or a map like {absolute: true, lowpass: 15, clip: 99}");
    }
}

/* In the order in which they are applied. */
int sg_echo_filter(struct sg_text *t, const void *at) {
    const struct sg_filter *f = at;
    const char *before = "";
    char number[40];

    if (f->absolute) {
        sg_text_add(t, "absolute");
        before = ", ";
    }
    if (f->lowpass > 0) {
        sg_text_add(t, "%slowpass %s", before, sg_number_text(f->lowpass, number, sizeof number));
        before = ", ";
    }
    if (f->clip > 0) {
        sg_text_add(t, "%sclip %s", before, sg_number_text(f->clip, number, sizeof number));
        before = ", ";
    }
    sg_text_add(t, before[0] == '\0' ? "none" : "");
    return 1;
}
