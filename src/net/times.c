/* src/net/times.c - processor time of the nodes, taken while a net runs. */
#include "net/run.h"

#include <time.h>

double sg_processor_seconds(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void sg_net_take_times(struct sg_net *net, double *forward, double *backward) {
    net->forward_seconds = forward;
    net->backward_seconds = backward;
}
