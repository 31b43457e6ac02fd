/* src/cli/runs.c - the tables of a result that have a row for every run of the program. */
#include "cli/result.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static sg_status read_column(struct sg_reader *r, const char *path, void *out) {
    return sg_reader_read(r, path, -1, out);
}

sg_status sg_runs_read(const char *path, struct sg_runs *out) {
    sg_status status = SG_OK;
    struct sg_reader *r = NULL;
    unsigned char mark = 0;

    *out = (struct sg_runs){0};
    SG_TRY(sg_reader_open(path, &r));
    SG_TRY(read_column(r, "provenance/runs/start", out->start));
    SG_TRY(read_column(r, "provenance/runs/end", out->end));
    SG_TRY(read_column(r, "provenance/runs/ranks", out->ranks));
    SG_TRY(read_column(r, "provenance/runs/items_done", out->items_done));
    SG_TRY(read_column(r, "provenance/runs/host", out->host));
    SG_TRY(read_column(r, "provenance/runs/exit_code", out->exit_code));
    SG_TRY(read_column(r, "performance/seconds", out->seconds));
    SG_TRY(read_column(r, "performance/forwards", out->forwards));
    SG_TRY(read_column(r, "performance/gradients", out->gradients));
    SG_TRY(read_column(r, "provenance/complete", &mark));
    out->is_complete = mark == 1;
    while (out->n < SG_MAX_RUNS && out->start[out->n] > 0) {
        out->n++;
    }
done:
    sg_reader_close(r);
    return status;
}

/* The table is full: the oldest run but the first makes room, so that the beginning and the latest
 * stay. */
static void make_room(struct sg_runs *t) {
#define SHIFT(column) memmove(&t->column[1], &t->column[2], sizeof t->column[0] * (SG_MAX_RUNS - 2))
    SHIFT(start);
    SHIFT(end);
    SHIFT(ranks);
    SHIFT(items_done);
    SHIFT(host);
    SHIFT(exit_code);
    SHIFT(seconds);
    SHIFT(forwards);
    SHIFT(gradients);
#undef SHIFT
    t->n--;
}

static double unix_time(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void sg_runs_begin(struct sg_runs *t, int n_ranks) {
    if (t->n == SG_MAX_RUNS) {
        make_room(t);
    }
    t->start[t->n] = unix_time();
    t->end[t->n] = 0;
    t->ranks[t->n] = n_ranks;
    t->items_done[t->n] = 0;
    t->exit_code[t->n] = -1;
    memset(t->host[t->n], 0, sizeof t->host[0]); /* a row that was moved away has left its own */
    memset(t->seconds[t->n], 0, sizeof t->seconds[0]);
    t->forwards[t->n] = 0;
    t->gradients[t->n] = 0;
    (void)gethostname(t->host[t->n], SG_RUN_HOST - 1);
    t->n++;
}

void sg_runs_end(struct sg_runs *t, int64_t items_done, int exit_code) {
    t->end[t->n - 1] = unix_time();
    t->items_done[t->n - 1] = items_done;
    t->exit_code[t->n - 1] = exit_code;
}

sg_status sg_runs_write(struct sg_result *r, const struct sg_runs *t) {
    sg_status status = SG_OK;

#define PUT(path, column) SG_TRY(sg_result_put(r, path, t->column, sizeof t->column))
    PUT("provenance/runs/start", start);
    PUT("provenance/runs/end", end);
    PUT("provenance/runs/ranks", ranks);
    PUT("provenance/runs/items_done", items_done);
    PUT("provenance/runs/host", host);
    PUT("provenance/runs/exit_code", exit_code);
    PUT("performance/seconds", seconds);
    PUT("performance/forwards", forwards);
    PUT("performance/gradients", gradients);
#undef PUT
done:
    return status;
}
