/* SPDX-License-Identifier: BSD-3-Clause */
/* A process that ends at any moment while it writes leaves the old file or the new one, and nothing takes a
 * name before it is on the disk. The work is done in children, which kill themselves (cut.h). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/threads.h"
#include "cut.h"
#include "scweave/status.h"
#include "writers.h"

#ifdef __SANITIZE_ADDRESS__
#define CUTS 3
#else
#define CUTS 4
#endif
#define LAST 10 /* the changes at the end, around the rename, are all tried beside CUTS others */

typedef struct outcome {
    int64_t changes, unsynced;
} outcome;

static char folder[64];
static outcome *shared; /* with the children */

static int set_up(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED || !writers_prepare() || !writers_make_folder(folder);
}

static int tear_down(void **state)
{
    (void)state;
    writers_release();
    return rmdir(folder);
}

/* Run in a child that ends at change n; its wait status. */
static int run(const writer *w, const char *path, int64_t n)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        cut_at(n);
        scw_status st = w->run(path);
        if (st != SCW_OK) (void)fprintf(stderr, "%s: %s\n", w->name, scw_error_message());
        *shared = (outcome){cut_changes(), cut_unsynced()};
        _exit(st == SCW_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void cut_once(const writer *w, const char *path, int64_t at, unsigned long *hash, int seen[3])
{
    writer_place_old(w, path);
    int status = run(w, path, at);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("%s, change %d: status %d", w->name, (int)at, status);
    writer_found found = writer_look(w, path, hash);
    const int is_folder = w->output[3] == '/';
    if (found == FOUND_MIXED || (found == FOUND_ABSENT && !is_folder))
        fail_msg("%s, change %d: what lies there is neither old nor new (%d)", w->name, (int)at,
                 (int)found);
    seen[found]++;
    (void)writer_remove(w, path);
}

static void cut_everywhere(const writer *w)
{
    char path[128];
    unsigned long hash = 0;
    int seen[3] = {0};

    (void)snprintf(path, sizeof path, "%s/%s", folder, w->output);
    writer_place_old(w, path);
    assert_int_equal(run(w, path, 0), 0);
    assert_int_equal(writer_look(w, path, &hash), FOUND_NEW);
    assert_int_equal(writer_remove(w, path), 0);
    const outcome whole = *shared;
    if (whole.unsynced) fail_msg("%s: %d changes are not synced", w->name, (int)whole.unsynced);
    for (int64_t at = 1; at <= whole.changes; at++)
        if (at > whole.changes - LAST || at % (whole.changes / CUTS + 1) == 0)
            cut_once(w, path, at, &hash, seen);
    print_message("%s: %d changes; %d times the old, %d the new, %d none\n", w->name,
                  (int)whole.changes, seen[FOUND_OLD], seen[FOUND_NEW], seen[FOUND_ABSENT]);
    assert_true(seen[FOUND_OLD] > 0 && seen[FOUND_NEW] > 0);
    assert_int_equal(run(w, path, 0), 0); /* nothing that was left stands in the way */
    assert_int_equal(writer_look(w, path, &hash), FOUND_NEW);
    (void)writer_remove(w, path);
}

static void test_every_writer(void **state)
{
    (void)state;
    for (int k = 0; k < n_writers; k++)
        if (writers[k].output) cut_everywhere(&writers[k]);
}

int main(void)
{
    threads_set(1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_writer)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
