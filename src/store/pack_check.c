/* src/store/pack_check.c - what was packed is read back from the disk and compared with the
 * original, before it takes anybody's place. */
#include "store/pack_impl.h"

#include "sgdist/memory.h"

#include <string.h>

/* A dataset in both files, and room for a part of it: an item's, or the whole. */
struct both {
    struct sg_reader *packed;
    const struct sg_dataset *d;
    int64_t bytes;
    int halves;
    char *wanted;
    char *found;
    uint16_t *numbers;
};

/* The numbers that float16 makes of a part. */
static void round_part(const struct both *b) {
    const int64_t n_parts = sg_pack_n_scales(b->d);
    const int64_t n = b->bytes / (int64_t)sizeof(float) / n_parts;

    for (int64_t k = 0; k < n_parts; k++) {
        float *part = (float *)b->wanted + k * n;
        const float scale = sg_half_scale(part, n);

        sg_half_encode(part, n, scale, b->numbers);
        sg_half_decode(b->numbers, n, scale, part);
    }
}

static sg_status check_part(struct sg_pack *p, const struct both *b, int64_t i) {
    sg_status status = SG_OK;

    SG_TRY(sg_reader_read(p->from, b->d->path, i, b->wanted));
    SG_TRY(sg_reader_read(b->packed, b->d->path, i, b->found));
    if (b->halves) {
        round_part(b);
    }
    SG_CHECK(memcmp(b->wanted, b->found, (size_t)b->bytes) == 0, SG_E_IO,
             "%s: %s is not what was written, or %s was changed meanwhile: the disk or the memory "
             "may be bad; nothing was replaced",
             p->temporary, b->d->path, p->path);
    SG_TRY(sg_pack_tick(p, SG_PACK_CHECKING, b->bytes));
done:
    return status;
}

static int is_same_shape(const struct sg_dataset *a, const struct sg_dataset *b) {
    int same = b != NULL && a->type == b->type && a->text_bytes == b->text_bytes &&
               a->n_axes == b->n_axes && a->per_item == b->per_item;

    for (int i = 0; same && i < a->n_axes; i++) {
        same = a->axes[i] == b->axes[i];
    }
    return same;
}

static sg_status check_dataset(struct sg_pack *p, struct sg_reader *packed,
                               const struct sg_dataset *d) {
    sg_status status = SG_OK;
    const int64_t bytes = sg_dataset_bytes(d);
    struct both b = {.packed = packed,
                     .d = d,
                     .bytes = bytes,
                     .halves = sg_packing_halves(&p->packing, d->path, d->type)};

    SG_CHECK(is_same_shape(d, sg_reader_find(packed, d->path)), SG_E_IO,
             "%s: %s is not as it was laid out", p->temporary, d->path);
    b.wanted = sg_calloc((size_t)bytes, 1);
    b.found = sg_calloc((size_t)bytes, 1);
    b.numbers = sg_calloc((size_t)bytes, 1);
    SG_CHECK(b.wanted != NULL && b.found != NULL && b.numbers != NULL, SG_E_NOMEM,
             "no memory to check %s", d->path);
    for (int64_t i = d->per_item ? 0 : -1; i < (d->per_item ? d->axes[0] : 0); i++) {
        SG_TRY(check_part(p, &b, i));
    }
done:
    sg_free(b.wanted);
    sg_free(b.found);
    sg_free(b.numbers);
    return status;
}

sg_status sg_pack_check(struct sg_pack *p) {
    sg_status status = SG_OK;
    struct sg_reader *packed = NULL;

    SG_TRY(sg_reader_open(p->temporary, &packed));
    for (int i = 0; i < sg_reader_n_datasets(p->from); i++) {
        const struct sg_dataset *d = sg_reader_dataset(p->from, i);

        if (!sg_pack_leaves_out(d->path)) {
            SG_TRY(check_dataset(p, packed, d));
        }
    }
done:
    sg_reader_close(packed);
    return status;
}
