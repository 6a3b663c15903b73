/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that runs out in the middle of everything that reads and writes: an error each time, nothing
 * half-written, the old output as it was, no leak (the sanitizer's part).
 *
 *     test_sweep [N]     N moments for each, spread over all of its work; 0: every single one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "scweave/options.h"
#include "scweave/status.h"
#include "writers.h"

#ifdef __SANITIZE_ADDRESS__
static int64_t moments = 12;
#else
static int64_t moments = 30;
#endif

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    return !writers_prepare() || !writers_make_folder(folder);
}

static int tear_down(void **state)
{
    (void)state;
    writers_release();
    return rmdir(folder);
}

static void expect_untouched(const writer *w, const char *path, int64_t at, scw_status st)
{
    unsigned long hash = 0;

    if (st != SCW_ENOMEM)
        fail_msg("%s, allocation %lld: code %d: %s", w->name, (long long)at, (int)st,
                 scw_error_message());
    if (!w->output) return;
    writer_found found = writer_look(w, path, &hash);
    if (found != FOUND_OLD)
        fail_msg("%s, allocation %lld: the old output was touched (%d)", w->name, (long long)at,
                 (int)found);
    int left = writer_remove(w, path);
    if (left) fail_msg("%s, allocation %lld: %d files left behind", w->name, (long long)at, left);
    writer_place_old(w, path);
}

static void sweep(const writer *w)
{
    char path[128];
    int64_t n_failed = 0;
    unsigned long hash = 0;

    (void)snprintf(path, sizeof path, "%s/%s", folder, w->output ? w->output : "");
    if (w->output) writer_place_old(w, path);
    (void)mem_fail_at(0);
    if (w->run(path) != SCW_OK) fail_msg("%s: %s", w->name, scw_error_message());
    const int64_t n = mem_fail_at(0), stride = moments ? n / moments + 1 : 1;
    if (w->output) {
        assert_int_equal(writer_look(w, path, &hash), FOUND_NEW);
        assert_int_equal(writer_remove(w, path), 0);
        writer_place_old(w, path);
    }
    for (int64_t at = 1; at <= n; at += stride) {
        (void)mem_fail_at(at);
        scw_status st = w->run(path);
        (void)mem_fail_at(0);
        n_failed += st != SCW_OK;
        if (st != SCW_OK) {
            expect_untouched(w, path, at, st);
        } else if (w->output) { /* an allocation whose failure has another way */
            assert_int_equal(writer_look(w, path, &hash), FOUND_NEW);
            (void)writer_remove(w, path);
            writer_place_old(w, path);
        }
    }
    print_message("%s: %d allocations, %d failures\n", w->name, (int)n, (int)n_failed);
    assert_true(n_failed * 2 > n / stride);
    if (w->output) (void)writer_remove(w, path);
}

static void test_every_writer(void **state)
{
    (void)state;
    for (int k = 0; k < n_writers; k++) sweep(&writers[k]);
}

int main(int argc, char **argv)
{
    if (argc > 1) moments = strtoll(argv[1], NULL, 10);
    threads_set(1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_writer)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
