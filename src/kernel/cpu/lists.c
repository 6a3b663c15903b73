/* SPDX-License-Identifier: BSD-3-Clause */
/* Sparse products in double: the loops of ref/lists.c, wide. */
#include "kernel/cpu/cpu.h"

static void lists_gather(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                         int64_t l, double *out)
{
    for (int64_t r = first; r < last; r++) {
        double *to = out + r * l;
        for (int64_t e = s->start[r]; e < s->start[r + 1]; e++) {
            const double v = (double)s->values[e], *from = b + s->at[e] * l;
            CPU_SIMD
            for (int64_t h = 0; h < l; h++) to[h] += v * from[h];
        }
    }
}

static void lists_scatter(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                          int64_t l, double *out)
{
    for (int64_t r = first; r < last; r++) {
        const double *from = b + r * l;
        for (int64_t e = s->start[r]; e < s->start[r + 1]; e++) {
            const double v = (double)s->values[e];
            double *to = out + s->at[e] * l;
            CPU_SIMD
            for (int64_t h = 0; h < l; h++) to[h] += v * from[h];
        }
    }
}

void CPU_NAME(cpu_fill_lists)(kernel_table *t)
{
    t->lists_gather = lists_gather;
    t->lists_scatter = lists_scatter;
}
