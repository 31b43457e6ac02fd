/* src/job/keys.c - every key of a job, with type, range, default and where its value goes.
 * docs/job_file.md says what they mean. */
#include "job_impl.h"

#include "sgdist/rng.h"

#include <math.h>
#include <stddef.h>

/* Words stand in the order of their enums. */
static const char *const words_bool[] = {"false", "true", NULL};
static const char *const words_precision[] = {"float32", "bfloat16", NULL};
static const char *const words_score[] = {"logit", "probability", "log_probability", NULL};
static const char *const words_color[] = {"rgb", "bgr", "grey", NULL};
static const char *const words_layout[] = {"auto", "channels_first", "channels_last", NULL};
static const char *const words_exif[] = {"ignore", "apply", NULL};
static const char *const words_pixel[] = {"pixel", NULL};
static const char *const words_space[] = {"input", "pixel", NULL};
static const char *const words_range[] = {"item", "item_channel", "dataset", "domain", NULL};
static const char *const words_clean[] = {"none", "extra", "one_of_n", NULL};
static const char *const words_outside[] = {"keep", "clip", "reflect", NULL};
static const char *const words_nonfinite[] = {"fail", "skip", NULL};
static const char *const words_reduction[] = {"none",    "sum",  "abs_sum", "l2",
                                              "abs_max", "mean", NULL};
static const char *const words_divisor[] = {"unbiased", "population", NULL};
static const char *const words_bounds[] = {"channel", "global", NULL};
static const char *const words_z[] = {"centred", "half", "one_sided", "exact", NULL};
static const char *const words_rule[] = {"gradient", "guided_backprop", "deconvnet", NULL};
static const char *const words_weights[] = {"multiplicative", "additive", NULL};
static const char *const words_quadrature[] = {"gauss_legendre", "midpoint",      "trapezoid",
                                               "riemann_left",   "riemann_right", NULL};
static const char *const words_threshold_on[] = {"score", "logit", "probability", NULL};
static const char *const words_scale[] = {"none", "smoothgrad", NULL};
static const char *const words_groups[] = {"2", "4", "8", "16", NULL};
static const char *const words_dtype[] = {"float32", NULL};
static const char *const words_size[] = {"layer", "input", NULL};
static const char *const words_numerator[] = {"second", "first", NULL};
static const char *const words_denominator[] = {"local", "summed", NULL};

#define IN_JOB(field)            .offset = offsetof(struct sg_draft, job.field)
#define IN_DRAFT(field)          .offset = offsetof(struct sg_draft, field)
#define IN_PARAMS(field)         .offset = offsetof(struct sg_params, field)
#define IN_SOURCE(source, field) .offset = offsetof(struct sg_draft, sources[source].field)
#define MAP(name_, table)        .name = name_, .kind = SG_KIND_MAP, .keys = table
#define WORD(name_, list)        .name = name_, .kind = SG_KIND_WORD, .words = list
#define CUSTOM(name_, verb)                                                                        \
    .name = name_, .kind = SG_KIND_CUSTOM, .read = sg_read_##verb, .echo = sg_echo_##verb

static const struct sg_key study_keys[] = {
    {.name = "name", .kind = SG_KIND_TEXT, IN_JOB(name)},
    {.name = "output", .kind = SG_KIND_TEXT, IN_JOB(output), .flags = SG_KEY_LOCAL},
    {.name = "seed", .kind = SG_KIND_INT, IN_JOB(seed), .max = SG_SEED_MAX, .fallback = "2017"},
    {0}};

static const struct sg_key explain_keys[] = {
    {.name = "tensor", .kind = SG_KIND_TEXT, IN_JOB(tensor), .fallback = "auto"},
    {.name = "input", .kind = SG_KIND_TEXT, IN_JOB(input), .fallback = "auto"},
    {WORD("score", words_score), IN_JOB(score), .fallback = "logit"},
    {0}};

static const struct sg_key model_keys[] = {
    {.name = "file", .kind = SG_KIND_FILE, IN_JOB(model_file), .flags = SG_KEY_REQUIRED},
    {CUSTOM("shape", shape), IN_JOB(shape)},
    {MAP("explain", explain_keys)},
    {CUSTOM("inputs", inputs), .offset = offsetof(struct sg_draft, job)},
    {0}};

static const struct sg_key domain_keys[] = {
    {WORD("space", words_pixel), IN_DRAFT(domain_space), .fallback = "pixel"},
    {CUSTOM("bounds", bounds), IN_JOB(data), .flags = SG_KEY_REQUIRED},
    {0}};

static const struct sg_key preprocess_keys[] = {
    {.name = "resize",
     .kind = SG_KIND_INT,
     IN_JOB(data.preprocess.resize),
     .min = 1,
     .max = 1 << 14},
    {CUSTOM("crop", crop), IN_JOB(data.preprocess)},
    {WORD("exif", words_exif), IN_JOB(data.preprocess.exif), .fallback = "ignore"},
    {.name = "white",
     .kind = SG_KIND_NUMBER,
     IN_JOB(data.preprocess.white),
     .high = INFINITY,
     .flags = SG_KEY_ABOVE | SG_KEY_QUIET},
    {WORD("color", words_color), IN_JOB(data.preprocess.color), .fallback = "rgb"},
    {.name = "scale",
     .kind = SG_KIND_NUMBER,
     IN_JOB(data.preprocess.scale),
     .high = INFINITY,
     .flags = SG_KEY_ABOVE,
     .fallback = "1"},
    {CUSTOM("mean", mean), IN_JOB(data.preprocess)},
    {CUSTOM("std", std), IN_JOB(data.preprocess)},
    {0}};

/* A file, an array inside of it, and one of class numbers. */
#define ARRAY_KEYS(source, array_, flags_)                                                         \
    {.name = "file",                                                                               \
     .kind = SG_KIND_FILE,                                                                         \
     IN_SOURCE(source, path),                                                                      \
     .flags = SG_KEY_REQUIRED | SG_KEY_QUIET},                                                     \
        {.name = array_, .kind = SG_KIND_TEXT, IN_SOURCE(source, array), .flags = flags_}, {       \
        .name = "labels", .kind = SG_KIND_TEXT, IN_SOURCE(source, labels), .flags = SG_KEY_QUIET   \
    }

static const struct sg_key npz_keys[] = {ARRAY_KEYS(SG_SOURCE_NPZ, "array", SG_KEY_QUIET), {0}};
static const struct sg_key hdf5_keys[] = {
    ARRAY_KEYS(SG_SOURCE_HDF5, "dataset", SG_KEY_REQUIRED | SG_KEY_QUIET), {0}};

/* One of the sources; job.c sees to that. */
static const struct sg_key data_keys[] = {
    {.name = "folder",
     .kind = SG_KIND_FOLDER,
     IN_SOURCE(SG_SOURCE_FOLDER, path),
     .flags = SG_KEY_QUIET},
    {.name = "list", .kind = SG_KIND_FILE, IN_SOURCE(SG_SOURCE_LIST, path), .flags = SG_KEY_QUIET},
    {CUSTOM("tar", tar), IN_SOURCE(SG_SOURCE_TAR, path)},
    {.name = "idx", .kind = SG_KIND_FILE, IN_SOURCE(SG_SOURCE_IDX, path), .flags = SG_KEY_QUIET},
    {.name = "npy", .kind = SG_KIND_FILE, IN_SOURCE(SG_SOURCE_NPY, path), .flags = SG_KEY_QUIET},
    {MAP("npz", npz_keys)},
    {MAP("hdf5", hdf5_keys)},
    {.name = "labels", .kind = SG_KIND_FILE, IN_JOB(data.labels)},
    {WORD("layout", words_layout), IN_JOB(data.layout), .fallback = "auto"},
    {.name = "class_names", .kind = SG_KIND_FILE, IN_JOB(data.class_names)},
    {.name = "limit", .kind = SG_KIND_INT, IN_JOB(data.limit), .min = 1, .max = INT64_MAX},
    {CUSTOM("indices", indices), IN_JOB(data)},
    {MAP("domain", domain_keys)},
    {MAP("preprocess", preprocess_keys)},
    {0}};

static const struct sg_key noise_keys[] = {
    {CUSTOM("level", level), IN_PARAMS(sampling), .fallback = "0.15", .excludes = "sigma",
     .flags = SG_KEY_EXPANDS, .suffix = "l", .uses = SG_USES_AMOUNT},
    {CUSTOM("sigma", sigma), IN_PARAMS(sampling), .flags = SG_KEY_EXPANDS, .suffix = "s",
     .uses = SG_USES_AMOUNT},
    {WORD("range", words_range), IN_PARAMS(sampling.range), .fallback = "item", .excludes = "sigma",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_AMOUNT},
    {WORD("space", words_space), IN_PARAMS(sampling.space), .fallback = "input",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_AMOUNT},
    {CUSTOM("channels", channels), IN_PARAMS(sampling.channels), .fallback = "all",
     .uses = SG_USES_NOISE},
    {WORD("clean", words_clean), IN_PARAMS(sampling.clean), .fallback = "none",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_CLEAN},
    {WORD("outside", words_outside), IN_PARAMS(sampling.outside), .fallback = "keep",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_NOISE},
    {0}};

/* Noise on the model's weights; only methods that have it, or entries that ask for it, look at it.
 */
static const struct sg_key weights_keys[] = {
    {.name = "draws",
     .kind = SG_KIND_INT,
     IN_PARAMS(sampling.draws),
     .min = 1,
     .max = 1 << 20,
     .fallback = "10",
     .flags = SG_KEY_EXPANDS,
     .suffix = "m",
     .uses = SG_USES_WEIGHTS},
    {.name = "tau",
     .kind = SG_KIND_NUMBER,
     IN_PARAMS(sampling.weights.tau),
     .high = INFINITY,
     .fallback = "0.2",
     .flags = SG_KEY_EXPANDS,
     .suffix = "tau",
     .uses = SG_USES_WEIGHTS},
    {WORD("noise", words_weights), IN_PARAMS(sampling.weights.kind), .fallback = "multiplicative",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_WEIGHTS},
    {CUSTOM("only", scope), IN_PARAMS(sampling.weights.only), .uses = SG_USES_WEIGHTS},
    {CUSTOM("except", scope), IN_PARAMS(sampling.weights.except), .uses = SG_USES_WEIGHTS},
    {0}};

static const struct sg_key sampling_keys[] = {
    {.name = "samples",
     .kind = SG_KIND_INT,
     IN_DRAFT(defaults.sampling.samples),
     .min = 1,
     .max = SG_SAMPLES_MAX,
     .fallback = "50",
     .flags = SG_KEY_LOCAL},
    {.name = "block",
     .kind = SG_KIND_INT,
     IN_JOB(block),
     .min = 1,
     .max = SG_MAX_BLOCK,
     .fallback = "16"},
    {MAP("noise", noise_keys), IN_DRAFT(defaults), .flags = SG_KEY_LOCAL},
    {MAP("weights", weights_keys), IN_DRAFT(defaults), .flags = SG_KEY_LOCAL},
    {WORD("nonfinite", words_nonfinite), IN_JOB(nonfinite), .fallback = "fail"},
    {0}};

static const struct sg_key maps_keys[] = {
    {WORD("channels", words_reduction), IN_DRAFT(defaults.reduction), .fallback = "none",
     .flags = SG_KEY_LOCAL},
    {WORD("space", words_space), IN_DRAFT(defaults.space), .fallback = "input",
     .flags = SG_KEY_LOCAL},
    {CUSTOM("filter", filter), IN_DRAFT(defaults.filter), .flags = SG_KEY_LOCAL},
    {WORD("dtype", words_dtype), IN_DRAFT(dtype), .fallback = "float32"},
    {WORD("standard_error", words_bool), IN_DRAFT(defaults.standard_error), .fallback = "true",
     .flags = SG_KEY_LOCAL},
    {0}};

static const struct sg_key run_keys[] = {
    {.name = "max_hours", .kind = SG_KIND_NUMBER, IN_JOB(max_hours), .high = INFINITY},
    {.name = "checkpoint_seconds",
     .kind = SG_KIND_NUMBER,
     IN_JOB(checkpoint_seconds),
     .high = INFINITY,
     .fallback = "60"},
    {.name = "memory_mb", .kind = SG_KIND_NUMBER, IN_JOB(memory_mb), .high = INFINITY},
    {WORD("share_weights", words_bool), IN_JOB(share_weights), .fallback = "true"},
    {.name = "max_failed",
     .kind = SG_KIND_INT,
     IN_JOB(max_failed),
     .min = -1,
     .max = INT64_MAX,
     .fallback = "-1"},
    {WORD("events", words_bool), IN_JOB(events), .fallback = "true"},
    {0}};

const struct sg_key sg_default_keys[] = {
    {MAP("sampling", sampling_keys)}, {MAP("maps", maps_keys)}, {0}};

/* `methods` is the last one: its instances inherit what the others say. Where `sampling` and `maps`
 * are silent the job's `like` holds, else their defaults: both are there before they are read. */
const struct sg_key sg_job_keys[] = {
    {CUSTOM("like", name), .flags = SG_KEY_LOCAL},
    {MAP("study", study_keys)},
    {MAP("model", model_keys), .flags = SG_KEY_REQUIRED},
    {MAP("data", data_keys), .flags = SG_KEY_REQUIRED},
    {CUSTOM("target", target), .fallback = "predicted"},
    {WORD("precision", words_precision), IN_JOB(precision), .fallback = "float32"},
    {MAP("sampling", sampling_keys), .flags = SG_KEY_INHERITS},
    {MAP("maps", maps_keys), .flags = SG_KEY_INHERITS},
    {MAP("run", run_keys), .flags = SG_KEY_LOCAL},
    {CUSTOM("methods", methods), .flags = SG_KEY_REQUIRED},
    {0}};

const struct sg_key sg_instance_keys[] = {
    {CUSTOM("method", name), .flags = SG_KEY_REQUIRED},
    {CUSTOM("as", name)},
    {CUSTOM("like", name), .flags = SG_KEY_EXPANDS | SG_KEY_LOCAL, .uses = SG_USES_CLEAN},
    {.name = "samples",
     .kind = SG_KIND_INT,
     IN_PARAMS(sampling.samples),
     .min = 1,
     .max = SG_SAMPLES_MAX,
     .flags = SG_KEY_EXPANDS,
     .suffix = "n",
     .uses = SG_USES_SAMPLES},
    {MAP("noise", noise_keys), .flags = SG_KEY_INHERITS, .uses = SG_USES_CLEAN},
    {MAP("weights", weights_keys), .flags = SG_KEY_INHERITS, .uses = SG_USES_DRAWS},
    {WORD("rule", words_rule), IN_PARAMS(probing.rule), .fallback = "gradient",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_RULE},
    {WORD("absolute", words_bool), IN_PARAMS(probing.absolute), .fallback = "false",
     .uses = SG_USES_ABSOLUTE},
    {WORD("scale", words_scale), IN_PARAMS(scale), .fallback = "none", .flags = SG_KEY_EXPANDS,
     .uses = SG_USES_GATES},
    {WORD("groups", words_groups), IN_PARAMS(groups), .fallback = "16", .uses = SG_USES_GATES},
    {.name = "confidence",
     .kind = SG_KIND_NUMBER,
     IN_PARAMS(sampling.confidence),
     .high = 1.0,
     .flags = SG_KEY_ABOVE | SG_KEY_BELOW | SG_KEY_EXPANDS,
     .fallback = "0.95",
     .suffix = "c",
     .uses = SG_USES_CONFIDENCE},
    {CUSTOM("layer", layer), IN_PARAMS(probing), .flags = SG_KEY_EXPANDS, .uses = SG_USES_LAYER},
    {WORD("bounds", words_bounds), IN_PARAMS(sampling.bounds), .fallback = "channel",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_CONFIDENCE},
    {WORD("z", words_z), IN_PARAMS(sampling.z), .fallback = "centred", .flags = SG_KEY_EXPANDS,
     .uses = SG_USES_CONFIDENCE},
    {WORD("divisor", words_divisor), IN_PARAMS(divisor), .fallback = "unbiased",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_DIVISOR},
    {CUSTOM("of", name), .flags = SG_KEY_LOCAL, .uses = SG_USES_OF},
    {CUSTOM("baseline", baseline), IN_PARAMS(probing.path), .fallback = "zero",
     .uses = SG_USES_PATH},
    {WORD("quadrature", words_quadrature), IN_PARAMS(probing.path.quadrature),
     .fallback = "gauss_legendre", .flags = SG_KEY_EXPANDS, .uses = SG_USES_QUADRATURE},
    {CUSTOM("nodes", nodes), IN_PARAMS(probing.path.nodes), .flags = SG_KEY_EXPANDS, .suffix = "q",
     .uses = SG_USES_NODES},
    {.name = "threshold",
     .kind = SG_KIND_NUMBER,
     IN_PARAMS(probing.path.threshold),
     .high = 1.0,
     .flags = SG_KEY_ABOVE | SG_KEY_BELOW | SG_KEY_EXPANDS | SG_KEY_QUIET,
     .suffix = "t",
     .uses = SG_USES_THRESHOLD},
    {WORD("threshold_on", words_threshold_on), IN_PARAMS(probing.path.threshold_on),
     .fallback = "score", .flags = SG_KEY_EXPANDS, .uses = SG_USES_THRESHOLD},
    {.name = "fraction",
     .kind = SG_KIND_NUMBER,
     IN_PARAMS(probing.path.fraction),
     .high = 1.0,
     .flags = SG_KEY_ABOVE | SG_KEY_EXPANDS,
     .fallback = "0.25",
     .suffix = "f",
     .uses = SG_USES_GUIDANCE},
    {.name = "max_distance",
     .kind = SG_KIND_NUMBER,
     IN_PARAMS(probing.path.max_distance),
     .high = 1.0,
     .flags = SG_KEY_EXPANDS,
     .fallback = "0.02",
     .suffix = "d",
     .uses = SG_USES_GUIDANCE},
    {CUSTOM("maps", maps), IN_PARAMS(cam), .uses = SG_USES_CAM},
    {CUSTOM("neurons", neurons), IN_PARAMS(cam), .uses = SG_USES_CAM},
    {WORD("numerator", words_numerator), IN_PARAMS(cam.numerator), .fallback = "second",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_NUMERATOR},
    {WORD("denominator", words_denominator), IN_PARAMS(cam.denominator), .fallback = "local",
     .flags = SG_KEY_EXPANDS, .uses = SG_USES_DENOMINATOR},
    {WORD("relu", words_bool), IN_PARAMS(cam.relu), .fallback = "true", .uses = SG_USES_CAM},
    {WORD("size", words_size), IN_PARAMS(cam.size), .fallback = "layer", .flags = SG_KEY_EXPANDS,
     .uses = SG_USES_CAM},
    {WORD("channels", words_reduction), IN_PARAMS(reduction), .flags = SG_KEY_EXPANDS,
     .uses = SG_USES_CHANNELS},
    {CUSTOM("filter", filter), IN_PARAMS(filter)},
    {WORD("space", words_space), IN_PARAMS(space), .flags = SG_KEY_EXPANDS, .uses = SG_USES_SPACE},
    {WORD("standard_error", words_bool), IN_PARAMS(standard_error)},
    {0}};
