/* src/comm/shared.c - one block of memory a machine, by POSIX shared memory. */
#include "sgdist/shared.h"

#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

struct sg_shared {
    size_t n;
    void *bytes;
    int is_mapped; /* else it is from the heap */
    int is_writer;
    int n_ranks;
    const struct sg_comm *world;
    struct sg_comm *machine;
    struct sg_comm *writers; /* NULL on ranks that do not write */
};

enum { NAME_CAP = 64, REASON_CAP = 160 };

/* What the first rank of a machine tells the others. */
struct offer {
    char name[NAME_CAP]; /* "": there is nothing to share, for this reason */
    char reason[REASON_CAP];
};

/* Room that is told to be free may be gone a moment later, but posix_fallocate finds that; this
 * check comes first because filling /dev/shm to the brim would take the room from others. */
static int has_room(size_t n, char *reason) {
    struct statvfs info;
    char need[32];
    char left[32];

    if (statvfs("/dev/shm", &info) != 0) {
        (void)snprintf(reason, REASON_CAP, "/dev/shm: %s", strerror(errno));
        return 0;
    }
    if ((double)info.f_bavail * (double)info.f_frsize < (double)n) {
        (void)snprintf(
            reason, REASON_CAP, "/dev/shm has %s left, %s are needed",
            sg_text_bytes((double)info.f_bavail * (double)info.f_frsize, left, sizeof left),
            sg_text_bytes((double)n, need, sizeof need));
        return 0;
    }
    return 1;
}

/* An empty file, whose name the others are told; or -1. */
static int make(struct offer *offer, size_t n) {
    struct timespec now;
    int fd;

    if (!has_room(n, offer->reason)) {
        return -1;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(offer->name, sizeof offer->name, "/sgdist-%ld-%lld%09ld", (long)getpid(),
                   (long long)now.tv_sec, now.tv_nsec);
    fd = shm_open(offer->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        (void)snprintf(offer->reason, sizeof offer->reason, "/dev/shm: %s", strerror(errno));
        offer->name[0] = '\0';
    }
    return fd;
}

static int find(struct offer *offer, int writes) {
    const int fd = offer->name[0] == '\0'
                       ? -1
                       : shm_open(offer->name, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0);

    if (fd < 0 && offer->name[0] != '\0') {
        (void)snprintf(offer->reason, sizeof offer->reason,
                       "a rank cannot open the shared memory of its machine: %s", strerror(errno));
    }
    return fd;
}

/* 1 if it has the space: a full /dev/shm is found here and not by a SIGBUS later. */
static int reserve(int fd, size_t n, char *reason) {
    const int error = posix_fallocate(fd, 0, (off_t)n);

    if (error != 0) {
        (void)snprintf(reason, REASON_CAP, "/dev/shm: %s", strerror(error));
    }
    return error == 0;
}

/* NULL and a reason where it cannot be had. */
static void *map(int fd, size_t n, int protection, char *reason) {
    void *bytes = mmap(NULL, n, protection, MAP_SHARED, fd, 0);

    if (bytes == MAP_FAILED) {
        (void)snprintf(reason, REASON_CAP, "cannot map shared memory: %s", strerror(errno));
        return NULL;
    }
    return bytes;
}

/* 1 if it went well on all ranks of the machine. */
static int together(const struct sg_shared *s, int is_well) {
    int64_t failed = !is_well;

    sg_comm_allreduce_max(s->machine, &failed, 1);
    return !failed;
}

/* Maps the machine's block, on all of its ranks or on none. The file has a name only as long as it
 * is empty: a rank that is killed meanwhile leaves no memory behind. */
static void share(struct sg_shared *s, int all_write, const char *what) {
    const int is_first = sg_comm_rank(s->machine) == 0;
    const int protection = is_first || all_write ? PROT_READ | PROT_WRITE : PROT_READ;
    struct offer offer = {.name = ""};
    int fd = is_first ? make(&offer, s->n) : -1;
    int is_well;

    sg_comm_bcast(s->machine, 0, &offer, sizeof offer);
    if (!is_first) {
        fd = find(&offer, all_write);
    }
    is_well = together(s, fd >= 0);
    if (is_first && offer.name[0] != '\0') {
        (void)shm_unlink(offer.name);
    }
    is_well = is_well && together(s, !is_first || reserve(fd, s->n, offer.reason));
    if (is_well) {
        s->bytes = map(fd, s->n, protection, offer.reason);
        is_well = together(s, s->bytes != NULL);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!is_well && s->bytes != NULL) {
        (void)munmap(s->bytes, s->n);
        s->bytes = NULL;
    } else if (!is_well && offer.reason[0] != '\0' && (is_first || offer.name[0] != '\0')) {
        sg_log(SG_LOG_WARN, "each rank of this machine keeps its own copy of %s: %s", what,
               offer.reason);
    }
    s->is_mapped = s->bytes != NULL;
}

sg_status sg_shared_create(const struct sg_comm *world, size_t n, enum sg_share how,
                           const char *what, struct sg_shared **out) {
    sg_status status = SG_OK;
    struct sg_shared *s = sg_calloc(1, sizeof *s);
    int64_t failed = s == NULL;

    sg_comm_allreduce_max(world, &failed, 1);
    SG_CHECK(!failed, SG_E_NOMEM, "no memory for %s", what);
    s->world = world;
    s->n = n > 0 ? n : 1;
    SG_TRY(sg_comm_split_machine(world, &s->machine));
    if (how != SG_SHARE_NOT && sg_comm_size(s->machine) > 1) {
        share(s, how == SG_SHARE_ALL_WRITE, what);
    }
    s->n_ranks = s->is_mapped ? sg_comm_size(s->machine) : 1;
    s->is_writer = !s->is_mapped || sg_comm_rank(s->machine) == 0;
    if (!s->is_mapped) {
        s->bytes = sg_malloc_aligned(s->n, 1);
    }
    failed = s->bytes == NULL;
    sg_comm_allreduce_max(world, &failed, 1);
    SG_CHECK(!failed, SG_E_NOMEM, "no memory for %s (%zu bytes a rank)", what, s->n);
    SG_TRY(sg_comm_split(world, s->is_writer ? 0 : -1, &s->writers));
    *out = s;
    s = NULL;
done:
    sg_shared_destroy(s);
    return status;
}

void sg_shared_destroy(struct sg_shared *s) {
    if (s == NULL) {
        return;
    }
    if (s->is_mapped) {
        (void)munmap(s->bytes, s->n);
    } else {
        sg_free(s->bytes);
    }
    sg_comm_free(s->writers);
    sg_comm_free(s->machine);
    sg_free(s);
}

void *sg_shared_bytes(const struct sg_shared *s) {
    return s->bytes;
}

int sg_shared_is_writer(const struct sg_shared *s) {
    return s->is_writer;
}

int sg_shared_n_ranks(const struct sg_shared *s) {
    return s->n_ranks;
}

int sg_shared_rank(const struct sg_shared *s) {
    return s->is_mapped ? sg_comm_rank(s->machine) : 0;
}

int sg_shared_on_machine(const struct sg_shared *s) {
    return sg_comm_size(s->machine);
}

void sg_shared_bcast(const struct sg_shared *s) {
    if (s->is_writer) {
        sg_comm_bcast(s->writers, 0, s->bytes, s->n);
    }
    sg_shared_written(s);
}

void sg_shared_written(const struct sg_shared *s) {
    sg_comm_barrier(s->world);
}
