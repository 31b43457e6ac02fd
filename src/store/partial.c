/* src/store/partial.c - checkpoints of unfinished items: small files that are whole or worth
 * nothing. */
#include "store/store_impl.h"

#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'s', 'g', 'p', 'a', 'r', 't', '1', '\n'};

/* The head of the file, little endian like the machine; the payload follows at once. */
struct head {
    char magic[8];
    uint64_t identity;
    int64_t item;
    int64_t n;
    uint64_t payload_hash;
    uint64_t head_hash; /* of all before it */
};

static struct head make_head(uint64_t identity, int64_t item, const void *bytes, int64_t n) {
    struct head h = {
        .identity = identity, .item = item, .n = n, .payload_hash = sg_hash64(bytes, (size_t)n)};

    memcpy(h.magic, magic, sizeof magic);
    h.head_hash = sg_hash64(&h, offsetof(struct head, head_hash));
    return h;
}

static sg_status folder_name(const char *path, char *out) {
    return sg_disk_join(out, path, ".partial");
}

static sg_status file_name(const char *path, int64_t item, char *out) {
    char name[64];

    (void)snprintf(name, sizeof name, ".partial/item-%" PRId64, item);
    return sg_disk_join(out, path, name);
}

sg_status sg_partial_save(const char *path, uint64_t identity, int64_t item, const void *bytes,
                          int64_t n) {
    sg_status status = SG_OK;
    const struct head h = make_head(identity, item, bytes, n);
    char name[SG_PATH_BYTES];
    char temporary[SG_PATH_BYTES] = "";
    int fd = -1;

    SG_TRY(file_name(path, item, name));
    SG_TRY(sg_disk_join(temporary, name, ".tmp"));
    SG_TRY(sg_disk_make_parents(name));
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        SG_TRY(sg_disk_error("making the file failed", temporary));
    }
    SG_TRY(sg_disk_write(fd, temporary, &h, sizeof h, 0));
    SG_TRY(sg_disk_write(fd, temporary, bytes, n, sizeof h));
    SG_TRY(sg_disk_publish(fd, temporary, name));
done:
    if (fd >= 0) {
        (void)close(fd);
        if (status != SG_OK) {
            (void)unlink(temporary);
        }
    }
    return status;
}

/* What is wrong with the head of a file of `size` bytes, or NULL. */
static const char *judge(const struct head *h, int64_t size, uint64_t identity, int64_t item) {
    if (size < (int64_t)sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0 ||
        h->head_hash != sg_hash64(h, offsetof(struct head, head_hash)) ||
        size - (int64_t)sizeof *h != h->n) {
        return "is damaged";
    }
    if (h->identity != identity) {
        return "is of another job";
    }
    return h->item != item ? "is of another item" : NULL;
}

/* Reads an open checkpoint; *wrong says why it is worth nothing, else NULL. */
static sg_status read_file(int fd, const char *name, uint64_t identity, int64_t item, void **bytes,
                           int64_t *n, const char **wrong) {
    sg_status status = SG_OK;
    struct head h = {0};
    struct stat info;
    void *payload = NULL;

    SG_CHECK(fstat(fd, &info) == 0, SG_E_IO, "%s: %s", name, strerror(errno));
    if (info.st_size >= (off_t)sizeof h) {
        SG_TRY(sg_disk_read(fd, name, &h, sizeof h, 0));
    }
    *wrong = judge(&h, info.st_size, identity, item);
    if (*wrong != NULL) {
        return SG_OK;
    }
    payload = sg_calloc((size_t)h.n, 1);
    SG_CHECK(payload != NULL, SG_E_NOMEM, "%s: no memory for the %" PRId64 " bytes of a checkpoint",
             name, h.n);
    SG_TRY(sg_disk_read(fd, name, payload, h.n, sizeof h));
    if (sg_hash64(payload, (size_t)h.n) != h.payload_hash) {
        *wrong = "is damaged";
        goto done;
    }
    *bytes = payload;
    *n = h.n;
    payload = NULL;
done:
    sg_free(payload);
    return status;
}

sg_status sg_partial_load(const char *path, uint64_t identity, int64_t item, void **bytes,
                          int64_t *n) {
    sg_status status = SG_OK;
    char name[SG_PATH_BYTES];
    const char *wrong = NULL;
    int fd = -1;

    *bytes = NULL;
    *n = 0;
    SG_TRY(file_name(path, item, name));
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        goto done;
    }
    SG_CHECK(fd >= 0, SG_E_IO, "%s: %s", name, strerror(errno));
    status = read_file(fd, name, identity, item, bytes, n, &wrong);
    if (status == SG_E_FORMAT) { /* it got shorter while it was read */
        status = SG_OK;
        wrong = "is damaged";
    }
    if (wrong != NULL) {
        sg_log(SG_LOG_WARN, "the checkpoint %s %s; the item starts from its beginning", name,
               wrong);
    }
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

/* Removes our files of the folder, and the folder if nothing else is in it. */
static void remove_all(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;

    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "item-", 5) == 0) {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    (void)closedir(dir);
    (void)rmdir(folder);
}

void sg_partial_remove(const char *path, int64_t item) {
    char name[SG_PATH_BYTES];

    if (item < 0) {
        if (folder_name(path, name) == SG_OK) {
            remove_all(name);
        }
    } else if (file_name(path, item, name) == SG_OK) {
        (void)unlink(name);
    }
}

void sg_partial_list(const char *path, unsigned char *begun, int64_t n_items) {
    char name[SG_PATH_BYTES];
    DIR *dir = folder_name(path, name) == SG_OK ? opendir(name) : NULL;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int64_t item;
        int end = 0;

        if (sscanf(entry->d_name, "item-%" SCNd64 "%n", &item, &end) == 1 &&
            entry->d_name[end] == '\0' && item >= 0 && item < n_items) {
            begun[item] = 1;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

int sg_partial_exists(const char *path, int64_t item) {
    char name[SG_PATH_BYTES];

    return file_name(path, item, name) == SG_OK && access(name, F_OK) == 0;
}
