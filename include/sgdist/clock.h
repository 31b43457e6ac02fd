/* include/sgdist/clock.h - the time that passes. */
#ifndef SGDIST_CLOCK_H
#define SGDIST_CLOCK_H

/* Seconds of a steady clock, which nobody sets and which does not count from any known moment. */
double sg_now(void);

#endif
