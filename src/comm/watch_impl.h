/* src/comm/watch_impl.h - what watch.c and watch_hosts.c share. */
#ifndef COMM_WATCH_IMPL_H
#define COMM_WATCH_IMPL_H

#include "comm/watch.h"

#include <pthread.h>
#include <stdint.h>

enum { SG_MAX_HOST = 64 };

/* A connection to another host. */
struct sg_watch_link {
    int fd; /* -1: there is none, or it has ended in good order */
    int first_rank;
    int n_ranks;
    char host[SG_MAX_HOST];
};

struct sg_watch {
    pthread_t thread;
    int wake; /* event: the run ends in good order */
    int is_root;
    int n_links;
    struct sg_watch_link links[];
};

/* watch_hosts.c: the hosts of the run, connected to rank 0: on rank 0 a link for each other host,
 * on the first rank of another host its link to rank 0, elsewhere NULL. Collective over world. */
struct sg_watch *sg_watch_connect(const struct sg_comm *world);

/* 1 if one of the poll(2) events happens on fd within ms. */
int sg_watch_wait(int fd, short events, int64_t ms);

#endif
