/* src/data/folder.c - image files below a folder, in an order that only their names decide. */
#include "data/data_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32 };

struct walk {
    char path[PATH_MAX]; /* where the walk stands */
    size_t root_length;
    struct stat trail[MAX_DEPTH]; /* the folders above, to notice links that lead back */
    struct sg_strings *names;
    struct sg_strings first_level; /* names of the root's sub-folders */
};

/* Links are followed; where the system does not tell (DT_UNKNOWN) stat does. A link into nowhere
 * counts as a file: it fails when it is read, instead of missing without a word. */
static int is_folder(const char *path, const struct dirent *entry) {
    struct stat st;

    if (entry->d_type == DT_REG || entry->d_type == DT_DIR) {
        return entry->d_type == DT_DIR;
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static sg_status walk_folder(struct walk *w, int depth);

static sg_status visit(struct walk *w, const struct dirent *entry, int depth) {
    sg_status status = SG_OK;
    const size_t length = strlen(w->path);
    const size_t more = strlen(entry->d_name);

    SG_CHECK(length + more + 2 <= sizeof w->path, SG_E_JOB, "data.folder: %s: a path is too long",
             w->path);
    (void)snprintf(w->path + length, sizeof w->path - length, "/%s", entry->d_name);
    if (is_folder(w->path, entry)) {
        if (depth == 0) {
            SG_TRY(sg_strings_add(&w->first_level, entry->d_name, more));
        }
        SG_TRY(walk_folder(w, depth + 1));
    } else if (sg_is_image_name(entry->d_name)) {
        const char *name = w->path + w->root_length + 1;

        SG_TRY(sg_check_name("data.folder", name));
        SG_TRY(sg_strings_add(w->names, name, strlen(name)));
    }
done:
    w->path[length] = '\0';
    return status;
}

/* 1 if the folder at this depth is one of those above it. */
static int is_loop(const struct walk *w, int depth) {
    const struct stat *here = &w->trail[depth];

    for (int i = 0; i < depth; i++) {
        if (w->trail[i].st_dev == here->st_dev && w->trail[i].st_ino == here->st_ino) {
            return 1;
        }
    }
    return 0;
}

static sg_status walk_folder(struct walk *w, int depth) {
    sg_status status = SG_OK;
    const struct dirent *entry;
    DIR *dir = NULL;

    SG_CHECK(depth < MAX_DEPTH, SG_E_JOB, "data.folder: %s lies more than %d folders deep", w->path,
             MAX_DEPTH);
    dir = opendir(w->path);
    SG_CHECK(dir != NULL && fstat(dirfd(dir), &w->trail[depth]) == 0, SG_E_JOB,
             "data.folder: %s cannot be read: %s", w->path, strerror(errno));
    if (is_loop(w, depth)) {
        goto done;
    }
    for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
        if (entry->d_name[0] != '.') {
            SG_TRY(visit(w, entry, depth));
        }
    }
    SG_CHECK(errno == 0, SG_E_JOB, "data.folder: %s cannot be read: %s", w->path, strerror(errno));
done:
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return status;
}

static sg_status start_walk(struct walk *w, const char *path, struct sg_strings *names) {
    sg_status status = SG_OK;
    size_t length = strlen(path);

    SG_CHECK(length > 0 && length < sizeof w->path, SG_E_JOB,
             "data.folder: the path is empty or too long");
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    memcpy(w->path, path, length);
    w->root_length = length == 1 && path[0] == '/' ? 0 : length;
    w->path[w->root_length] = '\0';
    if (w->root_length == 0) {
        (void)strcpy(w->path, "/.");
        w->root_length = 2;
    }
    w->names = names;
done:
    return status;
}

static sg_status list(struct sg_items *items, const struct sg_data_options *options,
                      struct sg_listing *out) {
    sg_status status = SG_OK;
    const char *path = options->path;
    struct walk *w = sg_calloc(1, sizeof *w);
    struct sg_text where = {0};

    sg_text_add(&where, "data.folder: %s", path);
    SG_CHECK(w != NULL && !where.failed, SG_E_NOMEM, "no memory to list %s", path);
    SG_TRY(start_walk(w, path, &out->names));
    SG_TRY(walk_folder(w, 0));
    SG_CHECK(out->names.n > 0, SG_E_JOB,
             "data.folder: there is no image (" SG_IMAGE_ENDINGS ") in %s or below it", path);
    sg_strings_sort(&out->names);
    SG_TRY(sg_classes_of_names(where.data, &out->names, &w->first_level, &items->classes,
                               &out->labels));
    out->n = out->names.n;
done:
    if (w != NULL) {
        sg_strings_free(&w->first_level);
        sg_free(w);
    }
    sg_text_free(&where);
    return status;
}

/* "<folder>/<name>", for the caller (sg_free), or NULL. */
static char *file_path(const struct sg_items *items, int64_t i) {
    struct sg_text path = {0};

    sg_text_add(&path, "%s/%s", items->path, sg_strings_at(&items->names, i));
    if (path.failed) {
        sg_text_free(&path);
    }
    return path.data;
}

static sg_status read_file(struct sg_items *items, int64_t i, struct sg_image *out) {
    return sg_decode_file(file_path(items, i), out);
}

static void prefetch(struct sg_items *items, int64_t i) {
    sg_prefetch_file(file_path(items, i));
}

const struct sg_source_kind sg_source_folder = {
    .name = "folder", .list = list, .read = read_file, .prefetch = prefetch};
