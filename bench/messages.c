/* bench/messages.c - what messages cost the master: the numbers of sg_machine_usual.
 *
 *     mpirun -n 2 bench_messages FILE
 *
 * Rank 1 plays all workers: it sends outcomes with records of several sizes; rank 0 takes them as
 * the master does, writes the records into FILE, and answers each with an order. Prints the
 * processor time of rank 0 for each, which does not hold the waiting. */
#include "sgdist/comm.h"
#include "sgdist/work.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 2000, MOST = 2400000 };

static double processor_s(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void play_workers(const struct sg_comm *world, const char *record, size_t bytes, int n) {
    const struct sg_outcome outcome = {.kind = SG_OUTCOME_RECORD};
    struct sg_order order;

    for (int i = 0; i < n; i++) {
        sg_comm_send(world, 0, SG_TAG_OUTCOME, &outcome, sizeof outcome);
        sg_comm_send(world, 0, SG_TAG_RECORD, record, bytes);
        sg_comm_recv(world, 0, SG_TAG_ORDER, &order, sizeof order);
    }
}

/* Seconds of the processor for an outcome, its record and n_orders orders. */
static int play_master(const struct sg_comm *world, int fd, char *record, size_t bytes, int n,
                       double *seconds) {
    const struct sg_order order = {.kind = SG_ORDER_ITEM};
    struct sg_outcome outcome;
    double spent = 0;

    for (int i = 0; i < n; i++) {
        int from = 1;
        int tag = SG_TAG_RECORD; /* the record is there: what is measured is not the waiting */
        double begun;

        while (!sg_comm_probe(world, &from, &tag)) {
        }
        begun = processor_s();
        tag = SG_TAG_OUTCOME;
        while (!sg_comm_probe(world, &from, &tag)) {
        }
        sg_comm_recv(world, 1, SG_TAG_OUTCOME, &outcome, sizeof outcome);
        sg_comm_recv(world, 1, SG_TAG_RECORD, record, bytes);
        if (pwrite(fd, record, bytes, (off_t)(i % 64) * MOST) != (ssize_t)bytes) {
            return 1;
        }
        sg_comm_send(world, 1, SG_TAG_ORDER, &order, sizeof order);
        spent += processor_s() - begun;
    }
    *seconds = spent / n;
    return 0;
}

int main(int argc, char **argv) {
    static const size_t sizes[] = {64, 100000, 300000, 1200000, 2400000};
    struct sg_comm *world = NULL;
    char *record = calloc(MOST, 1);
    const int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT, 0666) : -1;
    int failed = record == NULL || fd < 0;

    if (sg_comm_start(&argc, &argv, &world) != SG_OK) {
        return 1;
    }
    if (failed || sg_comm_size(world) != 2) {
        fprintf(stderr, "usage: mpirun -n 2 bench_messages FILE\n");
        sg_comm_abort(2);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int n = sizes[i] > 200000 ? ROUNDS / 10 : ROUNDS;
        double seconds = 0;

        if (sg_comm_rank(world) != 0) {
            play_workers(world, record, sizes[i], n);
        } else if (play_master(world, fd, record, sizes[i], n, &seconds) != 0) {
            sg_comm_abort(1);
        } else {
            printf("record of %8zu bytes: %8.2f us\n", sizes[i], 1e6 * seconds);
        }
    }
    (void)close(fd);
    free(record);
    sg_comm_stop(world);
    return 0;
}
