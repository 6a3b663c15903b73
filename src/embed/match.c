/* SPDX-License-Identifier: BSD-3-Clause */
/* Cells are gathered batch by batch, matched, and what was found goes back to their rows. */
#include "embed/match.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/log.h"

static const scw_option table[] = {
    {"engine", SCW_OPTION_CHOICE, offsetof(scw_match_options, engine), "shared", 0, 0,
     "shared|transport|assignment|mutual", NULL, "Matching",
     "shared nearest neighbours, entropic optimal transport, one to one at the least cost, or mutual "
     "nearest neighbours"},
    {"metric", SCW_OPTION_CHOICE, offsetof(scw_match_options, metric), "cosine", 0, 0,
     "euclidean|cosine", NULL, "Matching", "distance between cells"},
    {"neighbors", SCW_OPTION_INT, offsetof(scw_match_options, neighbors), "1", 1, 10000, NULL, "N",
     "Matching", "shared and mutual: neighbours of a cell"},
    {"entropy", SCW_OPTION_REAL, offsetof(scw_match_options, entropy), "0.01", 1e-5, 100, NULL, "X",
     "Matching", "transport: weight of the entropy, with costs scaled to [0, 1]; larger: softer"},
    {"iterations", SCW_OPTION_INT, offsetof(scw_match_options, iterations), "5000", 1, 1e9, NULL,
     "N", "Matching", "transport: the most there are"},
    {"tolerance", SCW_OPTION_REAL, offsetof(scw_match_options, tolerance), "0.001", 0, 1, NULL, "X",
     "Matching", "transport: error of the rows' shares, all together, at which it ends"},
    {"keep", SCW_OPTION_INT, offsetof(scw_match_options, keep), "50", 1, 100000, NULL, "N",
     "Matching", "transport: entries kept of each row, the largest"},
    {.type = SCW_OPTION_END},
};

const scw_option *scw_match_option_table(void)
{
    return table;
}

/* ------------------------------------------------------------------------------- costs */

scw_status cost_rows_init(cost_rows *r, const float *x, int64_t n, int64_t d, bool cosine)
{
    scw_status st = SCW_OK;

    *r = (cost_rows){.n = n, .d = d};
    TRY(mem_new(&r->rows, n * d));
    TRY(mem_new(&r->half, n));
    for (int64_t i = 0; i < n; i++) {
        double *row = r->rows + i * d, square = 0.0;
        for (int64_t j = 0; j < d; j++) {
            row[j] = (double)x[i * d + j];
            square += row[j] * row[j];
        }
        r->half[i] = cosine ? 0.5 : 0.5 * square;
        for (int64_t j = 0; j < d && cosine && square > 0.0; j++) row[j] /= sqrt(square);
    }
done:
    return st;
}

void cost_rows_clear(cost_rows *r)
{
    mem_free(r->rows);
    mem_free(r->half);
    *r = (cost_rows){0};
}

void cost_block(double *out, int64_t ld, const cost_rows *a, int64_t first_a, int64_t n_a,
                const cost_rows *b, int64_t first_b, int64_t n_b)
{
    dense_shape shape = {.trans_b = true, .m = n_a, .n = n_b, .k = a->d, .ld_a = a->d,
                         .ld_b = a->d, .ld_c = ld, .alpha = -1.0};

    dense_product_serial(&shape, a->rows + first_a * a->d, b->rows + first_b * a->d, out);
    for (int64_t i = 0; i < n_a; i++)
        for (int64_t j = 0; j < n_b; j++)
            out[i * ld + j] += a->half[first_a + i] + b->half[first_b + j];
}

void match_distances(double *out, const matrix *p, const match_input *in, int metric)
{
    for (int64_t i = 0; i < p->n_rows; i++)
        for (int64_t e = p->indptr[i]; e < p->indptr[i + 1]; e++) {
            const float *a = in->x + i * in->d, *b = in->y + p->indices[e] * in->d;
            double aa = 0.0, bb = 0.0, ab = 0.0, gap = 0.0;
            for (int64_t j = 0; j < in->d; j++) {
                double u = (double)a[j], v = (double)b[j];
                aa += u * u;
                bb += v * v;
                ab += u * v;
                gap += (u - v) * (u - v);
            }
            double both = sqrt(aa) * sqrt(bb);
            out[e] = metric == SCW_DISTANCE_EUCLIDEAN ? sqrt(gap) : 1.0 - (both > 0.0 ? ab / both : 0.0);
        }
}

/* ----------------------------------------------------------------------------- batches */

/* Rows of a batch; *at holds where they stood. */
static scw_status gather(float **rows, int64_t **at, int64_t *n_out, const float *x, int64_t n,
                         int64_t d, const int32_t *batch, int32_t which)
{
    scw_status st = SCW_OK;

    *n_out = 0;
    TRY(mem_new(at, n));
    for (int64_t i = 0; i < n; i++) {
        bool finite = true;
        if (batch && batch[i] != which) continue;
        for (int64_t j = 0; j < d; j++) finite &= isfinite(x[i * d + j]) != 0;
        if (finite) (*at)[(*n_out)++] = i;
    }
    TRY(mem_new(rows, *n_out * d));
    for (int64_t i = 0; i < *n_out; i++)
        memcpy(*rows + i * d, x + (*at)[i] * d, (size_t)d * sizeof **rows);
done:
    return st;
}

static scw_status match_one(matrix_builder *out, int64_t *n_matched, const match_input *in,
                            int32_t which, const scw_match_options *o, const scw_hooks *hooks)
{
    static match_engine *const engines[] = {match_shared, match_transport, match_assignment,
                                            match_mutual};
    scw_status st = SCW_OK;
    match_batch batch = {.d = in->d, .cosine = o->metric == SCW_DISTANCE_COSINE};
    int64_t *at_x = NULL, *at_y = NULL;
    matrix_builder found = {0};
    matrix p = {0};

    *n_matched = 0;
    TRY(gather(&batch.x, &at_x, &batch.n_x, in->x, in->n_x, in->d, in->batch_x, which));
    TRY(gather(&batch.y, &at_y, &batch.n_y, in->y, in->n_y, in->d, in->batch_y, which));
    if (batch.n_x == 0 || batch.n_y == 0) goto done;
    TRY(matrix_builder_init(&found, batch.n_x, batch.n_y, false));
    TRY(engines[o->engine](&found, &batch, o, hooks));
    TRY(matrix_builder_finish(&p, &found));
    for (int64_t i = 0; i < p.n_rows; i++)
        for (int64_t e = p.indptr[i]; e < p.indptr[i + 1]; e++)
            TRY(matrix_builder_add(out, at_x[i], at_y[p.indices[e]], (double)p.values[e]));
    *n_matched = batch.n_x;
done:
    mem_free(batch.x);
    mem_free(batch.y);
    mem_free(at_x);
    mem_free(at_y);
    matrix_builder_clear(&found);
    matrix_clear(&p);
    return st;
}

/* By way of text, as graph_check_options does: callers fill the struct by hand. */
static scw_status check_options(const scw_match_options *options)
{
    scw_status st = SCW_OK;
    scw_match_options copy;
    char *text = NULL;

    for (const scw_option *o = table; o->type != SCW_OPTION_END; o++) {
        mem_free(text);
        TRY(scw_options_get(&text, table, options, o->name));
        TRY(scw_options_set(table, &copy, o->name, text));
    }
done:
    mem_free(text);
    return st;
}

scw_status match_rows(matrix *out, const match_input *in, const scw_match_options *options,
                      const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    matrix_builder all = {0};
    int64_t n_matched = 0, n_now;

    *out = (matrix){0};
    TRY(check_options(options));
    if (in->d < 1) FAIL(SCW_EDATA, "the embeddings have no columns");
    TRY(matrix_builder_init(&all, in->n_x, in->n_y, false));
    for (int32_t b = 0; b < (in->batch_x ? in->n_batches : 1); b++) {
        TRY(log_check_cancel(hooks));
        TRY(match_one(&all, &n_now, in, b, options, hooks));
        n_matched += n_now;
    }
    if (n_matched == 0)
        FAIL(SCW_EDATA, "there is nothing to match: %s",
             in->batch_x ? "no batch has cells with an embedding on both sides"
                         : "one side has no cell with a finite embedding");
    TRY(matrix_builder_finish(out, &all));
done:
    matrix_builder_clear(&all);
    return st;
}
