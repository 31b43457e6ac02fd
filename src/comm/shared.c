/* src/comm/shared.c - one block of memory a machine, in /dev/shm. */
#include "sgdist/shared.h"

#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

enum { REASON_CAP = 160 };

/* What the first rank of a machine tells the others: a file without a name, by the descriptor that
 * it has in that process. */
struct offer {
    int64_t process;       /* 0: there is nothing to share, for this reason */
    int64_t device, inode; /* process numbers of containers may mean different processes */
    int descriptor;
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

/* NULL and a reason where it cannot be had. */
static void *map(int fd, size_t n, int protection, char *reason) {
    void *bytes = mmap(NULL, n, protection, MAP_SHARED, fd, 0);

    if (bytes == MAP_FAILED) {
        (void)snprintf(reason, REASON_CAP, "cannot map shared memory: %s", strerror(errno));
        return NULL;
    }
    return bytes;
}

/* A file in /dev/shm that no name leads to: it ends with the last process that has it, however that
 * dies. */
static void *make(struct offer *offer, size_t n) {
    struct stat info;
    void *bytes = NULL;
    int error = 0;

    offer->descriptor = -1;
    if (!has_room(n, offer->reason)) {
        return NULL;
    }
    offer->descriptor = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (offer->descriptor < 0 || fstat(offer->descriptor, &info) != 0) {
        error = errno;
    } else {
        error = posix_fallocate(offer->descriptor, 0, (off_t)n);
    }
    if (error != 0) {
        (void)snprintf(offer->reason, sizeof offer->reason, "/dev/shm: %s", strerror(error));
    } else {
        bytes = map(offer->descriptor, n, PROT_READ | PROT_WRITE, offer->reason);
    }
    if (bytes != NULL) {
        offer->process = (int64_t)getpid();
        offer->device = (int64_t)info.st_dev;
        offer->inode = (int64_t)info.st_ino;
    }
    return bytes;
}

static void *attach(struct offer *offer, size_t n, int writes) {
    struct stat info;
    void *bytes = NULL;
    char path[64];
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%lld/fd/%d", (long long)offer->process,
                   offer->descriptor);
    fd = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        (void)snprintf(offer->reason, sizeof offer->reason,
                       "a rank cannot open the shared memory of its machine, %s: %s", path,
                       strerror(errno));
    } else if ((int64_t)info.st_dev != offer->device || (int64_t)info.st_ino != offer->inode) {
        (void)snprintf(offer->reason, sizeof offer->reason,
                       "ranks of this machine number processes differently (containers)");
    } else {
        bytes = map(fd, n, writes ? PROT_READ | PROT_WRITE : PROT_READ, offer->reason);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return bytes;
}

/* Maps the machine's block, on all of its ranks or on none. */
static void share(struct sg_shared *s, int all_write, const char *what) {
    const int is_first = sg_comm_rank(s->machine) == 0;
    struct offer offer = {.process = 0, .descriptor = -1};
    int64_t failed;

    if (is_first) {
        s->bytes = make(&offer, s->n);
    }
    sg_comm_bcast(s->machine, 0, &offer, sizeof offer);
    if (!is_first && offer.process != 0) {
        s->bytes = attach(&offer, s->n, all_write);
    }
    failed = s->bytes == NULL;
    sg_comm_allreduce_max(s->machine, &failed, 1);
    if (is_first && offer.descriptor >= 0) {
        (void)close(offer.descriptor);
    }
    if (failed) {
        if (s->bytes != NULL) {
            (void)munmap(s->bytes, s->n);
        } else if (is_first || offer.process != 0) {
            sg_log(SG_LOG_WARN, "each rank of this machine keeps its own copy of %s: %s", what,
                   offer.reason);
        }
        s->bytes = NULL;
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
