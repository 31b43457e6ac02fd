/* tests/fuzz/replay.c - gives a target the bytes of stored files: those named, and all in the
 * folders named. For builds without clang's libFuzzer, so that what was once found stays found. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static int n_files;

static void replay_file(const char *path, size_t size) {
    FILE *f = fopen(path, "rb");
    uint8_t *bytes =
        malloc(size > 0 ? size : 1); /* of its exact size: the sanitizers see overruns */

    FUZZ_CHECK(f != NULL && bytes != NULL && fread(bytes, 1, size, f) == size);
    (void)fclose(f);
    printf("%s\n", path);
    (void)fflush(stdout); /* the last line names the file that ended the program */
    (void)LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    n_files++;
}

static void replay(const char *path) {
    struct stat info;

    FUZZ_CHECK(stat(path, &info) == 0);
    if (S_ISDIR(info.st_mode)) {
        DIR *folder = opendir(path);
        const struct dirent *entry;
        char below[4096];

        FUZZ_CHECK(folder != NULL);
        while ((entry = readdir(folder)) != NULL) {
            if (entry->d_name[0] != '.') {
                (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
                replay(below);
            }
        }
        (void)closedir(folder);
    } else {
        replay_file(path, (size_t)info.st_size);
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    printf("%d files\n", n_files);
    return n_files > 0 ? 0 : 1;
}
