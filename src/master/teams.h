/* src/master/teams.h - all teams there can be, and when their members are expected to be free.
 *
 * Team i of level l is the workers [i 2^l, (i + 1) 2^l), cut off at n; the highest level is
 * everyone. A tree over the workers answers for every team in constant time, and a tournament in
 * each level for the team that is free first; a change costs the logarithm squared of the number of
 * workers. */
#ifndef MASTER_TEAMS_H
#define MASTER_TEAMS_H

#include "sgdist/status.h"

struct sg_teams;

/* All workers are idle. Errors: SG_E_NOMEM. */
sg_status sg_teams_create(int n_workers, struct sg_teams **out);
void sg_teams_destroy(struct sg_teams *t);

int sg_teams_n_levels(const struct sg_teams *t);
int sg_teams_size(const struct sg_teams *t, int level, int team); /* its members */

/* Workers first to first + n - 1 are at work: on what is in hand until `due`, on all they have been
 * given until `end` >= due. */
void sg_teams_set_busy(struct sg_teams *t, int first, int n, double due, double end);
void sg_teams_set_idle(struct sg_teams *t, int first, int n);

/* The one of a level's full teams whose members are all free first, ties go to the lowest; -1 if
 * the level has no full team. The cut-off one, if there is any, is the last. */
int sg_teams_first_free(const struct sg_teams *t, int level);
int sg_teams_cut_off(const struct sg_teams *t, int level); /* its number, or -1 */

/* A team at a moment: when all of its members are free (not before now), and the sum of the times
 * at which each of them is. */
struct sg_team_look {
    int is_free;
    double free_at;
    double sum;
};
struct sg_team_look sg_teams_look(const struct sg_teams *t, int level, int team, double now);

/* The first worker whose work in hand was due before now, or -1. */
int sg_teams_find_late(const struct sg_teams *t, double now);

#endif
