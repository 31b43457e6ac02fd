/* src/data/strings.c - many strings in one block of memory. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for `want` elements in an array that has *capacity of them. */
static sg_status reserve(void **array, int64_t *capacity, int64_t want, size_t size) {
    sg_status status = SG_OK;
    int64_t grown = *capacity > 0 ? *capacity : 64;
    void *p;

    if (want <= *capacity) {
        return SG_OK;
    }
    while (grown < want) {
        grown *= 2;
    }
    p = sg_realloc(*array, (size_t)grown, size);
    SG_CHECK(p != NULL, SG_E_NOMEM, "no memory for the list of items");
    *array = p;
    *capacity = grown;
done:
    return status;
}

sg_status sg_strings_add(struct sg_strings *s, const char *text, size_t length) {
    sg_status status = SG_OK;
    const int64_t n_bytes = s->n_bytes + (int64_t)length + 1;
    void *start = s->start;
    void *bytes = s->bytes;

    status = reserve(&start, &s->capacity, s->n + 1, sizeof *s->start);
    s->start = start;
    SG_TRY(status);
    status = reserve(&bytes, &s->bytes_capacity, n_bytes, 1);
    s->bytes = bytes;
    SG_TRY(status);
    memcpy(s->bytes + s->n_bytes, text, length);
    s->bytes[n_bytes - 1] = '\0';
    s->start[s->n++] = s->n_bytes;
    s->n_bytes = n_bytes;
done:
    return status;
}

const char *sg_strings_at(const struct sg_strings *s, int64_t i) {
    SG_ASSERT(i >= 0 && i < s->n);
    return s->bytes + s->start[i];
}

static int compare(const void *a, const void *b, void *bytes) {
    const char *const text = bytes;

    return strcmp(text + *(const int64_t *)a, text + *(const int64_t *)b);
}

void sg_strings_sort(struct sg_strings *s) {
    if (s->n > 1) {
        qsort_r(s->start, (size_t)s->n, sizeof *s->start, compare, s->bytes);
    }
}

int64_t sg_strings_find_sorted(const struct sg_strings *s, const char *text, size_t length) {
    int64_t low = 0;
    int64_t high = s->n;

    while (low < high) {
        const int64_t middle = (low + high) / 2;
        const char *candidate = sg_strings_at(s, middle);
        int order = strncmp(candidate, text, length);

        if (order == 0 && candidate[length] == '\0') {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

void sg_strings_free(struct sg_strings *s) {
    sg_free(s->start);
    sg_free(s->bytes);
    *s = (struct sg_strings){0};
}
