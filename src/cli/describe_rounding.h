/* src/cli/describe_rounding.h - a sentence of `sgdist describe`; not for other folders. */
#ifndef CLI_DESCRIBE_ROUNDING_H
#define CLI_DESCRIBE_ROUNDING_H

#include "sgdist/store.h"

/* Prints what float16 did to the maps of a packed result; nothing for others. */
void sg_describe_rounding(struct sg_reader *reader);

#endif
