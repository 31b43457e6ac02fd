/* tests/fuzz/fuzz.h - what the targets share. A target is one function of some bytes: clang's
 * libFuzzer calls it with bytes that it makes up, replay.c with those of stored files. */
#ifndef SGDIST_FUZZ_H
#define SGDIST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(cond)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #cond);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { FUZZ_PATH_CAP = 64 };

/* The bytes as a file in memory; its path into path[FUZZ_PATH_CAP], the caller closes the result.
 */
static inline int fuzz_file(const uint8_t *data, size_t size, char *path) {
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, FUZZ_PATH_CAP, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
