/* src/data/folder.c - image files below a folder, in an order that only their names decide. */
#include "data/data_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32 };

struct walk {
    char path[PATH_MAX]; /* where the walk stands */
    size_t root_length;
    struct stat trail[MAX_DEPTH]; /* the folders above, to notice links that lead back */
    struct sg_strings *names;
    struct sg_strings first_level; /* names of the root's sub-folders */
};

static int is_image_name(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const size_t length = strlen(name);

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t n = strlen(endings[i]);

        if (length > n && strcasecmp(name + length - n, endings[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Links are followed; where the system does not tell (DT_UNKNOWN) stat does. A link into nowhere
 * counts as a file: it fails when it is read, instead of missing without a word. */
static int is_folder(const char *path, const struct dirent *entry) {
    struct stat st;

    if (entry->d_type == DT_REG || entry->d_type == DT_DIR) {
        return entry->d_type == DT_DIR;
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Names are stored as text, which every reader takes for UTF-8. */
static sg_status check_name(const char *name) {
    sg_status status = SG_OK;

    for (const char *s = name; *s != '\0'; s += sg_text_character(s)) {
        SG_CHECK((unsigned char)*s >= 0x20 && sg_text_character(s) > 0, SG_E_JOB,
                 "data.folder: the name %s is no UTF-8 text, or holds control characters: rename "
                 "the file",
                 name);
    }
done:
    return status;
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
    } else if (is_image_name(entry->d_name)) {
        const char *name = w->path + w->root_length + 1;

        SG_TRY(check_name(name));
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

/* Bytes of the first folder in a name, 0 for a name without one. */
static size_t class_length(const char *name) {
    const char *slash = strchr(name, '/');

    return slash != NULL ? (size_t)(slash - name) : 0;
}

/* Names of one class stand together in the sorted list, because they share "class/". */
static sg_status collect_classes(const struct sg_strings *names, struct sg_strings *classes) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < names->n; i++) {
        const char *name = sg_strings_at(names, i);
        const size_t length = class_length(name);
        const char *last = classes->n > 0 ? sg_strings_at(classes, classes->n - 1) : "";

        if (length > 0 && (strncmp(last, name, length) != 0 || last[length] != '\0')) {
            SG_TRY(sg_strings_add(classes, name, length));
        }
    }
    sg_strings_sort(classes);
done:
    return status;
}

/* A class folder without images would shift the numbers of the classes behind it. */
static sg_status check_no_empty_class(const char *path, const struct sg_strings *folders,
                                      const struct sg_strings *classes) {
    sg_status status = SG_OK;

    for (int64_t i = 0; classes->n > 0 && i < folders->n; i++) {
        const char *name = sg_strings_at(folders, i);

        SG_CHECK(sg_strings_find_sorted(classes, name, strlen(name)) >= 0, SG_E_JOB,
                 "data.folder: %s/%s holds no image, so the classes cannot be numbered: remove it "
                 "or fill it",
                 path, name);
    }
done:
    return status;
}

static sg_status number_labels(const struct sg_strings *names, const struct sg_strings *classes,
                               int32_t **out) {
    sg_status status = SG_OK;
    int32_t *labels = sg_calloc((size_t)names->n, sizeof *labels);

    SG_CHECK(labels != NULL, SG_E_NOMEM, "no memory for %lld labels", (long long)names->n);
    for (int64_t i = 0; i < names->n; i++) {
        const char *name = sg_strings_at(names, i);
        const size_t length = class_length(name);

        labels[i] = length > 0 ? (int32_t)sg_strings_find_sorted(classes, name, length) : -1;
    }
    *out = labels;
done:
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

sg_status sg_folder_list(const char *path, struct sg_strings *names, struct sg_strings *classes,
                         int32_t **labels) {
    sg_status status = SG_OK;
    struct walk *w = sg_calloc(1, sizeof *w);

    SG_CHECK(w != NULL, SG_E_NOMEM, "no memory to list %s", path);
    SG_TRY(start_walk(w, path, names));
    SG_TRY(walk_folder(w, 0));
    SG_CHECK(names->n > 0, SG_E_JOB,
             "data.folder: there is no image (.jpg, .jpeg, .png) in %s or below it", path);
    sg_strings_sort(names);
    SG_TRY(collect_classes(names, classes));
    SG_TRY(check_no_empty_class(path, &w->first_level, classes));
    SG_TRY(number_labels(names, classes, labels));
done:
    if (w != NULL) {
        sg_strings_free(&w->first_level);
        sg_free(w);
    }
    return status;
}
