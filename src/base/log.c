/* src/base/log.c - stderr only: stdout is for the answer of a command (tables, plans, values). */
#include "sgdist/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    enum sg_log_level level;
    int rank;
    char progress[256]; /* the line that stands on the terminal; "" if none */
} state = {.level = SG_LOG_INFO};

void sg_log_setup(enum sg_log_level level, int rank) {
    state.level = level;
    state.rank = rank;
}

int sg_log_is_terminal(void) {
    return isatty(STDERR_FILENO);
}

static void draw_progress(void) {
    if (state.progress[0] != '\0') {
        fprintf(stderr, "\r\033[K%s", state.progress);
        fflush(stderr);
    }
}

void sg_log(enum sg_log_level level, const char *fmt, ...) {
    static const char *const prefixes[] = {"error: ", "warning: ", "", ""};
    char message[8192]; /* one write a line: lines of several ranks must not mix */
    char who[32] = "";
    va_list args;

    if (level > state.level) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (state.rank != 0) {
        (void)snprintf(who, sizeof who, "rank %d: ", state.rank);
    }
    fprintf(stderr, "%ssgdist: %s%s%s\n", state.progress[0] != '\0' ? "\r\033[K" : "", who,
            prefixes[level], message);
    draw_progress();
}

void sg_log_progress(const char *line) {
    if (!sg_log_is_terminal()) {
        return;
    }
    if (line == NULL) {
        if (state.progress[0] != '\0') {
            fprintf(stderr, "\r\033[K");
            fflush(stderr);
        }
        state.progress[0] = '\0';
        return;
    }
    (void)snprintf(state.progress, sizeof state.progress, "%s", line);
    draw_progress();
}
