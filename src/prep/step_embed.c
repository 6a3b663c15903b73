/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps that place cells in few dimensions: principal components, latent semantic indexing. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "prep/pass.h"
#include "prep/pca_stream.h"
#include "prep/steps.h"

/* ------------------------------------------------------------------ shared */

/* The fitted arrays: components [p, k], mean [p], singular [k], variance [k], ratio [k]. */
static scw_status fit_components(prep_step *s, const step_input *in, int64_t k, bool uncentred,
                                 const uint8_t *selected)
{
    scw_status st = SCW_OK;
    const pca_stream_options how = {k, in->seed, uncentred, selected};
    pca_stream c = {0};
    double *components, *mean, *singular, *variance, *ratio;

    TRY(pca_stream_fit(&c, in->rows, &how, in->hooks));
    if (c.k < k)
        log_warning(in->hooks, "%lld components: %lld cells and the features have no more",
                    (long long)c.k, (long long)c.n);
    TRY(step_add_array(&components, s, "components", c.p, c.k));
    TRY(step_add_array(&mean, s, "mean", c.p, 1));
    TRY(step_add_array(&singular, s, "singular", c.k, 1));
    TRY(step_add_array(&variance, s, "variance", c.k, 1));
    TRY(step_add_array(&ratio, s, "ratio", c.k, 1));
    memcpy(components, c.components, (size_t)(c.p * c.k) * sizeof *components);
    memcpy(mean, c.mean, (size_t)c.p * sizeof *mean);
    memcpy(singular, c.singular_values, (size_t)c.k * sizeof *singular);
    memcpy(variance, c.variances, (size_t)c.k * sizeof *variance);
    for (int64_t h = 0; h < c.k; h++)
        ratio[h] = c.total_variance > 0.0 ? c.variances[h] / c.total_variance : 0.0;
done:
    pca_stream_clear(&c);
    return st;
}

static scw_status compute_scores(results_array *out, const prep_step *s, const step_input *in,
                                 const char *name)
{
    scw_status st = SCW_OK;
    const step_array *c = step_find_array(s, "components");

    *out = (results_array){.n_rows = in->rows->n_rows, .n_cols = c->n_cols};
    TRY(mem_strdup(&out->name, name));
    TRY(mem_new(&out->values, out->n_rows * out->n_cols));
    TRY(pca_stream_scores(out->values, in->rows, c->values, step_values(s, "mean"), c->n_cols,
                          in->hooks));
done:
    return st;
}

static scw_status add_loadings(results_part *out, const prep_step *s, const char *name,
                               int64_t first)
{
    scw_status st = SCW_OK;
    const step_array *c = step_find_array(s, "components");
    results_array a = {.n_rows = c->n_rows, .n_cols = c->n_cols - first};

    TRY(mem_strdup(&a.name, name));
    TRY(mem_new(&a.values, a.n_rows * a.n_cols));
    for (int64_t j = 0; j < a.n_rows; j++)
        for (int64_t h = 0; h < a.n_cols; h++)
            a.values[j * a.n_cols + h] = (float)c->values[j * c->n_cols + first + h];
    TRY(results_part_varm(out, &a));
done:
    results_array_clear(&a);
    return st;
}

/* ------------------------------------------------------------------ pca */

typedef struct pca_step_options {
    int64_t k;
    int hvg;
} pca_step_options;

static const scw_option pca_table[] = {
    {"k", SCW_OPTION_INT, offsetof(pca_step_options, k), "50", 1, 10000, NULL, "K", "pca",
     "components"},
    {"hvg", SCW_OPTION_BOOL, offsetof(pca_step_options, hvg), "on", 0, 0, NULL, NULL, "pca",
     "of the highly variable features only, when a step before has chosen them"},
    {.type = SCW_OPTION_END},
};

static scw_status pca_step_fit(prep_step *s, const step_input *in)
{
    const pca_step_options *o = s->options;

    return fit_components(s, in, o->k, false, o->hvg ? in->selected : NULL);
}

static scw_status pca_step_write(results_part *out, const prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    const pca_step_options *o = s->options;
    const int64_t k = step_find_array(s, "variance")->n_rows;
    results_array scores = {0};

    TRY(compute_scores(&scores, s, in, "X_pca"));
    TRY(results_part_obsm(out, &scores));
    TRY(add_loadings(out, s, "PCs", 0));
    TRY(results_part_record(out, "pca",
                            o->hvg && in->selected
                                ? "{\"use_highly_variable\": 1, \"zero_center\": 1}"
                                : "{\"use_highly_variable\": 0, \"zero_center\": 1}"));
    TRY(results_part_vector(out, "pca", "variance", step_values(s, "variance"), k));
    TRY(results_part_vector(out, "pca", "variance_ratio", step_values(s, "ratio"), k));
done:
    results_array_clear(&scores);
    return st;
}

const step_kind step_pca = {
    {"pca", "principal components", "obsm X_pca; varm PCs; uns pca variance, variance_ratio",
     pca_table},
    sizeof(pca_step_options),
    pca_step_fit,
    NULL,
    pca_step_write,
};

/* ------------------------------------------------------------------ lsi */

enum { LSI_LEFT = 0, LSI_SCALED };
enum { LSI_AS_THEY_ARE = 0, LSI_STANDARDIZED };

typedef struct lsi_options {
    int64_t k;
    int drop_first, scores, cells;
} lsi_options;

static const scw_option lsi_table[] = {
    {"k", SCW_OPTION_INT, offsetof(lsi_options, k), "50", 1, 10000, NULL, "K", "lsi",
     "components, the dropped one counted"},
    {"drop-first", SCW_OPTION_BOOL, offsetof(lsi_options, drop_first), "off", 0, 0, NULL, NULL,
     "lsi", "leave out the first component, which mostly follows the depth of the cells"},
    {"scores", SCW_OPTION_CHOICE, offsetof(lsi_options, scores), "left", 0, 0, "left|scaled", NULL,
     "lsi", "left: the left singular vectors, Y V / s; scaled: Y V"},
    {"cells", SCW_OPTION_CHOICE, offsetof(lsi_options, cells), "asis", 0, 0, "asis|standardized",
     NULL, "lsi", "standardized: each cell's scores to mean 0 and standard deviation 1"},
    {.type = SCW_OPTION_END},
};

static scw_status lsi_fit(prep_step *s, const step_input *in)
{
    const lsi_options *o = s->options;

    if (o->drop_first && o->k < 2)
        return status_fail(SCW_EINVAL, "k=1 and drop-first leave no component");
    return fit_components(s, in, o->k, true, NULL);
}

static scw_status visit_depth(void *state, const row_block *b)
{
    double *depth = state;

    block_row_sums(depth + b->from, b);
    return SCW_OK;
}

/* Pearson's correlation of each component with log10 of the counts of a cell; cells without counts
 * are left out. depth [n] is changed. */
static void depth_correlation(double *out, double *depth, const results_array *scores)
{
    const int64_t n = scores->n_rows, k = scores->n_cols;
    double sum = 0.0, squares = 0.0, m = 0.0;

    for (int64_t i = 0; i < n; i++) {
        depth[i] = depth[i] > 0.0 ? log10(depth[i]) : (double)NAN;
        if (isnan(depth[i])) continue;
        sum += depth[i];
        m += 1.0;
    }
    for (int64_t i = 0; i < n; i++)
        if (!isnan(depth[i])) squares += (depth[i] - sum / m) * (depth[i] - sum / m);
    for (int64_t h = 0; h < k; h++) {
        double mean = 0.0, own = 0.0, both = 0.0;
        for (int64_t i = 0; i < n; i++)
            if (!isnan(depth[i])) mean += (double)scores->values[i * k + h] / m;
        for (int64_t i = 0; i < n; i++) {
            if (isnan(depth[i])) continue;
            double d = (double)scores->values[i * k + h] - mean;
            own += d * d;
            both += d * (depth[i] - sum / m);
        }
        out[h] = own > 0.0 && squares > 0.0 ? both / sqrt(own * squares) : 0.0;
    }
}

/* Scores as asked for, without the first `drop` components. */
static scw_status shape_scores(results_array *out, const results_array *all, const lsi_options *o,
                               const double *singular)
{
    scw_status st = SCW_OK;
    const int64_t drop = o->drop_first, k = all->n_cols - drop;

    *out = (results_array){.n_rows = all->n_rows, .n_cols = k};
    TRY(mem_strdup(&out->name, all->name));
    TRY(mem_new(&out->values, out->n_rows * k));
    for (int64_t i = 0; i < out->n_rows; i++) {
        const float *from = all->values + i * all->n_cols + drop;
        float *to = out->values + i * k;
        double sum = 0.0, squares = 0.0;
        for (int64_t h = 0; h < k; h++) {
            double s = singular[h + drop];
            double v = o->scores == LSI_SCALED ? (double)from[h]
                       : s > 0.0               ? (double)from[h] / s
                                               : 0.0;
            to[h] = (float)v;
            sum += v;
        }
        if (o->cells != LSI_STANDARDIZED) continue;
        for (int64_t h = 0; h < k; h++) {
            double d = (double)to[h] - sum / (double)k;
            squares += d * d;
        }
        double sd = k > 1 ? sqrt(squares / (double)(k - 1)) : 0.0;
        for (int64_t h = 0; h < k; h++)
            to[h] = (float)(sd > 0.0 ? ((double)to[h] - sum / (double)k) / sd : 0.0);
    }
done:
    return st;
}

static scw_status lsi_write(results_part *out, const prep_step *s, const step_input *in)
{
    scw_status st = SCW_OK;
    const lsi_options *o = s->options;
    const int64_t k = step_find_array(s, "singular")->n_rows, drop = o->drop_first;
    results_array all = {0}, scores = {0};
    double *depth = NULL, *correlation = NULL, *deviation = NULL;

    if (k <= drop) FAIL(SCW_EDATA, "too few cells and features for more than one component");
    TRY(mem_new(&depth, in->counts->n_rows));
    TRY(mem_new(&correlation, k));
    TRY(mem_new(&deviation, k));
    for (int64_t h = 0; h < k; h++)
        deviation[h] = sqrt(step_values(s, "variance")[h]);
    TRY(blocks_each(in->counts, "depth", in->hooks, visit_depth, depth));
    TRY(compute_scores(&all, s, in, "X_lsi"));
    depth_correlation(correlation, depth, &all);
    log_info(in->hooks, "lsi: component 1 has correlation %.2f with the depth of the cells%s",
             correlation[0], o->drop_first ? " and is left out" : "");
    TRY(shape_scores(&scores, &all, o, step_values(s, "singular")));
    TRY(results_part_obsm(out, &scores));
    TRY(add_loadings(out, s, "LSI", drop));
    TRY(results_part_record(out, "lsi",
                            drop ? "{\"first_component_dropped\": 1}"
                                 : "{\"first_component_dropped\": 0}"));
    TRY(results_part_vector(out, "lsi", "stdev", deviation + drop, k - drop));
    TRY(results_part_vector(out, "lsi", "depth_correlation", correlation, k));
done:
    mem_free(depth);
    mem_free(correlation);
    mem_free(deviation);
    results_array_clear(&all);
    results_array_clear(&scores);
    return st;
}

const step_kind step_lsi = {
    {"lsi", "latent semantic indexing: truncated singular value decomposition, not centred",
     "obsm X_lsi; varm LSI; uns lsi stdev, depth_correlation", lsi_table},
    sizeof(lsi_options),
    lsi_fit,
    NULL,
    lsi_write,
};
