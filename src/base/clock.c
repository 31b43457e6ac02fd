/* src/base/clock.c - seconds of the system's monotonic clock. */
#include "sgdist/clock.h"

#include <time.h>

double sg_now(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
