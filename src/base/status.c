/* src/base/status.c - one trace per thread, fixed size: reporting a failure cannot itself fail. */
#include "sgdist/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_FRAMES = 16, MAX_MESSAGE = 4096 };

struct frame {
    const char *file;
    const char *call; /* NULL in the first frame, which carries the message */
    int line;
};

static _Thread_local struct {
    sg_status code;
    int n_frames; /* may exceed MAX_FRAMES: the rest were not kept */
    struct frame frames[MAX_FRAMES];
    char message[MAX_MESSAGE];
} trace;

static void push(const char *file, int line, const char *call) {
    if (trace.n_frames < MAX_FRAMES) {
        trace.frames[trace.n_frames] = (struct frame){.file = file, .call = call, .line = line};
    }
    trace.n_frames++;
}

sg_status sg_fail(sg_status code, const char *file, int line, const char *fmt, ...) {
    char message[MAX_MESSAGE]; /* the arguments may point into the old message */
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    (void)snprintf(trace.message, sizeof trace.message, "%s", message);
    trace.code = code;
    trace.n_frames = 0;
    push(file, line, NULL);
    return code;
}

sg_status sg_trace(sg_status code, const char *file, int line, const char *call) {
    push(file, line, call);
    return code;
}

const char *sg_trace_message(void) {
    return trace.message;
}

#define NAME(name, text, exit_code)      #name,
#define TEXT(name, text, exit_code)      text,
#define EXIT_CODE(name, text, exit_code) exit_code,
static const char *const names[] = {SG_STATUS_LIST(NAME)};
static const char *const texts[] = {SG_STATUS_LIST(TEXT)};
static const int exit_codes[] = {SG_STATUS_LIST(EXIT_CODE)};

const char *sg_status_name(sg_status code) {
    return (unsigned)code < SG_STATUS_COUNT ? names[code] : "SG_E_?";
}

const char *sg_status_text(sg_status code) {
    return (unsigned)code < SG_STATUS_COUNT ? texts[code] : "unknown status";
}

int sg_status_exit_code(sg_status code) {
    return (unsigned)code < SG_STATUS_COUNT ? exit_codes[code] : SG_EXIT_INTERNAL;
}

size_t sg_trace_text(char *buf, size_t cap) {
    const int n = trace.n_frames < MAX_FRAMES ? trace.n_frames : MAX_FRAMES;
    size_t used = 0;

    if (cap > 0) {
        buf[0] = '\0';
    }
    for (int i = 0; i < n; i++) {
        const struct frame *f = &trace.frames[i];
        char *at = used < cap ? buf + used : NULL;
        const size_t left = used < cap ? cap - used : 0;
        int wrote;

        if (f->call == NULL) {
            wrote = snprintf(at, left, "%s: %s\n  at %s:%d\n", sg_status_text(trace.code),
                             trace.message, f->file, f->line);
        } else {
            wrote = snprintf(at, left, "  in %s, %s:%d\n", f->call, f->file, f->line);
        }
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return used;
}

void sg_assert_failed(const char *text, const char *file, int line) {
    fprintf(stderr, "sgdist: internal error, please report it: %s at %s:%d\n", text, file, line);
    abort();
}
