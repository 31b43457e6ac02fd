/* src/data/stream.c - bytes of files and of memory at any place, plain or packed. */
#include "data/stream.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PIECE = 65536 };
static const char ends_early[] = "it ends too early";

struct sg_stream {
    int fd;                      /* -1: of memory */
    const unsigned char *memory; /* borrowed */
    int64_t base;                /* where the stored bytes begin, and how many they are */
    int64_t n;
    enum sg_packing packing;
    z_stream z;
    int is_inflating;       /* z has been initialised */
    int has_ended;          /* the packed data came to its end */
    int64_t stored_at;      /* next stored byte to feed to z */
    int64_t at;             /* next byte that z gives */
    unsigned char *stored;  /* [PIECE], what z is fed from */
    unsigned char *skipped; /* [PIECE], what nobody asked for */
};

static sg_status read_stored(const struct sg_stream *s, int64_t at, void *bytes, size_t n) {
    sg_status status = SG_OK;
    unsigned char *to = bytes;
    size_t done_bytes = 0;

    SG_CHECK(at >= 0 && at <= s->n && n <= (uint64_t)(s->n - at), SG_E_INPUT, "%s", ends_early);
    if (s->fd < 0) {
        memcpy(to, s->memory + s->base + at, n);
        return SG_OK;
    }
    while (done_bytes < n) {
        const ssize_t got =
            pread(s->fd, to + done_bytes, n - done_bytes, s->base + at + (int64_t)done_bytes);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        SG_CHECK(got >= 0, SG_E_INPUT, "%s", strerror(errno));
        SG_CHECK(got > 0, SG_E_INPUT, "it became shorter while it was read");
        done_bytes += (size_t)got;
    }
done:
    return status;
}

static sg_status notice_gzip(struct sg_stream *s) {
    sg_status status = SG_OK;
    unsigned char magic[2];

    if (s->n >= 2) {
        SG_TRY(read_stored(s, 0, magic, sizeof magic));
        if (magic[0] == 0x1f && magic[1] == 0x8b) {
            SG_TRY(sg_stream_narrow(s, 0, s->n, SG_GZIP));
        }
    }
done:
    return status;
}

static sg_status create(struct sg_stream **out) {
    sg_status status = SG_OK;
    struct sg_stream *s = sg_calloc(1, sizeof *s);

    SG_CHECK(s != NULL, SG_E_NOMEM, "no memory to read a file");
    s->fd = -1;
    *out = s;
done:
    return status;
}

sg_status sg_stream_open(const char *path, int unpacks, sg_status code, struct sg_stream **out) {
    sg_status status = SG_OK;
    struct sg_stream *s = NULL;
    struct stat st;

    SG_TRY(create(&s));
    /* Without O_NONBLOCK a named pipe would wait for its writer. */
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    SG_CHECK(s->fd >= 0, code, "cannot be opened: %s", strerror(errno));
    SG_CHECK(fstat(s->fd, &st) == 0, code, "cannot be read: %s", strerror(errno));
    SG_CHECK(S_ISREG(st.st_mode), code, "is not a regular file");
    s->n = st.st_size;
    if (unpacks) {
        SG_TRY(notice_gzip(s));
    }
    *out = s;
    s = NULL;
done:
    sg_stream_close(s);
    return status == SG_E_INPUT ? code : status;
}

sg_status sg_stream_open_memory(const void *bytes, size_t n, int unpacks, struct sg_stream **out) {
    sg_status status = SG_OK;
    struct sg_stream *s = NULL;

    SG_TRY(create(&s));
    s->memory = bytes;
    s->n = (int64_t)n;
    if (unpacks) {
        SG_TRY(notice_gzip(s));
    }
    *out = s;
    s = NULL;
done:
    sg_stream_close(s);
    return status;
}

void sg_stream_close(struct sg_stream *s) {
    if (s == NULL) {
        return;
    }
    if (s->is_inflating) {
        (void)inflateEnd(&s->z);
    }
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    sg_free(s->stored);
    sg_free(s->skipped);
    sg_free(s);
}

sg_status sg_stream_narrow(struct sg_stream *s, int64_t at, int64_t n, enum sg_packing packing) {
    sg_status status = SG_OK;

    SG_ASSERT(s->packing == SG_PLAIN);
    SG_CHECK(at >= 0 && n >= 0 && at <= s->n && n <= s->n - at, SG_E_INPUT, "%s", ends_early);
    s->base += at;
    s->n = n;
    if (packing == SG_PLAIN) {
        return SG_OK;
    }
    s->stored = sg_calloc(PIECE, 1);
    s->skipped = sg_calloc(PIECE, 1);
    /* zlib's own memory is small and freed with the stream. 15: the largest window; + 16: gzip
     * with its checksum; negative: deflate without a head. */
    SG_CHECK(s->stored != NULL && s->skipped != NULL &&
                 inflateInit2(&s->z, packing == SG_GZIP ? 15 + 16 : -15) == Z_OK,
             SG_E_NOMEM, "no memory to unpack a file");
    s->is_inflating = 1;
    s->packing = packing;
done:
    return status;
}

int64_t sg_stream_length(const struct sg_stream *s) {
    return s->packing == SG_PLAIN ? s->n : -1;
}

static sg_status feed(struct sg_stream *s) {
    sg_status status = SG_OK;
    const int64_t left = s->n - s->stored_at;
    const int64_t n = left < PIECE ? left : PIECE;

    SG_CHECK(n > 0, SG_E_INPUT, "%s", ends_early);
    SG_TRY(read_stored(s, s->stored_at, s->stored, (size_t)n));
    s->stored_at += n;
    s->z.next_in = s->stored;
    s->z.avail_in = (unsigned)n;
done:
    return status;
}

/* One gzip file may follow another, as `cat a.gz b.gz` makes it; anything else behind the end is
 * left alone, as by gunzip. */
static sg_status pass_end(struct sg_stream *s) {
    sg_status status = SG_OK;
    const int64_t next = s->stored_at - s->z.avail_in;
    unsigned char magic[2] = {0};

    if (s->packing == SG_GZIP && s->n - next >= (int64_t)sizeof magic) {
        SG_TRY(read_stored(s, next, magic, sizeof magic));
    }
    s->has_ended = magic[0] != 0x1f || magic[1] != 0x8b;
    if (!s->has_ended) {
        (void)inflateReset(&s->z);
    }
done:
    return status;
}

/* Up to n bytes; fewer only at the end of the data. */
static sg_status unpack(struct sg_stream *s, unsigned char *to, size_t n, size_t *got) {
    sg_status status = SG_OK;

    *got = 0;
    while (*got < n && !s->has_ended) {
        const size_t want = n - *got < PIECE ? n - *got : PIECE;
        int code;

        if (s->z.avail_in == 0) {
            SG_TRY(feed(s));
        }
        s->z.next_out = to + *got;
        s->z.avail_out = (unsigned)want;
        code = inflate(&s->z, Z_NO_FLUSH);
        *got += want - s->z.avail_out;
        if (code == Z_STREAM_END) {
            SG_TRY(pass_end(s));
        } else {
            SG_CHECK(code == Z_OK || code == Z_BUF_ERROR, SG_E_INPUT, "%s",
                     s->z.msg != NULL ? s->z.msg : "its packed data is damaged");
        }
    }
    s->at += (int64_t)*got;
done:
    return status;
}

static void rewind_packed(struct sg_stream *s) {
    (void)inflateReset(&s->z);
    s->z.avail_in = 0;
    s->has_ended = 0;
    s->stored_at = 0;
    s->at = 0;
}

static sg_status unpack_to(struct sg_stream *s, int64_t at) {
    sg_status status = SG_OK;

    if (at < s->at) {
        rewind_packed(s);
    }
    while (s->at < at) {
        const size_t want = at - s->at < PIECE ? (size_t)(at - s->at) : PIECE;
        size_t got;

        SG_TRY(unpack(s, s->skipped, want, &got));
        SG_CHECK(got == want, SG_E_INPUT, "%s", ends_early);
    }
done:
    return status;
}

sg_status sg_stream_read(struct sg_stream *s, int64_t at, void *bytes, size_t n) {
    sg_status status = SG_OK;
    size_t got;

    if (s->packing == SG_PLAIN) {
        return read_stored(s, at, bytes, n);
    }
    SG_TRY(unpack_to(s, at));
    SG_TRY(unpack(s, bytes, n, &got));
    SG_CHECK(got == n, SG_E_INPUT, "%s", ends_early);
done:
    if (status != SG_OK && s->is_inflating) {
        rewind_packed(s); /* A fresh start may help the next reader. */
    }
    return status;
}

sg_status sg_stream_check_end(struct sg_stream *s, int64_t at) {
    sg_status status = SG_OK;
    unsigned char byte;
    size_t got = 0;

    if (s->packing == SG_PLAIN) {
        SG_CHECK(s->n >= at, SG_E_INPUT, "%s", ends_early);
        got = s->n > at;
    } else {
        SG_TRY(unpack_to(s, at));
        SG_TRY(unpack(s, &byte, 1, &got));
    }
    SG_CHECK(got == 0, SG_E_INPUT, "it is longer than its header says");
done:
    return status;
}

void sg_stream_prefetch(const struct sg_stream *s, int64_t at, int64_t n) {
    if (s->fd >= 0 && s->packing == SG_PLAIN) {
        (void)posix_fadvise(s->fd, s->base + at, n, POSIX_FADV_WILLNEED);
    }
}
