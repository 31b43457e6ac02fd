/* The bare generator and the addresses of words and uniforms. */
#include "sgdist/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { N = 1003 };

static const struct sg_rng_address address = {.seed = UINT64_C(0x00ABCDEF12345678),
                                              .stream = SG_STREAM_MASKS,
                                              .item = UINT64_C(0xFEDCBA9876543210),
                                              .sample = 77};

/* Random123's kat_vectors, as given by Salmon et al. with the reference code. */
static void known_answers(void **state) {
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];

        sg_philox4x32_10(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].answer, sizeof out);
    }
}

/* The address as rng.h documents it, with the generator called by hand. */
static void words_are_where_the_header_says(void **state) {
    uint32_t w[N];

    (void)state;
    sg_rng_words(&address, N, w);
    for (uint32_t e = 0; e < N; e++) {
        const uint32_t counter[4] = {e / 4, 77, 0x76543210, 0xFEDCBA98};
        const uint32_t key[2] = {0x12345678, 0x00ABCDEF | 2u << 24};
        uint32_t out[4];

        sg_philox4x32_10(counter, key, out);
        assert_int_equal(w[e], out[e % 4]);
    }
}

static void uniforms_are_words(void **state) {
    uint32_t w[N];
    double u[N];

    (void)state;
    sg_rng_words(&address, N, w);
    sg_rng_uniforms(&address, N, u);
    for (int i = 0; i < N; i++) {
        assert_true(u[i] == ((double)w[i] + 0.5) / 4294967296.0);
        assert_true(u[i] > 0 && u[i] < 1);
    }
}

/* n decides how many, never which; and nothing is written past the n-th. */
static void a_prefix_is_a_prefix(void **state) {
    static const int64_t lengths[] = {0, 1, 2, 3, 4, 5, 255, 256, 257, 511, 512, 1000};
    uint32_t w[N];
    uint32_t part[N];
    float z[N];
    float z_part[N];

    (void)state;
    sg_rng_words(&address, N, w);
    sg_rng_normals(&address, N, z);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t n = (size_t)lengths[i];

        memset(part, 0xA5, sizeof part);
        memset(z_part, 0xA5, sizeof z_part);
        sg_rng_words(&address, lengths[i], part);
        sg_rng_normals(&address, lengths[i], z_part);
        assert_memory_equal(part, w, n * sizeof *w);
        assert_memory_equal(z_part, z, n * sizeof *z);
        assert_int_equal(part[n], 0xA5A5A5A5);
        assert_int_equal(((unsigned char *)(z_part + n))[0], 0xA5);
    }
}

/* Every part of an address counts: seed (all 56 bits), stream, item (64 bits), sample. */
static void every_part_of_the_address_counts(void **state) {
    struct sg_rng_address other[6];
    uint32_t w[8];
    uint32_t w_other[8];

    (void)state;
    for (int i = 0; i < 6; i++) {
        other[i] = address;
    }
    other[0].seed ^= 1;
    other[1].seed ^= UINT64_C(1) << 55;
    other[2].stream = SG_STREAM_INPUT;
    other[3].item ^= 1;
    other[4].item ^= UINT64_C(1) << 63;
    other[5].sample++;
    sg_rng_words(&address, 8, w);
    for (int i = 0; i < 6; i++) {
        sg_rng_words(&other[i], 8, w_other);
        for (int j = 0; j < 8; j++) {
            assert_int_not_equal(w[j], w_other[j]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(words_are_where_the_header_says),
        cmocka_unit_test(uniforms_are_words),
        cmocka_unit_test(a_prefix_is_a_prefix),
        cmocka_unit_test(every_part_of_the_address_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
