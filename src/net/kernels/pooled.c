/* src/net/kernels/pooled.c - a convolution 3x3 of stride 1 with the max pooling behind it, whose
 * windows of 2x2 tile the output and are its only readers. Backward one element of the output in
 * four has a gradient: each is brought to the 3x3 pixels that it comes from, a row of windows at a
 * time, and what the pooling would write and a convolution read again is never made.
 *
 * Error: that of the plain sum, with a quarter of its terms. An infinite gradient becomes NaN in
 * all pixels of its window's patch. */
#include "net/kernels/kernels_impl.h"

#include <string.h>

/* Measured on Zen 3: where an image has few channels, the weights of all patches (four of 16 pixels
 * for each pair of channels) fit the first cache, of 32 kB. Vectors of taps pay up to 16 channels
 * in and 64 out; with 32, Winograd's tiles and a pooling of its own are as fast or faster. */
enum { MAX_IMAGE = 3, PATCH_PAIRS = 128, MAX_IN = 16, MAX_OUT = 64 };

/* Floats of a pixel of the rows that sums are made in. */
static int64_t pixel(const struct sg_conv *s) {
    return s->c <= MAX_IMAGE ? s->c : sg_round_up(s->c, sg_simd_current()->lanes);
}

static int is_small(const struct sg_conv *s) {
    return s->c <= MAX_IMAGE ? s->c * s->k <= PATCH_PAIRS : s->c <= MAX_IN && s->k <= MAX_OUT;
}

int sg_pooled_applies(const struct sg_conv *s) {
    return s->precision == SG_PRECISION_FLOAT32 && s->groups == 1 && s->kh == 3 && s->kw == 3 &&
           s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 && s->dilation_w == 1 &&
           s->oh % 2 == 0 && s->ow % 2 == 0 && is_small(s);
}

const char *sg_pooled_name(const struct sg_conv *s) {
    return s->c <= MAX_IMAGE ? "pooled patches" : "pooled taps";
}

int64_t sg_pooled_weights_size(const struct sg_conv *s) {
    return s->k * (s->c <= MAX_IMAGE ? 4 * 16 * s->c : 9 * pixel(s));
}

/* [k][place in the window][4][4][c]: what a winner's gradient is multiplied with for each pixel
 * that the window reaches. Output (y, x) is made of the inputs (y + ty - pad, x + tx - pad). */
static void prepare_patches(const struct sg_conv *s, const float *weight, float *prepared) {
    for (int64_t k = 0; k < s->k; k++) {
        for (int64_t place = 0; place < 4; place++, prepared += 16 * s->c) {
            for (int64_t t = 0; t < 9; t++) {
                const int64_t y = place / 2 + t / 3, x = place % 2 + t % 3;
                for (int64_t c = 0; c < s->c; c++) {
                    prepared[(4 * y + x) * s->c + c] = weight[(k * s->c + c) * 9 + t];
                }
            }
        }
    }
}

/* [block of lanes channels][k][tap][lanes]. */
static void prepare_taps(const struct sg_conv *s, const float *weight, float *prepared) {
    const int64_t lanes = sg_simd_current()->lanes;

    for (int64_t c = 0; c < s->c; c++) {
        for (int64_t k = 0; k < s->k; k++) {
            for (int64_t t = 0; t < 9; t++) {
                prepared[((c / lanes * s->k + k) * 9 + t) * lanes + c % lanes] =
                    weight[(k * s->c + c) * 9 + t];
            }
        }
    }
}

void sg_pooled_prepare(const struct sg_conv *s, const float *weight, float *prepared) {
    memset(prepared, 0, (size_t)sg_pooled_weights_size(s) * sizeof *prepared);
    if (s->c <= MAX_IMAGE) {
        prepare_patches(s, weight, prepared);
    } else {
        prepare_taps(s, weight, prepared);
    }
}

/* One of the four rows that a row of windows reaches. */
static int64_t row_floats(const struct sg_conv *s) {
    return (s->ow + 2) * pixel(s);
}

int64_t sg_pooled_work_size(const struct sg_conv *s) {
    return 12 * row_floats(s) + s->ow * s->k;
}

/* Row y of dx from a row of sums, which has its border. */
static void write_row(const struct sg_conv *s, const struct sg_corr_call *call, int64_t i,
                      int64_t y, const float *from) {
    const int64_t px = pixel(s);
    float *to = call->out + (i * s->h + y) * s->w * s->c;

    if (y < 0 || y >= s->h) {
        return;
    }
    from += s->pad_left * px;
    for (int64_t x = 0; x < (px == s->c ? 1 : s->w); x++, from += px, to += s->c) {
        const int64_t n = px == s->c ? s->w * s->c : s->c;

        if (call->accumulate) {
            sg_accumulate(from, to, n);
        } else {
            memcpy(to, from, (size_t)n * sizeof *to);
        }
    }
    sg_corr_done(call, (i * s->h + y + 1) * s->w * s->c);
}

/* The two upper rows are final after each row of windows; the lower ones begin the next. */
static void run_sample(const struct sg_conv *s, const float *weights, const struct sg_winners *won,
                       const struct sg_corr_call *call, int64_t i) {
    const struct sg_simd *simd = sg_simd_current();
    const int64_t oh = s->oh / 2, ow = s->ow / 2, row = row_floats(s);
    const struct sg_pooled_row r = {
        .n = ow, .k = s->k, .c = pixel(s), .row = row, .numbers = won->numbers};
    float *rows = call->work;

    memset(rows, 0, (size_t)(4 * row) * sizeof *rows);
    for (int64_t y = 0; y < oh; y++) {
        const int64_t at = (i * oh + y) * ow * s->k;

        (s->c <= MAX_IMAGE ? simd->pooled_patches : simd->pooled_taps)(
            &r, won->winner + at, call->in + at, weights, rows, rows + 4 * row);
        for (int64_t j = 0; j < (y + 1 < oh ? 2 : 4); j++) {
            write_row(s, call, i, 2 * y + j - s->pad_top, rows + j * row);
        }
        memcpy(rows, rows + 2 * row, (size_t)(2 * row) * sizeof *rows);
        memset(rows + 2 * row, 0, (size_t)(2 * row) * sizeof *rows);
    }
}

void sg_pooled_run(const struct sg_conv *s, const float *weights, const struct sg_winners *won,
                   const struct sg_corr_call *call) {
    for (int64_t i = 0; i < s->n; i++) {
        run_sample(s, weights, won, call, i);
    }
}
