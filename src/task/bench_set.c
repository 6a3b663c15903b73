/* SPDX-License-Identifier: BSD-3-Clause */
/* References made in memory, of any size and density. Column numbers are spread evenly over the
 * features, which is harder on caches than real data, where some genes are in every cell; a cell
 * has between half and three halves of the mean number of them where there is room. Every number is
 * a function of its place alone. */
#include "task/bench.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"

#define N_CLASSES 10
#define N_PROTEINS 50
#define STREAM_LENGTH 101 /* sub-streams of RNG_EXAMPLE, after those of data/example.c */
#define STREAM_GENES 102
#define STREAM_PROTEINS 103
#define BYTES_A_NONZERO 20.0 /* counts, inputs, and a copy of either while it is made */

void bench_set_clear(bench_set *s)
{
    reference_clear(&s->ref);
    strings_clear(&s->genes);
    strings_clear(&s->proteins);
}

scw_status bench_set_fits(bool *out, bench *b, double n, double n_genes, double density)
{
    const double needed =
        BYTES_A_NONZERO * n * (n_genes * density + N_PROTEINS) + 64.0 * n_genes * 185.0;
    const double free_bytes = (double)memory_available_bytes();

    *out = needed < 0.8 * free_bytes;
    if (*out) return SCW_OK;
    log_warning(b->hooks,
                "%.0f cells of %.0f features are left out: they need %.1f GB, %.1f are free", n,
                n_genes, 1e-9 * needed, 1e-9 * free_bytes);
    return bench_append(b, "left_out",
                        json_pack("{s:f, s:f, s:f, s:f}", "cells", n, "features", n_genes,
                                  "needs_gb", 1e-9 * needed, "free_gb", 1e-9 * free_bytes));
}

/* In no order that a choice of cells could follow. */
static int32_t class_of(int64_t i)
{
    return (int32_t)(((uint32_t)i * 2654435769u >> 16) % N_CLASSES);
}

/* One row of k sorted columns of n_cols; 1 + a geometric number in each, three more in a class's
 * own. */
static void fill_row(int32_t *columns, float *values, int64_t k, int64_t n_cols, int64_t row,
                     uint32_t of)
{
    const rng_key key = rng_make_key(1, RNG_EXAMPLE, of);
    uint32_t word[4] = {0};

    for (int64_t e = 0; e < k; e++) {
        if (e % 4 == 0) rng_block(word, key, (uint32_t)row, (uint64_t)(e / 4));
        const int64_t from = e * n_cols / k, width = (e + 1) * n_cols / k - from;
        const uint32_t w = word[e % 4];
        columns[e] = (int32_t)(from + (int64_t)((uint64_t)(w >> 8) * (uint64_t)width >> 24));
        values[e] = (float)(1 + __builtin_ctz((w & 0xffu) | 0x80u));
        if (columns[e] % N_CLASSES == class_of(row)) values[e] += 3.0f;
    }
}

/* Counts of a modality; its rows hold `mean` entries on average. */
static scw_status make_counts(matrix *out, int64_t n, int64_t n_cols, double mean, uint32_t of)
{
    scw_status st = SCW_OK;
    const rng_key key = rng_make_key(1, RNG_EXAMPLE, STREAM_LENGTH);
    const double spread = fmin(0.5, (double)n_cols / mean - 1.0);
    int64_t *indptr = NULL;

    TRY(mem_new(&indptr, n + 1));
    for (int64_t i = 0; i < n; i++) {
        double k =
            mean * (1.0 + spread * (2.0 * rng_uniform(key, (uint32_t)of, (uint64_t)i) - 1.0));
        int64_t whole = k < 1.0 ? 1 : (int64_t)fmin(k, (double)n_cols);
        indptr[i + 1] = indptr[i] + whole;
    }
    TRY(matrix_init_csr(out, n, n_cols, indptr[n]));
    for (int64_t i = 0; i <= n; i++)
        out->indptr[i] = indptr[i];
    PARALLEL_FOR
    for (int64_t i = 0; i < n; i++)
        fill_row(out->indices + indptr[i], out->values + indptr[i], indptr[i + 1] - indptr[i],
                 n_cols, i, of);
done:
    mem_free(indptr);
    return st;
}

static scw_status add_modality(reference *r, const char *name, modality_kind kind, strings *names,
                               int64_t n_cols, double density, uint32_t of)
{
    scw_status st = SCW_OK;
    reference_modality *x = &r->modality[r->n_modalities++];
    char text[32];

    for (int64_t j = 0; j < n_cols; j++) {
        (void)snprintf(text, sizeof text, "%s%lld", name, (long long)j);
        TRY(strings_add(names, text));
    }
    *x = (reference_modality){.name = name, .kind = kind, .features = names};
    TRY(mem_new(&x->present, r->n));
    for (int64_t i = 0; i < r->n; i++)
        x->present[i] = 1;
    TRY(make_counts(&x->counts, r->n, n_cols, density * (double)n_cols, of));
done:
    return st;
}

scw_status bench_set_make(bench_set *out, int64_t n, int64_t n_genes, double density)
{
    scw_status st = SCW_OK;
    char text[32];

    *out = (bench_set){.ref.n = n};
    reference *r = &out->ref;
    TRY(mem_new(&r->obs, n));
    TRY(mem_new(&r->labels, n));
    for (int64_t i = 0; i < n; i++) {
        r->obs[i] = i;
        r->labels[i] = class_of(i);
    }
    for (int c = 0; c < N_CLASSES; c++) {
        (void)snprintf(text, sizeof text, "class %d", c);
        TRY(strings_add(&r->classes, text));
    }
    TRY(add_modality(r, "rna", MODALITY_RNA, &out->genes, n_genes, density, STREAM_GENES));
    TRY(add_modality(r, "adt", MODALITY_ADT, &out->proteins, N_PROTEINS, 1.0, STREAM_PROTEINS));
done:
    if (st != SCW_OK) bench_set_clear(out);
    return st;
}
