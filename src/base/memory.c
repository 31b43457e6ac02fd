/* src/base/memory.c - a thin layer over malloc; the count is atomic because libraries may call back
 * from threads. */
#include "sgdist/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Large pieces ask for huge pages: a walk through the page tables for every 4 kB took 4 to 7 % of
 * ResNet-50's gradients on a virtual machine. */
enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, HUGE_FROM = 2 * HUGE_PAGE };

static atomic_llong balance;
static atomic_llong countdown; /* 0: off */

static int must_fail(void) {
    return atomic_load(&countdown) > 0 && atomic_fetch_sub(&countdown, 1) == 1;
}

/* The allocation size, or 0 if there must be none. */
static size_t checked_size(size_t n, size_t size) {
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX || must_fail()) {
        return 0;
    }
    return bytes > 0 ? bytes : 1;
}

static void *counted(void *p) {
    if (p != NULL) {
        atomic_fetch_add(&balance, 1);
    }
    return p;
}

void *sg_calloc(size_t n, size_t size) {
    const size_t bytes = checked_size(n, size);

    return bytes > 0 ? counted(calloc(1, bytes)) : NULL;
}

void *sg_malloc_aligned(size_t n, size_t size) {
    const size_t bytes = checked_size(n, size);
    void *p;

    if (bytes == 0 || posix_memalign(&p, bytes < HUGE_FROM ? ALIGNMENT : HUGE_PAGE, bytes) != 0) {
        return NULL;
    }
    if (bytes >= HUGE_FROM) {
        /* Whole pages only, so that no memory is taken that nobody asked for. */
        (void)madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* where the system can */
    }
    return counted(p);
}

void *sg_realloc(void *p, size_t n, size_t size) {
    const size_t bytes = checked_size(n, size);
    void *grown = bytes > 0 ? realloc(p, bytes) : NULL;

    return p == NULL ? counted(grown) : grown;
}

char *sg_strdup(const char *s) {
    char *copy = s != NULL ? sg_calloc(strlen(s) + 1, 1) : NULL;

    return copy != NULL ? strcpy(copy, s) : NULL;
}

void sg_free(void *p) {
    if (p != NULL) {
        atomic_fetch_sub(&balance, 1);
        free(p);
    }
}

int64_t sg_memory_balance(void) {
    return atomic_load(&balance);
}

void sg_memory_fail_at(int64_t n) {
    atomic_store(&countdown, n);
}

int64_t sg_memory_of_process(int n_sharing) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long long own = 0;
    long long of_files = 0;
    long long kib;
    int n_found = 0;

    if (f == NULL) {
        return -1;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "RssAnon: %lld kB", &kib) == 1 ||
            sscanf(line, "RssShmem: %lld kB", &kib) == 1) {
            own += kib;
            n_found++;
        } else if (sscanf(line, "RssFile: %lld kB", &kib) == 1) {
            of_files = kib;
            n_found++;
        }
    }
    (void)fclose(f);
    return n_found < 3 ? -1 : (own + of_files / n_sharing) * 1024;
}

void sg_memory_return_blocks(void) {
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024); /* where it starts; else it grows with use */
}

int64_t sg_memory_available(void) {
    FILE *f = fopen("/proc/meminfo", "r");
    char line[256];
    long long kib = -1;

    if (f == NULL) {
        return -1;
    }
    while (kib < 0 && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "MemAvailable: %lld kB", &kib) != 1) {
            kib = -1;
        }
    }
    (void)fclose(f);
    return kib < 0 ? -1 : kib * 1024;
}
