/* SPDX-License-Identifier: BSD-3-Clause */
/* Options structs through their tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "scweave/options.h"

typedef struct sample {
    int flag, kind;
    int64_t count;
    double rate;
    char *key;
} sample;

static const scw_option table[] = {
    {"flag", SCW_OPTION_BOOL, offsetof(sample, flag), "on", 0, 0, NULL, NULL, "g", "h"},
    {"kind", SCW_OPTION_CHOICE, offsetof(sample, kind), "b", 0, 0, "a|b|ccc", NULL, "g", "h"},
    {"count", SCW_OPTION_INT, offsetof(sample, count), "2k", 1, 3e6, NULL, "N", "g", "h"},
    {"rate", SCW_OPTION_REAL, offsetof(sample, rate), "0.1", 0, 1, NULL, "X", "g", "h"},
    {"key", SCW_OPTION_TEXT, offsetof(sample, key), NULL, 0, 0, NULL, "KEY", "g", "h"},
    {.type = SCW_OPTION_END},
};

static int start(void **state)
{
    static sample s;

    memset(&s, 0xa5, sizeof s); /* init must not read what was there */
    *state = &s;
    return scw_options_init(table, &s) == SCW_OK ? 0 : -1;
}

static int stop(void **state)
{
    scw_options_clear(table, *state);
    scw_options_clear(table, NULL);
    return 0;
}

static void test_defaults(void **state)
{
    const sample *s = *state;

    assert_int_equal(s->flag, 1);
    assert_int_equal(s->kind, 1);
    assert_int_equal(s->count, 2000);
    assert_true(s->rate == 0.1);
    assert_null(s->key);
}

static void test_set(void **state)
{
    sample *s = *state;

    assert_int_equal(scw_options_set(table, s, "flag", "no"), SCW_OK);
    assert_int_equal(s->flag, 0);
    assert_int_equal(scw_options_set(table, s, "kind", "ccc"), SCW_OK);
    assert_int_equal(s->kind, 2);
    assert_int_equal(scw_options_set(table, s, "count", "3M"), SCW_OK);
    assert_int_equal(s->count, 3000000);
    assert_int_equal(scw_options_set(table, s, "key", "one"), SCW_OK);
    assert_int_equal(scw_options_set(table, s, "key", "two words"), SCW_OK);
    assert_string_equal(s->key, "two words");
}

static void test_bad_values_change_nothing(void **state)
{
    static const char *const bad[][2] = {
        {"flag", "maybe"}, {"flag", ""},       {"kind", "c"},       {"kind", "a|b"},
        {"count", "0"},    {"count", "3.5"},   {"count", "4M"},     {"count", "1kk"},
        {"count", ""},     {"count", "k"},     {"rate", "1.01"},    {"rate", "nan"},
        {"rate", "inf"},   {"rate", "0,5"},    {"count", "9999999999999999999"},
    };
    sample *s = *state;

    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(scw_options_set(table, s, bad[k][0], bad[k][1]), SCW_EINVAL);
        assert_non_null(strstr(scw_error_message(), bad[k][0]));
    }
    test_defaults(state);
    assert_int_equal(scw_options_set(table, s, "other", "1"), SCW_ENOTFOUND);
    assert_non_null(strstr(scw_error_message(), "--other"));
}

static void assert_text(const sample *s, const char *name, const char *expected)
{
    char *text = NULL;

    assert_int_equal(scw_options_get(&text, table, s, name), SCW_OK);
    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
    scw_free(text);
}

/* What get says, set accepts, and it is the same value to the last bit. */
static void test_get_reproduces(void **state)
{
    static const double rates[] = {0.1, 1.0 / 3.0, 0.0, 1e-300, 0.30000000000000004, 1.0};
    sample *s = *state;
    char *text = NULL;

    assert_text(s, "flag", "on");
    assert_text(s, "kind", "b");
    assert_text(s, "count", "2000");
    assert_text(s, "rate", "0.1");
    assert_text(s, "key", NULL);
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        s->rate = rates[k];
        assert_int_equal(scw_options_get(&text, table, s, "rate"), SCW_OK);
        s->rate = -1.0;
        assert_int_equal(scw_options_set(table, s, "rate", text), SCW_OK);
        assert_memory_equal(&s->rate, &rates[k], sizeof(double));
        scw_free(text);
    }
    assert_int_equal(scw_options_get(&text, table, s, "other"), SCW_ENOTFOUND);
    assert_null(text);
}

static void test_memory_may_run_out(void **state)
{
    sample *s = *state;

    assert_int_equal(scw_options_set(table, s, "key", "kept"), SCW_OK);
    (void)mem_fail_at(1);
    assert_int_equal(scw_options_set(table, s, "key", "lost"), SCW_ENOMEM);
    (void)mem_fail_at(0);
    assert_string_equal(s->key, "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, start, stop),
        cmocka_unit_test_setup_teardown(test_set, start, stop),
        cmocka_unit_test_setup_teardown(test_bad_values_change_nothing, start, stop),
        cmocka_unit_test_setup_teardown(test_get_reproduces, start, stop),
        cmocka_unit_test_setup_teardown(test_memory_may_run_out, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
