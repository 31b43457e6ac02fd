/* src/cli/pack.c - `sgdist pack RESULT`: a finished result, compressed. */
#include "sgdist/pack.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "sgdist/clock.h"
#include "sgdist/log.h"
#include "sgdist/store.h"
#include "sgdist/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Measured on maps of SqueezeNet at 224 x 224 (docs/formats.md): higher levels save 1 to 2 parts in
 * a hundred, at up to ten times the time. */
enum { DEFAULT_LEVEL = 1 };

struct request {
    const char *result;
    const char *output;
    const char *level;
    int in_place;
    struct sg_pack_options options;
};

/* What is said while it goes on: a line in place on a terminal, elsewhere one every so often. */
struct progress {
    struct sg_lock *lock;
    enum sg_pack_phase phase;
    int begun; /* 1: the phase has */
    double begin_s;
    double shown_s;
    double wait_s; /* until the next line */
};

static void show(struct progress *p, int64_t done, int64_t total, double now) {
    const double rate = (double)done / (now - p->begin_s);
    char line[160];
    char words[4][32];

    (void)snprintf(line, sizeof line, "%s: %s of %s, %s/s, %s left",
                   p->phase == SG_PACK_WRITING ? "packing" : "reading back",
                   sg_text_bytes((double)done, words[0], sizeof words[0]),
                   sg_text_bytes((double)total, words[1], sizeof words[1]),
                   sg_text_bytes(rate, words[2], sizeof words[2]),
                   sg_text_seconds((double)(total - done) / rate, words[3], sizeof words[3]));
    if (sg_log_columns() > 0) {
        sg_log_progress(line);
    } else {
        sg_log(SG_LOG_INFO, "%s", line);
    }
}

static sg_status tick(void *context, enum sg_pack_phase phase, int64_t done, int64_t total) {
    const double bar_s = 0.2;
    const double first_line_s = 10;
    const double last_line_s = 600;
    sg_status status = SG_OK;
    struct progress *p = context;
    const double now = sg_now();

    SG_CHECK(!sg_stop, SG_E_INTERRUPTED, "stopped on request: nothing was packed or changed");
    sg_lock_beat(p->lock);
    if (!p->begun || p->phase != phase) {
        *p = (struct progress){.lock = p->lock,
                               .phase = phase,
                               .begun = 1,
                               .begin_s = now,
                               .shown_s = now,
                               .wait_s = first_line_s};
    } else if (now - p->shown_s >= (sg_log_columns() > 0 ? bar_s : p->wait_s)) {
        show(p, done, total, now);
        p->shown_s = now;
        p->wait_s = fmin(1.5 * p->wait_s, last_line_s);
    }
done:
    return status;
}

/* "results/a.h5" -> "results/a.packed.h5". */
static void default_output(const char *result, char *out, size_t cap) {
    const size_t n = strlen(result);
    const int stem = n > 3 && strcmp(result + n - 3, ".h5") == 0 ? (int)(n - 3) : (int)n;

    (void)snprintf(out, cap, "%.*s.packed.h5", stem, result);
}

static int is_same_file(const char *a, const char *b) {
    struct stat x;
    struct stat y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The place of the packed result: nothing that exists is replaced unless it is asked for. */
static sg_status check_output(const struct request *q, const char *out) {
    sg_status status = SG_OK;
    struct sg_holder holder;
    struct stat info;

    if (q->in_place) {
        return SG_OK; /* its lock will be taken */
    }
    SG_CHECK(!is_same_file(q->result, out), SG_E_ARG,
             "-o %s is the result itself: to replace it by the packed one give --in-place", out);
    SG_CHECK(lstat(out, &info) != 0, SG_E_ARG, "%s exists: remove it, or name another file with -o",
             out);
    SG_CHECK(!sg_lock_look(q->result, &holder) || !holder.alive, SG_E_BUSY,
             "%s: process %lld on %s is writing it: wait for its end", q->result,
             (long long)holder.pid, holder.host[0] != '\0' ? holder.host : "?");
done:
    return status;
}

static void say(const char *out, const struct sg_pack_report *r, int half) {
    char before[32];
    char after[32];

    sg_log(SG_LOG_INFO, "%s: %s, %.0f %% of %s; read back and equal%s", out,
           sg_text_bytes((double)r->bytes_after, after, sizeof after),
           100 * (double)r->bytes_after / (double)r->bytes_before,
           sg_text_bytes((double)r->bytes_before, before, sizeof before),
           half ? " but for the rounding" : ", bit for bit");
    if (half && !isnan(r->map)) {
        sg_log(SG_LOG_INFO, "float16 changed maps by at most %.2g of their L2 norm", r->map);
    }
    if (half && !isnan(r->map_by_se)) {
        sg_log(SG_LOG_INFO,
               "which is at most %.2g of the norm of their standard error; single elements by at "
               "most %.2g of theirs",
               r->map_by_se, r->map_most);
    }
}

static sg_status pack(const struct request *q) {
    sg_status status = SG_OK;
    const double patience_s = 2; /* a run that ends is about to let go */
    struct progress progress = {.lock = NULL};
    struct sg_pack_options options = q->options;
    struct sg_pack_report report;
    char *whole = NULL; /* a link to the result stays one */
    char named[4096];
    const char *out = q->output;

    if (out == NULL) {
        default_output(q->result, named, sizeof named);
        out = named;
    }
    if (q->in_place) {
        whole = realpath(q->result, NULL);
        out = whole != NULL ? whole : q->result;
    }
    SG_TRY(check_output(q, out));
    if (!q->in_place || whole != NULL) { /* no lock beside a result that is not there */
        SG_TRY(sg_lock_take(out, patience_s, &progress.lock));
    }
    options.tick = tick;
    options.context = &progress;
    status = sg_pack(q->result, out, &options, &report);
    sg_log_progress(NULL);
    SG_TRY(status);
    say(out, &report, options.half);
done:
    sg_lock_release(progress.lock);
    free(whole);
    return status;
}

/* An exit code. */
static int read_level(const char *text, int *out) {
    int64_t level = DEFAULT_LEVEL;

    if (text != NULL && (sg_text_to_int(text, &level) != SG_OK || level < 1 || level > 9)) {
        return sg_cli_usage("pack", "--level needs a number from 1 to 9, not '%s'", text);
    }
    *out = (int)level;
    return SG_EXIT_OK;
}

int sg_cli_pack(int argc, char **argv) {
    static const char *const operand_names[] = {"the result"};
    struct request q = {.result = NULL};
    const struct option_row options[] = {
        {"output", "F.h5", "file to write (also -o; default: RESULT.packed.h5)", NULL, &q.output,
         NULL, NULL},
        {"in-place", NULL, "replace the result by the packed one, once that is complete",
         &q.in_place, NULL, NULL, NULL},
        {"float16", NULL, "maps and standard errors as float16, half the size", &q.options.half,
         NULL, NULL, NULL},
        {"level", "N", "of deflate, 1 (quick) to 9 (up to 2 % smaller, ten times the time); 1",
         NULL, &q.level, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "pack",
        .usage = "pack RESULT.h5 [-o F.h5 | --in-place] [options]",
        .about = "Compresses a complete result. All commands and h5py, xarray read the packed one; "
                 "without\n--float16 it holds the same bits. It is read back and compared before "
                 "it gets its name.\nExit code: 0 packed, 2 refused, 4 a file cannot be read or "
                 "written, 85 stopped by a signal.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &q.result,
        .options = options};
    int go_on;
    int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    if (q.in_place && q.output != NULL) {
        return sg_cli_usage("pack", "-o and --in-place exclude each other");
    }
    exit_code = read_level(q.level, &q.options.level);
    if (exit_code != SG_EXIT_OK) {
        return exit_code;
    }
    sg_catch_signals();
    sg_log_setup(SG_LOG_INFO, 0);
    status = pack(&q);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
