/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps that change values: library size, logarithm, z-score, CLR, TF-IDF, presence.
 *
 * All keep zeros zero, so the rows stay sparse: the z-score is written as y + t with y zero where x
 * is, and the constants t of the columns beside it (array "shift"). */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "prep/pass.h"
#include "prep/select.h"
#include "prep/steps.h"

typedef struct no_options {
    int unused;
} no_options;

static const scw_option no_table[] = {{.type = SCW_OPTION_END}};

/* ------------------------------------------------------------------ normalize */

typedef struct normalize_options {
    double target, max_fraction;
    int exclude;
} normalize_options;

static const scw_option normalize_table[] = {
    {"target", SCW_OPTION_REAL, offsetof(normalize_options, target), "0", 0, 1e12, NULL, "T",
     "normalize", "sum of each cell; 0: the median of the cells that have counts"},
    {"exclude", SCW_OPTION_BOOL, offsetof(normalize_options, exclude), "off", 0, 0, NULL, NULL,
     "normalize", "leave features that dominate a cell out of the sums"},
    {"max-fraction", SCW_OPTION_REAL, offsetof(normalize_options, max_fraction), "0.05", 0, 1, NULL,
     "X", "normalize", "with exclude: a feature dominates that holds more than this of some cell"},
    {.type = SCW_OPTION_END},
};

/* Sum of a row over the features that count. */
static double row_total(const matrix *x, int64_t i, const double *left_out)
{
    double sum = 0.0;

    for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
        if (!left_out || left_out[x->indices[e]] == 0.0) sum += (double)x->values[e];
    return sum;
}

typedef struct totals_pass {
    double *totals;   /* [n] */
    double *left_out; /* [p] or NULL */
    double fraction;
} totals_pass;

static scw_status visit_dominating(void *state, const row_block *b)
{
    totals_pass *t = state;
    const matrix *x = &b->x;

    for (int64_t i = 0; i < x->n_rows; i++) {
        double limit = t->fraction * row_total(x, i, NULL);
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            if ((double)x->values[e] > limit) t->left_out[x->indices[e]] = 1.0;
    }
    return SCW_OK;
}

static scw_status visit_totals(void *state, const row_block *b)
{
    scw_status st = SCW_OK;
    totals_pass *t = state;

    PARALLEL_FOR
    for (int64_t i = 0; i < b->x.n_rows; i++)
        t->totals[b->from + i] = row_total(&b->x, i, t->left_out);
    for (int64_t i = 0; i < b->x.n_rows; i++)
        if (!isfinite(t->totals[b->from + i]) || t->totals[b->from + i] < 0.0)
            FAIL(SCW_EDATA, "cell %lld sums to %g; counts are needed", (long long)(b->from + i) + 1,
                 t->totals[b->from + i]);
done:
    return st;
}

static scw_status normalize_fit(prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    const normalize_options *o = s->options;
    totals_pass t = {.fraction = o->max_fraction};
    double *target;
    int64_t n = 0;

    TRY(step_add_array(&target, s, "target", 1, 1));
    if (o->exclude) {
        TRY(step_add_array(&t.left_out, s, "left_out", in->rows->n_cols, 1));
        TRY(blocks_each(in->rows, "library sizes", in->hooks, visit_dominating, &t));
    }
    *target = o->target;
    if (o->target > 0.0) goto done;
    TRY(mem_new(&t.totals, in->rows->n_rows));
    TRY(blocks_each(in->rows, "library sizes", in->hooks, visit_totals, &t));
    for (int64_t i = 0; i < in->rows->n_rows; i++)
        if (t.totals[i] > 0.0) t.totals[n++] = t.totals[i];
    if (n == 0) FAIL(SCW_EDATA, "no cell has counts");
    *target = select_median(t.totals, n);
done:
    mem_free(t.totals);
    return st;
}

static scw_status normalize_map(row_block *b, const prep_step *s)
{
    const double target = *step_values(s, "target"), *left_out = step_values(s, "left_out");
    matrix *x = &b->x;

    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        double total = row_total(x, i, left_out), factor = total != 0.0 ? target / total : 1.0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            x->values[e] = (float)((double)x->values[e] * factor);
    }
    return SCW_OK;
}

const step_kind step_normalize = {
    {"normalize", "scale each cell to the same sum", "X; layers counts", normalize_table},
    sizeof(normalize_options),
    normalize_fit,
    normalize_map,
    NULL,
};

/* ------------------------------------------------------------------ log1p, binarize */

static scw_status log1p_map(row_block *b, const prep_step *s)
{
    matrix *x = &b->x;
    bool below = false;

    (void)s;
    for (int64_t e = 0; e < x->indptr[x->n_rows]; e++)
        below |= !(x->values[e] > -1.0f);
    if (below)
        return status_fail(SCW_EDATA,
                           "a value near cell %lld is -1 or less, or no number: it has no "
                           "log1p",
                           (long long)b->from + 1);
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++)
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            x->values[e] = (float)log1p((double)x->values[e]);
    return SCW_OK;
}

/* scanpy looks for the base here. */
static scw_status log1p_write(results_part *out, const prep_step *s, const step_input *in)
{
    (void)s, (void)in;
    return results_part_record(out, "log1p", "{\"base\": 2.718281828459045}");
}

const step_kind step_log1p = {
    {"log1p", "natural logarithm of one plus the value", "X; layers counts; uns log1p", no_table},
    sizeof(no_options),
    NULL,
    log1p_map,
    log1p_write,
};

static scw_status binarize_map(row_block *b, const prep_step *s)
{
    (void)s;
    for (int64_t e = 0; e < b->x.indptr[b->x.n_rows]; e++)
        b->x.values[e] = b->x.values[e] > 0.0f ? 1.0f : 0.0f;
    return SCW_OK;
}

const step_kind step_binarize = {
    {"binarize", "one where there is a count", "X; layers counts", no_table},
    sizeof(no_options),
    NULL,
    binarize_map,
    NULL,
};

/* ------------------------------------------------------------------ columns */

typedef struct column_pass {
    double *sum, *squares, *cells; /* [p], each may be NULL */
    bool logs;                     /* of log1p of the values */
} column_pass;

static scw_status visit_columns(void *state, const row_block *b)
{
    scw_status st = SCW_OK;
    column_pass *c = state;

    for (int64_t e = 0; e < b->x.indptr[b->x.n_rows]; e++) {
        int32_t j = b->x.indices[e];
        double v = (double)b->x.values[e];
        if (!isfinite(v) || (c->logs && v < 0.0))
            FAIL(SCW_EDATA, "feature %d holds the value %g", (int)j + 1, v);
        if (c->logs) v = log1p(v);
        if (c->sum) c->sum[j] += v;
        if (c->squares) c->squares[j] += v * v;
        if (c->cells) c->cells[j] += v > 0.0;
    }
done:
    return st;
}

/* ------------------------------------------------------------------ scale */

typedef struct scale_options {
    double max;
    char *layer;
} scale_options;

static const scw_option scale_table[] = {
    {"max", SCW_OPTION_REAL, offsetof(scale_options, max), "10", 0, 1e9, NULL, "X", "scale",
     "z-scores are clipped to this on both sides; 0: they are not"},
    {"layer", SCW_OPTION_TEXT, offsetof(scale_options, layer), NULL, 0, 0, NULL, "NAME", "scale",
     "write the z-scores as this layer, dense; they are not written unless said"},
    {.type = SCW_OPTION_END},
};

/* z = (x - m) / s is clip(z) = y + t, with t the z-score of a zero: y is zero where x is. A feature
 * that does not vary gets s = 1. */
static scw_status scale_fit(prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    const scale_options *o = s->options;
    int64_t p = in->rows->n_cols;
    double *mean, *sd, *shift, n = (double)in->rows->n_rows;

    TRY(step_add_array(&mean, s, "mean", p, 1));
    TRY(step_add_array(&sd, s, "sd", p, 1));
    TRY(step_add_array(&shift, s, "shift", p, 1));
    if (n < 2.0) FAIL(SCW_EDATA, "z-scores need two cells or more");
    column_pass c = {.sum = mean, .squares = sd};
    TRY(blocks_each(in->rows, "z-scores", in->hooks, visit_columns, &c));
    for (int64_t j = 0; j < p; j++) {
        mean[j] /= n;
        double variance = (sd[j] - n * mean[j] * mean[j]) / (n - 1.0);
        sd[j] = variance > 1e-14 * mean[j] * mean[j] ? sqrt(variance) : 1.0;
        shift[j] = -mean[j] / sd[j];
        if (o->max > 0.0) shift[j] = fmax(shift[j], -o->max);
    }
done:
    return st;
}

static scw_status scale_map(row_block *b, const prep_step *s)
{
    const scale_options *o = s->options;
    const double *mean = step_values(s, "mean"), *sd = step_values(s, "sd"),
                 *shift = step_values(s, "shift");
    matrix *x = &b->x;

    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            int32_t j = x->indices[e];
            double z = ((double)x->values[e] - mean[j]) / sd[j];
            if (o->max > 0.0) z = fmin(fmax(z, -o->max), o->max);
            x->values[e] = (float)(z - shift[j]);
        }
    }
    return SCW_OK;
}

static scw_status scale_write(results_part *out, const prep_step *s, const step_input *in)
{
    static const char *const names[] = {"mean", "std"}, *const arrays[] = {"mean", "sd"};
    scw_status st = SCW_OK;
    column c = {0};

    for (int k = 0; k < 2; k++) {
        TRY(column_init(&c, names[k], COLUMN_FLOAT, in->rows->n_cols));
        memcpy(c.f64, step_values(s, arrays[k]), (size_t)c.n * sizeof *c.f64);
        TRY(results_part_column(&out->var, &c));
    }
done:
    column_clear(&c);
    return st;
}

const step_kind step_scale = {
    {"scale",
     "z-score of each feature, clipped; used by the steps that follow, X keeps what it held",
     "var mean, std; a dense layer when asked for", scale_table},
    sizeof(scale_options),
    scale_fit,
    scale_map,
    scale_write,
};

/* ------------------------------------------------------------------ clr */

typedef struct clr_options {
    int64_t margin;
} clr_options;

static const scw_option clr_table[] = {
    {"margin", SCW_OPTION_INT, offsetof(clr_options, margin), "2", 1, 2, NULL, "1|2", "clr",
     "as Seurat counts: 2 over the features of each cell, 1 over the cells of each feature"},
    {.type = SCW_OPTION_END},
};

static scw_status clr_fit(prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    const clr_options *o = s->options;
    double *mean;

    if (o->margin == 2) goto done;
    TRY(step_add_array(&mean, s, "mean_log1p", in->rows->n_cols, 1));
    column_pass c = {.sum = mean, .logs = true};
    TRY(blocks_each(in->rows, "log ratios", in->hooks, visit_columns, &c));
    for (int64_t j = 0; j < in->rows->n_cols; j++)
        mean[j] /= (double)in->rows->n_rows;
done:
    return st;
}

/* y = log1p(x / exp(mean log1p x)), the mean over a cell's features or a feature's cells, zeros
 * among them. */
static scw_status clr_map(row_block *b, const prep_step *s)
{
    const double *by_feature = step_values(s, "mean_log1p");
    matrix *x = &b->x;
    bool negative = false;

    for (int64_t e = 0; e < x->indptr[x->n_rows]; e++)
        negative |= !(x->values[e] >= 0.0f);
    if (negative)
        return status_fail(SCW_EDATA,
                           "a value near cell %lld is negative or no number; log ratios "
                           "need counts",
                           (long long)b->from + 1);
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        double sum = 0.0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1] && !by_feature; e++)
            sum += log1p((double)x->values[e]);
        double cell = sum / (double)x->n_cols;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            double mean = by_feature ? by_feature[x->indices[e]] : cell;
            x->values[e] = (float)log1p((double)x->values[e] * exp(-mean));
        }
    }
    return SCW_OK;
}

const step_kind step_clr = {
    {"clr", "centred log ratio", "X; layers counts", clr_table},
    sizeof(clr_options),
    clr_fit,
    clr_map,
    NULL,
};

/* ------------------------------------------------------------------ tfidf */

enum { TFIDF_SIGNAC = 0, TFIDF_CLUE, TFIDF_MUON };

typedef struct tfidf_options {
    int variant;
    double scale;
} tfidf_options;

static const scw_option tfidf_table[] = {
    {"variant", SCW_OPTION_CHOICE, offsetof(tfidf_options, variant), "signac", 0, 0,
     "signac|clue|muon", NULL, "tfidf",
     "signac: log1p(tf idf scale), idf = cells / cells with the peak; clue: idf = cells / counts "
     "of "
     "the peak, cells scaled to the same sum, log1p; muon: log1p(tf scale) log1p(cells / counts)"},
    {"scale", SCW_OPTION_REAL, offsetof(tfidf_options, scale), "10000", 1e-6, 1e12, NULL, "X",
     "tfidf", "factor before the logarithm"},
    {.type = SCW_OPTION_END},
};

static scw_status tfidf_fit(prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    const tfidf_options *o = s->options;
    double *idf;

    TRY(step_add_array(&idf, s, "idf", in->rows->n_cols, 1));
    column_pass c = {0};
    if (o->variant == TFIDF_SIGNAC)
        c.cells = idf;
    else
        c.sum = idf;
    TRY(blocks_each(in->rows, "inverse document frequencies", in->hooks, visit_columns, &c));
    for (int64_t j = 0; j < in->rows->n_cols; j++) {
        double ratio = idf[j] > 0.0 ? (double)in->rows->n_rows / idf[j] : 0.0;
        idf[j] = o->variant == TFIDF_MUON ? log1p(ratio) : ratio;
    }
done:
    return st;
}

static void tfidf_row(matrix *x, int64_t i, const double *idf, const tfidf_options *o)
{
    int64_t first = x->indptr[i], last = x->indptr[i + 1];
    double total = row_total(x, i, NULL), weighted = 0.0;

    if (total == 0.0) return;
    if (o->variant == TFIDF_CLUE)
        for (int64_t e = first; e < last; e++)
            weighted += (double)x->values[e] / total * idf[x->indices[e]];
    for (int64_t e = first; e < last; e++) {
        double tf = (double)x->values[e] / total, w = idf[x->indices[e]], y;
        if (o->variant == TFIDF_SIGNAC)
            y = log1p(tf * w * o->scale);
        else if (o->variant == TFIDF_MUON)
            y = log1p(tf * o->scale) * w;
        else
            y = weighted > 0.0 ? log1p(tf * w * o->scale / weighted) : 0.0;
        x->values[e] = (float)y;
    }
}

static scw_status tfidf_map(row_block *b, const prep_step *s)
{
    const double *idf = step_values(s, "idf");

    for (int64_t e = 0; e < b->x.indptr[b->x.n_rows]; e++)
        if (!(b->x.values[e] >= 0.0f))
            return status_fail(SCW_EDATA,
                               "a value near cell %lld is negative or no number; TF-IDF "
                               "needs counts",
                               (long long)b->from + 1);
    PARALLEL_FOR
    for (int64_t i = 0; i < b->x.n_rows; i++)
        tfidf_row(&b->x, i, idf, s->options);
    return SCW_OK;
}

static scw_status tfidf_write(results_part *out, const prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    column c = {0};

    TRY(column_init(&c, "idf", COLUMN_FLOAT, in->rows->n_cols));
    memcpy(c.f64, step_values(s, "idf"), (size_t)c.n * sizeof *c.f64);
    TRY(results_part_column(&out->var, &c));
done:
    column_clear(&c);
    return st;
}

const step_kind step_tfidf = {
    {"tfidf", "term frequency times inverse document frequency", "X; layers counts; var idf",
     tfidf_table},
    sizeof(tfidf_options),
    tfidf_fit,
    tfidf_map,
    tfidf_write,
};
