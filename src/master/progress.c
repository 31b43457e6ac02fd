/* src/master/progress.c - a bar with what is left, or a line every so often. */
#include "master/master_impl.h"
#include "sgdist/events.h"
#include "sgdist/log.h"
#include "sgdist/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double bar_s = 0.2; /* between two drawings of the bar */
static const double first_line_s =
    10.0; /* in a log: after 10 s, then at growing distances up to 10 min */
static const double last_line_s = 600.0;
static const double event_s = 60.0;

void sg_progress_begin(struct progress *p, double now, int64_t n_items, int64_t n_left,
                       double gradients_per_item) {
    *p = (struct progress){.begun = now,
                           .shown = now,
                           .told = now,
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
    const int64_t n_ended = p->n_before + p->n_ended;
    char words[4][32];

    if (p->n_ended == 0) {
        (void)snprintf(buf, cap, "%s of %s items",
                       sg_text_count((double)n_ended, words[0], sizeof words[0]),
                       sg_text_count((double)p->n_items, words[1], sizeof words[1]));
        return;
    }
    (void)snprintf(buf, cap, "%s of %s items, %s/s, ",
                   sg_text_count((double)n_ended, words[0], sizeof words[0]),
                   sg_text_count((double)p->n_items, words[1], sizeof words[1]),
                   sg_text_count(rate, words[2], sizeof words[2]));
    (void)snprintf(
        buf + strlen(buf), cap - strlen(buf), "%s gradients/s, %s left",
        sg_text_count((double)p->n_gradients / seconds, words[0], sizeof words[0]),
        sg_text_seconds((double)(p->n_items - n_ended) / rate, words[3], sizeof words[3]));
}

/* What the text leaves of the line is the bar's; the last column stays free, or the line breaks. */
static void show_bar(struct progress *p, double now) {
    enum { LONGEST = 24, LEAST = 4, AROUND = 11 }; /* around it "[] 100 %  " and the last column */
    const double share = (double)(p->n_before + p->n_ended) / (double)p->n_items;
    const int columns = sg_log_columns();
    char text[160];
    char line[256];
    int room;
    int width;
    int full;

    describe(p, now, text, sizeof text);
    room = columns - AROUND - (int)strlen(text);
    width = room > LONGEST ? LONGEST : room;
    full = (int)floor(share * width);
    if (width >= LEAST) {
        (void)snprintf(line, sizeof line, "[%.*s%.*s] %3.0f %%  %s", full,
                       "########################", width - full, "........................",
                       floor(100 * share), text);
    } else {
        (void)snprintf(line, sizeof line, "%.*s", columns > 1 ? columns - 1 : 1, text);
    }
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

static void tell_machines(struct progress *p, double now) {
    const double seconds = now - p->begun;
    const int64_t n_ended = p->n_before + p->n_ended;
    struct sg_event e;

    sg_event_begin(&e, "progress");
    sg_event_count(&e, "items_ended", n_ended);
    sg_event_count(&e, "items", p->n_items);
    sg_event_number(&e, "items_per_second", (double)p->n_ended / seconds);
    sg_event_number(&e, "gradients_per_second", (double)p->n_gradients / seconds);
    sg_event_number(&e, "seconds_left",
                    seconds * (double)(p->n_items - n_ended) / (double)p->n_ended);
    sg_event_end(&e);
    p->told = now;
}

void sg_progress_show(struct progress *p, double now) {
    if (now - p->told >= event_s) {
        tell_machines(p, now);
    }
    if (sg_log_columns() > 0) {
        if (now - p->shown >= bar_s) {
            show_bar(p, now);
        }
    } else if (now - p->shown >= p->next_line_s) {
        show_line(p, now);
    }
}
