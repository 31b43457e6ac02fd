/* src/comm/comm.c - MPI behind one header; the only file that includes mpi.h.
 *
 * Every wait is a test and a short sleep: Open MPI's own waiting spins, which starves the working
 * ranks as soon as ranks outnumber cores (a master alone takes a whole core otherwise). Errors of
 * MPI itself end the run: Open MPI 4 cannot go on without a rank, and the answer to a dead one is
 * to resume. */
#include "sgdist/comm.h"

#include "sgdist/memory.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

struct sg_comm {
    MPI_Comm handle;
    int rank;
    int size;
};

enum { CHUNK_BYTES = 1 << 30 }; /* MPI 3 counts are int */

static sg_status wrap(MPI_Comm handle, struct sg_comm **out) {
    sg_status status = SG_OK;
    struct sg_comm *c = sg_calloc(1, sizeof *c);

    SG_CHECK(c != NULL, SG_E_NOMEM, "no memory for a communicator");
    c->handle = handle;
    MPI_Comm_rank(handle, &c->rank);
    MPI_Comm_size(handle, &c->size);
    *out = c;
done:
    return status;
}

sg_status sg_comm_start(int *argc, char ***argv, struct sg_comm **world) {
    const int launched = getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMIX_RANK") != NULL;

    MPI_Init(argc, argv);
    if (launched) {
        /* A rank whose launcher was killed must not linger and hold the result's lock. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return wrap(MPI_COMM_WORLD, world);
}

void sg_comm_stop(struct sg_comm *world) {
    sg_comm_barrier(world);
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

sg_status sg_comm_split(const struct sg_comm *c, int color, struct sg_comm **out) {
    MPI_Comm handle;

    MPI_Comm_split(c->handle, color >= 0 ? color : MPI_UNDEFINED, c->rank, &handle);
    *out = NULL;
    return handle == MPI_COMM_NULL ? SG_OK : wrap(handle, out);
}

void sg_comm_free(struct sg_comm *c) {
    if (c != NULL) {
        MPI_Comm_free(&c->handle);
        sg_free(c);
    }
}

void sg_comm_idle(int *idle) {
    const long step_ns = 1000L << (*idle < 10 ? *idle : 10); /* 1 us to 1 ms */
    const struct timespec pause = {.tv_nsec = step_ns < 1000000 ? step_ns : 1000000};

    (void)nanosleep(&pause, NULL);
    (*idle)++;
}

/* How long to wait between two tests of a message. A large one may move by some 32 kB a test, at
 * both ends in turn: pauses of a millisecond would hold it to a few MB/s. */
enum pace {
    PATIENT, /* longer and longer, up to a millisecond */
    BRISK    /* some 50 us */
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
    return (int)(left < CHUNK_BYTES ? left : CHUNK_BYTES);
}

/* ---- large collectives ----
 *
 * Open MPI's non-blocking ones cut a large message into pieces of 16 to 32 kB and need a test of
 * all ranks for each, thousands of them for the sums of a large image. So large ones go down or up
 * a binomial tree in messages of our own. All meet before, patiently: from there on nobody waits
 * for a rank that computes. */

enum { TREE_TAG = 0x5347, PIECE_VALUES = 1 << 15 };

struct tree {
    int place; /* of this rank, counted from the root */
    int root;
};

static struct tree join_tree(const struct sg_comm *c, int root) {
    sg_comm_barrier(c);
    return (struct tree){.place = (c->rank - root + c->size) % c->size, .root = root};
}

static int rank_at(const struct sg_comm *c, const struct tree *t, int place) {
    return (place + t->root) % c->size;
}

/* From the place without this one's lowest bit; on to those with one more bit below that. */
static void bcast_down_tree(const struct sg_comm *c, int root, void *bytes, size_t n) {
    const struct tree t = join_tree(c, root);
    int bit = 1;

    while (bit < c->size && (t.place & bit) == 0) {
        bit *= 2;
    }
    if (t.place != 0) {
        sg_comm_recv(c, rank_at(c, &t, t.place - bit), TREE_TAG, bytes, n);
    }
    for (bit /= 2; bit > 0; bit /= 2) {
        if (t.place + bit < c->size) {
            sg_comm_send(c, rank_at(c, &t, t.place + bit), TREE_TAG, bytes, n);
        }
    }
}

static int64_t piece_length(int64_t n, int64_t at) {
    return n - at < PIECE_VALUES ? n - at : PIECE_VALUES;
}

/* values[n] += those of another rank; one piece is added while the next one arrives. */
static void receive_and_add(const struct sg_comm *c, int from, int64_t *values, int64_t n) {
    static int64_t pieces[2][PIECE_VALUES]; /* MPI is called by one thread only */
    MPI_Request requests[2];
    int now = 0;

    MPI_Irecv(pieces[0], (int)piece_length(n, 0), MPI_INT64_T, from, TREE_TAG, c->handle,
              &requests[0]);
    for (int64_t at = 0; at < n; at += PIECE_VALUES, now = !now) {
        const int64_t next = at + PIECE_VALUES;

        if (next < n) {
            MPI_Irecv(pieces[!now], (int)piece_length(n, next), MPI_INT64_T, from, TREE_TAG,
                      c->handle, &requests[!now]);
        }
        wait_for(&requests[now], BRISK);
        for (int64_t i = 0; i < piece_length(n, at); i++) {
            values[at + i] += pieces[now][i];
        }
    }
}

/* Two pieces are on their way at a time. */
static void send_pieces(const struct sg_comm *c, int to, const int64_t *values, int64_t n) {
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    int now = 0;

    for (int64_t at = 0; at < n; at += PIECE_VALUES, now = !now) {
        wait_for(&requests[now], BRISK);
        MPI_Isend(values + at, (int)piece_length(n, at), MPI_INT64_T, to, TREE_TAG, c->handle,
                  &requests[now]);
    }
    wait_for(&requests[0], BRISK);
    wait_for(&requests[1], BRISK);
}

static void reduce_up_tree(const struct sg_comm *c, int root, int64_t *values, int64_t n) {
    const struct tree t = join_tree(c, root);

    for (int bit = 1; bit < c->size; bit *= 2) {
        if ((t.place & bit) != 0) {
            send_pieces(c, rank_at(c, &t, t.place - bit), values, n);
            return;
        }
        if (t.place + bit < c->size) {
            receive_and_add(c, rank_at(c, &t, t.place + bit), values, n);
        }
    }
}

/* ---- collectives ---- */

void sg_comm_bcast(const struct sg_comm *c, int root, void *bytes, size_t n) {
    MPI_Request request;

    if (n > LARGE_BYTES) {
        bcast_down_tree(c, root, bytes, n);
        return;
    }
    MPI_Ibcast(bytes, (int)n, MPI_BYTE, root, c->handle, &request);
    wait_for(&request, PATIENT);
}

void sg_comm_reduce_sum(const struct sg_comm *c, int root, int64_t *values, int64_t n) {
    const int is_root = c->rank == root;
    MPI_Request request;

    if (n * (int64_t)sizeof *values > LARGE_BYTES) {
        reduce_up_tree(c, root, values, n);
        return;
    }
    MPI_Ireduce(is_root ? MPI_IN_PLACE : values, is_root ? values : NULL, (int)n, MPI_INT64_T,
                MPI_SUM, root, c->handle, &request);
    wait_for(&request, PATIENT);
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

    SG_ASSERT(n < CHUNK_BYTES);
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
        at += CHUNK_BYTES;
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
    const size_t n_pieces = n > 0 ? (n + CHUNK_BYTES - 1) / CHUNK_BYTES : 1;
    struct sg_sending *s = sg_calloc(1, sizeof *s + n_pieces * sizeof s->requests[0]);

    SG_CHECK(s != NULL, SG_E_NOMEM, "no memory for a message");
    s->n_pieces = n_pieces;
    s->pace = pace_of_message(n);
    for (size_t i = 0; i < n_pieces; i++) {
        const size_t at = i * CHUNK_BYTES;

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
        at += CHUNK_BYTES;
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
