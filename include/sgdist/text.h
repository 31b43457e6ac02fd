/* include/sgdist/text.h - small tools for text: growing buffers, nearest names, numbers, hashes of
 * names. */
#ifndef SGDIST_TEXT_H
#define SGDIST_TEXT_H

#include "sgdist/status.h"

#include <stdint.h>

/* A growing string; zero-initialise, free with sg_text_free. `data` is NULL until something was
 * added. After a failed allocation `failed` is set, further additions do nothing, and the owner
 * checks it once at the end. */
struct sg_text {
    char *data;
    size_t length;
    size_t capacity;
    int failed;
};

void sg_text_add(struct sg_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same as a string of JSON (RFC 8259), quotes included; what is no UTF-8 is replaced. */
void sg_text_add_json(struct sg_text *t, const char *s);
void sg_text_free(struct sg_text *t);

/* The candidate nearest to `name` by edits (insert, delete, replace, swap), or NULL if none is near
 * enough to be a likely slip of the finger. */
const char *sg_text_nearest(const char *name, const char *const *candidates, int64_t n);

/* Parse the whole of `s`; SG_E_ARG with a message that names no place (the caller adds it) if
 * anything is left over, or the value is out of range. sg_text_to_double takes no hex, nan or inf.
 */
sg_status sg_text_to_int(const char *s, int64_t *out);
sg_status sg_text_to_double(const char *s, double *out);

/* Bytes of the UTF-8 character that s starts with (1 to 4), 0 if these bytes are none (RFC 3629: no
 * overlong forms, no surrogates); 1 at the end of the string. */
size_t sg_text_character(const char *s);

/* Bytes for people: "1.5 GB" (powers of 1000); seconds: "2 h 05 min". Written into buf[cap],
 * returned. */
const char *sg_text_bytes(double bytes, char *buf, size_t cap);
const char *sg_text_seconds(double seconds, char *buf, size_t cap);

/* A count or a rate of 0 or more in plain digits, groups of three from 10,000 on: "0.031", "4.52",
 * "45.2", "5400", "12,345,678". Written into buf[cap], returned. */
const char *sg_text_count(double v, char *buf, size_t cap);

/* "s" unless n is 1, for messages. */
const char *sg_text_plural(int64_t n);

/* 64-bit FNV-1a of bytes, with the finaliser of MurmurHash3 so that short names differ in all bits:
 * an item's identity is this hash of its canonical name. Never changes: it is part of every result.
 */
uint64_t sg_hash64(const void *bytes, size_t n);

/* SHA-256 as 64 hexadecimal digits and a NUL (FIPS 180-4). */
void sg_sha256_hex(const void *bytes, size_t n, char hex[65]);

#endif
