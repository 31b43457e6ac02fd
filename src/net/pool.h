/* src/net/pool.h - memory that is taken piece by piece and given back all at once. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include <stddef.h>
#include <stdint.h>

struct sg_pool_block;

/* Zero-initialise. `bytes` counts all that was taken from the heap. */
struct sg_pool {
    struct sg_pool_block *blocks;
    unsigned char *free_at; /* rest of the newest shared block */
    size_t free_bytes;
    int64_t bytes;
};

/* n * size zeroed bytes, aligned to 16; NULL where memory is out. */
void *sg_pool_take(struct sg_pool *p, size_t n, size_t size);

/* n floats aligned to 64 bytes, not zeroed; NULL where memory is out. */
float *sg_pool_floats(struct sg_pool *p, int64_t n);

/* A terminated copy of n bytes. */
char *sg_pool_text(struct sg_pool *p, const void *bytes, size_t n);

void sg_pool_free(struct sg_pool *p);

#endif
