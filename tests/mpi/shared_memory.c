/* tests/mpi/shared_memory.c - what ranks share, and messages in pieces: what rank 0 writes arrives
 * at all, whatever the piece and wherever the memory is; without room each has its own. Run by
 * mpirun; rank 0 prints "ok". */
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 1000003, PIECE = 65537 + 7 };

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #cond);               \
            sg_comm_abort(1);                                                                      \
        }                                                                                          \
    } while (0)

static unsigned char byte_at(size_t i, int round) {
    return (unsigned char)(i * 31 + i / 65521 + (size_t)round);
}

static void write_bytes(unsigned char *bytes, size_t n, int round) {
    for (size_t i = 0; i < n; i++) {
        bytes[i] = byte_at(i, round);
    }
}

static void check_bytes(const unsigned char *bytes, size_t n, int round) {
    for (size_t i = 0; i < n; i++) {
        CHECK(bytes[i] == byte_at(i, round));
    }
}

/* A broadcast and a message of many pieces, the last one not full. */
static void pieces(const struct sg_comm *world) {
    const int rank = sg_comm_rank(world);
    unsigned char *bytes = sg_calloc(LENGTH, 1);

    CHECK(bytes != NULL);
    sg_comm_set_piece(PIECE);
    if (rank == 0) {
        write_bytes(bytes, LENGTH, 1);
    }
    sg_comm_bcast(world, 0, bytes, LENGTH);
    check_bytes(bytes, LENGTH, 1);
    if (rank == 0) {
        for (int to = 1; to < sg_comm_size(world); to++) {
            write_bytes(bytes, LENGTH, to);
            sg_comm_send(world, to, 5, bytes, LENGTH);
        }
    } else {
        sg_comm_recv(world, 0, 5, bytes, LENGTH);
        check_bytes(bytes, LENGTH, rank);
    }
    sg_free(bytes);
}

static void common(const struct sg_comm *world, int share, int round) {
    struct sg_shared *s = NULL;

    CHECK(sg_shared_create(world, LENGTH, share ? SG_SHARE_ONE_WRITES : SG_SHARE_NOT,
                           "the test's bytes", &s) == SG_OK);
    CHECK(sg_shared_n_ranks(s) == (share ? sg_comm_size(world) : 1));
    CHECK(sg_shared_is_writer(s) == (!share || sg_comm_rank(world) == 0));
    CHECK((uintptr_t)sg_shared_bytes(s) % 64 == 0);
    if (sg_comm_rank(world) == 0) {
        write_bytes(sg_shared_bytes(s), LENGTH, round);
    }
    sg_shared_bcast(s);
    check_bytes(sg_shared_bytes(s), LENGTH, round);
    sg_comm_barrier(world);
    sg_shared_destroy(s);
}

/* More than any machine has: neither /dev/shm nor the heap; all ranks hear of it. */
static void impossible(const struct sg_comm *world) {
    struct sg_shared *s = NULL;

    CHECK(sg_shared_create(world, (size_t)1 << 60, SG_SHARE_ONE_WRITES, "the test's bytes", &s) ==
          SG_E_NOMEM);
    CHECK(s == NULL);
}

int main(int argc, char **argv) {
    struct sg_comm *world = NULL;
    int64_t balance;

    CHECK(sg_comm_start(&argc, &argv, &world) == SG_OK);
    sg_log_setup(SG_LOG_ERROR, sg_comm_rank(world));
    balance = sg_memory_balance();
    pieces(world);
    common(world, 1, 2);
    common(world, 0, 3);
    impossible(world);
    CHECK(sg_memory_balance() == balance);
    if (sg_comm_rank(world) == 0) {
        printf("ok\n");
    }
    sg_comm_stop(world);
    return 0;
}
