/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/clue_intervals.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "models/clue_translation.h"

#define LEAST 20        /* cells, so that the highest level has a rank of its own */
#define MOST_VALUES 5e7 /* cells times features that are kept at once */
#define ROWS 512

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Scores of one block into columns from `at` on of score [F, n]. */
static scw_status score_block(float *score, int64_t n, int64_t at, const clue_model *m, tape *t,
                              const clue_source *s, const int64_t *entries, int64_t size, int from,
                              int to)
{
    scw_status st = SCW_OK;
    clue_batch batch;
    clue_translation made;

    tape_reset(t, TAPE_EVAL);
    clue_source_gather(&batch, s, t, entries, size);
    TRY(tape_status(t));
    if (batch.n != size) FAIL(SCW_ENOMEM, "out of memory while learning prediction intervals");
    TRY(clue_translate(&made, m, &(nn_pass){.t = t, .p = &m->net.p}, &batch, from, to));
    const affine_sparse *x = &batch.slot[to].counts;
    const bool there = m->net.config.modality[to].likelihood == CLUE_BERNOULLI;
    for (int64_t i = 0; i < size; i++) {
        int64_t e = x->indptr[i];
        for (int64_t j = 0; j < made.n_vars; j++) {
            double v = 0.0;
            if (e < x->indptr[i + 1] && x->indices[e] == j) v = (double)x->values[e++];
            if (there) v = v > 0.0;
            const double off = fabs(v - (double)made.mean[i * made.n_vars + j]);
            const double sd = (double)made.deviation[i * made.n_vars + j];
            score[j * n + at + i] = (float)(off / fmax(sd, 1e-12));
        }
    }
done:
    return st;
}

static scw_status learn_pair(clue_model *m, const paired_set *of, const int64_t *rows, int64_t n,
                             int from, int to)
{
    scw_status st = SCW_OK;
    const int64_t n_vars = m->net.config.modality[to].n_vars;
    int64_t *both = NULL, *entries = NULL, size = 0;
    const int64_t most = (int64_t)fmax(LEAST, MOST_VALUES / (double)n_vars);
    clue_source s = {0};
    float *score = NULL;
    tape *t = NULL;

    TRY(mem_new(&both, n));
    TRY(mem_new(&entries, n));
    for (int64_t i = 0; i < n && size < most; i++) {
        if (!of->present[from][rows[i]] || !of->present[to][rows[i]]) continue;
        entries[size] = size;
        both[size++] = rows[i];
    }
    if (size < LEAST) goto done;
    TRY(clue_source_init(&s, of, both, size, rows, n, 0, 0.0));
    TRY(mem_new(&score, n_vars * size));
    TRY(tape_new(&t));
    for (int64_t at = 0; at < size; at += ROWS)
        TRY(score_block(score, size, at, m, t, &s, entries + at, size - at < ROWS ? size - at : ROWS,
                        from, to));
    TRY(mem_new(&m->spread[from][to], CLUE_LEVELS * n_vars));
    for (int64_t j = 0; j < n_vars; j++) {
        qsort(score + j * size, (size_t)size, sizeof *score, ascending);
        for (int q = 0; q < CLUE_LEVELS; q++) {
            const int64_t rank = (int64_t)ceil((double)(size + 1) * clue_levels[q] - 1e-9);
            m->spread[from][to][q * n_vars + j] = score[j * size + (rank < size ? rank : size) - 1];
        }
    }
done:
    clue_source_clear(&s);
    tape_free(t);
    mem_free(both);
    mem_free(entries);
    mem_free(score);
    return st;
}

scw_status clue_intervals_learn(clue_model *m, const paired_set *of, const int64_t *rows,
                                int64_t n)
{
    scw_status st = SCW_OK;

    for (int from = 0; from < of->n_modalities; from++)
        for (int to = 0; to < of->n_modalities; to++)
            if (from != to) TRY(learn_pair(m, of, rows, n, from, to));
done:
    return st;
}
