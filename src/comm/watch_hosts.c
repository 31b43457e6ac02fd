/* src/comm/watch_hosts.c - which hosts there are, and a TCP connection from each to rank 0. IPv4.
 */
#include "comm/watch_impl.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_ADDRESSES = 16,
    CONNECT_MS = 2000,
    HELLO_MS = 10000,
    /* A silent host is lost after IDLE + COUNT * INTERVAL = 30 s. */
    IDLE_S = 10,
    INTERVAL_S = 5,
    COUNT = 4
};

/* What the others must know to connect; n_hosts 0: nothing to watch. */
struct invitation {
    int32_t n_hosts;
    int32_t n_addresses;
    uint32_t addresses[MAX_ADDRESSES]; /* network order */
    uint16_t port;                     /* network order */
    char host[SG_MAX_HOST];
    uint64_t token;
};

struct hello {
    uint64_t token;
    int64_t rank;
};

/* ---- who is where ---- */

struct place {
    int rank;
    char host[SG_MAX_HOST];
};

static int compare_places(const void *a, const void *b) {
    const struct place *p = a;
    const struct place *q = b;
    const int by_host = strcmp(p->host, q->host);

    return by_host != 0 ? by_host : p->rank - q->rank;
}

/* The other hosts, each with the first of its ranks and their number. NULL: there are none. */
static struct sg_watch *list_hosts(struct place *places, int n) {
    const char *own = places[0].host;
    char mine[SG_MAX_HOST];
    struct sg_watch *w = sg_calloc(1, sizeof *w + (size_t)n * sizeof w->links[0]);

    if (w == NULL) {
        return NULL;
    }
    memcpy(mine, own, sizeof mine);
    qsort(places, (size_t)n, sizeof *places, compare_places);
    for (int i = 0; i < n; i++) {
        struct sg_watch_link *last = &w->links[w->n_links - (w->n_links > 0)];

        if (strcmp(places[i].host, mine) == 0) {
            continue;
        }
        if (w->n_links > 0 && strcmp(last->host, places[i].host) == 0) {
            last->n_ranks++;
            continue;
        }
        last = &w->links[w->n_links++];
        *last = (struct sg_watch_link){.fd = -1, .first_rank = places[i].rank, .n_ranks = 1};
        memcpy(last->host, places[i].host, sizeof last->host);
    }
    if (w->n_links == 0) {
        sg_free(w);
        return NULL;
    }
    w->is_root = 1;
    return w;
}

static struct sg_watch *gather_hosts(const struct sg_comm *world) {
    const int rank = sg_comm_rank(world);
    const int n = sg_comm_size(world);
    struct place mine = {.rank = rank};
    struct place *places = rank == 0 ? sg_calloc((size_t)n, sizeof *places) : NULL;
    struct sg_watch *w = NULL;

    (void)gethostname(mine.host, sizeof mine.host - 1);
    SG_ASSERT(rank != 0 || places != NULL);
    sg_comm_gather(world, 0, &mine, sizeof mine, places);
    if (rank == 0) {
        w = list_hosts(places, n);
    }
    sg_free(places);
    return w;
}

/* ---- connections ---- */

static void set_option(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static void keep_alive(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, COUNT);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static int64_t now_ms(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int sg_watch_wait(int fd, short events, int64_t ms) {
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, (int)ms) == 1;
}

static int wait_until(int fd, short events, int64_t until_ms) {
    const int64_t left = until_ms - now_ms();

    return sg_watch_wait(fd, events, left > 0 ? left : 0);
}

/* This host's addresses, the loopback one only where there is no other. */
static void list_addresses(struct invitation *v) {
    struct ifaddrs *list = NULL;

    if (getifaddrs(&list) != 0) {
        return;
    }
    for (const struct ifaddrs *a = list; a != NULL; a = a->ifa_next) {
        if (a->ifa_addr != NULL && a->ifa_addr->sa_family == AF_INET &&
            (a->ifa_flags & IFF_UP) != 0 && (a->ifa_flags & IFF_LOOPBACK) == 0 &&
            v->n_addresses < MAX_ADDRESSES) {
            const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a->ifa_addr;

            v->addresses[v->n_addresses++] = in->sin_addr.s_addr;
        }
    }
    freeifaddrs(list);
    if (v->n_addresses == 0) {
        v->addresses[v->n_addresses++] = htonl(INADDR_LOOPBACK);
    }
}

/* The descriptor that listens, or -1. */
static int invite(const struct sg_watch *w, struct invitation *v) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t n = sizeof at;

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, w->n_links) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0 ||
        getrandom(&v->token, sizeof v->token, 0) != (ssize_t)sizeof v->token) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    v->port = at.sin_port;
    list_addresses(v);
    (void)gethostname(v->host, sizeof v->host - 1);
    return fd;
}

static int connect_to(uint32_t address, const struct invitation *v) {
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = v->port, .sin_addr.s_addr = address};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t n = sizeof error;

    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) != 0 &&
        (errno != EINPROGRESS || !sg_watch_wait(fd, POLLOUT, CONNECT_MS) ||
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* A connection to rank 0, or -1. */
static int accept_invitation(const struct sg_comm *world, const struct invitation *v) {
    const struct hello hello = {.token = v->token, .rank = sg_comm_rank(world)};

    for (int i = 0; i < v->n_addresses; i++) {
        const int fd = connect_to(v->addresses[i], v);

        if (fd >= 0 && send(fd, &hello, sizeof hello, MSG_NOSIGNAL) == (ssize_t)sizeof hello) {
            keep_alive(fd);
            return fd;
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return -1;
}

static struct sg_watch_link *link_of(struct sg_watch *w, int64_t rank) {
    for (int i = 0; i < w->n_links; i++) {
        if (w->links[i].first_rank == rank) {
            return &w->links[i];
        }
    }
    return NULL;
}

/* Takes one guest in; strangers are sent away. Returns 1 for a guest. */
static int receive_guest(struct sg_watch *w, int fd, uint64_t token, int64_t until_ms) {
    struct hello hello = {0};
    struct sg_watch_link *link;

    if (!wait_until(fd, POLLIN, until_ms) ||
        recv(fd, &hello, sizeof hello, MSG_DONTWAIT) != (ssize_t)sizeof hello ||
        hello.token != token || (link = link_of(w, hello.rank)) == NULL || link->fd >= 0) {
        (void)close(fd);
        return 0;
    }
    keep_alive(fd);
    link->fd = fd;
    return 1;
}

/* All who could connect have done so, and wait. */
static void receive_guests(struct sg_watch *w, int listener, uint64_t token, int n) {
    const int64_t until_ms = now_ms() + HELLO_MS;

    while (n > 0 && wait_until(listener, POLLIN, until_ms)) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            n -= receive_guest(w, fd, token, until_ms);
        }
    }
}

static void warn_of_missing(const struct sg_watch *w, const struct invitation *v) {
    int n = 0;
    const char *first = NULL;

    for (int i = 0; i < w->n_links; i++) {
        if (w->links[i].fd < 0) {
            first = n++ == 0 ? w->links[i].host : first;
        }
    }
    if (n > 0) {
        sg_log(
            SG_LOG_WARN,
            "%d host%s, first %s, cannot open a TCP connection to port %d of %s: if one of them is "
            "cut off during the run, the run will wait instead of ending",
            n, sg_text_plural(n), first, (int)ntohs(v->port), v->host);
    }
}

/* The first rank of another host: its one link leads to rank 0. */
static struct sg_watch *watch_root(const struct sg_comm *world, const struct invitation *v) {
    struct sg_watch *w = sg_calloc(1, sizeof *w + sizeof w->links[0]);

    if (w != NULL) {
        w->n_links = 1;
        w->links[0] = (struct sg_watch_link){.fd = accept_invitation(world, v), .n_ranks = 1};
        memcpy(w->links[0].host, v->host, sizeof w->links[0].host);
    }
    if (w != NULL && w->links[0].fd < 0) {
        sg_free(w);
        return NULL;
    }
    return w;
}

/* Tells each rank whether it is the first of another host. */
static void name_guests(const struct sg_comm *world, const struct sg_watch *hosts, char *is_guest) {
    for (int i = 0; hosts != NULL && i < hosts->n_links; i++) {
        is_guest[hosts->links[i].first_rank] = 1;
    }
    sg_comm_bcast(world, 0, is_guest, (size_t)sg_comm_size(world));
}

struct sg_watch *sg_watch_connect(const struct sg_comm *world) {
    struct sg_watch *w = sg_comm_size(world) > 1 ? gather_hosts(world) : NULL;
    struct invitation v = {.n_hosts = w != NULL ? w->n_links : 0};
    const int listener = w != NULL ? invite(w, &v) : -1;
    char *is_guest = NULL;
    int64_t n_guests = 0;

    if (sg_comm_size(world) > 1) {
        sg_comm_bcast(world, 0, &v, sizeof v);
    }
    if (v.n_hosts == 0) {
        return NULL;
    }
    is_guest = sg_calloc((size_t)sg_comm_size(world), 1);
    SG_ASSERT(is_guest != NULL);
    name_guests(world, w, is_guest);
    if (is_guest[sg_comm_rank(world)]) {
        w = watch_root(world, &v);
        n_guests = w != NULL;
    }
    sg_free(is_guest);
    sg_comm_reduce_sum(world, 0, &n_guests, 1);
    if (sg_comm_rank(world) == 0) {
        receive_guests(w, listener, v.token, (int)n_guests);
        warn_of_missing(w, &v);
        (void)close(listener);
    }
    return w;
}
