/* memory_fault.c - makes one of the program's own allocations fail, as when memory is out. For
 * LD_PRELOAD.
 *
 *   MEMORY_FAULT_AT=N      the number of the allocation, from 1; 0 or none: all succeed
 *   MEMORY_FAULT_RANK=R    only on this rank of MPI; none: on all
 *   MEMORY_FAULT_LOG=FILE  every counted allocation is written there: number, and where it was
 * asked for, as places in the program from the innermost caller outwards
 *
 * Counted are calloc, realloc and aligned_alloc as the program itself calls them, not its
 * libraries. With MEMORY_FAULT_STAYS all that come after the N-th fail as well. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FRAMES = 24, FIRST_CALLER = 2, SHOWN = 5 };

static uintptr_t program_first;
static uintptr_t program_end;
static uintptr_t program_base;
static long fail_at;
static int stays;
static int log_file = -1;
static int watching;      /* 0 as long as the lines above are not set */
static __thread int busy; /* the system's own functions allocate as well */
static _Atomic long counted;

/* The first object that the loader names is the program. */
static int find_program(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size;
    (void)unused;
    program_base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            program_first = info->dlpi_addr + part->p_vaddr;
            program_end = program_first + part->p_memsz;
        }
    }
    return 1;
}

static int is_of_program(const void *address) {
    return (uintptr_t)address >= program_first && (uintptr_t)address < program_end;
}

__attribute__((constructor)) static void start(void) {
    void *frames[MAX_FRAMES];
    const char *at = getenv("MEMORY_FAULT_AT");
    const char *rank = getenv("MEMORY_FAULT_RANK");
    const char *here = getenv("OMPI_COMM_WORLD_RANK");
    const char *path = getenv("MEMORY_FAULT_LOG");

    (void)dl_iterate_phdr(find_program, NULL);
    (void)backtrace(frames, MAX_FRAMES); /* the first one loads a library */
    fail_at = at != NULL ? atol(at) : 0;
    stays = getenv("MEMORY_FAULT_STAYS") != NULL;
    if (path != NULL) {
        log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
    watching = rank == NULL || (here != NULL && strcmp(rank, here) == 0);
}

static void keep(long number) {
    void *frames[MAX_FRAMES];
    char line[256];
    int length = snprintf(line, sizeof line, "%ld", number);
    const int n = backtrace(frames, MAX_FRAMES);
    int shown = 0;

    for (int i = FIRST_CALLER; i < n && shown < SHOWN; i++) {
        if (is_of_program(frames[i])) {
            length += snprintf(line + length, sizeof line - (size_t)length, " %lx",
                               (unsigned long)((uintptr_t)frames[i] - program_base));
            shown++;
        }
    }
    line[length++] = '\n';
    (void)!write(log_file, line, (size_t)length);
}

/* 1, with errno set, if this allocation must fail. */
static int fails(const void *caller) {
    int failed = 0;

    if (watching && !busy && is_of_program(caller)) {
        const long number = ++counted;

        busy = 1;
        if (log_file >= 0) {
            keep(number);
        }
        failed = fail_at > 0 && (number == fail_at || (stays && number > fail_at));
        busy = 0;
    }
    if (failed) {
        errno = ENOMEM;
    }
    return failed;
}

/* The C library's own functions under their other names: dlsym would allocate. */
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *calloc(size_t n, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}
