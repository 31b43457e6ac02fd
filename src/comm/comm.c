/* src/comm/comm.c - MPI behind one header; the only file that includes mpi.h.
 *
 * Every wait is a test and a short sleep: Open MPI's own waiting spins, which starves the working
 * ranks as soon as ranks outnumber cores (a master alone takes a whole core otherwise). Errors of
 * MPI itself end the run: Open MPI 4 cannot go on without a rank, and the answer to a dead one is
 * to resume. */
#include "sgdist/comm.h"

#include "comm/watch.h"
#include "sgdist/memory.h"

#include <limits.h>
#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

struct sg_comm {
    MPI_Comm handle;
    int rank;
    int size;
    struct sg_watch *watch; /* of the world, where it has several hosts */
};

enum {
    /* A reduction takes a buffer of its message's size, which no plan knows of: small pieces. */
    REDUCE_BYTES = 1 << 22
};

static size_t piece_bytes = 1 << 30; /* MPI 3 counts are int */

void sg_comm_set_piece(size_t bytes) {
    piece_bytes = bytes;
}

static sg_status make_room(struct sg_comm **out) {
    sg_status status = SG_OK;

    *out = sg_calloc(1, sizeof **out);
    SG_CHECK(*out != NULL, SG_E_NOMEM, "no memory for a communicator");
done:
    return status;
}

static void hold(struct sg_comm *c, MPI_Comm handle) {
    c->handle = handle;
    MPI_Comm_rank(handle, &c->rank);
    MPI_Comm_size(handle, &c->size);
}

sg_status sg_comm_start(int *argc, char ***argv, struct sg_comm **world) {
    sg_status status = SG_OK;
    const int launched = getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMIX_RANK") != NULL ||
                         getenv("PMI_RANK") != NULL;

    /* Where a launcher pretends more slots than there are cores Open MPI spins: it shall let others
     * run. */
    (void)setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    MPI_Init(argc, argv);
    if (launched) {
        /* A rank whose launcher was killed must not linger and hold the result's lock. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    SG_TRY(make_room(world));
    hold(*world, MPI_COMM_WORLD);
    (*world)->watch = sg_watch_start(*world);
done:
    return status;
}

void sg_comm_stop(struct sg_comm *world) {
    sg_comm_barrier(world);
    sg_watch_stop(world->watch);
    sg_free(world);
    MPI_Finalize();
}

void sg_comm_abort(int exit_code) {
    int started = 0;

    MPI_Initialized(&started);
    if (started) {
        MPI_Abort(MPI_COMM_WORLD, exit_code);
    }
    _Exit(exit_code);
}

int sg_comm_rank(const struct sg_comm *c) {
    return c->rank;
}

int sg_comm_size(const struct sg_comm *c) {
    return c->size;
}

sg_status sg_comm_together(const struct sg_comm *c, sg_status mine) {
    sg_status status = mine;
    int64_t failed = mine != SG_OK;

    sg_comm_allreduce_max(c, &failed, 1);
    SG_CHECK(mine != SG_OK || !failed, SG_E_PEER, "another rank failed");
done:
    return status;
}

/* Rooms are made before the handles: where one rank has no memory, no rank may begin. */
sg_status sg_comm_split(const struct sg_comm *c, int color, struct sg_comm **out) {
    sg_status status = SG_OK;
    struct sg_comm *made = NULL;
    MPI_Comm handle;

    *out = NULL;
    SG_TRY(sg_comm_together(c, color >= 0 ? make_room(&made) : SG_OK));
    MPI_Comm_split(c->handle, color >= 0 ? color : MPI_UNDEFINED, c->rank, &handle);
    if (made != NULL) {
        hold(made, handle);
        *out = made;
        made = NULL;
    }
done:
    sg_free(made);
    return status;
}

sg_status sg_comm_split_machine(const struct sg_comm *c, struct sg_comm **out) {
    sg_status status = SG_OK;
    struct sg_comm *made = NULL;
    MPI_Comm handle;

    *out = NULL;
    SG_TRY(sg_comm_together(c, make_room(&made)));
    MPI_Comm_split_type(c->handle, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &handle);
    hold(made, handle);
    *out = made;
    made = NULL;
done:
    sg_free(made);
    return status;
}

void sg_comm_free(struct sg_comm *c) {
    if (c != NULL) {
        MPI_Comm_free(&c->handle);
        sg_free(c);
    }
}

/* What comes after two seconds of silence may wait another 8 ms: a test takes some 20 us, and a
 * thousand a second by a rank that only waits were 2 % of a core that another rank computes on. */
void sg_comm_idle(int *idle) {
    const int n = *idle;
    const double ms = n < 10 ? (1 << n) * 1e-3 : fmin(1 + (n - 10) / 64.0, 8);
    const struct timespec pause = {.tv_nsec = (long)(ms * 1e6)};

    (void)nanosleep(&pause, NULL);
    *idle += n < INT_MAX;
}

/* How long to wait between two tests of a message. A large one moves by some 32 kB a test, at both
 * ends in turn: pauses of a millisecond would hold it to a few MB/s. */
enum pace {
    PATIENT, /* longer and longer, see sg_comm_idle */
    BRISK    /* some 50 us: the other end may still be busy elsewhere */
};

enum { LARGE_BYTES = 1 << 16 };

/* A short burst of tests first: most small messages between running ranks arrive within
 * microseconds. */
static void wait_for(MPI_Request *request, enum pace pace) {
    enum { BURST = 64 };
    int flag = 0;
    int idle = 0;

    for (int i = 0; i < BURST && !flag; i++) {
        MPI_Test(request, &flag, MPI_STATUS_IGNORE);
    }
    while (!flag) {
        sg_comm_idle(&idle);
        idle = pace == BRISK ? 0 : idle;
        MPI_Test(request, &flag, MPI_STATUS_IGNORE);
    }
}

static enum pace pace_of_message(size_t n_bytes) {
    return n_bytes > LARGE_BYTES ? BRISK : PATIENT;
}

void sg_comm_barrier(const struct sg_comm *c) {
    MPI_Request request;

    MPI_Ibarrier(c->handle, &request);
    wait_for(&request, PATIENT);
}

static int chunk(size_t left) {
    return (int)(left < piece_bytes ? left : piece_bytes);
}

/* Large collectives: all ranks meet first, patiently, and then leave the message to MPI's own
 * blocking call. From there on nobody waits for a rank that computes; Open MPI's non-blocking ones
 * move 32 kB a test of every rank, which on a busy machine took 13 s for 77 MB. */
void sg_comm_bcast(const struct sg_comm *c, int root, void *bytes, size_t n) {
    MPI_Request request;

    if (n <= LARGE_BYTES) {
        MPI_Ibcast(bytes, (int)n, MPI_BYTE, root, c->handle, &request);
        wait_for(&request, PATIENT);
        return;
    }
    sg_comm_barrier(c);
    for (size_t at = 0; at < n; at += piece_bytes) {
        MPI_Bcast((char *)bytes + at, chunk(n - at), MPI_BYTE, root, c->handle);
    }
}

void sg_comm_reduce_sum(const struct sg_comm *c, int root, int64_t *values, int64_t n) {
    const int64_t step = REDUCE_BYTES / (int64_t)sizeof *values;
    const int is_root = c->rank == root;
    MPI_Request request;

    if (n * (int64_t)sizeof *values <= LARGE_BYTES) {
        MPI_Ireduce(is_root ? MPI_IN_PLACE : values, is_root ? values : NULL, (int)n, MPI_INT64_T,
                    MPI_SUM, root, c->handle, &request);
        wait_for(&request, PATIENT);
        return;
    }
    sg_comm_barrier(c);
    for (int64_t at = 0; at < n; at += step) {
        const int count = (int)(n - at < step ? n - at : step);

        MPI_Reduce(is_root ? MPI_IN_PLACE : values + at, is_root ? values + at : NULL, count,
                   MPI_INT64_T, MPI_SUM, root, c->handle);
    }
}

static void allreduce_max(const struct sg_comm *c, void *values, int64_t n, MPI_Datatype type) {
    MPI_Request request;

    MPI_Iallreduce(MPI_IN_PLACE, values, (int)n, type, MPI_MAX, c->handle, &request);
    wait_for(&request, PATIENT);
}

void sg_comm_allreduce_max(const struct sg_comm *c, int64_t *values, int64_t n) {
    allreduce_max(c, values, n, MPI_INT64_T);
}

void sg_comm_allreduce_max_double(const struct sg_comm *c, double *values, int64_t n) {
    allreduce_max(c, values, n, MPI_DOUBLE);
}

void sg_comm_gather(const struct sg_comm *c, int root, const void *mine, size_t n, void *all) {
    MPI_Request request;

    SG_ASSERT(n <= INT32_MAX);
    MPI_Igather(mine, (int)n, MPI_BYTE, all, (int)n, MPI_BYTE, root, c->handle, &request);
    wait_for(&request, PATIENT);
}

/* Long messages go in pieces of one tag: MPI keeps their order. The receiver knows the length
 * beforehand. */
void sg_comm_send(const struct sg_comm *c, int to, int tag, const void *bytes, size_t n) {
    size_t at = 0;

    do {
        MPI_Request request;

        MPI_Isend((const char *)bytes + at, chunk(n - at), MPI_BYTE, to, tag, c->handle, &request);
        wait_for(&request, pace_of_message(n));
        at += piece_bytes;
    } while (at < n);
}

struct sg_sending {
    size_t n_pieces;
    enum pace pace;
    MPI_Request requests[];
};

sg_status sg_comm_send_begin(const struct sg_comm *c, int to, int tag, const void *bytes, size_t n,
                             struct sg_sending **out) {
    sg_status status = SG_OK;
    const size_t n_pieces = n > 0 ? (n + piece_bytes - 1) / piece_bytes : 1;
    struct sg_sending *s = sg_calloc(1, sizeof *s + n_pieces * sizeof s->requests[0]);

    SG_CHECK(s != NULL, SG_E_NOMEM, "no memory for a message");
    s->n_pieces = n_pieces;
    s->pace = pace_of_message(n);
    for (size_t i = 0; i < n_pieces; i++) {
        const size_t at = i * piece_bytes;

        MPI_Isend((const char *)bytes + at, chunk(n - at), MPI_BYTE, to, tag, c->handle,
                  &s->requests[i]);
    }
    *out = s;
done:
    return status;
}

void sg_comm_sent(struct sg_sending *sending) {
    for (size_t i = 0; sending != NULL && i < sending->n_pieces; i++) {
        wait_for(&sending->requests[i], sending->pace);
    }
    sg_free(sending);
}

int sg_comm_is_sent(const struct sg_sending *sending) {
    int flag = 1;

    for (size_t i = 0; sending != NULL && flag && i < sending->n_pieces; i++) {
        MPI_Request_get_status(sending->requests[i], &flag, MPI_STATUS_IGNORE);
    }
    return flag;
}

int sg_comm_probe(const struct sg_comm *c, int *from, int *tag) {
    MPI_Status envelope;
    int flag = 0;

    MPI_Iprobe(*from >= 0 ? *from : MPI_ANY_SOURCE, *tag >= 0 ? *tag : MPI_ANY_TAG, c->handle,
               &flag, &envelope);
    if (flag) {
        *from = envelope.MPI_SOURCE;
        *tag = envelope.MPI_TAG;
    }
    return flag;
}

void sg_comm_recv(const struct sg_comm *c, int from, int tag, void *bytes, size_t n) {
    size_t at = 0;

    do {
        MPI_Request request;

        MPI_Irecv((char *)bytes + at, chunk(n - at), MPI_BYTE, from, tag, c->handle, &request);
        wait_for(&request, pace_of_message(n));
        at += piece_bytes;
    } while (at < n);
}

const char *sg_comm_library(void) {
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;

    if (text[0] == '\0') {
        MPI_Get_library_version(text, &length);
        text[strcspn(text, ",\n")] = '\0'; /* "Open MPI v4.1.4": the rest names the build */
    }
    return text;
}
