/* src/comm/watch.c - a thread that waits for a connection to break or to fall silent. */
#include "comm/watch_impl.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* The launcher knows more of a dead process than we do, so its message shall come first. */
    GRACE_MS = 5000,
    LAUNCHER_MS = 10000, /* what mpirun takes at most to end after its rank 0 */
    STACK_BYTES = 1 << 18
};

static const char goodbye = 'b';

/* A descriptor of the mpirun that started this rank, or -1. Other launchers look after themselves.
 */
static int open_mpirun(void) {
    static const char *const names[] = {"mpirun\n", "mpiexec\n", "orterun\n"};
    const pid_t parent = getppid();
    const int fd = pidfd_open(parent, 0);
    char path[64];
    char name[64] = "";
    int is_mpirun = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)parent);
    f = fopen(path, "r");
    if (f != NULL && fgets(name, sizeof name, f) != NULL) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            is_mpirun |= strcmp(name, names[i]) == 0;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    if (fd >= 0 && !is_mpirun) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* mpirun ends the other ranks when one ends, and then waits for ever for the daemon of a host that
 * cannot answer. A process of its own, which outlives this rank, ends it after a while. */
static void bury_mpirun(void) {
    const int fd = open_mpirun();
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (fd < 0 || fork() != 0) {
        return;
    }
    (void)setsid(); /* mpirun signals the group of each rank */
    if (fd > 0) {
        (void)close_range(0, (unsigned)fd - 1, 0); /* nobody shall wait for our output */
    }
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    if (poll(&p, 1, LAUNCHER_MS) == 0) {
        (void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
    }
    _exit(0);
}

static void die(const char *what) {
    if (what != NULL) {
        sg_log(SG_LOG_ERROR, "%s", what);
        bury_mpirun();
    }
    _exit(sg_status_exit_code(SG_E_PEER));
}

static int is_ending(const struct sg_watch *w, int grace_ms) {
    return sg_watch_wait(w->wake, POLLIN, grace_ms);
}

/* A connection that breaks is a process that has died, of which the launcher tells; one that falls
 * silent is a host that is gone. */
static void lost(const struct sg_watch *w, const struct sg_watch_link *link, int is_silent) {
    char what[512];

    if (is_ending(w, is_silent ? 0 : GRACE_MS)) {
        return;
    }
    (void)snprintf(what, sizeof what,
                   "host %s with %d rank%s (the first is rank %d) %s. Nothing that was saved is "
                   "lost: start the same command again, without this host, and it goes on",
                   link->host, link->n_ranks, sg_text_plural(link->n_ranks), link->first_rank,
                   is_silent ? "has not answered for half a minute: it is down or cut off"
                             : "has closed its connection: its processes are gone");
    die(w->is_root ? what : NULL);
}

static void look(struct sg_watch *w, struct sg_watch_link *link) {
    char word = 0;
    const ssize_t n = recv(link->fd, &word, 1, MSG_DONTWAIT);
    const int error = errno;

    if (n < 0 && (error == EAGAIN || error == EINTR)) {
        return;
    }
    if (n != 1 || word != goodbye) {
        lost(w, link,
             n < 0 && (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH));
    }
    (void)close(link->fd);
    link->fd = -1;
}

static void *watch(void *context) {
    struct sg_watch *w = context;
    struct pollfd *p = sg_calloc((size_t)w->n_links + 1, sizeof *p);

    while (p != NULL) {
        for (int i = 0; i < w->n_links; i++) {
            p[i] = (struct pollfd){.fd = w->links[i].fd, .events = POLLIN};
        }
        p[w->n_links] = (struct pollfd){.fd = w->wake, .events = POLLIN};
        if (poll(p, (nfds_t)w->n_links + 1, -1) < 0) {
            continue;
        }
        if (p[w->n_links].revents != 0) {
            break;
        }
        for (int i = 0; i < w->n_links; i++) {
            if (p[i].revents != 0) {
                look(w, &w->links[i]);
            }
        }
    }
    sg_free(p);
    return NULL;
}

/* Signals are the main thread's: they must interrupt its system calls, not ours. */
static int start_thread(struct sg_watch *w) {
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error;

    w->wake = eventfd(0, EFD_CLOEXEC);
    if (w->wake < 0) {
        return 0;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    error = pthread_create(&w->thread, &attributes, watch, w);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

static void close_links(struct sg_watch *w) {
    for (int i = 0; i < w->n_links; i++) {
        if (w->links[i].fd >= 0) {
            (void)send(w->links[i].fd, &goodbye, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            (void)close(w->links[i].fd);
        }
    }
}

struct sg_watch *sg_watch_start(const struct sg_comm *world) {
    struct sg_watch *w = sg_watch_connect(world);

    if (w != NULL && !start_thread(w)) {
        close_links(w);
        sg_free(w);
        return NULL;
    }
    return w;
}

void sg_watch_stop(struct sg_watch *w) {
    const uint64_t one = 1;

    if (w == NULL) {
        return;
    }
    (void)!write(w->wake, &one, sizeof one);
    (void)pthread_join(w->thread, NULL);
    close_links(w);
    (void)close(w->wake);
    sg_free(w);
}
