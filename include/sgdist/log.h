/* include/sgdist/log.h - the human log: one line a message on stderr, from rank 0 unless a rank
 * fails alone.
 *
 * Levels: error (the run or an item failed), warn (the result is right but the user should know),
 * info (the story of the run), debug (with --verbose). Clean runs log no error and no warning. */
#ifndef SGDIST_LOG_H
#define SGDIST_LOG_H

enum sg_log_level { SG_LOG_ERROR, SG_LOG_WARN, SG_LOG_INFO, SG_LOG_DEBUG };

/* What is printed from now on; the rank prefixes lines of ranks other than 0. */
void sg_log_setup(enum sg_log_level level, int rank);

/* Prints "sgdist: [warning: ]message"; clears a progress bar that stands on the terminal line
 * first. */
void sg_log(enum sg_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Draws `line` in place on a terminal (it is redrawn after other messages); NULL removes it.
 * Elsewhere nothing. */
void sg_log_progress(const char *line);

/* Columns of the terminal on which stderr shows, 0 if it is none. Under mpirun stderr is a pipe, so
 * it is mpirun's own that counts. */
int sg_log_columns(void);

#endif
