/* src/net/region.h - memory that is taken piece by piece and given back all at once. */
#ifndef NET_REGION_H
#define NET_REGION_H

#include <stddef.h>
#include <stdint.h>

struct sg_region_block;

/* Zero-initialise. `bytes` counts all that was taken from the heap. */
struct sg_region {
    struct sg_region_block *blocks;
    unsigned char *free_at; /* rest of the newest shared block */
    size_t free_bytes;
    int64_t bytes;
};

/* n * size zeroed bytes, aligned to 16; NULL where memory is out. */
void *sg_region_take(struct sg_region *p, size_t n, size_t size);

/* n floats aligned to 64 bytes, not zeroed; NULL where memory is out. */
float *sg_region_floats(struct sg_region *p, int64_t n);

/* A terminated copy of n bytes. */
char *sg_region_text(struct sg_region *p, const void *bytes, size_t n);

void sg_region_free(struct sg_region *p);

#endif
