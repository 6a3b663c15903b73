/* SPDX-License-Identifier: BSD-3-Clause */
/* The step that chooses highly variable features. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "prep/hvg.h"
#include "prep/steps.h"

typedef struct hvg_step_options {
    int flavor;
    int64_t n, bins;
    double span, min_mean, max_mean, min_disp, max_disp;
} hvg_step_options;

#define AT(field_) offsetof(hvg_step_options, field_)

static const scw_option table[] = {
    {"flavor", SCW_OPTION_CHOICE, AT(flavor), "seurat_v3", 0, 0, HVG_FLAVORS, NULL, "hvg",
     "seurat_v3 and seurat_v3_paper look at the counts wherever the step stands, the others at the "
     "logarithms before it"},
    {"n", SCW_OPTION_INT, AT(n), "2000", 0, 1e9, NULL, "N", "hvg",
     "how many to choose; 0, with dispersions only: by the limits that follow"},
    {"span", SCW_OPTION_REAL, AT(span), "0.3", 0.01, 1, NULL, "X", "hvg",
     "seurat_v3: share of the features in a neighbourhood of the local regression"},
    {"bins", SCW_OPTION_INT, AT(bins), "20", 1, 10000, NULL, "N", "hvg",
     "seurat: bins of the mean"},
    {"min-mean", SCW_OPTION_REAL, AT(min_mean), "0.0125", -1e300, 1e300, NULL, "X", "hvg",
     "with n=0"},
    {"max-mean", SCW_OPTION_REAL, AT(max_mean), "3", -1e300, 1e300, NULL, "X", "hvg", "with n=0"},
    {"min-disp", SCW_OPTION_REAL, AT(min_disp), "0.5", -1e300, 1e300, NULL, "X", "hvg", "with n=0"},
    {"max-disp", SCW_OPTION_REAL, AT(max_disp), "1e300", -1e300, 1e300, NULL, "X", "hvg",
     "with n=0"},
    {.type = SCW_OPTION_END},
};

static scw_status keep(prep_step *s, const char *name, const double *values, int64_t p)
{
    scw_status st = SCW_OK;
    double *to;

    TRY(step_add_array(&to, s, name, p, 1));
    if (p > 0) memcpy(to, values, (size_t)p * sizeof *to);
done:
    return st;
}

static scw_status fit(prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    const hvg_step_options *o = s->options;
    const bool counts = o->flavor <= HVG_SEURAT_V3_PAPER;
    const hvg_options how = {
        (hvg_flavor)o->flavor, o->n,        o->span,     o->bins,   o->min_mean,
        o->max_mean,           o->min_disp, o->max_disp, in->batch, in->n_batches};
    hvg h = {0};
    double *chosen, *batches;

    if (!counts && !in->changed)
        FAIL(SCW_EINVAL, "this flavor looks at logarithms of normalised counts: put "
                         "normalize,log1p before it");
    TRY(hvg_fit(&h, counts ? in->counts : in->rows, &how, in->hooks));
    TRY(step_add_array(&chosen, s, "highly_variable", h.p, 1));
    TRY(step_add_array(&batches, s, "highly_variable_nbatches", h.p, 1));
    for (int64_t j = 0; j < h.p; j++) {
        chosen[j] = h.selected[j];
        batches[j] = (double)h.n_batches[j];
    }
    TRY(keep(s, "means", h.mean, h.p));
    TRY(keep(s, counts ? "variances" : "dispersions", h.spread, h.p));
    TRY(keep(s, counts ? "variances_norm" : "dispersions_norm", h.norm, h.p));
    if (counts) TRY(keep(s, "highly_variable_rank", h.rank, h.p));
done:
    hvg_clear(&h);
    return st;
}

static scw_status add_column(frame *var, const step_array *a, column_kind kind)
{
    scw_status st = SCW_OK;
    column c = {0};

    TRY(column_init(&c, a->name, kind, a->n_rows));
    for (int64_t j = 0; j < a->n_rows; j++) {
        if (kind == COLUMN_BOOL)
            c.boolean[j] = a->values[j] != 0.0;
        else if (kind == COLUMN_INT)
            c.i64[j] = (int64_t)a->values[j];
        else
            c.f64[j] = a->values[j];
    }
    TRY(results_part_column(var, &c));
done:
    column_clear(&c);
    return st;
}

static scw_status write(results_part *out, const prep_step *s, const step_input *in)
{
    static const char *const flavors[] = {"seurat_v3", "seurat_v3_paper", "cell_ranger", "seurat"};
    scw_status st = SCW_OK;
    const hvg_step_options *o = s->options;
    textbuf record = {0};
    int64_t n = 0;

    for (int k = 0; k < s->n_arrays; k++) {
        const step_array *a = &s->arrays[k];
        bool batches = strcmp(a->name, "highly_variable_nbatches") == 0;
        if (batches && !in->batch) continue;
        TRY(add_column(&out->var, a, k == 0 ? COLUMN_BOOL : batches ? COLUMN_INT : COLUMN_FLOAT));
    }
    for (int64_t j = 0; j < s->arrays[0].n_rows; j++)
        n += s->arrays[0].values[j] != 0.0;
    log_info(in->hooks, "%lld highly variable features", (long long)n);
    TRY(text_add(&record, "{\"flavor\": \"%s\"}", flavors[o->flavor]));
    TRY(results_part_record(out, "hvg", text_get(&record)));
done:
    text_clear(&record);
    return st;
}

const step_kind step_hvg = {
    {"hvg", "choose highly variable features; pca uses them",
     "var highly_variable, means, variances and variances_norm or dispersions and "
     "dispersions_norm, "
     "highly_variable_rank, highly_variable_nbatches; uns hvg",
     table},
    sizeof(hvg_step_options),
    fit,
    NULL,
    write,
};
