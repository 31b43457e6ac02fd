/* src/master/progress.c - a bar with what is left, or a line every so often. */
#include "master/master_impl.h"
#include "sgdist/log.h"
#include "sgdist/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double bar_s = 0.2; /* between two drawings of the bar */
static const double first_line_s =
    10.0; /* in a log: after 10 s, then at growing distances up to 10 min */
static const double last_line_s = 600.0;

void sg_progress_begin(struct progress *p, double now, int64_t n_items, int64_t n_left,
                       double gradients_per_item) {
    *p = (struct progress){.begun = now,
                           .shown = now,
                           .next_line_s = first_line_s,
                           .n_items = n_items,
                           .n_before = n_items - n_left,
                           .gradients_per_item = gradients_per_item};
}

void sg_progress_count(struct progress *p, double now, int64_t n_gradients) {
    (void)now;
    p->n_ended++;
    p->n_gradients += n_gradients;
}

static void describe(const struct progress *p, double now, char *buf, size_t cap) {
    const double seconds = now - p->begun;
    const double rate = seconds > 0 ? (double)p->n_ended / seconds : 0;
    const int64_t n_left = p->n_items - p->n_before - p->n_ended;
    char left[32] = "?";

    if (rate > 0) {
        (void)sg_text_seconds((double)n_left / rate, left, sizeof left);
    }
    (void)snprintf(buf, cap, "%lld of %lld items, %.3g items/s, %.4g gradients/s, %s left",
                   (long long)(p->n_before + p->n_ended), (long long)p->n_items, rate,
                   seconds > 0 ? (double)p->n_gradients / seconds : 0, left);
}

static void show_bar(struct progress *p, double now) {
    enum { WIDTH = 24 };
    const double share = (double)(p->n_before + p->n_ended) / (double)p->n_items;
    const int full = (int)floor(share * WIDTH);
    char text[160];
    char line[256];
    char bar[WIDTH + 1];

    memset(bar, '.', WIDTH);
    memset(bar, '#', (size_t)full);
    bar[WIDTH] = '\0';
    describe(p, now, text, sizeof text);
    (void)snprintf(line, sizeof line, "[%s] %3.0f %%  %s", bar, 100 * share, text);
    sg_log_progress(line);
    p->shown = now;
}

static void show_line(struct progress *p, double now) {
    char text[160];

    describe(p, now, text, sizeof text);
    sg_log(SG_LOG_INFO, "%s", text);
    p->shown = now;
    p->next_line_s = p->next_line_s * 1.5 < last_line_s ? p->next_line_s * 1.5 : last_line_s;
}

void sg_progress_show(struct progress *p, double now) {
    if (sg_log_is_terminal()) {
        if (now - p->shown >= bar_s) {
            show_bar(p, now);
        }
    } else if (now - p->shown >= p->next_line_s) {
        show_line(p, now);
    }
}
