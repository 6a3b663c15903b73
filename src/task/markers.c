/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_model_markers: attributions and tests of every feature, put in order class by class. */
#include "task/markers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "models/attribution.h"
#include "scweave/version.h"
#include "task/matilda.h"

#define INCOMPLETE 0.01 /* relative error at which more steps are recommended */

static const char *const method_names[] = {"shared", "ig", "saliency", "ttest", "wilcoxon"};
static const char *const baseline_names[] = {"mean", "zero"};
static const char *const score_names[] = {"margin", "logit"};

/* Everything about one call, with features of all modalities side by side. */
typedef struct job {
    const matilda_model *m;
    const scw_markers_request *request;
    const scw_hooks *hooks;
    cells c;
    int64_t from[MODEL_MAX_MODALITIES + 1]; /* first feature of a modality in [F] */
    int32_t *tested;                        /* [n] class in the tests, or -1 */
    int32_t *explained;                     /* [n] class whose score is explained, or -1 */
    attribution a;
    ranking tests[MODEL_MAX_MODALITIES];
    double *score, *t, *p_t, *z, *p_z; /* [F] of one class */
    int64_t *order, *rank_t, *rank_z;  /* [F] */
} job;

static bool is_test(const scw_markers_request *r)
{
    return r->method == SCW_MARKERS_TTEST || r->method == SCW_MARKERS_WILCOXON;
}

/* ------------------------------------------------------------------------------ classes */

/* The classes of the labels in the model's numbers; -1 where there is none. */
static scw_status read_labels(int32_t *out, const job *j, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    const column *c;
    int32_t *codes = NULL;
    strings names = {0};
    name_index index = {0};
    int64_t n_known = 0, n_unknown = 0;
    const char *example = NULL;

    TRY(dataset_obs_column(&c, d, j->request->label_key));
    TRY(column_classes(c, &codes, &names));
    TRY(name_index_build(&index, (const char *const *)j->m->base.classes.at, j->m->base.classes.n,
                         NULL));
    for (int64_t i = 0; i < j->c.n; i++) {
        out[i] = -1;
        if (codes[i] < 0) continue;
        out[i] = (int32_t)name_index_find(&index, names.at[codes[i]]);
        n_known += out[i] >= 0;
        n_unknown += out[i] < 0;
        if (out[i] < 0 && !example) example = names.at[codes[i]];
    }
    if (n_known == 0)
        FAIL(SCW_EDATA,
             "obs column '%s': no label is a class of the model (a label here: '%s', a "
             "class there: '%s')",
             j->request->label_key, example ? example : "", j->m->base.classes.at[0]);
    if (n_unknown > 0)
        log_warning(j->hooks, "%lld cells have labels that are no class of the model, '%s' for "
                    "one, and are left out", (long long)n_unknown, example);
done:
    mem_free(codes);
    strings_clear(&names);
    name_index_clear(&index);
    return st;
}

static bool is_covered(const cells *c, int64_t i)
{
    for (int k = 0; k < c->n_modalities; k++)
        if (!c->x[k].present || c->x[k].present[i] > 0.0f) return true;
    return false;
}

/* Tests use the labels, or else the model's answers; explained are cells that it gets right. */
static scw_status choose_classes(job *j, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    float *probabilities = NULL;
    int64_t n_explained = 0, n_tested = 0;

    TRY(mem_new(&j->tested, j->c.n));
    TRY(mem_new(&j->explained, j->c.n));
    TRY(mem_new(&probabilities, j->c.n * j->m->base.classes.n));
    TRY(matilda_infer(j->m, &j->m->net.p, &j->c, NULL, j->c.n, probabilities, NULL));
    if (j->request->label_key) TRY(read_labels(j->tested, j, d));
    for (int64_t i = 0; i < j->c.n; i++) {
        int32_t said = (int32_t)model_best_class(probabilities + i * j->m->base.classes.n,
                                                 j->m->base.classes.n);
        if (!j->request->label_key) j->tested[i] = said;
        if (!is_covered(&j->c, i)) j->tested[i] = -1;
        j->explained[i] = j->tested[i] == said ? said : -1;
        n_tested += j->tested[i] >= 0;
        n_explained += j->explained[i] >= 0;
    }
    if (j->request->label_key && !is_test(j->request))
        log_info(j->hooks, "%lld of %lld labelled cells have the label that the model gives them "
                 "and are explained", (long long)n_explained, (long long)n_tested);
done:
    mem_free(probabilities);
    return st;
}

/* ------------------------------------------------------------------------------ computing */

static scw_status test_features(job *j)
{
    scw_status st = SCW_OK;
    int32_t *classes = NULL;

    TRY(mem_new(&classes, j->c.n));
    for (int k = 0; k < j->c.n_modalities; k++) {
        const prepared *x = &j->c.x[k];
        TRY(log_check_cancel(j->hooks));
        for (int64_t i = 0; i < j->c.n; i++)
            classes[i] = !x->present || x->present[i] > 0.0f ? j->tested[i] : -1;
        TRY(ranking_test(&j->tests[k], &x->y, classes, (int32_t)j->m->base.classes.n));
    }
done:
    mem_free(classes);
    return st;
}

static scw_status report_completeness(const job *j)
{
    scw_status st = SCW_OK;
    textbuf names = {0};

    for (int s = 0; s < j->a.n_sets; s++) {
        const attribution_completeness *set = &j->a.sets[s];
        text_clear(&names);
        for (int k = 0; k < j->m->base.n_modalities; k++)
            if (set->modalities >> k & 1u)
                TRY(text_add(&names, "%s%s", *text_get(&names) ? "+" : "",
                             j->m->base.modality[k].name));
        log_info(j->hooks, "completeness error %.1e: attributions against the change of the score, "
                 "%lld cells with %s", set->error, (long long)set->n_cells, text_get(&names));
        if (set->error > INCOMPLETE)
            log_warning(j->hooks, "the attributions of cells with %s add up to the change of the "
                        "score only within %.1f %%; more --steps make it smaller", text_get(&names),
                        100.0 * set->error);
    }
done:
    text_clear(&names);
    return st;
}

static scw_status compute(job *j, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    const scw_markers_request *r = j->request;
    model_coverage coverage[MODEL_MAX_MODALITIES];

    TRY(model_prepare(&j->c, coverage, &j->m->base, d, j->hooks));
    for (int k = 0; k < j->m->base.n_modalities; k++)
        j->from[k + 1] = j->from[k] + j->m->base.modality[k].features.n;
    TRY(choose_classes(j, d));
    TRY(test_features(j));
    if (is_test(r)) goto done;
    attribution_options o = {
        .method = r->method == SCW_MARKERS_IG         ? ATTRIBUTION_IG
                  : r->method == SCW_MARKERS_SALIENCY ? ATTRIBUTION_SALIENCY
                                                      : ATTRIBUTION_SHARED,
        .baseline = r->baseline == SCW_MARKERS_ZERO ? ATTRIBUTION_ZERO : ATTRIBUTION_MEAN,
        .score = r->score == SCW_MARKERS_LOGIT ? ATTRIBUTION_LOGIT : ATTRIBUTION_MARGIN,
        .steps = r->steps,
        .max_cells = r->cells,
        .seed = r->seed};
    TRY(attribution_compute(&j->a, j->m, &j->c, j->explained, &o, j->hooks));
    TRY(report_completeness(j));
done:
    return st;
}

/* ------------------------------------------------------------------------------ one class */

/* Score of feature f of modality k, NaN where it is not ranked. */
static double score_of(const job *j, int32_t class, int k, int64_t f)
{
    const ranking *t = &j->tests[k];
    const int64_t at = class * t->n_cols + f;
    bool raised;

    if (is_test(j->request)) {
        raised = t->mean_in[at] > t->mean_out[at];
        if (t->n_cells[class] < 2 || (!raised && !j->request->all)) return NAN;
        return j->request->method == SCW_MARKERS_TTEST ? t->t[at] : t->z[at];
    }
    raised = j->a.away[k][at] > 0.0;
    if (j->a.n_cells[k][class] < 1 || (!raised && !j->request->all)) return NAN;
    return j->a.mean[k][at];
}

static void ranks_of(int64_t *rank, const int64_t *order, int64_t n)
{
    for (int64_t e = 0; e < n; e++) rank[order[e]] = e + 1;
}

/* Columns of one class over the features of all modalities. */
static scw_status gather_class(job *j, int32_t class)
{
    scw_status st = SCW_OK;
    const int64_t n = j->from[j->m->base.n_modalities];

    for (int k = 0; k < j->m->base.n_modalities; k++) {
        const ranking *t = &j->tests[k];
        const bool here = t->n_cells[class] > 0; /* else nothing was tested */
        for (int64_t f = 0; f < t->n_cols; f++) {
            int64_t to = j->from[k] + f, at = class * t->n_cols + f;
            j->score[to] = score_of(j, class, k, f);
            j->t[to] = here ? t->t[at] : NAN;
            j->p_t[to] = here ? t->p_t[at] : NAN;
            j->z[to] = here ? t->z[at] : NAN;
            j->p_z[to] = here ? t->p_z[at] : NAN;
        }
    }
    TRY(ranking_adjust(j->p_t, n));
    TRY(ranking_adjust(j->p_z, n));
    TRY(ranking_order(j->order, j->t, n));
    ranks_of(j->rank_t, j->order, n);
    TRY(ranking_order(j->order, j->z, n));
    ranks_of(j->rank_z, j->order, n);
    TRY(ranking_order(j->order, j->score, n));
done:
    return st;
}

static double log_fold_change(const job *j, int k, double in, double out)
{
    bool binary = j->m->base.modality[k].prep.kind == TRANSFORM_MATILDA;
    double a = binary ? exp2(in) - 1.0 : expm1(in), b = binary ? exp2(out) - 1.0 : expm1(out);
    return log2((a + 1e-9) / (b + 1e-9));
}

static marker_row make_row(const job *j, int32_t class, int64_t rank, int64_t feature)
{
    int k = 0;

    while (feature >= j->from[k + 1]) k++;
    const ranking *t = &j->tests[k];
    int64_t f = feature - j->from[k], at = class * t->n_cols + f;
    bool test = is_test(j->request);
    return (marker_row){.class = class,
                        .modality = k,
                        .feature = f,
                        .rank = rank,
                        .n_cells = test ? t->n_cells[class] : j->a.n_cells[k][class],
                        .score = j->score[feature],
                        .se = test ? NAN : j->a.se[k][at],
                        .mean_in = t->mean_in[at],
                        .mean_out = t->mean_out[at],
                        .log_fold_change = log_fold_change(j, k, t->mean_in[at], t->mean_out[at]),
                        .rank_t = j->rank_t[feature],
                        .t = j->t[feature],
                        .p_t = j->p_t[feature],
                        .rank_z = j->rank_z[feature],
                        .z = j->z[feature],
                        .p_z = j->p_z[feature],
                        .raw_p_t = t->p_t[at],
                        .raw_p_z = t->p_z[at]};
}

static scw_status rank_class(scw_markers *out, job *j, int32_t class)
{
    scw_status st = SCW_OK;
    const int64_t n = j->from[j->m->base.n_modalities], top = j->request->top;
    int64_t n_ranked = 0;

    TRY(log_check_cancel(j->hooks));
    TRY(gather_class(j, class));
    while (n_ranked < n && !isnan(j->score[j->order[n_ranked]])) n_ranked++;
    if (n_ranked == 0)
        log_warning(j->hooks, "class '%s' has no cell to look at and gets no markers",
                    out->classes.at[class]);
    if (top > 0 && n_ranked > top) n_ranked = top;
    TRY(mem_resize(&out->rows, out->n_rows + n_ranked));
    for (int64_t e = 0; e < n_ranked; e++)
        out->rows[out->n_rows++] = make_row(j, class, e + 1, j->order[e]);
done:
    return st;
}

/* ------------------------------------------------------------------------------ the whole */

static scw_status check_request(const scw_markers_request *r)
{
    scw_status st = SCW_OK;

    if ((unsigned)r->method > SCW_MARKERS_WILCOXON || (unsigned)r->baseline > SCW_MARKERS_ZERO ||
        (unsigned)r->score > SCW_MARKERS_LOGIT)
        FAIL(SCW_EINVAL, "markers: no such method, baseline or score");
    if (r->steps < 1 || r->steps > 1000)
        FAIL(SCW_EINVAL, "markers: %lld steps, expected 1 to 1000", (long long)r->steps);
    if (r->top < 0 || r->cells < 0)
        FAIL(SCW_EINVAL, "markers: the number of features or cells is negative");
done:
    return st;
}

static scw_status describe_to(scw_markers *out, const job *j)
{
    scw_status st = SCW_OK;
    const matilda_model *m = j->m;

    out->method = method_names[j->request->method];
    out->baseline = baseline_names[j->request->baseline];
    out->score = score_names[j->request->score];
    out->n_obs = j->c.n;
    out->n_modalities = m->base.n_modalities;
    TRY(mem_strdup(&out->model, m->base.kind->name));
    TRY(mem_strdup(&out->command, j->request->command ? j->request->command : ""));
    TRY(mem_strdup(&out->group_by, j->request->label_key ? j->request->label_key : ""));
    TRY(strings_copy(&out->classes, &m->base.classes));
    TRY(mem_new(&out->n_cells, m->base.classes.n));
    for (int64_t i = 0; i < j->c.n; i++) {
        int32_t class = is_test(j->request) ? j->tested[i] : j->explained[i];
        if (class >= 0) out->n_cells[class]++;
    }
    for (int64_t c = 0; c < m->base.classes.n && !is_test(j->request) && j->request->cells > 0; c++)
        if (out->n_cells[c] > j->request->cells) out->n_cells[c] = j->request->cells;
    for (int k = 0; k < m->base.n_modalities; k++) {
        TRY(strings_add(&out->modalities, m->base.modality[k].name));
        TRY(strings_copy(&out->features[k], &m->base.modality[k].features));
    }
    TRY(mem_new(&out->sets, j->a.n_sets));
    for (int s = 0; s < j->a.n_sets; s++) out->sets[s] = j->a.sets[s];
    out->n_sets = j->a.n_sets;
done:
    return st;
}

static void job_clear(job *j)
{
    cells_clear(&j->c);
    mem_free(j->tested);
    mem_free(j->explained);
    attribution_clear(&j->a);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) ranking_clear(&j->tests[k]);
    mem_free(j->score);
    mem_free(j->t);
    mem_free(j->p_t);
    mem_free(j->z);
    mem_free(j->p_z);
    mem_free(j->order);
    mem_free(j->rank_t);
    mem_free(j->rank_z);
}

static scw_status make_columns(job *j)
{
    scw_status st = SCW_OK;
    const int64_t n = j->from[j->m->base.n_modalities];

    TRY(mem_new(&j->score, n));
    TRY(mem_new(&j->t, n));
    TRY(mem_new(&j->p_t, n));
    TRY(mem_new(&j->z, n));
    TRY(mem_new(&j->p_z, n));
    TRY(mem_new(&j->order, n));
    TRY(mem_new(&j->rank_t, n));
    TRY(mem_new(&j->rank_z, n));
done:
    return st;
}

scw_status matilda_markers(scw_markers **out, const scw_model *model, const scw_dataset *data,
                           const scw_markers_request *request, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.m = (const matilda_model *)model, .request = request, .hooks = hooks};
    scw_markers *markers = NULL;

    TRY(check_request(request));
    threads_set(request->threads);
    TRY(compute(&j, data));
    TRY(make_columns(&j));
    TRY(mem_new(&markers, 1));
    TRY(describe_to(markers, &j));
    for (int32_t c = 0; c < (int32_t)model->classes.n; c++) TRY(rank_class(markers, &j, c));
    *out = markers;
    markers = NULL;
done:
    scw_markers_free(markers);
    job_clear(&j);
    return st;
}

void scw_markers_free(scw_markers *m)
{
    if (!m) return;
    mem_free(m->model);
    mem_free(m->command);
    mem_free(m->group_by);
    mem_free(m->n_cells);
    strings_clear(&m->classes);
    strings_clear(&m->modalities);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) strings_clear(&m->features[k]);
    mem_free(m->rows);
    mem_free(m->sets);
    mem_free(m);
}
