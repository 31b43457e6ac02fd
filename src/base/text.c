/* src/base/text.c - growing strings, nearest names, strict numbers, sizes and times for people. */
#include "sgdist/text.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct sg_text *t, size_t more) {
    size_t capacity = t->capacity > 0 ? t->capacity : 256;
    char *grown;

    if (t->length + more + 1 <= t->capacity) {
        return 1;
    }
    while (capacity < t->length + more + 1) {
        capacity *= 2;
    }
    grown = sg_realloc(t->data, capacity, 1);
    if (grown == NULL) {
        t->failed = 1;
        return 0;
    }
    t->data = grown;
    t->capacity = capacity;
    return 1;
}

void sg_text_add(struct sg_text *t, const char *fmt, ...) {
    va_list args;
    va_list again;
    int n;

    if (t->failed) {
        return;
    }
    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    if (n >= 0 && reserve(t, (size_t)n)) {
        (void)vsnprintf(t->data + t->length, (size_t)n + 1, fmt, again);
        t->length += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void sg_text_add_json(struct sg_text *t, const char *s) {
    sg_text_add(t, "\"");
    while (*s != '\0') {
        const size_t n = sg_text_character(s);

        if (n == 0) {
            sg_text_add(t, "\\ufffd");
            s++;
            continue;
        }
        if (*s == '"' || *s == '\\') {
            sg_text_add(t, "\\%c", *s);
        } else if ((unsigned char)*s < 0x20) {
            sg_text_add(t, "\\u%04x", (unsigned)*s);
        } else {
            sg_text_add(t, "%.*s", (int)n, s);
        }
        s += n;
    }
    sg_text_add(t, "\"");
}

void sg_text_free(struct sg_text *t) {
    sg_free(t->data);
    *t = (struct sg_text){0};
}

static int min3(int a, int b, int c) {
    const int ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Edit distance with swaps of neighbours (optimal string alignment), over the first 63 bytes of
 * each. */
static int edits(const char *a, const char *b) {
    enum { MAX = 63 };
    int d[MAX + 1][MAX + 1];
    const int n = (int)strnlen(a, MAX);
    const int m = (int)strnlen(b, MAX);

    for (int i = 0; i <= n; i++) {
        d[i][0] = i;
    }
    for (int j = 0; j <= m; j++) {
        d[0][j] = j;
    }
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            const int differs = a[i - 1] != b[j - 1];

            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + differs);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j]) {
                d[i][j] = d[i - 2][j - 2] + 1;
            }
        }
    }
    return d[n][m];
}

const char *sg_text_nearest(const char *name, const char *const *candidates, int64_t n) {
    const int limit =
        1 + (int)strlen(name) / 3; /* a third of the letters wrong is no slip any more */
    const char *best = NULL;
    int best_edits = limit + 1;

    for (int64_t i = 0; i < n; i++) {
        const int e = edits(name, candidates[i]);

        if (e < best_edits) {
            best_edits = e;
            best = candidates[i];
        }
    }
    return best;
}

sg_status sg_text_to_int(const char *s, int64_t *out) {
    sg_status status = SG_OK;
    char *end = NULL;
    long long v;

    SG_CHECK(s[0] == '-' || (s[0] >= '0' && s[0] <= '9'), SG_E_ARG, "'%s' is not a whole number",
             s);
    errno = 0;
    v = strtoll(s, &end, 10);
    SG_CHECK(end != s && *end == '\0', SG_E_ARG, "'%s' is not a whole number", s);
    SG_CHECK(errno == 0, SG_E_ARG, "'%s' is too large a number", s);
    *out = v;
done:
    return status;
}

sg_status sg_text_to_double(const char *s, double *out) {
    sg_status status = SG_OK;
    char *end = NULL;
    double v;

    SG_CHECK(s[0] != '\0' && strspn(s, "+-.0123456789eE") == strlen(s), SG_E_ARG,
             "'%s' is not a number", s);
    v = strtod(s, &end);
    SG_CHECK(end != s && *end == '\0', SG_E_ARG, "'%s' is not a number", s);
    SG_CHECK(isfinite(v), SG_E_ARG, "'%s' is too large a number", s);
    *out = v;
done:
    return status;
}

size_t sg_text_character(const char *s) {
    /* Lead bytes from..to start characters of n bytes whose second byte is low..high. */
    static const struct {
        unsigned char from, to, n, low, high;
    } kinds[] = {
        {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
        {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
        {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
    };
    const unsigned char *b = (const unsigned char *)s;
    size_t k = 0;

    while (k < sizeof kinds / sizeof kinds[0] && (b[0] < kinds[k].from || b[0] > kinds[k].to)) {
        k++;
    }
    if (k == sizeof kinds / sizeof kinds[0] ||
        (kinds[k].n > 1 && (b[1] < kinds[k].low || b[1] > kinds[k].high))) {
        return 0;
    }
    for (size_t i = 2; i < kinds[k].n; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return kinds[k].n;
}

const char *sg_text_bytes(double bytes, char *buf, size_t cap) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    size_t u = 0;

    while (bytes >= 999.5 && u + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1000.0;
        u++;
    }
    (void)snprintf(buf, cap, u == 0 || bytes >= 99.95 ? "%.0f %s" : "%.1f %s", bytes, units[u]);
    return buf;
}

const char *sg_text_seconds(double seconds, char *buf, size_t cap) {
    const long long s = (long long)(seconds + 0.5);

    if (seconds < 9.95) {
        (void)snprintf(buf, cap, "%.1f s", seconds);
    } else if (s < 120) {
        (void)snprintf(buf, cap, "%lld s", s);
    } else if (s < 7200) {
        (void)snprintf(buf, cap, "%lld min %02lld s", s / 60, s % 60);
    } else if (s < 172800) {
        (void)snprintf(buf, cap, "%lld h %02lld min", s / 3600, s / 60 % 60);
    } else {
        (void)snprintf(buf, cap, "%lld d %02lld h", s / 86400, s / 3600 % 24);
    }
    return buf;
}

const char *sg_text_count(double v, char *buf, size_t cap) {
    char digits[40];
    size_t n;
    size_t at = 0;

    if (v < 99.95) {
        const int is_whole = v == floor(v);

        (void)snprintf(buf, cap,
                       is_whole    ? "%.0f"
                       : v < 0.1   ? "%.2g"
                       : v < 9.995 ? "%.2f"
                                   : "%.1f",
                       v);
        return buf;
    }
    n = (size_t)snprintf(digits, sizeof digits, "%.0f", v < 1e18 ? v : 1e18);
    for (size_t i = 0; i < n && at + 2 < cap; i++) {
        if (n > 4 && i > 0 && (n - i) % 3 == 0) {
            buf[at++] = ',';
        }
        buf[at++] = digits[i];
    }
    buf[at] = '\0';
    return buf;
}

const char *sg_text_plural(int64_t n) {
    return n == 1 ? "" : "s";
}
