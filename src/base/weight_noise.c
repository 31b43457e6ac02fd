/* src/base/weight_noise.c - which tensors noise on weights is for. */
#include "sgdist/weight_noise.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

int sg_scope_has(const char *patterns, const char *name) {
    char pattern[SG_MAX_SCOPE + 1];

    for (const char *p = patterns; *p != '\0';) {
        const int n = (int)strcspn(p, "\n");

        (void)snprintf(pattern, sizeof pattern, "%.*s", n, p);
        if (fnmatch(pattern, name, 0) == 0) {
            return 1;
        }
        p += n + (p[n] == '\n');
    }
    return 0;
}

int sg_weight_noise_takes(const struct sg_weight_noise *noise, const char *name) {
    return (noise->only[0] == '\0' || sg_scope_has(noise->only, name)) &&
           !sg_scope_has(noise->except, name);
}
