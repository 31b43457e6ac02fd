/* tests/unit/job/job_text.h - parses texts as jobs. */
#ifndef JOB_TEXT_H
#define JOB_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "sgdist/job.h"
#include "sgdist/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The smallest job, less its methods. */
#define HEAD                                                                                       \
    "model: {file: net.onnx}\n"                                                                    \
    "data: {folder: images}\n"
#define SMALL HEAD "methods: [smoothgrad]\n"

static inline sg_status parse_with(const char *text, const char *set, struct sg_job **out) {
    return sg_job_parse(text, strlen(text), "jobs/x.yaml", &set, set != NULL, out);
}

/* The job of a text that must be good. */
static inline struct sg_job *good(const char *text, const char *set) {
    struct sg_job *job = NULL;

    if (parse_with(text, set, &job) != SG_OK) {
        fail_msg("refused: %s", sg_trace_message());
    }
    return job;
}

static inline const struct sg_instance *instance(const struct sg_job *job, const char *label) {
    for (int i = 0; i < job->n_instances; i++) {
        if (strcmp(job->instances[i].label, label) == 0) {
            return &job->instances[i];
        }
    }
    fail_msg("no instance %s", label);
    return NULL;
}

#endif
