/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference sparse products in double. */
#include "kernel/table.h"

static void lists_gather(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                         int64_t l, double *out)
{
    for (int64_t r = first; r < last; r++)
        for (int64_t e = s->start[r]; e < s->start[r + 1]; e++)
            for (int64_t h = 0; h < l; h++)
                out[r * l + h] += (double)s->values[e] * b[s->at[e] * l + h];
}

static void lists_scatter(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                          int64_t l, double *out)
{
    for (int64_t r = first; r < last; r++)
        for (int64_t e = s->start[r]; e < s->start[r + 1]; e++)
            for (int64_t h = 0; h < l; h++)
                out[s->at[e] * l + h] += (double)s->values[e] * b[r * l + h];
}

void ref_fill_lists(kernel_table *t)
{
    t->lists_gather = lists_gather;
    t->lists_scatter = lists_scatter;
}
