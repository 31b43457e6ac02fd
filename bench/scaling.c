/* bench/scaling.c - the tables of docs/scaling.md: studies on machines of any size, simulated.
 *
 *     bench_scaling                         the tables of ranks
 *     bench_scaling draws                   other draws of the workers' speeds, other studies,
 * other spreads of speeds: some minutes bench_scaling RANKS ITEMS SAMPLES SECONDS [RECORD_BYTES
 * [READ_BYTES]] a row of your own: seconds of a gradient on one rank
 */
#include "sgdist/plan.h"
#include "sgdist/simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16, MAX_STAGES = 96, MAP = 3 * 224 * 224, JPEG = 110000, N_DRAWS = 10 };

struct study {
    int n_ranks;
    int64_t n_items;
    int64_t n_samples;
    double gradient_s;
    double record_bytes; /* a map and its standard error in float32: 8 bytes an element */
    double read_bytes;
};

static sg_status simulate(const struct sg_machine *machine, const struct study *s,
                          struct sg_simulation *out) {
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

    run.n_stages = sg_plan_stage_ends(n_blocks, ends, MAX_STAGES);
    run.stage_ends = ends;
    return sg_simulate(machine, &run, out);
}

static void print_head(void) {
    printf(
        "| ranks | items | samples | hours | efficiency | lost: opening | last blocks and sums | "
        "idle | master busy | a leader | reading | writing | messages | largest team |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
}

static int print_row(const struct study *s) {
    struct sg_simulation out;

    if (simulate(&sg_machine_usual, s, &out) != SG_OK) {
        return 1;
    }
    printf("| %d | %lld | %lld | %.3g | %.1f %% | %.1f %% | %.1f %% | %.1f %% | %.1f %% | %.1f %% "
           "| %.1f %% | %.1f %% | %.3g M | %d |\n",
           s->n_ranks, (long long)s->n_items, (long long)s->n_samples, out.seconds / 3600,
           100 * out.efficiency, 100 * out.opened, 100 * (out.waited + out.stepped),
           100 * out.idled, 100 * out.master_share, 100 * out.leader_share, 100 * out.read_share,
           100 * out.write_share, 1e-6 * (double)out.n_messages, out.largest_team);
    (void)fflush(stdout);
    return 0;
}

static int print_tables(void) {
    static const int ranks[] = {2, 8, 32, 128, 1024, 8192, 32768, 100000};
    static const struct study studies[] = {{0, 1280000, 1000, 0.15, 8.0 * MAP, JPEG},
                                           {0, 1000, 100000, 0.15, 8.0 * MAP, JPEG},
                                           {0, 1280000, 50, 0.15, 8.0 * MAP, JPEG},
                                           {0, 1280000, 50, 0.15, 4.0 * 224 * 224, JPEG}};
    int failed = 0;

    print_head();
    for (size_t i = 0; i < sizeof studies / sizeof studies[0]; i++) {
        for (size_t r = 0; r < sizeof ranks / sizeof ranks[0]; r++) {
            struct study s = studies[i];

            s.n_ranks = ranks[r];
            failed |= print_row(&s);
        }
    }
    return failed;
}

/* Least, mean and largest efficiency over the draws. */
static int print_draws(const struct study *s, double spread) {
    double least = INFINITY;
    double most = 0;
    double sum = 0;

    for (uint64_t draw = 0; draw < N_DRAWS; draw++) {
        struct sg_machine machine = sg_machine_usual;
        struct sg_simulation out;

        machine.draw = draw;
        machine.spread = spread;
        if (simulate(&machine, s, &out) != SG_OK) {
            return 1;
        }
        least = fmin(least, out.efficiency);
        most = fmax(most, out.efficiency);
        sum += out.efficiency;
    }
    printf("| %d | %lld | %lld | %.1f %% | %.1f %% | %.1f %% | %.1f %% |\n", s->n_ranks,
           (long long)s->n_items, (long long)s->n_samples, 100 * spread, 100 * least,
           100 * sum / N_DRAWS, 100 * most);
    (void)fflush(stdout);
    return 0;
}

static int print_all_draws(void) {
    static const int ranks[] = {128, 1024, 100000};
    static const double spreads[] = {0.005, 0.01, 0.02, 0.05};
    static const int64_t studies[][2] = {
        {1000, 100000}, {700, 100000}, {300, 300000}, {3000, 30000}, {10000, 10000}};
    int failed = 0;

    printf("| ranks | items | samples | spread of speeds | least of %d draws | mean | largest |\n"
           "|---|---|---|---|---|---|---|\n",
           N_DRAWS);
    for (size_t i = 0; i < sizeof studies / sizeof studies[0]; i++) {
        for (size_t r = 0; r < sizeof ranks / sizeof ranks[0]; r++) {
            for (size_t k = 0; k < sizeof spreads / sizeof spreads[0]; k++) {
                const struct study s = {ranks[r], studies[i][0], studies[i][1],
                                        0.15,     8.0 * MAP,     JPEG};

                if (i == 0 || k == 2) {
                    failed |= print_draws(&s, spreads[k]);
                }
            }
        }
    }
    return failed;
}

int main(int argc, char **argv) {
    if (argc == 1) {
        return print_tables();
    }
    if (argc == 2 && strcmp(argv[1], "draws") == 0) {
        return print_all_draws();
    }
    if (argc >= 5) {
        const struct study s = {atoi(argv[1]),
                                atoll(argv[2]),
                                atoll(argv[3]),
                                atof(argv[4]),
                                argc > 5 ? atof(argv[5]) : 8.0 * MAP,
                                argc > 6 ? atof(argv[6]) : JPEG};

        if (s.n_ranks >= 2 && s.n_items >= 1 && s.n_samples >= 1 && s.gradient_s > 0) {
            print_head();
            return print_row(&s);
        }
    }
    fprintf(stderr, "usage: bench_scaling [draws | RANKS ITEMS SAMPLES SECONDS [RECORD_BYTES "
                    "[READ_BYTES]]], all above 0, ranks from 2\n");
    return 2;
}
