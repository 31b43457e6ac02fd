/* src/methods/table.c - the methods by number and by name. */
#include "methods/methods_impl.h"

#include <string.h>

static const struct sg_method *const table[] = {
#define SG_METHOD(name) &sg_method_##name,
#include "methods/methods.def"
#undef SG_METHOD
};
enum { N_METHODS = sizeof table / sizeof table[0] };

const struct sg_method *sg_method_at(int i) {
    return i >= 0 && i < N_METHODS ? table[i] : NULL;
}

const struct sg_method *sg_method_find(const char *name) {
    for (int i = 0; i < N_METHODS; i++) {
        if (strcmp(table[i]->name, name) == 0) {
            return table[i];
        }
    }
    return NULL;
}
