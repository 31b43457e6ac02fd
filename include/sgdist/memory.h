/* include/sgdist/memory.h - the one way to the heap: counted, bounded, and made to fail by tests.
 */
#ifndef SGDIST_MEMORY_H
#define SGDIST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* n * size bytes, zeroed; NULL if the product overflows, memory is out, or a test asked for the
 * failure. */
void *sg_calloc(size_t n, size_t size);

/* As sg_calloc, aligned to 64 bytes (a cache line, an AVX-512 register) and not zeroed. Free with
 * sg_free. */
void *sg_malloc_aligned(size_t n, size_t size);

/* Resizes a block of sg_calloc (not an aligned one) to n * size bytes; the tail is not zeroed. On
 * failure NULL, and the old block stands. */
void *sg_realloc(void *p, size_t n, size_t size);

char *sg_strdup(const char *s); /* NULL stays NULL */
void sg_free(void *p);          /* NULL is allowed */

/* Blocks that are allocated and not yet freed: 0 at the end of a clean run. */
int64_t sg_memory_balance(void);

/* Makes the n-th allocation from now fail (1 is the next); 0 switches it off. For tests. */
void sg_memory_fail_at(int64_t n);

/* Bytes that this process takes where n_sharing of its kind run on a machine: its own pages, and
 * its share of those of the program and its libraries, which they have in common. -1 where /proc
 * does not tell. */
int64_t sg_memory_of_process(int n_sharing);

/* From now on large blocks that are freed go back to the system at once, instead of leaving holes
 * that the next ones may not fit. For work that takes and frees many. */
void sg_memory_return_blocks(void);

/* Bytes that this machine can still give to programs; -1 where /proc does not tell. */
int64_t sg_memory_available(void);

#endif
