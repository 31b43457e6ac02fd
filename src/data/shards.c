/* src/data/shards.c - images inside of tar archives: listed once by rank 0, read at their places.
 *
 * Names are those inside the archives, so that a folder and the archive made of it are the same
 * items, however it was cut into shards. A .tar inside of an archive counts as a folder of its name
 * (ImageNet comes so). */
#include "data/data_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NESTED = 4, MAX_LABEL_BYTES = 32, MAX_NAME = 4096 };

/* What is known of an image in the making of the list. */
struct image {
    int64_t name; /* number in w->names */
    struct sg_place place;
    int32_t label;
};

struct walk {
    struct sg_items *items;
    struct sg_stream *stream;
    int32_t file;
    int depth;
    char *prefix; /* of names, "" or "n01440764/" */
    struct sg_strings names;
    struct image *images; /* [n] */
    int64_t n;
    int64_t capacity;
    struct sg_strings keys; /* of .cls files: their names without the ending */
    int32_t *classes;       /* [keys.n] */
    int64_t n_classes;      /* room */
    struct sg_strings folders;
};

static sg_status grow(void **array, int64_t *capacity, int64_t n, size_t size) {
    sg_status status = SG_OK;
    void *p;

    if (n < *capacity) {
        return SG_OK;
    }
    p = sg_realloc(*array, (size_t)(*capacity > 0 ? 2 * *capacity : 256), size);
    SG_CHECK(p != NULL, SG_E_NOMEM, "no memory for the list of items");
    *array = p;
    *capacity = *capacity > 0 ? 2 * *capacity : 256;
done:
    return status;
}

/* ---- the archives ---- */

/* The files that a pattern means, sorted bytewise. A file whose own name looks like a pattern is
 * found, too: where nothing matches, the pattern itself is tried. */
static sg_status add_pattern(struct sg_items *items, const char *pattern) {
    sg_status status = SG_OK;
    struct sg_strings found = {0};
    glob_t g = {0};
    int code = glob(pattern, GLOB_NOSORT, NULL, &g);

    if (code == GLOB_NOMATCH && access(pattern, F_OK) == 0) {
        code = glob(pattern, GLOB_NOCHECK, NULL, &g);
    }

    SG_CHECK(code != GLOB_NOSPACE, SG_E_NOMEM, "no memory for the names of archives");
    SG_CHECK(code == 0, SG_E_JOB, "data.tar: there is no file %s", pattern);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        SG_TRY(sg_strings_add(&found, g.gl_pathv[i], strlen(g.gl_pathv[i])));
    }
    sg_strings_sort(&found);
    for (int64_t i = 0; i < found.n; i++) {
        const char *path = sg_strings_at(&found, i);

        for (int64_t k = 0; k < items->files.n; k++) {
            SG_CHECK(strcmp(sg_strings_at(&items->files, k), path) != 0, SG_E_JOB,
                     "data.tar: %s is named twice", path);
        }
        SG_TRY(sg_strings_add(&items->files, path, strlen(path)));
    }
done:
    globfree(&g);
    sg_strings_free(&found);
    return status;
}

/* `patterns`: one a line. */
static sg_status add_patterns(struct sg_items *items, const char *patterns) {
    sg_status status = SG_OK;
    char *copy = sg_strdup(patterns);
    char *rest = NULL;

    SG_CHECK(copy != NULL, SG_E_NOMEM, "no memory for the names of archives");
    for (char *p = strtok_r(copy, "\n", &rest); p != NULL; p = strtok_r(NULL, "\n", &rest)) {
        SG_TRY(add_pattern(items, p));
    }
done:
    sg_free(copy);
    return status;
}

/* ---- their entries ---- */

/* Hidden files, and those in hidden folders, are no part of a data set: macOS leaves some. */
static int is_hidden(const char *name) {
    return name[0] == '.' || strstr(name, "/.") != NULL;
}

static int ends_with(const char *name, const char *ending) {
    const size_t n = strlen(name);
    const size_t m = strlen(ending);

    return n > m && strcmp(name + n - m, ending) == 0;
}

/* The class number in a .cls file, whose name up to its first dot is that of its image. */
static sg_status add_class(struct walk *w, const char *name, const struct sg_tar_entry *entry) {
    sg_status status = SG_OK;
    char text[MAX_LABEL_BYTES + 1] = "";
    int64_t value = -1;
    void *classes = w->classes;

    SG_CHECK(entry->bytes <= MAX_LABEL_BYTES, SG_E_JOB,
             "data.tar: %s of %s has %lld bytes, which is no class number", name,
             sg_strings_at(&w->items->files, w->file), (long long)entry->bytes);
    status = sg_stream_read(w->stream, entry->offset, text, (size_t)entry->bytes);
    SG_TRY(sg_source_refuse(w->items, status));
    text[strcspn(text, " \t\r\n")] = '\0';
    SG_CHECK(sg_text_to_int(text, &value) == SG_OK && value >= 0 && value <= INT32_MAX, SG_E_JOB,
             "data.tar: %s of %s holds '%s', which is no class number: they are 0 to 2147483647",
             name, sg_strings_at(&w->items->files, w->file), text);
    status = grow(&classes, &w->n_classes, w->keys.n, sizeof *w->classes);
    w->classes = classes;
    SG_TRY(status);
    w->classes[w->keys.n] = (int32_t)value;
    SG_TRY(sg_strings_add(&w->keys, name, strlen(name) - strlen(".cls")));
done:
    return status;
}

static sg_status add_image(struct walk *w, const char *name, const struct sg_tar_entry *entry) {
    sg_status status = SG_OK;
    void *images = w->images;

    SG_CHECK(entry->type == '0', SG_E_JOB,
             "data.tar: %s of %s is a link, or a file with holes: make the archive with "
             "--dereference --hard-dereference, without --sparse",
             name, sg_strings_at(&w->items->files, w->file));
    status = grow(&images, &w->capacity, w->n, sizeof *w->images);
    w->images = images;
    SG_TRY(status);
    w->images[w->n] = (struct image){
        .name = w->names.n,
        .place = {.offset = entry->offset,
                  .bytes = entry->bytes < UINT32_MAX ? (uint32_t)entry->bytes : UINT32_MAX,
                  .file = w->file},
        .label = -1};
    SG_TRY(sg_check_name("data.tar", name));
    SG_TRY(sg_strings_add(&w->names, name, strlen(name)));
    w->n++;
done:
    return status;
}

static sg_status visit(void *context, const struct sg_tar_entry *entry);

/* The archive inside of the archive at hand: "n01440764.tar" stands for "n01440764/". */
static sg_status enter_nested(struct walk *w, const char *name, const struct sg_tar_entry *entry) {
    sg_status status = SG_OK;
    struct sg_text where = {0};
    struct sg_text prefix = {0};
    char *outer = w->prefix;

    sg_text_add(&where, "data.tar: %s, %s", sg_strings_at(&w->items->files, w->file), name);
    sg_text_add(&prefix, "%.*s/", (int)(strlen(name) - strlen(".tar")), name);
    SG_CHECK(!where.failed && !prefix.failed, SG_E_NOMEM, "no memory for a name");
    SG_CHECK(++w->depth <= MAX_NESTED, SG_E_JOB, "%s: archives lie more than %d deep in each other",
             where.data, MAX_NESTED);
    w->prefix = prefix.data;
    if (strchr(name, '/') == NULL) {
        SG_TRY(sg_strings_add(&w->folders, name, strlen(name) - strlen(".tar")));
    }
    SG_TRY(
        sg_tar_scan(w->stream, entry->offset, entry->offset + entry->bytes, where.data, visit, w));
    w->depth--;
done:
    w->prefix = outer;
    sg_text_free(&where);
    sg_text_free(&prefix);
    return status;
}

/* "./a/" of a folder is "a"; 0 for the archive's own root and for what lies deeper. */
static sg_status add_folder(struct walk *w, const char *name) {
    sg_status status = SG_OK;
    size_t n = strlen(name);

    while (n > 0 && name[n - 1] == '/') {
        n--;
    }
    if (n > 0 && memchr(name, '/', n) == NULL) {
        SG_TRY(sg_strings_add(&w->folders, name, n));
    }
done:
    return status;
}

static sg_status visit(void *context, const struct sg_tar_entry *entry) {
    sg_status status = SG_OK;
    struct walk *w = context;
    struct sg_text full = {0};
    const char *name = entry->name;

    while (name[0] == '/' || (name[0] == '.' && name[1] == '/')) {
        name++;
    }
    if (is_hidden(name) || name[0] == '\0') {
        return SG_OK;
    }
    sg_text_add(&full, "%s%s", w->prefix, name);
    SG_CHECK(!full.failed, SG_E_NOMEM, "no memory for a name");
    SG_CHECK(full.length <= MAX_NAME, SG_E_JOB,
             "data.tar: %s holds a name of %lld bytes: at most %d are read",
             sg_strings_at(&w->items->files, w->file), (long long)full.length, MAX_NAME);
    if (entry->type == '5') {
        SG_TRY(add_folder(w, full.data));
    } else if (sg_is_image_name(full.data)) {
        SG_TRY(add_image(w, full.data, entry));
    } else if (entry->type == '0' && ends_with(full.data, ".cls")) {
        SG_TRY(add_class(w, full.data, entry));
    } else if (entry->type == '0' && ends_with(full.data, ".tar")) {
        SG_TRY(enter_nested(w, full.data, entry));
    }
done:
    sg_text_free(&full);
    return status;
}

static sg_status scan_file(struct walk *w, int32_t file) {
    sg_status status = SG_OK;
    const char *path = sg_strings_at(&w->items->files, file);
    struct sg_text where = {0};

    sg_text_add(&where, "data.tar: %s", path);
    SG_CHECK(!where.failed, SG_E_NOMEM, "no memory for a name");
    w->file = file;
    status = sg_stream_open(path, 0, SG_E_JOB, &w->stream);
    SG_CHECK(status != SG_E_JOB, SG_E_JOB, "%s: %s", where.data, sg_trace_message());
    SG_TRY(status);
    SG_TRY(sg_tar_scan(w->stream, 0, sg_stream_length(w->stream), where.data, visit, w));
done:
    sg_stream_close(w->stream);
    w->stream = NULL;
    sg_text_free(&where);
    return status;
}

/* ---- the list ---- */

static int compare_images(const void *a, const void *b, void *names) {
    return strcmp(sg_strings_at(names, ((const struct image *)a)->name),
                  sg_strings_at(names, ((const struct image *)b)->name));
}

static sg_status check_unique(const struct walk *w) {
    sg_status status = SG_OK;

    for (int64_t i = 1; i < w->n; i++) {
        const char *name = sg_strings_at(&w->names, w->images[i].name);

        SG_CHECK(strcmp(sg_strings_at(&w->names, w->images[i - 1].name), name) != 0, SG_E_JOB,
                 "data.tar: there are two images %s, in %s and in %s: an item's name must be its "
                 "own",
                 name, sg_strings_at(&w->items->files, w->images[i - 1].place.file),
                 sg_strings_at(&w->items->files, w->images[i].place.file));
    }
done:
    return status;
}

struct key {
    const char *name;
    int64_t n; /* number in w->keys */
};

static int compare_keys(const void *a, const void *b) {
    return strcmp(((const struct key *)a)->name, ((const struct key *)b)->name);
}

/* Bytes of a name up to the first dot behind its last slash: what files of one sample share. */
static size_t key_length(const char *name) {
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    const char *dot = strchr(base, '.');

    return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

/* Where there are .cls files, they alone say what class an image is of. */
static sg_status label_by_files(struct walk *w, int32_t *labels) {
    sg_status status = SG_OK;
    struct key *keys = sg_calloc((size_t)w->keys.n, sizeof *keys);
    char *own = NULL;

    SG_CHECK(keys != NULL, SG_E_NOMEM, "no memory for the list of items");
    for (int64_t i = 0; i < w->keys.n; i++) {
        keys[i] = (struct key){sg_strings_at(&w->keys, i), i};
    }
    qsort(keys, (size_t)w->keys.n, sizeof *keys, compare_keys);
    for (int64_t i = 1; i < w->keys.n; i++) {
        SG_CHECK(strcmp(keys[i - 1].name, keys[i].name) != 0, SG_E_JOB,
                 "data.tar: there are two files %s.cls: a sample has one label", keys[i].name);
    }
    for (int64_t i = 0; i < w->n; i++) {
        const struct key *found;
        struct key wanted = {0};

        own = sg_strdup(sg_strings_at(&w->names, w->images[i].name));
        SG_CHECK(own != NULL, SG_E_NOMEM, "no memory for a name");
        own[key_length(own)] = '\0';
        wanted.name = own;
        found = bsearch(&wanted, keys, (size_t)w->keys.n, sizeof *keys, compare_keys);
        labels[i] = found != NULL ? w->classes[found->n] : -1;
        sg_free(own);
        own = NULL;
    }
done:
    sg_free(own);
    sg_free(keys);
    return status;
}

static sg_status hand_over(struct walk *w, struct sg_listing *out) {
    sg_status status = SG_OK;

    out->places = sg_calloc((size_t)w->n, sizeof *out->places);
    SG_CHECK(out->places != NULL, SG_E_NOMEM, "no memory for the list of items");
    for (int64_t i = 0; i < w->n; i++) {
        const char *name = sg_strings_at(&w->names, w->images[i].name);

        SG_TRY(sg_strings_add(&out->names, name, strlen(name)));
        out->places[i] = w->images[i].place;
    }
    out->n = w->n;
    if (w->keys.n > 0) {
        out->labels = sg_calloc((size_t)w->n, sizeof *out->labels);
        SG_CHECK(out->labels != NULL, SG_E_NOMEM, "no memory for %lld labels", (long long)w->n);
        SG_TRY(label_by_files(w, out->labels));
    } else {
        SG_TRY(sg_classes_of_names("data.tar: ", &out->names, &w->folders, &w->items->classes,
                                   &out->labels));
    }
done:
    return status;
}

static sg_status list(struct sg_items *items, const struct sg_data_options *options,
                      struct sg_listing *out) {
    sg_status status = SG_OK;
    char none[] = "";
    struct walk w = {.items = items, .prefix = none};

    SG_TRY(add_patterns(items, options->path));
    for (int32_t i = 0; i < items->files.n; i++) {
        SG_TRY(scan_file(&w, i));
    }
    SG_CHECK(w.n > 0, SG_E_JOB, "data.tar: there is no image (" SG_IMAGE_ENDINGS ") in %s%s",
             sg_strings_at(&items->files, 0), items->files.n > 1 ? " and the others" : "");
    qsort_r(w.images, (size_t)w.n, sizeof *w.images, compare_images, &w.names);
    SG_TRY(check_unique(&w));
    SG_TRY(hand_over(&w, out));
done:
    sg_strings_free(&w.names);
    sg_strings_free(&w.keys);
    sg_strings_free(&w.folders);
    sg_free(w.images);
    sg_free(w.classes);
    return status;
}

/* ---- one image ---- */

/* The archive of the last item stays open. */
static sg_status open_archive(struct sg_items *items, int64_t file) {
    sg_status status = SG_OK;

    if (items->stream != NULL && items->stream_file == file) {
        return SG_OK;
    }
    sg_stream_close(items->stream);
    items->stream = NULL;
    items->stream_file = file;
    SG_TRY(sg_stream_open(sg_strings_at(&items->files, file), 0, SG_E_INPUT, &items->stream));
done:
    return status;
}

static sg_status read_image(struct sg_items *items, int64_t i, struct sg_image *out) {
    static const uint32_t max_bytes = UINT32_C(1) << 30;
    sg_status status = SG_OK;
    const struct sg_place *place = &items->places[i];
    unsigned char *bytes = NULL;

    SG_CHECK(place->bytes <= max_bytes, SG_E_INPUT, "is larger than 1 GiB");
    bytes = sg_calloc((size_t)place->bytes + 1, 1);
    SG_CHECK(bytes != NULL, SG_E_NOMEM, "no memory for a file of %lld bytes",
             (long long)place->bytes);
    status = open_archive(items, place->file);
    if (status == SG_OK) {
        status = sg_stream_read(items->stream, place->offset, bytes, (size_t)place->bytes);
    }
    if (status == SG_OK) {
        status = sg_decode(bytes, (size_t)place->bytes, out);
    }
    SG_CHECK(status != SG_E_INPUT, SG_E_INPUT, "%s (at byte %lld of %s)", sg_trace_message(),
             (long long)place->offset, sg_strings_at(&items->files, place->file));
    SG_TRY(status);
done:
    sg_free(bytes);
    return status;
}

static void prefetch(struct sg_items *items, int64_t i) {
    const struct sg_place *place = &items->places[i];

    if (open_archive(items, place->file) == SG_OK) {
        sg_stream_prefetch(items->stream, place->offset, place->bytes);
    }
}

const struct sg_source_kind sg_source_tar = {
    .name = "tar", .list = list, .read = read_image, .prefetch = prefetch};
