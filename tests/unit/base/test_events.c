/* tests/unit/base/test_events.c - events are lines of JSON (RFC 8259), whatever the texts hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sgdist/events.h"
#include "sgdist/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "events-XXXXXX";

static int make_file(void **state) {
    const int fd = mkstemp(path);

    (void)state;
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state) {
    (void)state;
    return remove(path);
}

/* The file without the times, whose form is checked: "time": "2026-01-02T03:04:05.678Z". */
static void read_lines(char *out, size_t cap) {
    static const char head[] = "{\"time\": \"";
    enum { TIME = 24 };
    FILE *f = fopen(path, "r");
    char line[1024];

    out[0] = '\0';
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        const char *time = line + sizeof head - 1;

        assert_memory_equal(line, head, sizeof head - 1);
        assert_int_equal(strspn(time, "0123456789-T:.Z"), TIME);
        assert_true(time[10] == 'T' && time[19] == '.' && time[23] == 'Z');
        (void)snprintf(out + strlen(out), cap - strlen(out), "%s", time + TIME);
    }
    (void)fclose(f);
}

static void texts_and_numbers_become_json(void **state) {
    char lines[2048];
    struct sg_event e;

    (void)state;
    sg_events_open(path);
    sg_event_begin(&e, "first");
    sg_event_text(&e, "text", "a \"b\" \\ c\n\x01 \xc3\xa9 \xff.");
    sg_event_count(&e, "count", INT64_MIN);
    sg_event_number(&e, "number", 0.125);
    sg_event_number(&e, "none", NAN);
    sg_event_number(&e, "infinite", -INFINITY);
    sg_event_end(&e);
    sg_event_begin(&e, "second");
    sg_event_end(&e);
    sg_events_close();
    read_lines(lines, sizeof lines);
    assert_string_equal(lines,
                        "\", \"event\": \"first\", \"text\": \"a \\\"b\\\" \\\\ c\\u000a\\u0001 "
                        "\xc3\xa9 \\ufffd.\", \"count\": -9223372036854775808, "
                        "\"number\": 0.125, \"none\": null, \"infinite\": null}\n"
                        "\", \"event\": \"second\"}\n");
}

static void a_file_is_added_to(void **state) {
    char lines[2048];
    struct sg_event e;

    (void)state;
    assert_int_equal(truncate(path, 0), 0);
    for (int i = 0; i < 2; i++) {
        sg_events_open(path);
        sg_event_begin(&e, "again");
        sg_event_end(&e);
        sg_events_close();
    }
    sg_event_begin(&e, "nowhere");
    sg_event_text(&e, "text", "closed");
    sg_event_end(&e);
    read_lines(lines, sizeof lines);
    assert_string_equal(lines, "\", \"event\": \"again\"}\n\", \"event\": \"again\"}\n");
}

static void warnings_are_events(void **state) {
    char lines[2048];

    (void)state;
    assert_int_equal(truncate(path, 0), 0);
    sg_log_setup(SG_LOG_ERROR, 0); /* a warning is not printed, and told all the same */
    sg_events_open(path);
    sg_log(SG_LOG_INFO, "a story");
    sg_log(SG_LOG_WARN, "item %d", 3);
    sg_events_close();
    read_lines(lines, sizeof lines);
    assert_string_equal(lines, "\", \"event\": \"warning\", \"message\": \"item 3\"}\n");
}

/* /dev/full fails every write with ENOSPC: one warning, and events stop. */
static void a_full_disk_is_no_failure(void **state) {
    struct sg_event e;

    (void)state;
    sg_events_open("/dev/full");
    for (int i = 0; i < 2; i++) {
        sg_event_begin(&e, "lost");
        sg_event_end(&e);
    }
    sg_event_begin(&e, "nothing");
    assert_null(e.line.data);
    sg_events_close();
    sg_events_open("no/such/folder/events");
    sg_event_begin(&e, "nothing");
    assert_null(e.line.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_numbers_become_json),
        cmocka_unit_test(a_file_is_added_to),
        cmocka_unit_test(warnings_are_events),
        cmocka_unit_test(a_full_disk_is_no_failure),
    };

    return cmocka_run_group_tests_name("events", tests, make_file, remove_file);
}
