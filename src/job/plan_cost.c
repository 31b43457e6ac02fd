/* src/job/plan_cost.c - how often the network runs for an item: for all instances together, and for
 * each of them as if it were alone. */
#include "plan_impl.h"

static void add(struct sg_cost *c, int64_t forwards, int64_t backwards) {
    c->forwards += forwards;
    c->backwards += backwards;
}

/* What the walk of probed thing p to a point costs: forward passes of all targets together, and
 * gradients. At the item itself the scores at the baselines, and at t*, are looked at, too. */
static void add_walk(const struct sg_plan *plan, const struct sg_probed *p, int64_t n_points,
                     int at_item, struct sg_cost *c) {
    const struct sg_path *path = &p->probing.path;
    const int64_t n_walks = n_points * path->n_baselines;
    const int64_t n_nodes = sg_path_n_nodes(path);
    const int64_t n_scan = sg_path_n_scan(path);
    const int64_t n_search = sg_path_n_search(path) + (at_item && path->kind == SG_PATH_SPLIT);

    add(c,
        n_walks * ((n_scan == 0 && at_item && sg_path_has_facts(path) ? 1 : n_scan) +
                   n_search * plan->n_targets +
                   n_nodes * (sg_path_is_shared(path) ? 1 : plan->n_targets)),
        n_walks * n_nodes * plan->n_targets);
}

/* Backward passes through mean gates: for each target, and once more for each group that is left
 * out for the errors. */
static int64_t n_gate_passes(const struct sg_plan *plan, int i_instance) {
    const int n_groups = sg_instance_n_groups(&plan->job->instances[i_instance]);

    return plan->n_targets * (n_groups > 1 ? 1 + n_groups : 1);
}

int64_t sg_plan_n_gate_passes(const struct sg_plan *plan, const struct sg_sweep *s) {
    int64_t n = 0;

    for (int m = 0; m < s->gates.n_members; m++) {
        n += n_gate_passes(plan, s->gates.members[m]);
    }
    return n;
}

/* Forward once at the item for each map, where something is linear around it. */
static int64_t n_linearised(const struct sg_plan *plan, int n_members) {
    return plan->model->gates.n_linearised > 0 ? n_members : 0;
}

static void add_sweep(const struct sg_plan *plan, const struct sg_sweep *s, struct sg_cost *c) {
    add(c, s->n_passes > 0 || s->gates.n_members > 0 ? s->n_draws : 0,
        s->n_draws * s->n_passes * plan->n_targets);
    add(c, n_linearised(plan, s->gates.n_members), sg_plan_n_gate_passes(plan, s));
    for (int i = 0; i < s->n_readings; i++) {
        const struct sg_probed *p = &plan->probed[s->readings[i].probed];

        if (sg_is_path(p) && (i == 0 || plan->probed[s->readings[i - 1].probed].pass != p->pass)) {
            add_walk(plan, p, s->n_draws, 0, c);
        }
    }
}

void sg_plan_count(struct sg_plan *plan) {
    struct sg_cost c = {.forwards = 1, .backwards = plan->n_clean_passes * plan->n_targets};

    for (int i = 0; i < plan->n_probed; i++) {
        const struct sg_probed *p = &plan->probed[i];

        if (sg_is_path(p) && (i == 0 || p->pass != p[-1].pass)) {
            add_walk(plan, p, 1, 1, &c);
        }
    }
    plan->at_item = c;
    for (int i = 0; i < plan->n_sweeps; i++) {
        add_sweep(plan, &plan->sweeps[i], &c);
    }
    plan->per_item = c;
}

/* The instance at n points: once at the item itself, then at the points of its sweep. */
static void add_points(const struct sg_plan *plan, const struct sg_probed *p, int64_t n,
                       int at_item, struct sg_cost *c) {
    if (sg_is_path(p)) {
        add_walk(plan, p, n, at_item, c);
    } else if (p->probing.kind == SG_PROBE_GRADIENT) {
        add(c, at_item ? 0 : n, n * plan->n_targets);
    }
}

struct sg_cost sg_plan_cost_alone(const struct sg_plan *plan, int i_instance) {
    const struct sg_probed *p = &plan->probed[plan->probed_of[i_instance]];
    const int i_sweep = plan->sweep_of[i_instance];
    const struct sg_sweep *s = i_sweep >= 0 ? &plan->sweeps[i_sweep] : NULL;
    struct sg_cost c = {.forwards = 1};

    add_points(plan, p, 1, 1, &c);
    if (s != NULL) {
        add_points(plan, p, s->n_draws, 0, &c);
    }
    if (p->probing.kind == SG_PROBE_GATES) {
        const int scales = sg_plan_scale_reading(plan, s, i_instance) >= 0;

        add(&c, s->n_draws + n_linearised(plan, 1), n_gate_passes(plan, i_instance));
        add(&c, 0, scales ? (1 + s->n_draws) * plan->n_targets : 0);
    }
    return c;
}

int64_t sg_plan_bytes_alone(const struct sg_plan *plan, int i_instance) {
    const struct sg_instance *inst = &plan->job->instances[i_instance];
    const struct sg_probed *p = &plan->probed[plan->probed_of[i_instance]];
    const int n_powers = sg_instance_n_powers(inst);
    int64_t bytes = plan->n_targets * p->n_features * (int64_t)sizeof(float);

    if (plan->sweep_of[i_instance] >= 0 && p->probing.kind == SG_PROBE_GATES) {
        const struct sg_counts_shape shape =
            sg_plan_counts_shape(plan, &plan->sweeps[plan->sweep_of[i_instance]]);

        bytes += sg_counts_bytes(&shape);
    } else if (plan->sweep_of[i_instance] >= 0) {
        bytes +=
            plan->n_targets * sg_sums_bytes(p->n_features, n_powers, sg_instance_n_groups(inst));
    }
    return bytes;
}
