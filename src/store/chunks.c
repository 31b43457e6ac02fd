/* src/store/chunks.c - how a packed result lies in its file: what is cut into which pieces, and
 * what becomes float16. */
#include "store/store_impl.h"

#include <string.h>

/* Readers keep pieces of up to 1 MiB (HDF5's cache of a dataset, unless they ask for more): a
 * larger one would be unpacked again for every slice of it. Small items share a piece, of 64 KiB,
 * so that one item costs little to read. Below 4 KiB a piece takes more than it saves. */
enum { LARGEST = 1 << 20, SHARED = 1 << 16, SMALLEST = 1 << 12 };

int sg_packing_halves(const struct sg_packing *p, const char *path, enum sg_type type) {
    const char *name = strrchr(path, '/');

    return p->half && type == SG_TYPE_F32 && strncmp(path, "maps/", strlen("maps/")) == 0 &&
           name != NULL && (strcmp(name, "/map") == 0 || strcmp(name, "/se") == 0);
}

int sg_packing_chunk(const struct sg_packing *p, const struct sg_dataset *d,
                     int64_t chunk[SG_MAX_FIELD_AXES + 1]) {
    const int64_t element =
        sg_packing_halves(p, d->path, d->type) ? 2 : sg_type_bytes(d->type, d->text_bytes);
    int64_t row = element; /* bytes along all axes but the first */
    int64_t room = LARGEST / element;

    for (int i = 1; i < d->n_axes; i++) {
        row *= d->axes[i];
    }
    if (d->n_axes == 0 || row * d->axes[0] < SMALLEST) {
        return 0;
    }
    chunk[0] = row < SHARED ? SHARED / row : 1;
    chunk[0] = chunk[0] < d->axes[0] ? chunk[0] : d->axes[0];
    for (int i = d->n_axes - 1; i > 0; i--) {
        chunk[i] = room < 1 ? 1 : d->axes[i] < room ? d->axes[i] : room;
        room /= d->axes[i];
    }
    return 1;
}
