/* src/worker/dataset.c - statistics over the whole data set, from the maps as they are stored.
 *
 * Every rank reads its share of the items; sums are exact, so the numbers depend neither on the
 * ranks nor on the runs that made the maps. Two passes over a method's maps: the first finds the
 * grid, the second adds. */
#include "sgdist/memory.h"
#include "sgdist/store.h"
#include "worker/worker_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct scan {
    const struct sg_comm *world;
    const struct sg_plan *plan;
    struct sg_reader *reader;
    unsigned char *states;
    float *item;     /* all targets' maps of an item */
    float *absolute; /* |map| of the first target */
    struct sg_sums *plain;
    struct sg_sums *magnitude;
    int64_t n; /* elements of a map */
    char path[SG_MAX_PATH + 1];
};

static sg_status for_my_items(struct scan *s, sg_status (*visit)(struct scan *, int64_t, void *),
                              void *context) {
    sg_status status = SG_OK;

    for (int64_t i = sg_comm_rank(s->world); i < s->plan->n_items; i += sg_comm_size(s->world)) {
        if (s->states[i] == SG_ITEM_DONE) {
            SG_TRY(sg_reader_read(s->reader, s->path, i, s->item));
            SG_TRY(visit(s, i, context));
        }
    }
done:
    return status;
}

static sg_status find_largest(struct scan *s, int64_t i, void *largest) {
    double *out = largest;

    (void)i;
    for (int64_t k = 0; k < s->n; k++) {
        const double v = fabs((double)s->item[k]);

        *out = v > *out ? v : *out;
    }
    return SG_OK;
}

static sg_status add_item(struct scan *s, int64_t i, void *unused) {
    (void)unused;
    for (int64_t k = 0; k < s->n; k++) {
        s->absolute[k] = fabsf(s->item[k]);
    }
    sg_sums_add_block(s->plain, i, s->item, 1);
    sg_sums_add_block(s->magnitude, i, s->absolute, 1);
    return SG_OK;
}

static sg_status begin_method(struct scan *s, int i_instance) {
    sg_status status = SG_OK;
    const struct sg_instance *inst = &s->plan->job->instances[i_instance];
    struct sg_shape shape;
    size_t n;

    sg_plan_map_shape(s->plan, i_instance, &shape);
    s->n = sg_shape_size(&shape);
    n = (size_t)s->n;
    (void)snprintf(s->path, sizeof s->path, "maps/%s/map", inst->label);
    s->item = sg_malloc_aligned((size_t)s->plan->n_targets * n, sizeof *s->item);
    s->absolute = sg_malloc_aligned(n, sizeof *s->absolute);
    SG_CHECK(s->item != NULL && s->absolute != NULL, SG_E_NOMEM, "no memory for a map");
    SG_TRY(sg_sums_create(s->n, 2, 1, &s->plain));
    SG_TRY(sg_sums_create(s->n, 1, 1, &s->magnitude));
done:
    return status;
}

static void end_method(struct scan *s) {
    sg_sums_destroy(s->plain);
    sg_sums_destroy(s->magnitude);
    sg_free(s->item);
    sg_free(s->absolute);
    s->plain = NULL;
    s->magnitude = NULL;
    s->item = NULL;
    s->absolute = NULL;
}

/* ---- rank 0 writes ---- */

static sg_status put(struct scan *s, struct sg_result *result, const char *label, const char *name,
                     const double *values) {
    sg_status status = SG_OK;
    char path[SG_MAX_PATH + 1];

    for (int64_t k = 0; k < s->n; k++) {
        s->absolute[k] = (float)values[k];
    }
    (void)snprintf(path, sizeof path, "dataset/%s/%s", label, name);
    SG_TRY(sg_result_put(result, path, s->absolute, s->n * (int64_t)sizeof(float)));
done:
    return status;
}

static sg_status write_method(struct scan *s, struct sg_result *result, const char *label) {
    sg_status status = SG_OK;
    const int64_t n_items = sg_sums_n_added(s->plain);
    double *values = sg_calloc((size_t)s->n, sizeof *values);

    SG_CHECK(values != NULL, SG_E_NOMEM, "no memory for the statistics of the data set");
    if (n_items == 0) {
        goto done;
    }
    SG_TRY(sg_sums_mean(s->plain, values));
    SG_TRY(put(s, result, label, "mean", values));
    SG_TRY(sg_sums_mean(s->magnitude, values));
    SG_TRY(put(s, result, label, "mean_abs", values));
    if (n_items >= 2) {
        SG_TRY(sg_sums_variance(s->plain, 1, values));
        for (int64_t k = 0; k < s->n; k++) {
            values[k] = sqrt(values[k]);
        }
        SG_TRY(put(s, result, label, "std", values));
    }
done:
    sg_free(values);
    return status;
}

/* Every rank goes through all collectives, whatever happened to it; the status is agreed on by the
 * caller. */
static sg_status run_method(struct scan *s, int i_instance, struct sg_result *result) {
    sg_status status = begin_method(s, i_instance);
    double largest = 0;

    status = sg_comm_together(s->world, status);
    if (status != SG_OK) { /* not one rank has begun a reduction of sums */
        end_method(s);
        return status;
    }
    status = for_my_items(s, find_largest, &largest);
    sg_comm_allreduce_max_double(s->world, &largest, 1);
    sg_sums_reset(s->plain, sg_sums_exponent_for(largest));
    sg_sums_reset(s->magnitude, sg_sums_exponent_for(largest));
    if (status == SG_OK) {
        status = for_my_items(s, add_item, NULL);
    }
    sg_comm_reduce_sum(s->world, 0, sg_sums_limbs(s->plain), sg_sums_n_limbs(s->plain));
    sg_comm_reduce_sum(s->world, 0, sg_sums_limbs(s->magnitude), sg_sums_n_limbs(s->magnitude));
    if (status == SG_OK && result != NULL) {
        status = write_method(s, result, s->plan->job->instances[i_instance].label);
    }
    end_method(s);
    return status;
}

static sg_status open_scan(struct scan *s, const char *path) {
    sg_status status = SG_OK;

    s->states = sg_calloc((size_t)s->plan->n_items, 1);
    SG_CHECK(s->states != NULL, SG_E_NOMEM, "no memory for the list of items");
    SG_TRY(sg_reader_open(path, &s->reader));
    SG_TRY(sg_reader_statuses(s->reader, s->states));
done:
    return status;
}

sg_status sg_dataset_statistics(const struct sg_comm *world, const struct sg_plan *plan,
                                const char *path, struct sg_result *result) {
    struct scan s = {.world = world, .plan = plan};
    sg_status status = open_scan(&s, path);
    int64_t failed = status != SG_OK;

    sg_comm_allreduce_max(world, &failed, 1);
    for (int i = 0; i < plan->job->n_instances && !failed; i++) {
        const sg_status mine = run_method(&s, i, result);

        status = status == SG_OK ? mine : status;
        failed = status == SG_E_PEER || status == SG_E_NOMEM;
        sg_comm_allreduce_max(world, &failed, 1);
    }
    sg_reader_close(s.reader);
    sg_free(s.states);
    return status;
}
