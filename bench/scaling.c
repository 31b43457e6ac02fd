/* bench/scaling.c - the table of docs/scaling.md: studies on machines of any size, simulated.
 *
 *     bench_scaling                         the table
 *     bench_scaling RANKS ITEMS SAMPLES SECONDS [RECORD_BYTES [READ_BYTES]]
 *                                           a row of your own: seconds of a gradient on one rank
 */
#include "sgdist/plan.h"
#include "sgdist/simulate.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 16, MAX_STAGES = 96, MAP = 3 * 224 * 224, JPEG = 110000 };

struct study {
    int n_ranks;
    int64_t n_items;
    int64_t n_samples;
    double gradient_s;
    double record_bytes; /* a map and its standard error in float32: 8 bytes an element */
    double read_bytes;
};

static void print_head(void) {
    printf("| ranks | items | samples | gradient s | hours | efficiency | master busy | reading | "
           "writing | messages | largest team |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|\n");
}

static int print_row(const struct study *s) {
    struct sg_machine machine = sg_machine_usual;
    if (getenv("DRAW")) {
        machine.draw = (uint64_t)atoll(getenv("DRAW"));
    }
    if (getenv("SPREAD")) {
        machine.spread = atof(getenv("SPREAD"));
    }
    const int64_t n_blocks = (s->n_samples + BLOCK - 1) / BLOCK;
    int64_t ends[MAX_STAGES];
    struct sg_simulated run = {.n_ranks = s->n_ranks,
                               .n_items = s->n_items,
                               .n_blocks = n_blocks,
                               .block_s = BLOCK * s->gradient_s,
                               .open_s = s->gradient_s + 0.02,
                               .opening_bytes = 4.0 * MAP,
                               .sums_bytes = 5 * 8 * MAP, /* powers 1 and 2 in limbs */
                               .read_bytes = s->read_bytes,
                               .record_bytes = s->record_bytes};
    struct sg_simulation out;

    run.n_stages = sg_plan_stage_ends(n_blocks, ends, MAX_STAGES);
    run.stage_ends = ends;
    if (sg_simulate(&machine, &run, &out) != SG_OK) {
        return 1;
    }
    printf(
        "| %d | %lld | %lld | %g | %.3g | %.1f %% | %.1f %% | %.1f %% | %.1f %% | %.3g M | %d |\n",
        s->n_ranks, (long long)s->n_items, (long long)s->n_samples, s->gradient_s,
        out.seconds / 3600, 100 * out.efficiency, 100 * out.master_share, 100 * out.read_share,
        100 * out.write_share, 1e-6 * (double)out.n_messages, out.largest_team);
    fprintf(stderr, "opened %.2f waited %.2f idled %.2f stepped %.2f leader %.1f\n",
            100 * out.opened, 100 * out.waited, 100 * out.idled, 100 * out.stepped,
            100 * out.leader_share);
    return 0;
}

int main(int argc, char **argv) {
    static const int ranks[] = {2, 8, 32, 128, 1024, 8192, 32768, 100000};
    static const struct study studies[] = {{0, 1280000, 1000, 0.15, 8.0 * MAP, JPEG},
                                           {0, 1000, 100000, 0.15, 8.0 * MAP, JPEG},
                                           {0, 1280000, 50, 0.15, 8.0 * MAP, JPEG},
                                           {0, 1280000, 50, 0.15, 4.0 * 224 * 224, JPEG}};
    int failed = 0;

    print_head();
    if (argc >= 5) {
        const struct study s = {atoi(argv[1]),
                                atoll(argv[2]),
                                atoll(argv[3]),
                                atof(argv[4]),
                                argc > 5 ? atof(argv[5]) : 8.0 * MAP,
                                argc > 6 ? atof(argv[6]) : JPEG};

        if (s.n_ranks < 2 || s.n_items < 1 || s.n_samples < 1 || !(s.gradient_s > 0)) {
            fprintf(stderr, "usage: bench_scaling [RANKS ITEMS SAMPLES SECONDS [RECORD_BYTES "
                            "[READ_BYTES]]], all above 0, ranks from 2\n");
            return 2;
        }
        return print_row(&s);
    }
    for (size_t i = 0; i < sizeof studies / sizeof studies[0]; i++) {
        for (size_t r = 0; r < sizeof ranks / sizeof ranks[0]; r++) {
            struct study s = studies[i];

            s.n_ranks = ranks[r];
            failed |= print_row(&s);
            (void)fflush(stdout);
        }
    }
    return failed;
}
