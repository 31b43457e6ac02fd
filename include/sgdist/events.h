/* include/sgdist/events.h - the story of a run for machines: one JSON object a line (JSON Lines).
 *
 * Rank 0 appends to one file. An event is one write at the file's end, so lines are never mixed or
 * torn by a kill between two of them. docs/formats.md lists the events and their members. Losing
 * the file is no reason to lose the run: a write that fails is warned of once, then events stop. */
#ifndef SGDIST_EVENTS_H
#define SGDIST_EVENTS_H

#include "sgdist/text.h"

#include <stdint.h>

/* Appends to the file at `path` from now on (made where it is missing). Until then, and after a
 * failure, events cost nothing and go nowhere. */
void sg_events_open(const char *path);
void sg_events_close(void);

/* An event in the making: begin, members in any number, end, which writes it. Names are plain
 * words; texts may hold anything, what is no UTF-8 is replaced. A number that is not finite is
 * null. */
struct sg_event {
    struct sg_text line;
};

void sg_event_begin(struct sg_event *e, const char *name);
void sg_event_text(struct sg_event *e, const char *name, const char *value);
void sg_event_count(struct sg_event *e, const char *name, int64_t value);
void sg_event_number(struct sg_event *e, const char *name, double value);
void sg_event_end(struct sg_event *e);

#endif
