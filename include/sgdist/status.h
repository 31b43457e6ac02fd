/* include/sgdist/status.h - return codes, and the trace that explains them.
 *
 * Three kinds of failure are kept apart. Something outside is wrong (file, job, disk, peer): a
 * function returns a status and leaves a message for a user who has no source. The program is
 * wrong: SG_ASSERT, on in release builds too. The numbers are notable (a NaN gradient, zero
 * variance): that is data, counted and stored. */
#ifndef SGDIST_STATUS_H
#define SGDIST_STATUS_H

#include <stddef.h>

/* code, sentence, exit code of the program when a run ends with it (docs/formats.md lists them). */
#define SG_STATUS_LIST(X)                                                                          \
    X(SG_OK, "success", 0)                                                                         \
    X(SG_E_ARG, "argument not allowed", 2)                                                         \
    X(SG_E_JOB, "the job was refused", 2)                                                          \
    X(SG_E_MODEL, "the model was refused", 2)                                                      \
    X(SG_E_INPUT, "bad input data", 3)                                                             \
    X(SG_E_IO, "reading or writing failed", 4)                                                     \
    X(SG_E_FORMAT, "damaged or foreign file", 4)                                                   \
    X(SG_E_BUSY, "in use by another run", 4)                                                       \
    X(SG_E_NUMBERS, "numbers that are not finite", 5)                                              \
    X(SG_E_NOMEM, "out of memory", 6)                                                              \
    X(SG_E_PEER, "another rank failed", 6)                                                         \
    X(SG_E_INTERRUPTED, "stopped on request", 85)

#define SG_STATUS_ENUM(name, text, exit_code) name,
typedef enum { SG_STATUS_LIST(SG_STATUS_ENUM) SG_STATUS_COUNT } sg_status;

enum { SG_EXIT_OK = 0, SG_EXIT_USAGE = 2, SG_EXIT_INTERNAL = 6, SG_EXIT_STOPPED = 85 };

/* The code's name, its sentence and its exit code; fixed values for codes outside the enum. Never
 * NULL. */
const char *sg_status_name(sg_status code);
const char *sg_status_text(sg_status code);
int sg_status_exit_code(sg_status code);

/* Starts this thread's trace with a printf message; returns `code`. */
sg_status sg_fail(sg_status code, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds one frame to this thread's trace; frames past the fixed depth are counted, not kept. */
sg_status sg_trace(sg_status code, const char *file, int line, const char *call);

/* The message alone of this thread's last failure ("" if none): what a user reads. Valid until the
 * next failure. */
const char *sg_trace_message(void);

/* Message and frames as text into buf[cap], always terminated; returns the length it would need. */
size_t sg_trace_text(char *buf, size_t cap);

/* Prints `text` with its place to stderr and aborts. Never returns. */
void sg_assert_failed(const char *text, const char *file, int line) __attribute__((noreturn));

/* Both set the function's `status` and leave through its `done:` label. */
#define SG_TRY(call)                                                                               \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != SG_OK) {                                                                     \
            (void)sg_trace(status, __FILE__, __LINE__, #call);                                     \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)
#define SG_CHECK(cond, code, ...)                                                                  \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            status = sg_fail((code), __FILE__, __LINE__, __VA_ARGS__);                             \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

/* A fact that only an error in this program can break; kept in release builds. */
#define SG_ASSERT(cond) ((cond) ? (void)0 : sg_assert_failed(#cond, __FILE__, __LINE__))

#endif
