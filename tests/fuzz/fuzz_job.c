/* tests/fuzz/fuzz_job.c - any bytes as a job file. */
#include "fuzz.h"
#include "sgdist/job.h"
#include "sgdist/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_job *job = NULL;

    if (sg_job_parse((const char *)data, size, "fuzz.yaml", NULL, 0, &job) == SG_OK) {
        FUZZ_CHECK(job->n_instances > 0 && job->echo != NULL);
    }
    sg_job_destroy(job);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
