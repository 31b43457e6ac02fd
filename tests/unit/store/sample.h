/* tests/unit/store/sample.h - a small result of every type, whose content is a function of the
 * item. */
#ifndef SGDIST_TEST_STORE_SAMPLE_H
#define SGDIST_TEST_STORE_SAMPLE_H

#include "sgdist/memory.h"
#include "sgdist/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_ITEMS = 7, ID_BYTES = 16, N_RUNS = 4 };

struct sample {
    struct sg_record record;
    struct sg_constant constants[6];
    char ids[N_ITEMS][ID_BYTES];
    struct sg_layout layout;
};

static inline struct sg_axis axis(const char *name, int64_t length) {
    struct sg_axis a = {.length = length};

    (void)snprintf(a.name, sizeof a.name, "%s", name);
    return a;
}

static inline void sample_record(struct sg_record *r) {
    const struct sg_axis map[] = {axis("target", 2), axis("channel", 3), axis("y", 4),
                                  axis("x", 5)};
    const struct sg_axis stage[] = {axis("stage", 6)};

    assert_int_equal(sg_record_add(r, "items/status", SG_TYPE_U8, 0, 0, NULL, "0, 1 or 2"), SG_OK);
    assert_int_equal(sg_record_add(r, "items/message", SG_TYPE_TEXT, 40, 0, NULL, "why"), SG_OK);
    assert_int_equal(sg_record_add(r, "items/target", SG_TYPE_I32, 0, 1, map, "classes"), SG_OK);
    assert_int_equal(sg_record_add(r, "items/key", SG_TYPE_U64, 0, 0, NULL, "noise key"), SG_OK);
    assert_int_equal(sg_record_add(r, "items/count", SG_TYPE_I64, 0, 0, NULL, "count"), SG_OK);
    assert_int_equal(sg_record_add(r, "items/seconds", SG_TYPE_F64, 0, 0, NULL, "time"), SG_OK);
    assert_int_equal(
        sg_record_add(r, "maps/smoothgrad/map", SG_TYPE_F32, 0, 4, map, "mean gradient"), SG_OK);
    assert_int_equal(
        sg_record_add(r, "convergence/smoothgrad/change", SG_TYPE_F64, 0, 1, stage, "change"),
        SG_OK);
}

static inline void sample_init(struct sample *s) {
    *s = (struct sample){0};
    sample_record(&s->record);
    for (int i = 0; i < N_ITEMS; i++) {
        (void)snprintf(s->ids[i], ID_BYTES, "cat/%03d.png", i);
    }
    s->constants[0] = (struct sg_constant){.path = "items/id",
                                           .about = "canonical name",
                                           .type = SG_TYPE_TEXT,
                                           .text_bytes = ID_BYTES,
                                           .n_axes = 1,
                                           .axes = {axis("item", N_ITEMS)},
                                           .data = s->ids};
    s->constants[1] = (struct sg_constant){.path = "provenance/identity",
                                           .about = "the job",
                                           .type = SG_TYPE_TEXT,
                                           .text_bytes = 40,
                                           .data = "study.seed: 1\nstudy.name: \xc3\xa9t\xc3\xa9\n"
                                                   "\0\0\0\0\0\0\0\0\0"};
    s->constants[2] = (struct sg_constant){
        .path = "provenance/complete", .about = "1: complete", .type = SG_TYPE_U8};
    s->constants[3] = (struct sg_constant){.path = "provenance/runs/start",
                                           .about = "unix time",
                                           .type = SG_TYPE_F64,
                                           .n_axes = 1,
                                           .axes = {axis(".run", N_RUNS)}};
    s->constants[4] = (struct sg_constant){.path = "channel",
                                           .about = "colour",
                                           .type = SG_TYPE_TEXT,
                                           .text_bytes = 5,
                                           .n_axes = 1,
                                           .axes = {axis("channel", 3)},
                                           .data = "red\0\0greenblue\0"};
    s->constants[5] = (struct sg_constant){.path = "dataset/smoothgrad/mean",
                                           .about = "mean map",
                                           .type = SG_TYPE_F32,
                                           .n_axes = 2,
                                           .axes = {axis("y", 4), axis("x", 5)}};
    s->layout = (struct sg_layout){.record = &s->record,
                                   .n_items = N_ITEMS,
                                   .n_constants = 6,
                                   .constants = s->constants,
                                   .title = "a test"};
}

static inline void sample_free(struct sample *s) {
    sg_record_free(&s->record);
}

/* The bytes of item i's record (the caller's, sg_free). */
static inline void *sample_item(const struct sample *s, int64_t i) {
    const struct sg_record *r = &s->record;
    char *bytes = sg_calloc((size_t)r->bytes, 1);
    float *map;
    double *change;

    assert_non_null(bytes);
    *(unsigned char *)sg_record_at(r, bytes, "items/status") = i == 3 ? 2 : 1;
    (void)snprintf(sg_record_at(r, bytes, "items/message"), 40, i == 3 ? "no such image" : "");
    ((int32_t *)sg_record_at(r, bytes, "items/target"))[1] = (int32_t)i;
    *(uint64_t *)sg_record_at(r, bytes, "items/key") = 0x8000000000000000u + (uint64_t)i;
    *(int64_t *)sg_record_at(r, bytes, "items/count") = -i;
    *(double *)sg_record_at(r, bytes, "items/seconds") = 0.5 * (double)i;
    map = sg_record_at(r, bytes, "maps/smoothgrad/map");
    for (int k = 0; k < 120; k++) {
        map[k] = (float)(1000 * i + k + 1);
    }
    change = sg_record_at(r, bytes, "convergence/smoothgrad/change");
    for (int k = 0; k < 6; k++) {
        change[k] = 1.0 / (double)(1 + i + k);
    }
    return bytes;
}

/* A fresh folder for one test's files, <folder>/r.h5 in buf. */
static inline void scratch_path(char *buf, size_t cap) {
    char folder[] = "/tmp/sgdist-store-XXXXXX";

    assert_non_null(mkdtemp(folder));
    (void)snprintf(buf, cap, "%s/r.h5", folder);
}

static inline void scratch_remove(const char *path) {
    char command[512];

    (void)snprintf(command, sizeof command, "rm -rf '%.*s'", (int)(strrchr(path, '/') - path),
                   path);
    assert_int_equal(system(command), 0);
}

/* Item i of the reader's file equals the sample's. */
static inline void assert_item(struct sg_reader *reader, const struct sample *s, int64_t i) {
    char *want = sample_item(s, i);
    char *have = sg_calloc((size_t)s->record.bytes, 1);

    for (int k = 0; k < s->record.n_fields; k++) {
        const struct sg_field *f = &s->record.fields[k];

        assert_int_equal(sg_reader_read(reader, f->path, i, have), SG_OK);
        assert_memory_equal(have, want + f->offset, (size_t)f->bytes);
    }
    sg_free(have);
    sg_free(want);
}

#endif
