/* src/base/log.c - stderr only: stdout is for the answer of a command (tables, plans, values). */
#include "sgdist/log.h"

#include "sgdist/events.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { UNKNOWN = -2, NONE = -1 };

static struct {
    enum sg_log_level level;
    int rank;
    int terminal;       /* descriptor, NONE or UNKNOWN */
    char progress[256]; /* the line that stands on the terminal; "" if none */
} state = {.level = SG_LOG_INFO, .terminal = UNKNOWN};

void sg_log_setup(enum sg_log_level level, int rank) {
    state.level = level;
    state.rank = rank;
}

/* The standard error of mpirun, which is the parent of this process and passes on what it writes;
 * NONE where that is no terminal. */
static int open_launchers_terminal(void) {
    char name[64];
    int fd;

    if (getenv("OMPI_COMM_WORLD_RANK") == NULL) {
        return NONE;
    }
    (void)snprintf(name, sizeof name, "/proc/%ld/fd/2", (long)getppid());
    fd = open(name, O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && !isatty(fd)) {
        (void)close(fd);
        return NONE;
    }
    return fd >= 0 ? fd : NONE;
}

int sg_log_columns(void) {
    struct winsize size;

    if (state.terminal == UNKNOWN) {
        state.terminal = isatty(STDERR_FILENO) ? STDERR_FILENO : open_launchers_terminal();
    }
    if (state.terminal == NONE) {
        return 0;
    }
    return ioctl(state.terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* The rest of the line is erased last, so that what stays the same does not flicker. */
static void draw_progress(void) {
    if (state.progress[0] != '\0') {
        fprintf(stderr, "\r%s\033[K", state.progress);
        fflush(stderr);
    }
}

/* Errors and warnings are events as well, whatever is printed. */
static void tell_machines(enum sg_log_level level, const char *message) {
    struct sg_event e;

    if (level <= SG_LOG_WARN) {
        sg_event_begin(&e, level == SG_LOG_ERROR ? "error" : "warning");
        sg_event_text(&e, "message", message);
        sg_event_end(&e);
    }
}

void sg_log(enum sg_log_level level, const char *fmt, ...) {
    static const char *const prefixes[] = {"error: ", "warning: ", "", ""};
    char message[8192]; /* one write a line: lines of several ranks must not mix */
    char who[32] = "";
    va_list args;

    if (level > state.level && level > SG_LOG_WARN) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    tell_machines(level, message);
    if (level > state.level) {
        return;
    }
    if (state.rank != 0) {
        (void)snprintf(who, sizeof who, "rank %d: ", state.rank);
    }
    fprintf(stderr, "%ssgdist: %s%s%s\n", state.progress[0] != '\0' ? "\r\033[K" : "", who,
            prefixes[level], message);
    draw_progress();
}

void sg_log_progress(const char *line) {
    if (sg_log_columns() == 0 || state.level < SG_LOG_INFO) {
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
