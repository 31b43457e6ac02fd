/* tests/unit/net/test_image.c - a model as one block: the same network comes out of it, wherever
 * and in whatever type its weights were, and its hash tells all of them apart. */
#include "model_bytes.h"
#include "net/image.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLOAT = 1, DOUBLE = 11, D = 48, K = 40 }; /* D K floats are more than stay in the file */

static char folder[] = "/tmp/sgdist-image.XXXXXX";

static void path_of(const char *name, char *path) {
    (void)snprintf(path, 256, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *data, size_t n) {
    char path[256];
    FILE *f;

    path_of(name, path);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Exact in every floating type. */
static float weight(int64_t i) {
    return (float)(i % 13 - 6) * 0.25f;
}

/* The tensor "w"[D][K], its numbers of the type; where `location` is given, in that file behind
 * `offset` other bytes. */
static struct bytes weights(int64_t type, const char *location, size_t offset) {
    const size_t width = type == FLOAT ? sizeof(float) : sizeof(double);
    struct bytes t = {0}, data = {0};
    char number[24];

    for (size_t i = 0; i < offset; i++) {
        put(&data, "?", 1);
    }
    for (int64_t i = 0; i < D * K; i++) {
        const float f = weight(i);
        const double d = (double)f;

        put(&data, type == FLOAT ? (const void *)&f : (const void *)&d, width);
    }
    put_int(&t, 1, D);
    put_int(&t, 1, K);
    put_int(&t, 2, type);
    put_text(&t, 8, "w");
    if (location == NULL) {
        put_field(&t, 9, data.data, data.n);
    } else {
        struct bytes entry = {0}, place = {0};

        put_text(&entry, 1, "location");
        put_text(&entry, 2, location);
        put_part(&t, 13, entry);
        (void)snprintf(number, sizeof number, "%zu", offset);
        put_text(&place, 1, "offset");
        put_text(&place, 2, number);
        put_part(&t, 13, place);
        put_int(&t, 14, 1);
        write_file(location, data.data, data.n);
    }
    free(data.data);
    return t;
}

/* x[N,1,6,8] -> Flatten -> MatMul w: y[N,K]. `in_node`: w comes from a Constant. */
static struct bytes model(struct bytes w, int in_node) {
    struct bytes g = {0}, n = {0}, a = {0};

    if (in_node) {
        put_text(&a, 1, "value");
        put_part(&a, 5, w);
        put_int(&a, 20, 4);
        put_text(&n, 2, "w");
        put_text(&n, 4, "Constant");
        put_part(&n, 5, a);
        put_part(&g, 1, n);
    }
    put_part(&g, 1, node_of("Flatten", "flat", "x", NULL, "f"));
    put_part(&g, 1, node_of("MatMul", "product", "f", "w", "y"));
    if (!in_node) {
        put_part(&g, 5, w);
    }
    put_part(&g, 11, value_of("x", FLOAT, 4, (const int64_t[]){-1, 1, 6, 8}));
    put_part(&g, 12, value_of("y", FLOAT, 2, (const int64_t[]){-1, K}));
    return model_of(13, g);
}

static void check_product(const struct sg_model *m) {
    struct sg_net *net = NULL;
    float x[D], y[K];

    assert_int_equal(sg_net_create(m, 1, &net), SG_OK);
    for (int64_t i = 0; i < D; i++) {
        x[i] = (float)(i % 5 - 2);
    }
    assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
    for (int64_t k = 0; k < K; k++) {
        float sum = 0; /* of small multiples of 1/4: exact in any order */

        for (int64_t i = 0; i < D; i++) {
            sum += x[i] * weight(i * K + k);
        }
        assert_true(y[k] == sum);
    }
    sg_net_destroy(net);
}

/* Reads "net.onnx", gives its hash, and checks the network that comes of it, twice in one memory.
 */
static void check_file(char sha256[65]) {
    struct sg_model_image image = {0};
    const struct sg_explain what = {.n_tensors = 0};
    struct sg_model *one = NULL, *other = NULL;
    char path[256];
    void *memory;

    path_of("net.onnx", path);
    assert_int_equal(sg_model_image_read(path, &image), SG_OK);
    memcpy(sha256, image.sha256, 65);
    assert_int_equal(sg_model_open(image.bytes, image.n, path, &what, &one), SG_OK);
    assert_int_equal(sg_model_open(image.bytes, image.n, path, &what, &other), SG_OK);
    assert_true(sg_model_weight_bytes(one) >= D * K * (int64_t)sizeof(float));
    assert_int_equal(sg_model_weight_bytes(one), sg_model_weight_bytes(other));
    memory = sg_malloc_aligned((size_t)sg_model_weight_bytes(one), 1);
    assert_non_null(memory);
    assert_int_equal(sg_model_place(other, memory, 0), SG_OK);
    assert_int_equal(sg_model_place(one, memory, 1), SG_OK);
    sg_model_image_free(&image); /* nothing of it is used any more */
    check_product(one);
    check_product(other);
    sg_model_destroy(one);
    sg_model_destroy(other);
    sg_free(memory);
}

static void any_place_gives_the_same_network(void **state) {
    const struct {
        int64_t type;
        const char *location;
        size_t offset;
        int in_node;
    } rows[] = {{FLOAT, NULL, 0, 0},     {DOUBLE, NULL, 0, 0},      {FLOAT, NULL, 0, 1},
                {FLOAT, "w.bin", 0, 0},  {FLOAT, "w.bin", 3, 0},    {DOUBLE, "w.bin", 1, 0},
                {FLOAT, "w.bin", 64, 1}, {FLOAT, "sub/w.bin", 0, 0}};
    char hashes[sizeof rows / sizeof rows[0]][65];
    const int64_t balance = sg_memory_balance();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes file =
            model(weights(rows[i].type, rows[i].location, rows[i].offset), rows[i].in_node);

        write_file("net.onnx", file.data, file.n);
        check_file(hashes[i]);
        if (rows[i].location == NULL) { /* as sha256sum has it */
            char own[65];

            sg_sha256_hex(file.data, file.n, own);
            assert_string_equal(hashes[i], own);
        }
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(hashes[i], hashes[k]);
        }
        free(file.data);
    }
    assert_int_equal(sg_memory_balance(), balance);
}

/* The hash covers the numbers in the other file, and not what lies beside them. */
static void the_hash_covers_other_files(void **state) {
    char was[65], is[65], path[256];
    struct bytes file = model(weights(FLOAT, "w.bin", 4), 0);
    float f = 0.5f;
    FILE *data;

    (void)state;
    write_file("net.onnx", file.data, file.n);
    check_file(was);
    path_of("w.bin", path);
    data = fopen(path, "r+b");
    assert_non_null(data);
    assert_int_equal(fwrite("!", 1, 1, data), 1);
    (void)fflush(data);
    check_file(is);
    assert_string_equal(is, was);
    (void)fseek(data, 4, SEEK_SET);
    assert_int_equal(fwrite(&f, sizeof f, 1, data), 1);
    (void)fclose(data);
    path_of("net.onnx", path);
    {
        struct sg_model_image image = {0};

        assert_int_equal(sg_model_image_read(path, &image), SG_OK);
        assert_string_not_equal(image.sha256, was);
        sg_model_image_free(&image);
    }
    free(file.data);
}

/* An image that is cut, or made of a file's bytes by nobody, is refused and never read beyond. */
static void a_damaged_image_is_refused(void **state) {
    struct bytes file = model(weights(FLOAT, NULL, 0), 0);
    struct sg_model_image image = {0};
    struct sg_model *m = NULL;

    (void)state;
    assert_int_equal(sg_image_pack(file.data, file.n, "net.onnx", &image), SG_OK);
    for (size_t n = 0; n < image.n; n += 61) {
        uint8_t *part = malloc(n + 1);

        memcpy(part, image.bytes, n);
        assert_int_equal(sg_model_create(part, n, "net.onnx", NULL, &m), SG_E_MODEL);
        free(part);
    }
    sg_model_image_free(&image);
    free(file.data);
}

/* Each allocation fails in turn: an error, and nothing is lost. */
static void every_allocation_may_fail(void **state) {
    struct bytes file = model(weights(DOUBLE, "w.bin", 2), 0);
    const int64_t balance = sg_memory_balance();
    char path[256];
    sg_status status;
    int64_t k = 1;

    (void)state;
    write_file("net.onnx", file.data, file.n);
    path_of("net.onnx", path);
    do {
        struct sg_model_image image = {0};

        sg_memory_fail_at(k++);
        status = sg_model_image_read(path, &image);
        sg_memory_fail_at(0);
        assert_true(status == SG_OK || status == SG_E_NOMEM);
        sg_model_image_free(&image);
        assert_int_equal(sg_memory_balance(), balance);
    } while (status != SG_OK);
    assert_true(k > 6);
    free(file.data);
}

static int make_folder(void **state) {
    char sub[256];

    (void)state;
    assert_non_null(mkdtemp(folder));
    path_of("sub", sub);
    return mkdir(sub, 0700);
}

static int remove_folder(void **state) {
    static const char *const names[] = {"net.onnx", "w.bin", "sub/w.bin", "sub", ""};
    char path[256];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_of(names[i], path);
        (void)remove(path);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_place_gives_the_same_network),
        cmocka_unit_test(the_hash_covers_other_files),
        cmocka_unit_test(a_damaged_image_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
