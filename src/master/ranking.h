/* master/ranking.h - numbers by key, of which the first and the last are always known: two
 * tournaments over one array. To change a key costs the logarithm of n. */
#ifndef MASTER_RANKING_H
#define MASTER_RANKING_H

#include "sgdist/status.h"

struct sg_ranking;

/* Of 0 .. n - 1, none of which has a key yet. Errors: SG_E_NOMEM. */
sg_status sg_ranking_create(int n, struct sg_ranking **out);
void sg_ranking_destroy(struct sg_ranking *r);

void sg_ranking_set(struct sg_ranking *r, int i, double key);
void sg_ranking_remove(struct sg_ranking *r, int i);
double sg_ranking_key(const struct sg_ranking *r, int i);

/* That with the least key, and that with the largest; -1: none has one. Of equal ones the lowest
 * number. */
int sg_ranking_first(const struct sg_ranking *r);
int sg_ranking_last(const struct sg_ranking *r);

#endif
