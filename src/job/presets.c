/* src/job/presets.c - the key `like`: the conventions of other tools as named options.
 *
 * A preset is data: options of an instance with the values that a version of a tool uses where its
 * caller says nothing. They stand below what is said beside them: `like` of the job below the
 * job's `sampling` and `maps`, `like` of an entry below the entry's own keys, and above what the
 * entry inherits. What a method's name means never changes. The sources, with what each tool does
 * beyond these options, are in docs/methods.md. */
#include "job_impl.h"

#include <stdio.h>
#include <string.h>

static const struct sg_preset table[] = {
    {.name = "captum",
     .version = "0.8.0",
     .tool = "NoiseTunnel",
     .settings =
         "{samples: 5, noise: {sigma: 1, space: input, channels: all, clean: none, "
         "outside: keep}, divisor: population, channels: none, space: input, absolute: false}"},
    {.name = "xplique",
     .version = "2.0.0",
     .tool = "SmoothGrad, SquareGrad and VarGrad",
     .settings =
         "{samples: 50, noise: {sigma: 0.2, space: input, channels: all, clean: none, "
         "outside: keep}, divisor: unbiased, channels: mean, space: input, absolute: false}"},
    {.name = "saliency",
     .version = "0.2.1",
     .tool = "GetSmoothedMask, whose default is smoothgrad_squared",
     .settings = "{samples: 25, noise: {level: 0.15, range: item, space: input, channels: all, "
                 "clean: none, outside: keep}, channels: none, space: input, absolute: false}"},
    {.name = "zennit",
     .version = "1.0.0",
     .tool = "SmoothGrad",
     .settings = "{samples: 20, noise: {level: 0.1, range: item, space: input, channels: all, "
                 "clean: one_of_n, outside: keep}, channels: none, space: input, absolute: false}"},
    {.name = "adaptgrad-code",
     .version = "2026-05-22",
     .tool = "the AdaptGrad authors' ImageNet experiment",
     .settings = "{samples: 50, noise: {level: 0.2, range: domain, space: input, channels: all, "
                 "clean: extra, outside: keep}, weights: {draws: 50, tau: 0.2, noise: "
                 "multiplicative, except: '*classifier*'}, confidence: 0.95, z: centred, bounds: "
                 "global, channels: sum, space: input, absolute: false}"},
    {.name = "roar",
     .version = "1806.10758v3",
     .tool = "the ensembles of Hooker et al. 2019",
     .settings = "{samples: 15, noise: {level: 0.15, range: item, space: input, channels: all, "
                 "clean: none, outside: keep}, channels: none, space: input, absolute: false}"},
};
enum { N_PRESETS = sizeof table / sizeof table[0] };

const struct sg_preset *sg_preset_at(int i) {
    return i >= 0 && i < N_PRESETS ? &table[i] : NULL;
}

/* "name", or "name-version" for those who want no other one. */
static int is_called(const struct sg_preset *p, const char *text) {
    const size_t n = strlen(p->name);

    return strncmp(text, p->name, n) == 0 &&
           (text[n] == '\0' || (text[n] == '-' && strcmp(text + n + 1, p->version) == 0));
}

const struct sg_preset *sg_preset_read(struct sg_reader *r, const struct sg_node *node,
                                       const char *path) {
    const char *names[N_PRESETS];
    const char *near = NULL;
    char allowed[200] = "";
    size_t used = 0;

    for (int i = 0; i < N_PRESETS; i++) {
        if (node->kind == SG_NODE_SCALAR && is_called(&table[i], node->text)) {
            return &table[i];
        }
        names[i] = table[i].name;
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "",
                                 names[i]);
    }
    if (node->kind == SG_NODE_SCALAR) {
        near = sg_text_nearest(node->text, names, N_PRESETS);
    }
    sg_problem(r, &node->at, path,
               "must be a preset, with or without its version;%s%s%s allowed: %s (`sgdist list "
               "presets` shows them)",
               near != NULL ? " did you mean '" : "", near != NULL ? near : "",
               near != NULL ? "'?" : "", allowed);
    return NULL;
}

void sg_preset_apply(struct sg_reader *r, const struct sg_preset *preset,
                     struct sg_params *params) {
    struct sg_node *settings = NULL;

    if (sg_yaml_parse(preset->settings, strlen(preset->settings), preset->name, NULL, &settings) !=
        SG_OK) {
        r->out_of_memory = 1;
        return;
    }
    sg_read_map(r, sg_instance_keys, settings, "like", 1, params);
    sg_node_destroy(settings);
}

/* One line for people: the preset, and what the instance has otherwise. */
void sg_preset_add_line(struct sg_reader *r, const struct sg_preset *preset,
                        const struct sg_instance *inst, struct sg_text *lines) {
    struct sg_instance pure = *inst;
    struct sg_text a = {0};
    struct sg_text b = {0};

    sg_preset_apply(r, preset, &pure.params);
    sg_clear_unused(&pure.params, sg_instance_uses(inst));
    sg_echo_params(&a, "", &pure);
    sg_echo_params(&b, "", inst);
    sg_text_add(lines, "%s: %s %s", inst->label, preset->name, preset->version);
    if (!a.failed && !b.failed) {
        sg_echo_add_changes(a.data, b.data, lines);
    }
    sg_text_add(lines, "\n");
    r->out_of_memory |= a.failed || b.failed || lines->failed;
    sg_text_free(&a);
    sg_text_free(&b);
}
