/* SPDX-License-Identifier: BSD-3-Clause */
/* match_probe IN OUT [OPTION VALUE]...: match the rows read from IN (int64 n_x n_y d n_batches; x, y
 * f32; with batches their codes i32 of x and y) and write nnz i64, indptr i64, columns i32, weights f32,
 * distances f64. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "embed/match.h"
#include "../probe.h"

static void say(void *user, scw_log_level level, const char *message)
{
    (void)user, (void)level;
    (void)fprintf(stderr, "%s\n", message);
}

int main(int argc, char **argv)
{
    static const scw_hooks hooks = {.log = say};
    scw_match_options o;
    matrix p;

    must(argc >= 3, "usage: match_probe IN OUT [OPTION VALUE]...");
    must(scw_options_init(scw_match_option_table(), &o) == SCW_OK, "options");
    for (int k = 3; k + 1 < argc; k += 2) {
        if (strcmp(argv[k], "threads") == 0)
            threads_set(atoi(argv[k + 1]));
        else
            must(scw_options_set(scw_match_option_table(), &o, argv[k], argv[k + 1]) == SCW_OK, argv[k]);
    }
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    must(in && out, "cannot open the files");
    int64_t *s = read_array(in, 4, 8);
    float *x = read_array(in, s[0] * s[2], 4), *y = read_array(in, s[1] * s[2], 4);
    int32_t *bx = s[3] ? read_array(in, s[0], 4) : NULL, *by = s[3] ? read_array(in, s[1], 4) : NULL;
    match_input how = {.x = x, .y = y, .n_x = s[0], .n_y = s[1], .d = s[2], .batch_x = bx,
                       .batch_y = by, .n_batches = (int32_t)s[3]};
    must(match_rows(&p, &how, &o, &hooks) == SCW_OK, "match_rows");
    int64_t nnz = matrix_nnz(&p);
    double *distance = calloc((size_t)nnz + 1, sizeof *distance);
    must(distance != NULL, "memory");
    match_distances(distance, &p, &how, o.metric);
    write_array(out, &nnz, 1, 8);
    write_array(out, p.indptr, s[0] + 1, 8);
    write_array(out, p.indices, nnz, 4);
    write_array(out, p.values, nnz, 4);
    write_array(out, distance, nnz, 8);
    matrix_clear(&p);
    free(distance);
    free(x);
    free(y);
    free(bx);
    free(by);
    free(s);
    (void)fclose(in);
    must(fclose(out) == 0, "cannot write");
    return 0;
}
