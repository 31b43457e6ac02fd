/* tests/unit/base/test_utf8.c - what is a UTF-8 character: RFC 3629, section 3 and its table in
 * section 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sgdist/text.h"

static void characters_have_their_length(void **state) {
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        {"", 1},
        {"a", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},         /* U+0080 */
        {"\xdf\xbf", 2},         /* U+07FF */
        {"\xe0\xa0\x80", 3},     /* U+0800 */
        {"\xed\x9f\xbf", 3},     /* U+D7FF */
        {"\xee\x80\x80", 3},     /* U+E000 */
        {"\xf0\x90\x80\x80", 4}, /* U+10000 */
        {"\xf4\x8f\xbf\xbf", 4}, /* U+10FFFF */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sg_text_character(cases[i].text), cases[i].n);
    }
}

static void other_bytes_are_none(void **state) {
    static const char *const cases[] = {
        "\x80",             /* a trailing byte alone */
        "\xc3",             /* cut short */
        "\xe2\x82",         /* cut short */
        "\xc0\x80",         /* overlong U+0000 */
        "\xe0\x9f\xbf",     /* overlong U+07FF */
        "\xed\xa0\x80",     /* the surrogate U+D800 */
        "\xf0\x8f\xbf\xbf", /* overlong U+FFFF */
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xe9t", /* Latin-1 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sg_text_character(cases[i]), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_their_length),
        cmocka_unit_test(other_bytes_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
