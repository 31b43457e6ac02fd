/* src/net/pool.c - small pieces share blocks of 64 KiB; large ones get a block of their own. */
#include "net/pool.h"

#include "sgdist/memory.h"

#include <string.h>

enum { BLOCK_BYTES = 65536, ALIGNMENT = 16 };

struct sg_pool_block {
    struct sg_pool_block *next;
    void *memory;
};

/* Records `memory`, so that sg_pool_free finds it; takes NULL. */
static void *own(struct sg_pool *p, void *memory, size_t bytes) {
    struct sg_pool_block *block = memory != NULL ? sg_calloc(1, sizeof *block) : NULL;

    if (block == NULL) {
        sg_free(memory);
        return NULL;
    }
    *block = (struct sg_pool_block){.next = p->blocks, .memory = memory};
    p->blocks = block;
    p->bytes += (int64_t)(bytes + sizeof *block);
    return memory;
}

void *sg_pool_take(struct sg_pool *p, size_t n, size_t size) {
    size_t bytes;
    void *piece;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX - ALIGNMENT) {
        return NULL;
    }
    bytes = (bytes / ALIGNMENT + 1) * ALIGNMENT;
    if (bytes > BLOCK_BYTES / 4) {
        return own(p, sg_calloc(bytes, 1), bytes);
    }
    if (bytes > p->free_bytes) {
        p->free_at = own(p, sg_calloc(BLOCK_BYTES, 1), BLOCK_BYTES);
        p->free_bytes = p->free_at != NULL ? BLOCK_BYTES : 0;
        if (p->free_at == NULL) {
            return NULL;
        }
    }
    piece = p->free_at;
    p->free_at += bytes;
    p->free_bytes -= bytes;
    return piece;
}

float *sg_pool_floats(struct sg_pool *p, int64_t n) {
    if (n < 0) {
        return NULL;
    }
    return own(p, sg_malloc_aligned((size_t)n, sizeof(float)), (size_t)n * sizeof(float));
}

char *sg_pool_text(struct sg_pool *p, const void *bytes, size_t n) {
    char *text = sg_pool_take(p, n + 1, 1);

    if (text != NULL && n > 0) {
        memcpy(text, bytes, n);
    }
    return text;
}

void sg_pool_free(struct sg_pool *p) {
    struct sg_pool_block *block = p->blocks;

    while (block != NULL) {
        struct sg_pool_block *next = block->next;

        sg_free(block->memory);
        sg_free(block);
        block = next;
    }
    *p = (struct sg_pool){0};
}
