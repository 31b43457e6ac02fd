/* src/cli/process.c - signals, and one BLAS thread a process. */
#include "cli/cli.h"
#include "sgdist/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t sg_stop;

static void on_signal(int signal_number) {
    (void)signal_number;
    sg_stop = 1;
}

void sg_catch_signals(void) {
    const int signals[] = {SIGUSR1, SIGTERM, SIGINT};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    (void)signal(SIGXFSZ, SIG_IGN); /* too large a file is an error of the write, not the end */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)sigaction(signals[i], &action, NULL);
    }
}

sg_status sg_start_ranks(int *argc, char ***argv, struct sg_comm **world) {
    const sg_status status = sg_comm_start(argc, argv, world);

    if (status != SG_OK) {
        sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
    }
    return status;
}

/* Debian's threaded OpenBLAS starts its threads when it is loaded, before main: only the
 * environment of a new program start can keep it from that. */
void sg_single_thread(char **argv) {
    const char *const again = "SGDIST_SINGLE_THREAD";

    if (sg_blas_is_single_threaded() || getenv(again) != NULL) {
        return;
    }
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    (void)setenv("OMP_NUM_THREADS", "1", 1);
    (void)setenv(again, "1", 1);
    (void)execv("/proc/self/exe", argv);
}
