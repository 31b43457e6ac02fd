/* src/cli/status.c - `sgdist status RESULT`: how far, how fast, what failed; also while it runs. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "sgdist/join.h"
#include "sgdist/memory.h"
#include "sgdist/pack.h"
#include "sgdist/store.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SHOWN = 10, MAX_RUNS = 256, HOST_BYTES = 64, TIME_BYTES = 32 };

struct counts {
    int64_t n;
    int64_t done;
    int64_t failed;
    int64_t pending;
};

struct run {
    double start; /* unix time; 0: no such run */
    double end;   /* 0: it runs, or was killed */
    int32_t ranks;
    int64_t items_done;
    int32_t exit_code;
    char host[HOST_BYTES + 1];
};

struct view {
    const char *path;
    struct sg_reader *reader;
    unsigned char *status; /* [n] */
    struct counts counts;
    int complete;
    struct sg_holder holder;
    int held;
    int n_runs;
    struct run runs[MAX_RUNS];
};

static sg_status read_counts(struct view *v) {
    sg_status status = SG_OK;
    struct counts *c = &v->counts;
    const struct sg_dataset *d;
    unsigned char complete = 0;

    c->n = sg_reader_n_items(v->reader);
    v->status = sg_calloc((size_t)c->n, 1);
    SG_CHECK(v->status != NULL, SG_E_NOMEM, "%s: no memory for its items", v->path);
    SG_TRY(sg_reader_statuses(v->reader, v->status));
    for (int64_t i = 0; i < c->n; i++) {
        c->done += v->status[i] == 1;
        c->failed += v->status[i] == 2;
    }
    c->pending = c->n - c->done - c->failed;
    d = sg_reader_find(v->reader, "provenance/complete");
    if (d != NULL && sg_dataset_bytes(d) == 1) {
        SG_TRY(sg_reader_read(v->reader, d->path, -1, &complete));
    }
    v->complete = complete == 1;
done:
    return status;
}

/* Reads a column of the table of runs as it is in the file: n_runs values of `bytes` bytes. */
static sg_status read_column(struct view *v, const char *name, enum sg_type type, int64_t n,
                             void **out) {
    sg_status status = SG_OK;
    char path[SG_MAX_PATH + 1];
    const struct sg_dataset *d;
    void *column = NULL;

    (void)snprintf(path, sizeof path, "provenance/runs/%s", name);
    d = sg_reader_find(v->reader, path);
    SG_CHECK(d != NULL && d->type == type && d->n_axes == 1 && d->axes[0] == n, SG_E_FORMAT,
             "%s: its table of runs is damaged (%s)", v->path, path);
    column = sg_calloc((size_t)sg_dataset_bytes(d) + 1, 1);
    SG_CHECK(column != NULL, SG_E_NOMEM, "%s: no memory for its table of runs", v->path);
    SG_TRY(sg_reader_read(v->reader, path, -1, column));
    *out = column;
    column = NULL;
done:
    sg_free(column);
    return status;
}

struct columns {
    void *start, *end, *ranks, *items_done, *exit_code, *host;
};

static void take_runs(struct view *v, const struct columns *c, int64_t n, int64_t host_bytes) {
    for (int64_t i = 0; i < n && v->n_runs < MAX_RUNS; i++) {
        struct run *r = &v->runs[v->n_runs];

        r->start = ((const double *)c->start)[i];
        r->end = ((const double *)c->end)[i];
        r->ranks = ((const int32_t *)c->ranks)[i];
        r->items_done = ((const int64_t *)c->items_done)[i];
        r->exit_code = ((const int32_t *)c->exit_code)[i];
        (void)snprintf(r->host, sizeof r->host, "%.*s",
                       (int)(host_bytes < HOST_BYTES ? host_bytes : HOST_BYTES),
                       (const char *)c->host + i * host_bytes);
        v->n_runs += r->start > 0;
    }
}

/* The table has a run's items when it has ended. Those of the run that goes on are what the earlier
 * ones do not account for; unknown (0) where one of them was killed. */
static void count_running(struct view *v) {
    struct run *last = v->n_runs > 0 ? &v->runs[v->n_runs - 1] : NULL;
    int64_t items = v->counts.done;
    int all_told = 1;

    for (int i = 0; i + 1 < v->n_runs; i++) {
        items -= v->runs[i].items_done;
        all_told = all_told && v->runs[i].end > 0;
    }
    if (last != NULL && last->end <= 0 && v->held && v->holder.alive && all_told && items > 0) {
        last->items_done = items;
    }
}

static sg_status read_runs(struct view *v) {
    sg_status status = SG_OK;
    const struct sg_dataset *start = sg_reader_find(v->reader, "provenance/runs/start");
    struct columns c = {0};
    int64_t n;

    if (start == NULL || start->n_axes != 1) {
        return SG_OK;
    }
    n = start->axes[0];
    SG_TRY(read_column(v, "start", SG_TYPE_F64, n, &c.start));
    SG_TRY(read_column(v, "end", SG_TYPE_F64, n, &c.end));
    SG_TRY(read_column(v, "ranks", SG_TYPE_I32, n, &c.ranks));
    SG_TRY(read_column(v, "items_done", SG_TYPE_I64, n, &c.items_done));
    SG_TRY(read_column(v, "exit_code", SG_TYPE_I32, n, &c.exit_code));
    SG_TRY(read_column(v, "host", SG_TYPE_TEXT, n, &c.host));
    take_runs(v, &c, n, sg_reader_find(v->reader, "provenance/runs/host")->text_bytes);
    count_running(v);
done:
    sg_free(c.start);
    sg_free(c.end);
    sg_free(c.ranks);
    sg_free(c.items_done);
    sg_free(c.exit_code);
    sg_free(c.host);
    return status;
}

static const char *time_text(double unix_time, char *buf) {
    const time_t t = (time_t)unix_time;
    struct tm parts;

    if (localtime_r(&t, &parts) == NULL ||
        strftime(buf, TIME_BYTES, "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        (void)snprintf(buf, TIME_BYTES, "?");
    }
    return buf;
}

static void print_state(const struct view *v) {
    const struct sg_holder *h = &v->holder;
    char since[TIME_BYTES];

    if (v->complete) {
        printf("state     complete\n");
    } else if (v->held && h->alive) {
        printf("state     running: process %lld on %s%s%s since %s, last sign of life %.0f s ago\n",
               (long long)h->pid, h->host, h->job[0] != '\0' ? ", job " : "", h->job,
               time_text((double)h->since, since), h->age_s);
    } else {
        printf("state     stopped: start the same command again to go on\n");
    }
}

/* Speed of the run that is going on, or of the last one. */
static void print_speed(const struct view *v) {
    const struct run *r = v->n_runs > 0 ? &v->runs[v->n_runs - 1] : NULL;
    const int running = !v->complete && v->held && v->holder.alive;
    double seconds;
    double rate;
    char words[32];
    char left[32];

    if (r == NULL || r->items_done <= 0 || (r->end <= 0 && !running)) {
        return;
    }
    seconds = (r->end > 0 ? r->end : (double)time(NULL)) - r->start;
    if (seconds <= 0) {
        return;
    }
    rate = (double)r->items_done / seconds;
    printf("speed     %s items/s on %d rank%s", sg_text_count(rate, words, sizeof words),
           (int)r->ranks, sg_text_plural(r->ranks));
    if (running && v->counts.pending > 0) {
        printf(", %s left at this speed",
               sg_text_seconds((double)v->counts.pending / rate, left, sizeof left));
    }
    printf("\n");
}

/* What computed it; older results do not say how. */
static void print_kernel(struct view *v) {
    char *kernel = NULL;
    char *algorithms = NULL;

    if (sg_reader_find(v->reader, "provenance/algorithms") != NULL &&
        sg_reader_text(v->reader, "provenance/kernel", &kernel) == SG_OK &&
        sg_reader_text(v->reader, "provenance/algorithms", &algorithms) == SG_OK) {
        printf("kernels   %s; convolutions %s\n", kernel, algorithms);
    }
    sg_free(kernel);
    sg_free(algorithms);
}

static void print_packed(struct view *v) {
    char *how = NULL;

    if (sg_reader_find(v->reader, SG_PACKED) != NULL &&
        sg_reader_text(v->reader, SG_PACKED, &how) == SG_OK) {
        printf("packed    %s\n", how);
    }
    sg_free(how);
}

static void print_joined(struct view *v) {
    char *parts = NULL;
    char size[32];
    int n = 0;

    if (sg_reader_find(v->reader, SG_JOINED) != NULL &&
        sg_reader_text(v->reader, SG_JOINED, &parts) == SG_OK) {
        for (const char *at = parts; *at != '\0'; at++) {
            n += *at == '\n';
        }
        printf("joined    %d results, %s with them; provenance/parts names them\n", n,
               sg_text_bytes((double)sg_reader_file_bytes(v->reader), size, sizeof size));
    }
    sg_free(parts);
}

static void print_runs(const struct view *v) {
    char start[TIME_BYTES];
    char took[32];

    if (v->n_runs == 0) {
        return;
    }
    printf("\nruns      start                ranks       items  took            exit  host\n");
    for (int i = 0; i < v->n_runs; i++) {
        const struct run *r = &v->runs[i];

        printf("%8d  %-19s %6d %11lld  ", i + 1, time_text(r->start, start), (int)r->ranks,
               (long long)r->items_done);
        if (r->end > 0) {
            printf("%-14s %5d  %s\n", sg_text_seconds(r->end - r->start, took, sizeof took),
                   (int)r->exit_code, r->host);
        } else {
            printf("%-14s %5s  %s\n",
                   i + 1 == v->n_runs && v->held && v->holder.alive ? "runs" : "did not tell", "",
                   r->host);
        }
    }
}

/* One item's text field as a string (sg_free), or NULL where the result has none. */
static char *item_text(struct view *v, const char *path, int64_t i) {
    const struct sg_dataset *d = sg_reader_find(v->reader, path);
    char *text = NULL;

    if (d != NULL && d->type == SG_TYPE_TEXT && d->per_item) {
        text = sg_calloc((size_t)sg_dataset_bytes(d) + 1, 1);
    }
    if (text != NULL && sg_reader_read(v->reader, path, i, text) != SG_OK) {
        text[0] = '\0';
    }
    return text;
}

static void print_failures(struct view *v) {
    int64_t shown = 0;

    if (v->counts.failed > 0) {
        printf("\nfailed\n");
    }
    for (int64_t i = 0; i < v->counts.n && shown < MAX_SHOWN; i++) {
        if (v->status[i] == 2) {
            char *id = item_text(v, "items/id", i);
            char *message = item_text(v, "items/message", i);

            printf("  %s: %s\n", id != NULL ? id : "?",
                   message != NULL && message[0] != '\0' ? message : "no reason given");
            sg_free(id);
            sg_free(message);
            shown++;
        }
    }
    if (v->counts.failed > shown) {
        printf("  ... and %lld more (items/status, items/message)\n",
               (long long)(v->counts.failed - shown));
    }
}

static void print_view(struct view *v) {
    const struct counts *c = &v->counts;
    struct stat info;
    char size[32];

    printf("result    %s", v->path);
    if (stat(v->path, &info) == 0) {
        printf(", %s", sg_text_bytes((double)info.st_size, size, sizeof size));
    }
    printf("\n");
    print_state(v);
    printf("items     %lld: %lld done, %lld failed, %lld pending (%.1f %% ready)\n",
           (long long)c->n, (long long)c->done, (long long)c->failed, (long long)c->pending,
           c->n > 0 ? 100.0 * (double)(c->n - c->pending) / (double)c->n : 100.0);
    print_speed(v);
    print_kernel(v);
    print_packed(v);
    print_joined(v);
    print_runs(v);
    print_failures(v);
}

static sg_status show(const char *path) {
    sg_status status = SG_OK;
    struct view *v = sg_calloc(1, sizeof *v);

    SG_CHECK(v != NULL, SG_E_NOMEM, "%s: no memory to open it", path);
    v->path = path;
    v->held = sg_lock_look(path, &v->holder);
    if (v->held && v->holder.alive && access(path, F_OK) != 0) {
        printf("result    %s, not yet laid out\n", path);
        print_state(v);
        goto done;
    }
    SG_TRY(sg_reader_open(path, &v->reader));
    SG_TRY(read_counts(v));
    SG_TRY(read_runs(v));
    print_view(v);
done:
    if (v != NULL) {
        sg_reader_close(v->reader);
        sg_free(v->status);
    }
    sg_free(v);
    return status;
}

int sg_cli_status(int argc, char **argv) {
    static const char *const operand_names[] = {"the result"};
    const char *result = NULL;
    const struct option_row options[] = {{NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "status",
        .usage = "status RESULT.h5",
        .about = "Prints how far a result is, how fast it grows and which items failed; also while "
                 "it runs.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &result,
        .options = options};
    int go_on;
    const int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    status = show(result);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
