/* src/data/zip.c - finds an array in a .npz archive, as PKWARE's APPNOTE describes zip files: the
 * directory at the end tells where the members are; each is stored as it is, or deflated. */
#include "data/array.h"

#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

enum {
    END_BYTES = 22, /* of the record at the end, without its comment */
    MAX_COMMENT = 65535,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46, /* of a directory's entry, without its name */
    LOCAL_BYTES = 30,
    MAX_DIRECTORY = 1 << 26,
    MAX_NAMES = 12 /* listed in a message */
};

struct directory {
    unsigned char *bytes;
    int64_t n;
};

struct member {
    char name[256]; /* without .npy */
    int64_t at;     /* of its local head */
    int64_t stored;
    unsigned flags;
    unsigned method;
};

static uint64_t little(const unsigned char *b, int n) {
    uint64_t v = 0;

    for (int i = 0; i < n; i++) {
        v |= (uint64_t)b[i] << (8 * i);
    }
    return v;
}

/* The directory's place as the large archives' own end tells it. */
static sg_status read_end64(struct sg_stream *s, int64_t end_at, uint64_t *at, uint64_t *n) {
    sg_status status = SG_OK;
    unsigned char b[END64_BYTES];
    uint64_t place;

    SG_CHECK(end_at >= LOCATOR_BYTES, SG_E_INPUT, "its directory is damaged");
    SG_TRY(sg_stream_read(s, end_at - LOCATOR_BYTES, b, LOCATOR_BYTES));
    place = little(b + 8, 8);
    SG_CHECK(little(b, 4) == 0x07064b50 && place <= INT64_MAX, SG_E_INPUT,
             "its directory is damaged");
    SG_TRY(sg_stream_read(s, (int64_t)place, b, END64_BYTES));
    SG_CHECK(little(b, 4) == 0x06064b50, SG_E_INPUT, "its directory is damaged");
    *n = little(b + 40, 8);
    *at = little(b + 48, 8);
done:
    return status;
}

/* The place of the end record in the last bytes of the file, or -1. */
static int64_t find_end(const unsigned char *tail, int64_t n) {
    for (int64_t at = n - END_BYTES; at >= 0; at--) {
        if (little(tail + at, 4) == 0x06054b50) {
            return at;
        }
    }
    return -1;
}

static sg_status read_directory(struct sg_stream *s, struct directory *out) {
    sg_status status = SG_OK;
    const int64_t length = sg_stream_length(s);
    const int64_t n_tail =
        length < END_BYTES + MAX_COMMENT ? length : (int64_t)END_BYTES + MAX_COMMENT;
    unsigned char *tail = NULL;
    int64_t end;
    uint64_t n;
    uint64_t at;

    SG_CHECK(n_tail >= END_BYTES, SG_E_INPUT, "it is no .npz archive");
    tail = sg_calloc((size_t)n_tail, 1);
    SG_CHECK(tail != NULL, SG_E_NOMEM, "no memory for a directory");
    SG_TRY(sg_stream_read(s, length - n_tail, tail, (size_t)n_tail));
    end = find_end(tail, n_tail);
    SG_CHECK(end >= 0, SG_E_INPUT, "it is no .npz archive, or is cut short: it has no directory");
    n = little(tail + end + 12, 4);
    at = little(tail + end + 16, 4);
    if (n == UINT32_MAX || at == UINT32_MAX) {
        SG_TRY(read_end64(s, length - n_tail + end, &at, &n));
    }
    SG_CHECK(n <= MAX_DIRECTORY && at <= (uint64_t)length && n <= (uint64_t)length - at, SG_E_INPUT,
             "its directory is damaged");
    out->bytes = sg_calloc(n + 1, 1);
    SG_CHECK(out->bytes != NULL, SG_E_NOMEM, "no memory for a directory");
    out->n = (int64_t)n;
    SG_TRY(sg_stream_read(s, (int64_t)at, out->bytes, n));
done:
    sg_free(tail);
    return status;
}

/* Sizes and places above 32 bits stand in a field of their own, those that are needed alone. */
static sg_status read_large(const unsigned char *extra, int64_t n, struct member *m,
                            uint64_t *place, uint64_t *stored, uint64_t whole) {
    sg_status status = SG_OK;
    uint64_t *const wanted[] = {whole == UINT32_MAX ? &whole : NULL,
                                *stored == UINT32_MAX ? stored : NULL,
                                *place == UINT32_MAX ? place : NULL};

    while (n >= 4 && little(extra, 2) != 1) {
        const int64_t skip = 4 + (int64_t)little(extra + 2, 2);

        extra += skip < n ? skip : n;
        n -= skip < n ? skip : n;
    }
    for (int64_t i = 0, at = 4; i < 3; i++) {
        if (wanted[i] != NULL) {
            SG_CHECK(n >= at + 8 && (int64_t)little(extra + 2, 2) >= at + 8 - 4, SG_E_INPUT,
                     "its directory is damaged");
            *wanted[i] = little(extra + at, 8);
            at += 8;
        }
    }
    SG_CHECK(*place <= INT64_MAX && *stored <= INT64_MAX, SG_E_INPUT, "its directory is damaged");
    m->at = (int64_t)*place;
    m->stored = (int64_t)*stored;
done:
    return status;
}

/* The entry at *at, which moves on to the next one. */
static sg_status read_entry(const struct directory *d, int64_t *at, struct member *m) {
    sg_status status = SG_OK;
    const unsigned char *b = d->bytes + *at;
    const int64_t left = d->n - *at;
    int64_t n_name;
    int64_t n_extra;
    uint64_t stored;
    uint64_t place;

    SG_CHECK(left >= ENTRY_BYTES && little(b, 4) == 0x02014b50, SG_E_INPUT,
             "its directory is damaged");
    n_name = (int64_t)little(b + 28, 2);
    n_extra = (int64_t)little(b + 30, 2);
    SG_CHECK(left - ENTRY_BYTES >= n_name + n_extra, SG_E_INPUT, "its directory is damaged");
    *m =
        (struct member){.flags = (unsigned)little(b + 8, 2), .method = (unsigned)little(b + 10, 2)};
    /* A name that is too long here is none of an array that anyone asks for. */
    if (n_name > 4 && n_name - 4 < (int64_t)sizeof m->name &&
        memcmp(b + ENTRY_BYTES + n_name - 4, ".npy", 4) == 0) {
        memcpy(m->name, b + ENTRY_BYTES, (size_t)n_name - 4);
    }
    stored = little(b + 20, 4);
    place = little(b + 42, 4);
    SG_TRY(read_large(b + ENTRY_BYTES + n_name, n_extra, m, &place, &stored, little(b + 24, 4)));
    *at += ENTRY_BYTES + n_name + n_extra + (int64_t)little(b + 32, 2);
done:
    return status;
}

static void add_name(struct sg_text *names, int64_t n, const char *name) {
    if (n < MAX_NAMES) {
        sg_text_add(names, "%s%.60s", n > 0 ? ", " : "", name);
    } else if (n == MAX_NAMES) {
        sg_text_add(names, ", ...");
    }
}

/* The member `name`, or without one the only one that is not `other`. */
static sg_status find_member(const struct directory *d, const char *name, const char *other,
                             struct member *out) {
    sg_status status = SG_OK;
    struct sg_text names = {0};
    int64_t n_found = 0;
    int64_t n = 0;

    for (int64_t at = 0; at < d->n;) {
        struct member m;
        int matches;

        SG_TRY(read_entry(d, &at, &m));
        if (m.name[0] == '\0') {
            continue;
        }
        matches =
            name != NULL ? strcmp(m.name, name) == 0 : other == NULL || strcmp(m.name, other) != 0;
        if (matches) {
            *out = m;
            n_found++;
        }
        add_name(&names, n++, m.name);
    }
    SG_CHECK(n > 0, SG_E_INPUT, "it holds no array");
    SG_CHECK(n_found <= 1 || name == NULL, SG_E_INPUT, "it holds two arrays '%.60s'", name);
    SG_CHECK(n_found > 0, SG_E_INPUT, "it holds no array '%.60s'; there are %s",
             name != NULL ? name : "of items", names.data != NULL ? names.data : "");
    SG_CHECK(n_found == 1, SG_E_INPUT,
             "it holds several arrays: name that of the items; there are %s",
             names.data != NULL ? names.data : "");
done:
    sg_text_free(&names);
    return status;
}

static sg_status enter(struct sg_stream *s, const struct member *m) {
    sg_status status = SG_OK;
    unsigned char b[LOCAL_BYTES];
    int64_t skip;

    SG_CHECK((m->flags & 1) == 0, SG_E_INPUT, "its array '%.60s' is encrypted", m->name);
    SG_CHECK(m->method == 0 || m->method == 8, SG_E_INPUT,
             "its array '%.60s' is packed by method %u; save it with numpy.savez or "
             "numpy.savez_compressed",
             m->name, m->method);
    SG_TRY(sg_stream_read(s, m->at, b, sizeof b));
    SG_CHECK(little(b, 4) == 0x04034b50, SG_E_INPUT, "its array '%.60s' is not where it should be",
             m->name);
    skip = LOCAL_BYTES + (int64_t)little(b + 26, 2) + (int64_t)little(b + 28, 2);
    SG_CHECK(m->at <= sg_stream_length(s) - skip, SG_E_INPUT, "its array '%.60s' is cut short",
             m->name);
    SG_TRY(sg_stream_narrow(s, m->at + skip, m->stored, m->method == 0 ? SG_PLAIN : SG_DEFLATE));
done:
    return status;
}

sg_status sg_npz_enter(struct sg_stream *s, const char *name, const char *other, char *found,
                       size_t cap) {
    sg_status status = SG_OK;
    struct directory d = {0};
    struct member m = {.at = 0};

    SG_TRY(read_directory(s, &d));
    SG_TRY(find_member(&d, name, other, &m));
    SG_TRY(enter(s, &m));
    if (found != NULL) {
        (void)snprintf(found, cap, "%s", m.name);
    }
done:
    sg_free(d.bytes);
    return status;
}
