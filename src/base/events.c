/* src/base/events.c - a run's events as lines of JSON (RFC 8259) at the end of a file. */
#include "sgdist/events.h"

#include "sgdist/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CLOSED = -1 };

static struct {
    int fd;
    char path[4096];
} state = {.fd = CLOSED};

static void give_up(void) {
    const int fd = state.fd;
    const int reason = errno;

    state.fd = CLOSED; /* first: the warning is an event itself */
    if (fd != CLOSED) {
        (void)close(fd);
    }
    sg_log(SG_LOG_WARN, "%s: %s; the run goes on without this file", state.path, strerror(reason));
}

void sg_events_open(const char *path) {
    (void)snprintf(state.path, sizeof state.path, "%s", path);
    state.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (state.fd < 0) {
        give_up();
    }
}

void sg_events_close(void) {
    if (state.fd != CLOSED) {
        (void)close(state.fd);
    }
    state.fd = CLOSED;
}

static void add_name(struct sg_event *e, const char *name) {
    sg_text_add(&e->line, "%s\"%s\": ", e->line.length > 1 ? ", " : "", name);
}

/* Coordinated universal time to the millisecond, as RFC 3339 has it. */
static void add_time(struct sg_event *e) {
    struct timespec now;
    struct tm parts;
    char text[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    add_name(e, "time");
    sg_text_add(&e->line, "\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

void sg_event_begin(struct sg_event *e, const char *name) {
    *e = (struct sg_event){{0}};
    if (state.fd != CLOSED) {
        sg_text_add(&e->line, "{");
        add_time(e);
        sg_event_text(e, "event", name);
    }
}

void sg_event_text(struct sg_event *e, const char *name, const char *value) {
    if (e->line.data != NULL) {
        add_name(e, name);
        sg_text_add_json(&e->line, value);
    }
}

void sg_event_count(struct sg_event *e, const char *name, int64_t value) {
    if (e->line.data != NULL) {
        add_name(e, name);
        sg_text_add(&e->line, "%lld", (long long)value);
    }
}

void sg_event_number(struct sg_event *e, const char *name, double value) {
    if (e->line.data != NULL) {
        add_name(e, name);
        if (isfinite(value)) {
            sg_text_add(&e->line, "%.9g", value);
        } else {
            sg_text_add(&e->line, "null");
        }
    }
}

static int write_whole(const char *bytes, size_t n) {
    while (n > 0) {
        const ssize_t wrote = write(state.fd, bytes, n);

        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return -1;
        }
        bytes += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

void sg_event_end(struct sg_event *e) {
    sg_text_add(&e->line, "}\n");
    if (state.fd != CLOSED && !e->line.failed && write_whole(e->line.data, e->line.length) != 0) {
        give_up();
    }
    sg_text_free(&e->line);
}
