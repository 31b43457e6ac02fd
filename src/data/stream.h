/* src/data/stream.h - bytes that are read at any place: of a file, of memory, of what lies packed
 * in them.
 *
 * Packed bytes (gzip, a deflated member of a zip archive) are unpacked from the start to the place
 * that is asked for; reading on from the last place costs nothing, going back begins anew. */
#ifndef SGDIST_DATA_STREAM_H
#define SGDIST_DATA_STREAM_H

#include "sgdist/status.h"

#include <stdint.h>

struct sg_stream;

enum sg_packing { SG_PLAIN, SG_GZIP, SG_DEFLATE };

/* Opens a regular file; gzip data is noticed by its first bytes where `unpacks`. Failures have
 * `code` and name no path, as all of this file. */
sg_status sg_stream_open(const char *path, int unpacks, sg_status code, struct sg_stream **out);

/* The same of bytes[n], which are borrowed. */
sg_status sg_stream_open_memory(const void *bytes, size_t n, int unpacks, struct sg_stream **out);
void sg_stream_close(struct sg_stream *s); /* NULL is allowed */

/* From here on the stream is bytes at..at + n of what it was, unpacked as `packing` says. Only
 * once, and only for a plain stream. */
sg_status sg_stream_narrow(struct sg_stream *s, int64_t at, int64_t n, enum sg_packing packing);

/* Bytes in all, or -1 where they are packed. */
int64_t sg_stream_length(const struct sg_stream *s);

/* bytes[n] from place `at`. Errors: SG_E_INPUT with the reason (it ends too early, damaged). */
sg_status sg_stream_read(struct sg_stream *s, int64_t at, void *bytes, size_t n);

/* The stream must end at `at`, intact. Errors: SG_E_INPUT. */
sg_status sg_stream_check_end(struct sg_stream *s, int64_t at);

/* Tells the system that these bytes will be read soon. Never fails. */
void sg_stream_prefetch(const struct sg_stream *s, int64_t at, int64_t n);

#endif
