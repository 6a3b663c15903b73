/* SPDX-License-Identifier: BSD-3-Clause */
/* Text, status messages, hooks, and files that appear whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/text.h"

static void test_text_grows(void **state)
{
    textbuf t = {0};

    (void)state;
    assert_string_equal(text_get(&t), "");
    for (int k = 0; k < 1000; k++) assert_int_equal(text_add(&t, "%d,", k), SCW_OK);
    assert_int_equal(text_add_bytes(&t, "end\0x", 5), SCW_OK);
    assert_int_equal(t.length, 10 * 2 + 90 * 3 + 900 * 4 + 5);
    assert_memory_equal(t.data, "0,1,2,", 6);
    char *taken = text_take(&t);
    assert_string_equal(text_get(&t), "");
    mem_free(taken);
    text_clear(&t);
}

static void test_strings_copy(void **state)
{
    strings a = {0}, b = {0};

    (void)state;
    for (int k = 0; k < 40; k++) assert_int_equal(strings_add(&a, k % 2 ? "odd" : "even"), SCW_OK);
    assert_int_equal(strings_copy(&b, &a), SCW_OK);
    strings_clear(&a);
    assert_int_equal(b.n, 40);
    assert_string_equal(b.at[39], "odd");
    strings_clear(&b);
}

static void test_name_index(void **state)
{
    static char names[500][16];
    const char *at[500];
    name_index index = {0};
    int64_t duplicate;

    (void)state;
    assert_int_equal(name_index_find(&index, "a"), -1);
    for (int k = 0; k < 500; k++) {
        (void)snprintf(names[k], sizeof names[k], "g%d", k);
        at[k] = names[k];
    }
    assert_int_equal(name_index_build(&index, at, 500, &duplicate), SCW_OK);
    assert_int_equal(duplicate, -1);
    for (int k = 0; k < 500; k++) assert_int_equal(name_index_find(&index, names[k]), k);
    assert_int_equal(name_index_find(&index, "g500"), -1);
    name_index_clear(&index);
    at[499] = "g7";
    assert_int_equal(name_index_build(&index, at, 500, &duplicate), SCW_OK);
    assert_int_equal(duplicate, 499);
    assert_int_equal(name_index_find(&index, "g7"), 7);
    name_index_clear(&index);
    assert_int_equal(name_index_build(&index, NULL, 0, NULL), SCW_OK);
    assert_int_equal(name_index_find(&index, "g7"), -1);
    name_index_clear(&index);
}

static void test_numbers_are_strict(void **state)
{
    int64_t whole;
    double number;

    (void)state;
    assert_true(text_to_int(&whole, "-42"));
    assert_int_equal(whole, -42);
    assert_false(text_to_int(&whole, ""));
    assert_false(text_to_int(&whole, " 1"));
    assert_false(text_to_int(&whole, "1 "));
    assert_false(text_to_int(&whole, "1.0"));
    assert_false(text_to_int(&whole, "99999999999999999999"));
    assert_true(text_to_real(&number, "1e-3"));
    assert_true(number == 1e-3);
    assert_false(text_to_real(&number, "1e-3x"));
    assert_false(text_to_real(&number, "1e999"));
    assert_false(text_to_real(&number, NULL));
}

static void test_messages_gain_prefixes(void **state)
{
    (void)state;
    assert_int_equal(status_fail(SCW_EDATA, "%d cells", 0), SCW_EDATA);
    assert_int_equal(status_prefix(SCW_EDATA, "%s", "a.h5ad"), SCW_EDATA);
    assert_string_equal(scw_error_message(), "a.h5ad: 0 cells");
    status_clear();
    assert_string_equal(scw_error_message(), "");
    for (int code = 0; code <= SCW_EINTERNAL + 1; code++)
        assert_true(strlen(scw_status_name((scw_status)code)) > 0);
}

/* A message longer than its buffer is cut at its end and stays text. */
static void test_long_messages_are_cut(void **state)
{
    char long_text[8192];

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    (void)status_fail(SCW_EIO, "%s", long_text);
    for (int k = 0; k < 100; k++) (void)status_prefix(SCW_EIO, "%s", long_text);
    size_t n = strlen(scw_error_message());
    assert_true(n > 1000 && n < 4096);
    (void)status_prefix(SCW_EIO, "file");
    assert_memory_equal(scw_error_message(), "file: x", 7);
}

static void count_log(void *user, scw_log_level level, const char *message)
{
    *(int *)user += (int)level * 10 + (strcmp(message, "3 cells") == 0);
}

static int always(void *user)
{
    (void)user;
    return 1;
}

static void test_hooks_may_be_absent(void **state)
{
    int seen = 0;
    scw_hooks hooks = {count_log, NULL, NULL, &seen};

    (void)state;
    log_info(NULL, "nobody listens");
    log_progress(NULL, NULL);
    assert_int_equal(log_check_cancel(NULL), SCW_OK);
    log_detail(&hooks, "%d cells", 3);
    assert_int_equal(seen, 21);
    assert_int_equal(log_check_cancel(&hooks), SCW_OK);
    hooks.cancelled = always;
    assert_int_equal(log_check_cancel(&hooks), SCW_ECANCELLED);
}

/* -------------------------------------------------------------------------------- atomic files */

static char folder[] = "/tmp/scweave-test-XXXXXX";

static void path_in(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", folder, name);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_holds(const char *path, const char *text)
{
    char found[64] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    (void)fgets(found, sizeof found, f);
    (void)fclose(f);
    assert_string_equal(found, text);
}

static void test_commit_replaces(void **state)
{
    char target[128];
    atomic_file f;

    (void)state;
    path_in(target, "a");
    put(target, "old");
    assert_int_equal(atomic_file_begin(&f, target), SCW_OK);
    put(f.temporary, "new");
    assert_holds(target, "old");
    assert_int_equal(atomic_file_commit(&f), SCW_OK);
    assert_holds(target, "new");
    assert_int_equal(unlink(target), 0);
}

static void test_without_commit_nothing_changes(void **state)
{
    char target[128];
    atomic_file f;

    (void)state;
    path_in(target, "b");
    put(target, "old");
    assert_int_equal(atomic_file_begin(&f, target), SCW_OK);
    put(f.temporary, "half");
    char *temporary = strdup(f.temporary);
    atomic_file_clear(&f);
    assert_holds(target, "old");
    assert_int_equal(access(temporary, F_OK), -1);
    free(temporary);
    assert_int_equal(unlink(target), 0);
}

static void test_a_closed_place_is_found_out_at_once(void **state)
{
    char target[128];
    atomic_file f;

    (void)state;
    path_in(target, "no-such-folder/a");
    assert_int_equal(atomic_file_begin(&f, target), SCW_EIO);
    assert_true(strstr(scw_error_message(), target) != NULL);
    assert_int_equal(atomic_file_begin(&f, folder), SCW_EIO);
    assert_int_equal(atomic_file_begin(&f, ""), SCW_EINVAL);
    path_in(target, "pipe"); /* nor may a pipe or a device be replaced by a file */
    assert_int_equal(mkfifo(target, 0600), 0);
    assert_int_equal(atomic_file_begin(&f, target), SCW_EIO);
    assert_int_equal(unlink(target), 0);
    path_in(target, "c");
    assert_int_equal(atomic_file_probe(target), SCW_OK);
    assert_int_equal(access(target, F_OK), -1);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

/* Fails when a test has left a file behind. */
static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void test_names_become_unique(void **state)
{
    static const char *const names[] = {"a", "b", "a", "a-1", "a", "b", "c"};
    static const char *const unique[] = {"a", "b", "a-2", "a-1", "a-3", "b-1", "c"};
    strings s = {0};
    int64_t n_changed;
    (void)state;

    for (int i = 0; i < 7; i++) assert_int_equal(strings_add(&s, names[i]), SCW_OK);
    assert_int_equal(strings_make_unique(&s, &n_changed), SCW_OK);
    assert_int_equal(n_changed, 3);
    for (int i = 0; i < 7; i++) assert_string_equal(s.at[i], unique[i]);
    assert_int_equal(strings_make_unique(&s, &n_changed), SCW_OK);
    assert_int_equal(n_changed, 0);
    strings_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_grows),
        cmocka_unit_test(test_strings_copy),
        cmocka_unit_test(test_name_index),
        cmocka_unit_test(test_names_become_unique),
        cmocka_unit_test(test_numbers_are_strict),
        cmocka_unit_test(test_messages_gain_prefixes),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_hooks_may_be_absent),
        cmocka_unit_test(test_commit_replaces),
        cmocka_unit_test(test_without_commit_nothing_changes),
        cmocka_unit_test(test_a_closed_place_is_found_out_at_once),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
