/* src/data/tar.c - walks through a tar archive: ustar (POSIX.1-1988), GNU's long names and large
 * sizes, and the extended heads of POSIX.1-2001 (pax).
 *
 * Nothing but heads is read, a window of bytes at a time; what an archive claims is held against
 * its length before it is believed. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

enum {
    BLOCK = 512,
    WINDOW = 16384,        /* heads of small files come many at a time */
    MAX_EXTENDED = 1 << 20 /* bytes of a long name or an extended head */
};

struct walker {
    struct sg_stream *stream;
    const char *where;
    int64_t at;
    int64_t end;
    unsigned char *window; /* bytes window_at.. of the stream */
    int64_t window_at;
    int64_t n_window;
    char *name;    /* of the next entry, from a head in front of its own; NULL: none */
    int64_t bytes; /* as well, -1: none */
};

/* A block of the archive, at home in the window. */
static sg_status get_block(struct walker *w, int64_t at, const unsigned char **out) {
    sg_status status = SG_OK;

    SG_CHECK(at <= w->end - BLOCK, SG_E_JOB,
             "%s: it is cut short: at byte %lld it ends without the two empty blocks that close an "
             "archive; make or copy it anew",
             w->where, (long long)w->end);
    if (at < w->window_at || at + BLOCK > w->window_at + w->n_window) {
        w->window_at = at;
        w->n_window = w->end - at < WINDOW ? w->end - at : WINDOW;
        status = sg_stream_read(w->stream, at, w->window, (size_t)w->n_window);
        SG_CHECK(status == SG_OK, SG_E_JOB, "%s: %s", w->where, sg_trace_message());
    }
    *out = w->window + (at - w->window_at);
done:
    return status;
}

/* Octal digits between blanks, or, where the first bit is set, the bytes of a binary number. -1:
 * not a number below 2^63. */
static int64_t parse_number(const unsigned char *field, int n) {
    uint64_t v = 0;
    int i = 0;

    if ((field[0] & 0x80) != 0) {
        v = field[0] & 0x7f;
        for (i = 1; i < n; i++) {
            if (v >> 55 != 0) {
                return -1;
            }
            v = v << 8 | field[i];
        }
        return (int64_t)v;
    }
    while (i < n && field[i] == ' ') {
        i++;
    }
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++) {
        v = v << 3 | (uint64_t)(field[i] - '0'); /* at most 12 digits */
    }
    return i == n || field[i] == ' ' || field[i] == '\0' ? (int64_t)v : -1;
}

/* The sum of the head's bytes, its own field taken as blanks; some old archives sum signed bytes.
 */
static int sum_is_right(const unsigned char *b) {
    const int64_t wanted = parse_number(b + 148, 8);
    int64_t plain = 0;
    int64_t odd = 0;

    for (int i = 0; i < BLOCK; i++) {
        const unsigned char c = i >= 148 && i < 156 ? ' ' : b[i];

        plain += c;
        odd += (signed char)c;
    }
    return wanted == plain || wanted == odd;
}

static int is_empty(const unsigned char *b) {
    return b[0] == 0 && memcmp(b, b + 1, BLOCK - 1) == 0;
}

/* Behind the end there is padding alone, or someone has put archives one behind the other. */
static sg_status check_end(struct walker *w) {
    sg_status status = SG_OK;

    for (int64_t at = w->at; at <= w->end - BLOCK; at += BLOCK) {
        const unsigned char *b;

        SG_TRY(get_block(w, at, &b));
        SG_CHECK(is_empty(b), SG_E_JOB,
                 "%s: there is more behind the archive's end (byte %lld): where archives were "
                 "joined with cat, name them one by one",
                 w->where, (long long)at);
    }
done:
    return status;
}

/* ---- heads that speak of the entry behind them ---- */

static sg_status read_data(struct walker *w, int64_t n, char **out) {
    sg_status status = SG_OK;
    char *text = NULL;

    SG_CHECK(n <= MAX_EXTENDED && n <= w->end - w->at, SG_E_JOB,
             "%s: it is cut short, or damaged at byte %lld: a head of %lld bytes", w->where,
             (long long)w->at, (long long)n);
    text = sg_calloc((size_t)n + 1, 1);
    SG_CHECK(text != NULL, SG_E_NOMEM, "no memory for a name");
    status = sg_stream_read(w->stream, w->at, text, (size_t)n);
    SG_CHECK(status == SG_OK, SG_E_JOB, "%s: %s", w->where, sg_trace_message());
    *out = text;
    text = NULL;
done:
    sg_free(text);
    return status;
}

static sg_status keep_name(struct walker *w, const char *name, size_t n) {
    sg_status status = SG_OK;

    sg_free(w->name);
    w->name = sg_calloc(n + 1, 1);
    SG_CHECK(w->name != NULL, SG_E_NOMEM, "no memory for a name");
    memcpy(w->name, name, n);
done:
    return status;
}

/* One record, "27 path=a/very/long/name\n", of n bytes. */
static sg_status take_record(struct walker *w, const char *text, size_t n) {
    sg_status status = SG_OK;
    static const char path[] = "path=";
    static const char size[] = "size=";
    const char *key = memchr(text, ' ', n);
    const size_t left = key != NULL ? n - (size_t)(key + 1 - text) - 1 : 0; /* without its '\n' */

    if (key != NULL && left >= strlen(path) && memcmp(key + 1, path, strlen(path)) == 0) {
        SG_TRY(keep_name(w, key + 1 + strlen(path), left - strlen(path)));
    } else if (key != NULL && left > strlen(size) && memcmp(key + 1, size, strlen(size)) == 0) {
        w->bytes = 0;
        for (size_t i = strlen(size); i < left; i++) {
            const char c = key[1 + i];

            SG_CHECK(c >= '0' && c <= '9' && w->bytes < INT64_MAX / 10 - 1, SG_E_JOB,
                     "%s: damaged at byte %lld: a size that is no number", w->where,
                     (long long)w->at);
            w->bytes = 10 * w->bytes + (c - '0');
        }
    }
done:
    return status;
}

static sg_status take_records(struct walker *w, const char *text, size_t n) {
    sg_status status = SG_OK;
    size_t at = 0;

    while (at < n && text[at] != '\0') {
        size_t length = 0;
        size_t i = at;

        while (i < n && text[i] >= '0' && text[i] <= '9' && length <= n) {
            length = 10 * length + (size_t)(text[i++] - '0');
        }
        SG_CHECK(length > i - at + 1 && length <= n - at && text[at + length - 1] == '\n', SG_E_JOB,
                 "%s: damaged at byte %lld: an extended head that cannot be read", w->where,
                 (long long)w->at);
        SG_TRY(take_record(w, text + at, length));
        at += length;
    }
done:
    return status;
}

/* 1 if the head was one of these; its data is at w->at. */
static sg_status take_special(struct walker *w, char type, int64_t n, int *is_special) {
    sg_status status = SG_OK;
    char *text = NULL;

    *is_special = type == 'L' || type == 'x' || type == 'X' || type == 'g' || type == 'K';
    if (type == 'L') {
        SG_TRY(read_data(w, n, &text));
        SG_TRY(keep_name(w, text, strlen(text)));
    } else if (type == 'x' || type == 'X') {
        SG_TRY(read_data(w, n, &text));
        SG_TRY(take_records(w, text, (size_t)n));
    }
done:
    sg_free(text);
    return status;
}

/* ---- entries ---- */

/* The name in the head itself: a prefix, which only ustar has, and the rest. */
static sg_status name_of_head(struct walker *w, const unsigned char *b) {
    sg_status status = SG_OK;
    char name[100 + 155 + 2];
    const int is_ustar = memcmp(b + 257, "ustar\0", 6) == 0 && b[345] != '\0';

    (void)snprintf(name, sizeof name, "%.155s%s%.100s", is_ustar ? (const char *)b + 345 : "",
                   is_ustar ? "/" : "", (const char *)b);
    SG_TRY(keep_name(w, name, strlen(name)));
done:
    return status;
}

/* The head b, whose data begins at w->at; moves on behind the data. */
static sg_status take_head(struct walker *w, const unsigned char *b,
                           sg_status (*visit)(void *context, const struct sg_tar_entry *entry),
                           void *context) {
    sg_status status = SG_OK;
    const char type = b[156] == '\0' || b[156] == '7' ? '0' : (char)b[156];
    const int64_t own = parse_number(b + 124, 12);
    int is_special;
    int64_t n;

    SG_CHECK(own >= 0, SG_E_JOB, "%s: damaged at byte %lld: a size that is no number", w->where,
             (long long)w->at - BLOCK);
    SG_TRY(take_special(w, type, own, &is_special));
    n = !is_special && w->bytes >= 0 ? w->bytes : own;
    n = type >= '1' && type <= '6' ? 0 : n; /* links, devices and folders have no data */
    SG_CHECK(n <= w->end - w->at, SG_E_JOB,
             "%s: it is cut short, or damaged at byte %lld: an entry of %lld bytes, %lld are left",
             w->where, (long long)w->at - BLOCK, (long long)n, (long long)(w->end - w->at));
    if (!is_special) {
        if (w->name == NULL) {
            SG_TRY(name_of_head(w, b));
        }
        SG_TRY(visit(context, &(struct sg_tar_entry){
                                  .name = w->name, .type = type, .offset = w->at, .bytes = n}));
        sg_free(w->name);
        w->name = NULL;
        w->bytes = -1;
    }
    w->at += n;
    w->at += (BLOCK - n % BLOCK) % BLOCK;
done:
    return status;
}

/* Compressed archives have no places to read from. */
static sg_status check_plain(const struct walker *w) {
    static const struct {
        const char *magic;
        size_t n;
        const char *name;
        const char *tool;
    } packers[] = {{"\x1f\x8b", 2, "gzip", "gunzip"},
                   {"BZh", 3, "bzip2", "bunzip2"},
                   {"\xfd"
                    "7zXZ",
                    5, "xz", "unxz"},
                   {"\x28\xb5\x2f\xfd", 4, "zstd", "unzstd"},
                   {"\x04\x22\x4d\x18", 4, "lz4", "unlz4"}};
    sg_status status = SG_OK;
    unsigned char b[8] = {0};
    const int64_t n = w->end - w->at < (int64_t)sizeof b ? w->end - w->at : (int64_t)sizeof b;

    status = sg_stream_read(w->stream, w->at, b, (size_t)n);
    SG_CHECK(status == SG_OK, SG_E_JOB, "%s: %s", w->where, sg_trace_message());
    for (size_t i = 0; i < sizeof packers / sizeof packers[0]; i++) {
        SG_CHECK(memcmp(b, packers[i].magic, packers[i].n) != 0, SG_E_JOB,
                 "%s: it is compressed (%s), and items are read from their places in the archive: "
                 "unpack it with %s (images are compressed themselves)",
                 w->where, packers[i].name, packers[i].tool);
    }
done:
    return status;
}

static sg_status scan(struct walker *w,
                      sg_status (*visit)(void *context, const struct sg_tar_entry *entry),
                      void *context) {
    sg_status status = SG_OK;
    const int64_t start = w->at;

    SG_TRY(check_plain(w));
    SG_CHECK(w->end - start >= BLOCK, SG_E_JOB, "%s: it is no tar archive: it has %lld bytes",
             w->where, (long long)(w->end - start));
    for (;;) {
        const unsigned char *b;

        SG_TRY(get_block(w, w->at, &b));
        if (is_empty(b)) {
            break;
        }
        SG_CHECK(sum_is_right(b), SG_E_JOB,
                 "%s: %s at byte %lld: what should be the head of an entry is none", w->where,
                 w->at == start ? "it is no tar archive, or is damaged" : "damaged",
                 (long long)w->at);
        w->at += BLOCK;
        SG_TRY(take_head(w, b, visit, context));
    }
    SG_TRY(check_end(w));
done:
    return status;
}

sg_status sg_tar_scan(struct sg_stream *s, int64_t at, int64_t end, const char *where,
                      sg_status (*visit)(void *context, const struct sg_tar_entry *entry),
                      void *context) {
    sg_status status = SG_OK;
    struct walker w = {.stream = s, .where = where, .at = at, .end = end, .bytes = -1};

    w.window = sg_calloc(WINDOW, 1);
    SG_CHECK(w.window != NULL, SG_E_NOMEM, "no memory to read an archive");
    SG_TRY(scan(&w, visit, context));
done:
    sg_free(w.window);
    sg_free(w.name);
    return status;
}
