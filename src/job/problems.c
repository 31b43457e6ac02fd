/* src/job/problems.c - what is wrong with a job, collected so that one run shows it all. */
#include "job_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for the problems in the message of a status; longer lists are cut after a whole line. */
enum { MESSAGE_BYTES = 4000 };

/* 1 if this line is in the text: a map that several methods share is read once for each. */
static int has_line(const char *text, const char *line) {
    const size_t n = strlen(line);

    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, line, n) == 0 && (at[n] == '\n' || at[n] == '\0')) {
            return 1;
        }
    }
    return 0;
}

void sg_problem(struct sg_reader *r, const struct sg_place *at, const char *path, const char *fmt,
                ...) {
    char place[320];
    char what[768];
    char line[sizeof place + SG_JOB_MAX_PATH + sizeof what];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    (void)snprintf(line, sizeof line, "%s: %s%s%s", sg_place_text(at, r->file, place, sizeof place),
                   path, path[0] != '\0' ? ": " : "", what);
    if (has_line(r->problems.data, line) || r->n_problems++ >= SG_JOB_MAX_PROBLEMS) {
        return;
    }
    sg_text_add(&r->problems, "%s%s", r->n_problems > 1 ? "\n" : "", line);
    r->out_of_memory |= r->problems.failed;
}

/* Bytes of the whole lines of `text` that fit into `cap`, and their number. At least one line. */
static int whole_lines(const char *text, size_t cap, int *n_lines) {
    size_t end = strcspn(text, "\n");

    *n_lines = 1;
    while (text[end] == '\n') {
        const size_t next = end + 1 + strcspn(text + end + 1, "\n");

        if (next > cap) {
            break;
        }
        end = next;
        (*n_lines)++;
    }
    return (int)end;
}

sg_status sg_problems_status(const struct sg_reader *r) {
    sg_status status = SG_OK;
    int n_shown = 0;
    int bytes;

    SG_CHECK(!r->out_of_memory, SG_E_NOMEM, "%s: no memory for the job", r->file);
    if (r->n_problems == 0) {
        return SG_OK;
    }
    bytes = whole_lines(r->problems.data, MESSAGE_BYTES, &n_shown);
    SG_CHECK(n_shown == r->n_problems, SG_E_JOB, "%.*s\n(%d more)", bytes, r->problems.data,
             r->n_problems - n_shown);
    SG_CHECK(0, SG_E_JOB, "%.*s", bytes, r->problems.data);
done:
    return status;
}
