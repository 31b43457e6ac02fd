/* src/job/plan_needs.c - the memory of a worker, and the bytes of the result. */
#include "plan_impl.h"

#include "sgdist/deal.h"
#include "sgdist/memory.h"

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t bytes_of(const struct sg_sums_need *need) {
    return need->n > 0 ? sg_sums_bytes(need->n, need->n_powers, need->n_groups) : 0;
}

/* The memory for sums must hold this reading, too. */
static void cover(struct sg_sums_need *need, int64_t n, int n_powers, int n_groups) {
    if (sg_sums_bytes(n, n_powers, n_groups) > bytes_of(need)) {
        *need = (struct sg_sums_need){n, n_powers, n_groups};
    }
}

/* Walks to n_points points at once. */
static void cover_walk(const struct sg_plan *plan, const struct sg_probed *p, int64_t n_points,
                       struct sg_path_need *need) {
    const struct sg_path *path = &p->probing.path;
    const int64_t of_lane = sg_path_n_scan(path) + 2 * sg_path_n_nodes(path) +
                            (int64_t)(sizeof(struct sg_saturation) / sizeof(double));

    need->n_table = max64(need->n_table, n_points * plan->n_targets * of_lane);
    need->is_stepwise |= sg_path_is_stepwise(path);
    need->is_drawn |= path->kind == SG_PATH_DRAWN;
}

static void cover_sweep(const struct sg_plan *plan, const struct sg_sweep *s,
                        struct sg_needs *needs) {
    int64_t bytes = 0;

    needs->n_blocks = max64(needs->n_blocks, s->n_blocks);
    for (int i = 0; i < s->n_readings; i++) {
        const struct sg_reading *r = &s->readings[i];
        const int64_t n = plan->probed[r->probed].n_features;

        cover(&needs->sums[i], n, r->n_powers, r->n_groups);
        cover(&needs->one_sum, n, r->n_powers, 1);
        if (sg_is_path(&plan->probed[r->probed])) {
            cover_walk(plan, &plan->probed[r->probed], plan->block, &needs->paths);
            needs->paths.n_sums = max64(needs->paths.n_sums, plan->block * (r->offset + n));
        } else {
            needs->n_pass = max64(needs->n_pass, r->offset + n);
        }
        bytes += sg_sums_bytes(n, r->n_powers, r->n_groups);
    }
    bytes *= plan->n_targets;
    if (s->gates.n_members > 0) {
        const struct sg_counts_shape shape = sg_plan_counts_shape(plan, s);

        bytes += sg_counts_bytes(&shape);
    }
    needs->checkpoint_bytes = max64(needs->checkpoint_bytes, bytes);
}

/* The counts of a sweep, and the gradients of a batch of targets with the means of all groups but
 * one in turn. */
static void cover_gates(const struct sg_plan *plan, const struct sg_sweep *s,
                        struct sg_needs *needs) {
    const struct sg_counts_shape shape = sg_plan_counts_shape(plan, s);
    const int64_t batch = sg_plan_gate_batch(plan, plan->n_targets);

    if (s->gates.n_members == 0) {
        return;
    }
    if (needs->counts.n_groups == 0 || sg_counts_bytes(&shape) > sg_counts_bytes(&needs->counts)) {
        needs->counts = shape;
    }
    needs->n_gates = plan->model->gates.largest;
    for (int m = 0; m < s->gates.n_members; m++) {
        const int i = s->gates.members[m];
        const int n_groups = sg_instance_n_groups(&plan->job->instances[i]);
        const int64_t n = sg_shape_size(sg_plan_read_shape(plan, i));

        needs->n_expected = max64(needs->n_expected, (n_groups > 1 ? 1 + n_groups : 1) * batch * n);
    }
}

/* What is read at the item itself, one walk after the other. */
static void cover_clean(const struct sg_plan *plan, struct sg_needs *needs) {
    int64_t n_walk = 0;

    for (int i = 0; i < plan->n_probed; i++) {
        const struct sg_probed *p = &plan->probed[i];

        if (!sg_is_gradient(p) && !sg_is_path(p)) {
            continue;
        }
        needs->n_clean += p->n_features;
        needs->has_layers |= p->layer >= 0;
        n_walk = p->n_features + (i > 0 && p->pass == p[-1].pass ? n_walk : 0);
        if (sg_is_path(p)) {
            cover_walk(plan, p, 1, &needs->paths);
            needs->paths.n_sums = max64(needs->paths.n_sums, n_walk);
            needs->n_pass = max64(needs->n_pass, p->n_features);
        }
    }
}

static void cover_maps(const struct sg_plan *plan, struct sg_needs *needs) {
    for (int i = 0; i < plan->job->n_instances; i++) {
        const struct sg_instance *inst = &plan->job->instances[i];
        const struct sg_shape *read = sg_plan_read_shape(plan, i);
        struct sg_shape map;

        sg_plan_map_shape(plan, i, &map);
        needs->n_map = max64(needs->n_map, sg_shape_size(&map));
        needs->n_work = max64(needs->n_work, sg_instance_n_work(inst, read, &plan->input));
    }
}

sg_status sg_plan_find_needs(struct sg_plan *plan) {
    sg_status status = SG_OK;
    struct sg_needs *needs = &plan->needs;

    for (int i = 0; i < plan->n_sweeps; i++) {
        needs->n_readings = plan->sweeps[i].n_readings > needs->n_readings
                                ? plan->sweeps[i].n_readings
                                : needs->n_readings;
    }
    needs->sums = sg_calloc((size_t)needs->n_readings + 1, sizeof needs->sums[0]);
    SG_CHECK(needs->sums != NULL, SG_E_NOMEM, "no memory for the plan");
    needs->n_blocks = 1;
    for (int i = 0; i < plan->n_sweeps; i++) {
        cover_sweep(plan, &plan->sweeps[i], needs);
        cover_gates(plan, &plan->sweeps[i], needs);
    }
    cover_clean(plan, needs);
    cover_maps(plan, needs);
done:
    return status;
}

/* A batch of points, the place of each on a stepwise path, a baseline, a point and its noise scale;
 * what the readings add up in, scores and nodes; work space. */
int64_t sg_plan_path_bytes(const struct sg_plan *plan) {
    const struct sg_path_need *need = &plan->needs.paths;
    const int64_t d = sg_shape_size(&plan->input);
    const int64_t floats = (plan->block * (need->is_drawn ? 2 : 1) + 3) * d;
    const int64_t doubles = plan->n_targets * need->n_sums + need->n_table + 2 * d +
                            (need->is_stepwise ? plan->block * d : 0);

    return need->n_sums > 0 ? floats * (int64_t)sizeof(float) + doubles * (int64_t)sizeof(double)
                            : 0;
}

/* What a worker holds beside its nets: the sums of all targets, counts of gates and gradients with
 * their means, as much again as a sweep has of
 * them packed for a checkpoint, one group to finish from; the item, its noise scale and a map; what
 * was read at the item itself, its targets' positions; a block of inputs, readings, outputs and
 * their derivatives; what walks need; a piece of another member's sums; three records (the one in
 * the making, the one on its way, the checkpoint's). sg_worker_bytes counts the same, a test holds
 * them together. */
static int64_t sums_bytes(const struct sg_plan *plan) {
    const struct sg_needs *needs = &plan->needs;
    const int64_t floats =
        2 * sg_shape_size(&plan->input) + needs->n_map + needs->n_expected + needs->n_gates +
        plan->n_outputs + needs->n_clean * (plan->n_targets + (needs->has_layers ? 1 : 0)) +
        plan->block * (sg_shape_size(&plan->input) + needs->n_pass + 2 * plan->n_outputs);
    int64_t sums = needs->counts.n_groups > 0 ? sg_counts_bytes(&needs->counts) : 0;

    for (int i = 0; i < needs->n_readings; i++) {
        sums += plan->n_targets * bytes_of(&needs->sums[i]);
    }
    return sg_plan_path_bytes(plan) + sums + needs->checkpoint_bytes + bytes_of(&needs->one_sum) +
           3 * plan->record.bytes + floats * (int64_t)sizeof(float) +
           (SG_PIECE_WORDS + needs->n_work + needs->n_blocks + plan->n_targets * plan->mask_words) *
               (int64_t)sizeof(int64_t);
}

/* The store keeps fields without the padding of records, and name, key and label of an item. */
static int64_t item_bytes(const struct sg_plan *plan, const struct sg_items *items) {
    int64_t bytes =
        sg_items_max_name(items) + 1 + (int64_t)sizeof(uint64_t) + (int64_t)sizeof(int64_t);

    for (int i = 0; i < plan->record.n_fields; i++) {
        bytes += plan->record.fields[i].bytes;
    }
    return bytes;
}

void sg_plan_measure(struct sg_plan *plan, const struct sg_items *items) {
    plan->sums_bytes = sums_bytes(plan);
    plan->result_bytes = plan->n_items * item_bytes(plan, items);
}
