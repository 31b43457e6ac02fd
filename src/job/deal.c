/* src/job/deal.c - blocks to whoever asks, in order. */
#include "sgdist/deal.h"

#include "sgdist/memory.h"

#include <string.h>

enum { IN_HAND = 2 }; /* what a member works on, and what it has asked for ahead */

/* A member's blocks of a stage. */
struct part {
    int stage;
    int64_t n_dealt; /* and not done */
    int64_t n_done;  /* and not given away */
};

struct share {
    struct part parts[2];
    double block_s; /* that a block takes it; 0: unknown */
    int n_in_hand;
    struct {
        int stage;
        int64_t n;
    } hand[IN_HAND];
};

struct sg_deal {
    int n_members;
    int n_places; /* for members */
    const int64_t *todo;
    int64_t n_todo;
    int64_t next;
    int next_stage; /* of todo[next] */
    const int64_t *ends;
    int n_stages;
    int running;          /* the first stage that is not closed */
    int n_busy;           /* members with blocks in hand */
    int n_known;          /* members whose speed is known, */
    double seconds;       /* and the sum of what a block takes them */
    int64_t *missing;     /* [max_stages] blocks that are not done */
    struct share *shares; /* [n_members] */
};

sg_status sg_deal_create(int n_members, int max_stages, struct sg_deal **out) {
    sg_status status = SG_OK;
    struct sg_deal *d = sg_calloc(1, sizeof *d);

    SG_CHECK(d != NULL, SG_E_NOMEM, "no memory for a team of %d", n_members);
    d->shares = sg_calloc((size_t)n_members, sizeof *d->shares);
    d->missing = sg_calloc((size_t)max_stages + 1, sizeof *d->missing);
    SG_CHECK(d->shares != NULL && d->missing != NULL, SG_E_NOMEM, "no memory for a team of %d",
             n_members);
    d->n_places = n_members;
    *out = d;
    d = NULL;
done:
    sg_deal_destroy(d);
    return status;
}

void sg_deal_destroy(struct sg_deal *d) {
    if (d != NULL) {
        sg_free(d->shares);
        sg_free(d->missing);
        sg_free(d);
    }
}

int sg_deal_stage(const struct sg_deal *d, int64_t k) {
    int stage = 0;

    while (d->todo[k] >= d->ends[stage]) {
        stage++;
    }
    return stage;
}

static void find_next_stage(struct sg_deal *d) {
    while (d->next < d->n_todo && d->todo[d->next] >= d->ends[d->next_stage]) {
        d->next_stage++;
    }
}

void sg_deal_begin(struct sg_deal *d, int n_members, const int64_t *todo, int64_t n,
                   const int64_t *ends, int n_stages, int n_closed) {
    SG_ASSERT(n_members <= d->n_places);
    d->n_members = n_members;
    d->todo = todo;
    d->n_todo = n;
    d->next = 0;
    d->next_stage = 0;
    d->ends = ends;
    d->n_stages = n_stages;
    d->running = n_closed;
    d->n_busy = 0;
    d->n_known = 0;
    d->seconds = 0;
    memset(d->shares, 0, (size_t)n_members * sizeof *d->shares);
    memset(d->missing, 0, (size_t)n_stages * sizeof *d->missing);
    for (int64_t k = 0, stage = 0; k < n; k++) {
        while (todo[k] >= ends[stage]) {
            stage++;
        }
        d->missing[stage]++;
    }
    find_next_stage(d);
}

sg_status sg_deal_join(struct sg_deal *d) {
    sg_status status = SG_OK;

    if (d->n_members == d->n_places) {
        struct share *more = sg_realloc(d->shares, 2 * (size_t)d->n_places, sizeof *more);

        SG_CHECK(more != NULL, SG_E_NOMEM, "no memory for a team of %d", d->n_members + 1);
        d->shares = more;
        d->n_places *= 2;
    }
    memset(&d->shares[d->n_members++], 0, sizeof *d->shares);
done:
    return status;
}

/* ---- what a member has ---- */

static int is_empty(const struct part *p) {
    return p->n_dealt == 0 && p->n_done == 0;
}

/* The part of a stage, or a free one for it; NULL: the member has two others. */
static struct part *part_of(struct share *s, int stage) {
    struct part *free = NULL;

    for (int i = 0; i < 2; i++) {
        if (!is_empty(&s->parts[i]) && s->parts[i].stage == stage) {
            return &s->parts[i];
        }
        free = is_empty(&s->parts[i]) ? &s->parts[i] : free;
    }
    if (free != NULL) {
        *free = (struct part){.stage = stage};
    }
    return free;
}

/* Its blocks behind the running stage's end. */
static int64_t n_behind(const struct sg_deal *d, const struct share *s) {
    int64_t n = 0;

    for (int i = 0; i < 2; i++) {
        if (s->parts[i].stage > d->running) {
            n += s->parts[i].n_dealt + s->parts[i].n_done;
        }
    }
    return n;
}

/* ---- dealing ---- */

/* What a member gets at a time: a message costs both sides some microseconds. */
static int64_t blocks_of_a_deal(double block_s) {
    const double a_deal_s = 0.02;
    const double n = block_s > 0 ? a_deal_s / block_s : 1;

    return n < 1 ? 1 : n > 1e6 ? 1000000 : (int64_t)n;
}

static int64_t less(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Of what is left half goes out in equal shares at most, so that all end at nearly the same time.
 * Behind the running stage's end a member gets what it would work off while the others end it: more
 * would be lost by a stop, which keeps the running stage alone. */
static int64_t allowed(const struct sg_deal *d, const struct share *s, int member, int64_t most) {
    const int64_t share = (d->n_todo - d->next) / (2 * (int64_t)d->n_members);
    const int64_t n = less(most, share > 1 ? share : 1);

    if (d->next_stage == d->running) {
        return n;
    }
    return member == 0 ? 0 : less(n, 2 * most - n_behind(d, s));
}

static void learn(struct sg_deal *d, struct share *s, double block_s) {
    if (block_s > 0) {
        d->n_known += s->block_s <= 0;
        d->seconds += block_s - s->block_s;
        s->block_s = block_s;
    }
}

/* The blocks that are left would be done sooner by the others: by those who have nothing in hand at
 * once, by the rest when they come to it. Somebody is always as fast as the mean, so that this
 * never holds for all. */
static int is_too_slow(const struct sg_deal *d, const struct share *s) {
    const double much = 1.1;
    const int n_idle = d->n_members - d->n_busy - (s->n_in_hand == 0);
    const double left = (double)(d->n_todo - d->next - n_idle) / d->n_members;
    const double mean = d->n_known > 0 ? d->seconds / d->n_known : 0;

    return s->block_s > much * mean && s->block_s > mean * (1 + (left > 0 ? left : 0));
}

int64_t sg_deal_next(struct sg_deal *d, int member, double block_s, int64_t *first) {
    struct share *s = &d->shares[member];
    const int64_t most = blocks_of_a_deal(block_s);
    struct part *part;
    int64_t n_allowed;
    int64_t n = 0;

    SG_ASSERT(member < d->n_members);
    learn(d, s, block_s);
    if (d->next >= d->n_todo || s->n_in_hand == IN_HAND || is_too_slow(d, s)) {
        return 0;
    }
    part = part_of(s, d->next_stage);
    n_allowed = part != NULL ? allowed(d, s, member, most) : 0;
    while (n < n_allowed && d->next + n < d->n_todo &&
           d->todo[d->next + n] < d->ends[d->next_stage]) {
        n++;
    }
    if (n <= 0) {
        return 0;
    }
    *first = d->next;
    part->n_dealt += n;
    d->n_busy += s->n_in_hand == 0;
    s->hand[s->n_in_hand].stage = d->next_stage;
    s->hand[s->n_in_hand++].n = n;
    d->next += n;
    find_next_stage(d);
    return n;
}

void sg_deal_done(struct sg_deal *d, int member) {
    struct share *s = &d->shares[member];
    struct part *part;

    SG_ASSERT(member < d->n_members && s->n_in_hand > 0);
    part = part_of(s, s->hand[0].stage);
    SG_ASSERT(part != NULL && part->n_dealt >= s->hand[0].n);
    part->n_dealt -= s->hand[0].n;
    part->n_done += s->hand[0].n;
    d->missing[part->stage] -= s->hand[0].n;
    s->hand[0] = s->hand[1];
    s->n_in_hand--;
    d->n_busy -= s->n_in_hand == 0;
}

/* ---- stages ---- */

int sg_deal_is_complete(const struct sg_deal *d, int stage) {
    return stage < d->n_stages && d->missing[stage] == 0;
}

void sg_deal_close(struct sg_deal *d) {
    SG_ASSERT(sg_deal_is_complete(d, d->running));
    memset(d->shares[0].parts, 0, sizeof d->shares[0].parts); /* the leader has no others */
    d->running++;
}

int sg_deal_take(struct sg_deal *d, int stage, int with_hands, int *members) {
    int n = 0;

    for (int m = 1; m < d->n_members; m++) {
        for (int i = 0; i < 2; i++) {
            struct part *p = &d->shares[m].parts[i];

            if (p->stage == stage && (p->n_done > 0 || (with_hands && p->n_dealt > 0))) {
                p->n_done = 0;
                members[n++] = m;
            }
        }
    }
    return n;
}
