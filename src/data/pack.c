/* src/data/pack.c - the list of items as bytes, and back: one function walks the fields for both,
 * so that they cannot drift apart. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <string.h>

struct carrier {
    unsigned char *bytes; /* NULL while only counting */
    size_t n;
    size_t at;
    int reads;
};

static sg_status carry(struct carrier *c, void *data, size_t n) {
    sg_status status = SG_OK;

    if (c->bytes != NULL) {
        SG_CHECK(n <= c->n - c->at, SG_E_FORMAT, "the list of items was cut short on its way");
        if (c->reads && n > 0) {
            memcpy(data, c->bytes + c->at, n);
        } else if (n > 0) {
            memcpy(c->bytes + c->at, data, n);
        }
    }
    c->at += n;
done:
    return status;
}

/* An array of n elements; when reading it is made. */
static sg_status carry_array(struct carrier *c, void **array, int64_t n, size_t size) {
    sg_status status = SG_OK;

    if (c->reads) {
        SG_CHECK(n >= 0 && (uint64_t)n <= (c->n - c->at) / size, SG_E_FORMAT,
                 "the list of items was cut short on its way");
        *array = sg_calloc((size_t)n, size);
        SG_CHECK(*array != NULL, SG_E_NOMEM, "no memory for a list of %lld items", (long long)n);
    }
    SG_TRY(carry(c, *array, (size_t)n * size));
done:
    return status;
}

static sg_status carry_strings(struct carrier *c, struct sg_strings *s) {
    sg_status status = SG_OK;
    void *start = s->start;
    void *bytes = s->bytes;

    SG_TRY(carry(c, &s->n, sizeof s->n));
    SG_TRY(carry(c, &s->n_bytes, sizeof s->n_bytes));
    status = carry_array(c, &start, s->n, sizeof *s->start);
    s->start = start;
    SG_TRY(status);
    status = carry_array(c, &bytes, s->n_bytes, 1);
    s->bytes = bytes;
    SG_TRY(status);
done:
    return status;
}

/* A text that may be NULL. */
static sg_status carry_text(struct carrier *c, char **text) {
    sg_status status = SG_OK;
    int64_t n = *text != NULL ? (int64_t)strlen(*text) + 1 : 0;
    void *bytes = *text;

    SG_TRY(carry(c, &n, sizeof n));
    if (c->reads) {
        sg_free(*text);
        *text = NULL;
    }
    if (n > 0) {
        status = carry_array(c, &bytes, n, 1);
        *text = bytes;
        SG_TRY(status);
    }
done:
    return status;
}

static sg_status carry_items(struct carrier *c, struct sg_items *items) {
    sg_status status = SG_OK;
    void *labels = items->labels;
    void *positions = items->positions;
    void *places = items->places;

    SG_TRY(carry(c, &items->array, sizeof items->array));
    SG_TRY(carry_text(c, &items->array_name));
    SG_TRY(carry(c, &items->has_places, sizeof items->has_places));
    SG_TRY(carry_strings(c, &items->files));
    SG_TRY(carry(c, &items->n_classes, sizeof items->n_classes));
    SG_TRY(carry_strings(c, &items->names));
    SG_TRY(carry_strings(c, &items->classes));
    status = carry_array(c, &labels, items->names.n, sizeof *items->labels);
    items->labels = labels;
    SG_TRY(status);
    status = carry_array(c, &positions, items->names.n, sizeof *items->positions);
    items->positions = positions;
    SG_TRY(status);
    if (items->has_places) {
        status = carry_array(c, &places, items->names.n, sizeof *items->places);
        items->places = places;
        SG_TRY(status);
    }
done:
    return status;
}

sg_status sg_items_pack(const struct sg_items *items, void **bytes, size_t *n) {
    sg_status status = SG_OK;
    struct sg_items view = *items; /* carry_items only reads it here */
    struct carrier c = {0};

    SG_TRY(carry_items(&c, &view));
    c = (struct carrier){.n = c.at, .bytes = sg_calloc(c.at, 1)};
    SG_CHECK(c.bytes != NULL, SG_E_NOMEM, "no memory for a list of %lld items",
             (long long)items->names.n);
    SG_TRY(carry_items(&c, &view));
    *bytes = c.bytes;
    *n = c.n;
    c.bytes = NULL;
done:
    sg_free(c.bytes);
    return status;
}

sg_status sg_items_unpack(const struct sg_data_options *options, const struct sg_shape *input,
                          const void *bytes, size_t n, struct sg_items **out) {
    sg_status status = SG_OK;
    struct sg_items *items = NULL;
    struct carrier c = {.n = n, .reads = 1};

    SG_TRY(sg_items_create(options, input, &items));
    c.bytes = sg_calloc(n, 1);
    SG_CHECK(c.bytes != NULL, SG_E_NOMEM, "no memory for the list of items");
    memcpy(c.bytes, bytes, n);
    SG_TRY(carry_items(&c, items));
    SG_CHECK(c.at == n, SG_E_FORMAT, "the list of items has %zu bytes too many", n - c.at);
    *out = items;
    items = NULL;
done:
    sg_free(c.bytes);
    sg_items_close(items);
    return status;
}
