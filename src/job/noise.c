/* src/job/noise.c - the values of noise that are more than one scalar. */
#include "job_impl.h"

#include <math.h>
#include <string.h>

static const struct sg_key not_negative = {.high = INFINITY};

/* noise.level and noise.sigma: one amount, relative or absolute */

void sg_read_level(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_sampling *s = at;

    if (sg_read_number(r, &not_negative, node, path, &s->amount)) {
        s->absolute = 0;
    }
}

void sg_read_sigma(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_sampling *s = at;

    if (sg_read_number(r, &not_negative, node, path, &s->amount)) {
        s->absolute = 1;
    }
}

static int echo_amount(struct sg_text *t, const struct sg_sampling *s, int absolute) {
    char buf[40];

    if (s->absolute == absolute) {
        sg_text_add(t, "%s", sg_number_text(s->amount, buf, sizeof buf));
    }
    return s->absolute == absolute;
}

int sg_echo_level(struct sg_text *t, const void *at) {
    return echo_amount(t, at, 0);
}

int sg_echo_sigma(struct sg_text *t, const void *at) {
    return echo_amount(t, at, 1);
}

/* noise.channels: all, or a list of channel numbers */

void sg_read_channels(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    uint64_t *mask = at;
    uint64_t set = 0;

    if (node->kind == SG_NODE_SCALAR && strcmp(node->text, "all") == 0) {
        *mask = UINT64_MAX;
        return;
    }
    if (node->kind != SG_NODE_LIST) {
        sg_problem(r, &node->at, path, "must be all, or a list of channel numbers, like [0, 2]");
        return;
    }
    if (!sg_is_list(r, node, path, 1, SG_MAX_CHANNELS)) {
        return;
    }
    for (int i = 0; i < node->n; i++) {
        int64_t c = 0;

        if (!sg_read_int(r, node->children[i], path, 0, SG_MAX_CHANNELS - 1, &c)) {
            return;
        }
        set |= UINT64_C(1) << c;
    }
    *mask = set;
}

int sg_echo_channels(struct sg_text *t, const void *at) {
    uint64_t mask;
    const char *comma = "";

    memcpy(&mask, at, sizeof mask);
    if (mask == UINT64_MAX) {
        sg_text_add(t, "all");
        return 1;
    }
    sg_text_add(t, "[");
    for (int c = 0; c < SG_MAX_CHANNELS; c++) {
        if ((mask >> c & 1) != 0) {
            sg_text_add(t, "%s%d", comma, c);
            comma = ", ";
        }
    }
    sg_text_add(t, "]");
    return 1;
}
