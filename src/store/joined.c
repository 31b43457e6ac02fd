/* src/store/joined.c - the parts of a joined result, each time it is opened: still there, and still
 * what was joined. */
#include "store/store_impl.h"

#include "sgdist/join.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "maps/a.h5 125 0123456789abcdef": file, items, hash of the identity. */
struct line {
    char file[SG_PATH_BYTES];
    int64_t n;
    uint64_t identity;
};

void sg_joined_add(struct sg_text *out, const struct sg_part *part, const char *identity) {
    sg_text_add(out, "%s %lld %016" PRIx64 "\n", part->file, (long long)part->n,
                sg_hash64(identity, strlen(identity)));
}

/* 1 if the text begins with a line; *at is then behind it. */
static int take_line(const char **at, struct line *out) {
    const size_t length = strcspn(*at, "\n");
    const char *number = *at + length;
    long long n = 0;

    for (int words = 0; words < 2; words++) { /* the file may have blanks in its name */
        while (number > *at && *--number != ' ') {
        }
    }
    if ((*at)[length] != '\n' || number == *at || (size_t)(number - *at) >= sizeof out->file ||
        sscanf(number, " %lld %" SCNx64, &n, &out->identity) != 2) {
        return 0;
    }
    (void)snprintf(out->file, sizeof out->file, "%.*s", (int)(number - *at), *at);
    out->n = n;
    *at += length + 1;
    return 1;
}

static int count_lines(const char *text) {
    struct line line;
    int n = 0;

    while (*text != '\0' && take_line(&text, &line)) {
        n++;
    }
    return n;
}

static sg_status check_part(const char *file, const struct line *line, int64_t *bytes) {
    sg_status status = SG_OK;
    struct sg_reader *r = NULL;
    const struct sg_dataset *d;
    unsigned char complete = 0;
    char *identity = NULL;

    SG_TRY(sg_reader_open(file, &r));
    d = sg_reader_find(r, "provenance/complete");
    if (d != NULL && sg_dataset_bytes(d) == 1 && !d->per_item) {
        SG_TRY(sg_reader_read(r, d->path, -1, &complete));
    }
    SG_TRY(sg_reader_text(r, "provenance/identity", &identity));
    SG_CHECK(complete == 1 && sg_reader_n_items(r) == line->n &&
                 sg_hash64(identity, strlen(identity)) == line->identity && !sg_reader_is_half(r),
             SG_E_FORMAT, "it is another result than the one that was joined, or rounded since");
    *bytes += sg_reader_file_bytes(r);
done:
    sg_free(identity);
    sg_reader_close(r);
    return status;
}

sg_status sg_joined_check(const char *path, const char *text, int64_t *n_parts, int64_t *bytes) {
    sg_status status = SG_OK;
    char *real = realpath(path, NULL);
    const char *seen = real != NULL ? real : path;
    const char *end = strrchr(seen, '/');
    const int n = count_lines(text);
    char file[2 * SG_PATH_BYTES];
    struct line line;

    SG_CHECK(sg_hdf_hold_files(n), SG_E_IO,
             "%s: is joined from %d results, more than the limit of open files allows: raise it "
             "(ulimit -n)",
             path, n);
    *n_parts = n;
    while (*text != '\0') {
        SG_CHECK(take_line(&text, &line), SG_E_FORMAT, "%s: is damaged: %s", path, SG_JOINED);
        (void)snprintf(file, sizeof file, "%.*s%s",
                       end != NULL && line.file[0] != '/' ? (int)(end - seen + 1) : 0, seen,
                       line.file);
        status = check_part(file, &line, bytes);
        SG_CHECK(status == SG_OK, status,
                 "%s: is joined from other results, of which %s cannot be read (%s): put it back, "
                 "or join them anew",
                 path, file, sg_trace_message());
    }
done:
    free(real);
    return status;
}
