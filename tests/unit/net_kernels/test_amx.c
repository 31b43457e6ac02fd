/* The function that makes a block by AMX, run instruction by instruction on processors without it:
 * there each of its instructions raises SIGILL, and the handler does what Intel's manual says of
 * it. What is tested is the order, the addresses and the shapes; sums are of whole numbers, exact.
 * Where the processor has AMX, test_bfloat16.c runs it. */
#include "net/kernels/tiles.h"
#include "net_kernels/helper.h"

#if defined(__x86_64__)
#include <signal.h>
#include <ucontext.h>

static uint8_t tile[8][16][64];
static int is_configured;
static int n_products;

/* One instruction: VEX with three bytes, an opcode, and what they address. */
struct instruction {
    int pp, reg, rm, vvvv, is_register;
    uint8_t opcode;
    uint8_t *at;    /* memory; of a tile its first row */
    int64_t stride; /* from row to row */
    int64_t length;
};

static int64_t value_of(const ucontext_t *c, int number) {
    static const int places[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                   REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                   REG_R12, REG_R13, REG_R14, REG_R15};

    return c->uc_mcontext.gregs[places[number]];
}

static int64_t displacement(const uint8_t *p, int n) {
    int8_t near;
    int32_t far;

    memcpy(&near, p, sizeof near);
    memcpy(&far, p, sizeof far);
    return n == 0 ? 0 : n == 1 ? near : far;
}

static struct instruction decode(const ucontext_t *c) {
    const uint8_t *p = (const uint8_t *)(uintptr_t)c->uc_mcontext.gregs[REG_RIP];
    struct instruction i = {.pp = p[2] & 3,
                            .vvvv = ~p[2] >> 3 & 15,
                            .opcode = p[3],
                            .reg = p[4] >> 3 & 7,
                            .rm = p[4] & 7,
                            .is_register = p[4] >> 6 == 3,
                            .length = 5};
    const int mod = p[4] >> 6;
    const int x = ~p[1] >> 6 & 1;
    const int b = ~p[1] >> 5 & 1;
    int n = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    int64_t at = 0;

    assert_int_equal(p[0], 0xc4);
    assert_int_equal(p[1] & 31, 2);
    if (i.is_register) {
        return i;
    }
    if (i.rm == 4) {
        const int index = (p[5] >> 3 & 7) + 8 * x;
        n = mod == 0 && (p[5] & 7) == 5 ? 4 : n;
        i.stride = index == 4 ? 0 : value_of(c, index) * (1 << (p[5] >> 6));
        at = mod == 0 && (p[5] & 7) == 5 ? 0 : value_of(c, (p[5] & 7) + 8 * b);
        i.length++;
    } else if (mod == 0 && i.rm == 5) {
        n = 4;
        at = (int64_t)(uintptr_t)p + i.length + n;
    } else {
        at = value_of(c, i.rm + 8 * b);
    }
    at += displacement(p + i.length, n);
    i.at = (uint8_t *)(uintptr_t)at;
    i.length += n;
    return i;
}

static void multiply(int to, int left, int right) {
    float *c = (float *)(void *)tile[to];
    const uint16_t *a = (const uint16_t *)(const void *)tile[left];
    const uint16_t *b = (const uint16_t *)(const void *)tile[right];

    for (int m = 0; m < 16; m++) {
        for (int n = 0; n < 16; n++) {
            for (int k = 0; k < 32; k++) {
                const uint32_t bits[2] = {(uint32_t)a[m * 32 + k] << 16,
                                          (uint32_t)b[k / 2 * 32 + 2 * n + k % 2] << 16};
                float v[2];
                memcpy(v, bits, sizeof v);
                c[m * 16 + n] += v[0] * v[1];
            }
        }
    }
    n_products++;
}

static void configure(const struct instruction *i) {
    is_configured = !i->is_register;
    for (int t = 0; !i->is_register && t < 8; t++) {
        assert_int_equal(i->at[0], 1);           /* palette */
        assert_int_equal(i->at[16 + 2 * t], 64); /* bytes of a row */
        assert_int_equal(i->at[16 + 2 * t + 1], 0);
        assert_int_equal(i->at[48 + t], 16); /* rows */
    }
}

enum { NONE, F3 = 2, F2 = 3 };

static void do_instruction(int signal_number, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    const struct instruction i = decode(c);

    (void)signal_number;
    (void)info;
    if (i.opcode == 0x49 && i.pp == NONE) {
        configure(&i);
    } else if (i.opcode == 0x49 && i.pp == F2 && is_configured) {
        memset(tile[i.reg], 0, sizeof tile[0]);
    } else if (i.opcode == 0x4b && is_configured) {
        for (int row = 0; row < 16; row++) {
            uint8_t *at = i.at + row * i.stride;
            memcpy(i.pp == F2 ? tile[i.reg][row] : at, i.pp == F2 ? at : tile[i.reg][row], 64);
        }
    } else if (i.opcode == 0x5c && i.pp == F3 && is_configured) {
        multiply(i.reg, i.rm, i.vvvv);
    } else {
        fail_msg("an instruction that is none of AMX-BF16");
    }
    c->uc_mcontext.gregs[REG_RIP] += i.length;
}

enum { STEPS = 12, N_A = 200 + 64 + 64 + 31 * 48, N_B = STEPS * SG_TILE_STEP_SIZE, N_C = 1024 };

static void whole_numbers(uint16_t *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float v = (float)random_int(-9, 9);
        sg_to_bfloat16(&v, to + i, 1);
    }
}

static void a_block_is_the_stand_ins(void **state) {
    const struct sg_tile_steps s = {
        .n_y = 2, .y_step = 200, .n_x = 3, .x_step = 32, .n_s = 2, .row_step = 48};
    const struct sigaction play = {.sa_sigaction = do_instruction, .sa_flags = SA_SIGINFO};
    struct sigaction old;
    uint16_t a[N_A];
    uint16_t b[N_B];
    float got[N_C];
    float want[N_C];

    (void)state;
    if (sg_tiles_amx.lack() == NULL) {
        skip();
    }
    whole_numbers(a, N_A);
    whole_numbers(b, N_B);
    assert_int_equal(sigaction(SIGILL, &play, &old), 0);
    sg_tiles_amx.begin();
    sg_tiles_amx.block(&s, a, b, got);
    sg_tiles_amx.end();
    assert_int_equal(sigaction(SIGILL, &old, NULL), 0);
    assert_int_equal(n_products, 4 * STEPS);
    assert_int_equal(is_configured, 0);
    sg_tiles_like_amx.block(&s, a, b, want);
    assert_memory_equal(got, want, sizeof want);
}
#else
static void a_block_is_the_stand_ins(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_block_is_the_stand_ins)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
