/* src/data/names.c - names of image files, and the classes that their folders are. */
#include "data/data_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <string.h>
#include <strings.h>

int sg_is_image_name(const char *name) {
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

sg_status sg_check_name(const char *where, const char *name) {
    sg_status status = SG_OK;

    for (const char *s = name; *s != '\0'; s += sg_text_character(s)) {
        SG_CHECK((unsigned char)*s >= 0x20 && sg_text_character(s) > 0, SG_E_JOB,
                 "%s: the name %s is no UTF-8 text, or holds control characters: rename the file",
                 where, name);
    }
done:
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

static sg_status check_no_empty_class(const char *where, const struct sg_strings *folders,
                                      const struct sg_strings *classes) {
    sg_status status = SG_OK;

    for (int64_t i = 0; classes->n > 0 && i < folders->n; i++) {
        const char *name = sg_strings_at(folders, i);

        SG_CHECK(sg_strings_find_sorted(classes, name, strlen(name)) >= 0, SG_E_JOB,
                 "%s/%s holds no image, so the classes cannot be numbered: remove it or fill it",
                 where, name);
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

sg_status sg_classes_of_names(const char *where, const struct sg_strings *names,
                              const struct sg_strings *folders, struct sg_strings *classes,
                              int32_t **labels) {
    sg_status status = SG_OK;

    SG_TRY(collect_classes(names, classes));
    SG_TRY(check_no_empty_class(where, folders, classes));
    SG_TRY(number_labels(names, classes, labels));
done:
    return status;
}
