/* SPDX-License-Identifier: BSD-3-Clause */
/* What Matilda says of a query: labels, how far they can be trusted, the latent. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "task/apply.h"
#include "task/matilda.h"
#include "train/align.h"

typedef struct answer {
    int64_t n, n_classes, width;
    float *probabilities; /* [n, C] or NULL */
    float *latent;        /* [n, d] or NULL */
    double *novelty;      /* [n] or NULL: the model is not calibrated */
    uint8_t *covered;     /* [n] 1 where at least one modality spoke */
    int *path;            /* [n] of the model's subsets, -1: the network's answer */
    int64_t n_covered;
} answer;

static void answer_clear(answer *a)
{
    mem_free(a->probabilities);
    mem_free(a->latent);
    mem_free(a->novelty);
    mem_free(a->covered);
    mem_free(a->path);
    *a = (answer){0};
}

/* Cells [from, to) that one path answers for: novelty from the latent; scores become probabilities.
 */
static scw_status judge_run(answer *a, const matilda_model *m, int64_t from, int64_t to)
{
    scw_status st = SCW_OK;
    const calibration *k = matilda_calibration(m, a->path[from]);

    if (a->novelty)
        TRY(calibration_log_distances(a->novelty + from, k, a->latent + from * a->width,
                                      to - from));
    for (int64_t i = from; a->novelty && i < to; i++)
        a->novelty[i] = a->covered[i] ? calibration_novelty(k, a->novelty[i]) : NAN;
    calibration_softmax(a->probabilities + from * a->n_classes, to - from, a->n_classes,
                        k->temperature);
done:
    return st;
}

static scw_status judge(answer *a, const matilda_model *m)
{
    scw_status st = SCW_OK;

    if (m->calibration.n > 0) TRY(mem_new(&a->novelty, a->n));
    for (int64_t from = 0, to; from < a->n; from = to) {
        for (to = from + 1; to < a->n && a->path[to] == a->path[from]; to++)
            continue;
        TRY(judge_run(a, m, from, to));
    }
done:
    return st;
}

static scw_status answer_init(answer *a, const matilda_model *m, int64_t n,
                              const scw_task_request *request)
{
    scw_status st = SCW_OK;

    *a = (answer){.n = n, .n_classes = m->base.classes.n, .width = m->options.z_dim};
    TRY(mem_new(&a->covered, a->n));
    TRY(mem_new(&a->path, a->n));
    if (request->annotate) TRY(mem_new(&a->probabilities, a->n * a->n_classes));
    if (request->embed || (request->annotate && m->calibration.n > 0))
        TRY(mem_new(&a->latent, a->n * a->width));
done:
    return st;
}

/* The cells' answers are those from `from` on. */
static scw_status compute(answer *a, const matilda_model *m, const cells *c, int64_t from)
{
    for (int64_t i = 0; i < c->n; i++) {
        a->covered[from + i] = cells_mask(c, i) != 0;
        a->path[from + i] = matilda_path_of(m, c, i);
        a->n_covered += a->covered[from + i];
    }
    return matilda_infer(m, &m->net.p, c, NULL, c->n,
                         a->probabilities ? a->probabilities + from * a->n_classes : NULL,
                         a->latent ? a->latent + from * a->width : NULL);
}

#define UNKNOWN "unknown"

/* Cells that are less like the reference than all but a share of its own become 'unknown'. */
static scw_status reject_novel(column *label, const answer *a, const matilda_model *m, double share,
                               const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double limit[1 + SUBSETS_MAX]; /* by path */
    int64_t n_rejected = 0;

    for (int64_t c = 0; c < m->base.classes.n; c++)
        if (strcmp(m->base.classes.at[c], UNKNOWN) == 0)
            FAIL(SCW_EUNSUPPORTED,
                 "--reject calls cells '" UNKNOWN "', which is a class of this model");
    TRY(strings_add(&label->categories, UNKNOWN));
    for (int k = -1; k < m->subsets.n; k++)
        limit[k + 1] = calibration_novelty_limit(matilda_calibration(m, k), share);
    for (int64_t i = 0; i < a->n; i++) {
        if (label->codes[i] < 0 || a->novelty[i] <= limit[a->path[i] + 1]) continue;
        label->codes[i] = (int32_t)m->base.classes.n;
        n_rejected++;
    }
    log_info(hooks,
             "%lld of %lld cells are called '" UNKNOWN "' (novelty above %.2f for whole "
             "cells)",
             (long long)n_rejected, (long long)a->n_covered, limit[0]);
done:
    return st;
}

static scw_status add_label(scw_results *r, const answer *a, const matilda_model *m, double reject,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    column label = {0}, confidence = {0};
    char name[128];

    (void)snprintf(name, sizeof name, "%s_label", m->base.kind->name);
    TRY(column_init(&label, name, COLUMN_CATEGORICAL, a->n));
    TRY(strings_copy(&label.categories, &m->base.classes));
    (void)snprintf(name, sizeof name, "%s_confidence", m->base.kind->name);
    TRY(column_init(&confidence, name, COLUMN_FLOAT, a->n));
    for (int64_t i = 0; i < a->n; i++) {
        const float *p = a->probabilities + i * a->n_classes;
        int64_t best = model_best_class(p, a->n_classes);
        label.codes[i] = a->covered[i] ? (int32_t)best : -1;
        confidence.f64[i] = a->covered[i] ? (double)p[best] : NAN;
    }
    if (reject > 0.0) TRY(reject_novel(&label, a, m, reject, hooks));
    TRY(results_add_column(r, &label));
    TRY(results_add_column(r, &confidence));
done:
    column_clear(&label);
    column_clear(&confidence);
    return st;
}

static scw_status add_novelty(scw_results *r, const answer *a, const matilda_model *m)
{
    scw_status st = SCW_OK;
    column novelty = {0};
    char name[128];

    (void)snprintf(name, sizeof name, "%s_novelty", m->base.kind->name);
    TRY(column_init(&novelty, name, COLUMN_FLOAT, a->n));
    memcpy(novelty.f64, a->novelty, (size_t)a->n * sizeof *a->novelty);
    TRY(results_add_column(r, &novelty));
done:
    column_clear(&novelty);
    return st;
}

/* The classes of a cell's label set, the most probable first, between bars. */
static scw_status add_set(strings *out, int64_t *size, const float *p, const matilda_model *m,
                          double least)
{
    scw_status st = SCW_OK;
    textbuf text = {0};
    uint8_t *taken = NULL;
    const int64_t n = m->base.classes.n;

    TRY(mem_new(&taken, n));
    for (*size = 0; *size < n; ++*size) {
        int64_t best = -1;
        for (int64_t c = 0; c < n; c++)
            if (!taken[c] && (best < 0 || p[c] > p[best])) best = c;
        if (*size > 0 && (double)p[best] < least) break;
        taken[best] = 1;
        TRY(text_add(&text, "%s%s", *size > 0 ? "|" : "", m->base.classes.at[best]));
    }
    TRY(strings_add(out, text_get(&text)));
done:
    text_clear(&text);
    mem_free(taken);
    return st;
}

static scw_status add_sets(scw_results *r, const answer *a, const matilda_model *m, double coverage,
                           const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    column sets = {0}, sizes = {0};
    char name[128];
    double least[1 + SUBSETS_MAX], total = 0.0; /* by path */

    for (int k = -1; k < m->subsets.n; k++)
        least[k + 1] = calibration_set_floor(matilda_calibration(m, k), coverage);
    if (least[0] <= 0.0)
        log_warning(hooks,
                    "%lld held-out cells are too few for sets that hold the truth in %g %%: every "
                    "class is in them",
                    (long long)m->calibration.n, 100.0 * coverage);
    (void)snprintf(name, sizeof name, "%s_label_set", m->base.kind->name);
    TRY(column_init(&sets, name, COLUMN_STRING, a->n));
    (void)snprintf(name, sizeof name, "%s_set_size", m->base.kind->name);
    TRY(column_init(&sizes, name, COLUMN_INT, a->n));
    for (int64_t i = 0; i < a->n; i++) {
        if (a->covered[i])
            TRY(add_set(&sets.text, &sizes.i64[i], a->probabilities + i * a->n_classes, m,
                        least[a->path[i] + 1]));
        else
            TRY(strings_add(&sets.text, ""));
        total += (double)sizes.i64[i];
    }
    log_info(hooks, "label sets of %g %%: %.2f classes on average", 100.0 * coverage,
             a->n_covered > 0 ? total / (double)a->n_covered : 0.0);
    TRY(results_add_column(r, &sets));
    TRY(results_add_column(r, &sizes));
done:
    column_clear(&sets);
    column_clear(&sizes);
    return st;
}

static scw_status collect(scw_results **out, answer *a, const matilda_model *m,
                          const scw_task_request *request, const model_coverage *coverage,
                          const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    char name[128];

    TRY(results_new(out, a->n));
    if (request->annotate) {
        TRY(add_label(*out, a, m, request->reject, hooks));
        if (a->novelty) TRY(add_novelty(*out, a, m));
        if (request->coverage > 0.0) TRY(add_sets(*out, a, m, request->coverage, hooks));
        (void)snprintf(name, sizeof name, "%s_probabilities", m->base.kind->name);
        TRY(apply_add_array(*out, a->covered, name, &a->probabilities, a->n_classes,
                            &m->base.classes));
    }
    if (request->embed) {
        (void)snprintf(name, sizeof name, "X_%s", m->base.kind->name);
        TRY(apply_add_array(*out, a->covered, name, &a->latent, a->width, NULL));
    }
    TRY(apply_set_record(*out, &m->base, request, coverage));
done:
    return st;
}

/* Takes out what sets the query's batches apart from the reference. */
static scw_status align(cells *c, const matilda_model *m, const scw_dataset *query, const char *key,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const column *of = NULL;
    int32_t *batch = NULL;
    strings names = {0};
    int64_t n_missing = 0;

    if (key) {
        TRY(dataset_obs_column(&of, query, key));
        TRY(column_classes(of, &batch, &names));
        for (int64_t i = 0; i < c->n; i++)
            n_missing += batch[i] < 0;
        if (n_missing > 0)
            FAIL(SCW_EDATA, "obs['%s']: %lld of %lld cells have no batch; each must name one", key,
                 (long long)n_missing, (long long)c->n);
    } else {
        TRY(mem_new(&batch, c->n));
    }
    TRY(align_query(c, m, batch, key ? names.n : 1, hooks));
    log_info(hooks, "the query is lined up with the reference (%lld batch%s)",
             (long long)(key ? names.n : 1), key && names.n != 1 ? "es" : "");
done:
    mem_free(batch);
    strings_clear(&names);
    return st;
}

static scw_status check_request(const matilda_model *m, const scw_task_request *request)
{
    if (!(request->coverage >= 0.0 && request->coverage < 1.0))
        return status_fail(SCW_EINVAL, "the coverage %g is not between 0 and 1", request->coverage);
    if (!(request->reject >= 0.0 && request->reject < 1.0))
        return status_fail(SCW_EINVAL, "the rejected share %g is not between 0 and 1",
                           request->reject);
    if ((request->coverage > 0.0 || request->reject > 0.0) && m->calibration.n == 0)
        return status_fail(SCW_EUNSUPPORTED,
                           "this model is not calibrated: label sets and 'unknown' need "
                           "one fitted with --calibration-folds 3 or --validation 0.1");
    return SCW_OK;
}

static scw_status apply_all(answer *a, const matilda_model *m, const scw_dataset *query,
                            const scw_task_request *request, model_coverage *coverage,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    cells c = {0};

    TRY(model_prepare(&c, coverage, &m->base, query, hooks));
    TRY(log_check_cancel(hooks));
    if (request->align) TRY(align(&c, m, query, request->batch_key, hooks));
    TRY(answer_init(a, m, c.n, request));
    TRY(compute(a, m, &c, 0));
done:
    cells_clear(&c);
    return st;
}

static scw_status apply_parts(answer *a, const matilda_model *m, const scw_dataset *query,
                              const scw_task_request *request, model_coverage *coverage,
                              const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const int64_t step = apply_at_a_time(query);
    cells c = {0};

    TRY(answer_init(a, m, query->n_obs, request));
    for (int64_t from = 0; from < a->n; from += step) {
        TRY(log_check_cancel(hooks));
        cells_clear(&c);
        TRY(model_prepare_part(&c, coverage, &m->base, query, from,
                               a->n - from < step ? a->n - from : step));
        TRY(compute(a, m, &c, from));
    }
    model_report(&m->base, coverage, query, hooks);
done:
    cells_clear(&c);
    return st;
}

scw_status matilda_apply(scw_results **out, const scw_model *model, const scw_dataset *query,
                         const scw_task_request *request, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const matilda_model *m = (const matilda_model *)model;
    answer a = {0};
    model_coverage coverage[MODEL_MAX_MODALITIES];

    TRY(check_request(m, request));
    /* What looks at all cells of the query at once needs them in memory. */
    bool whole = request->align || m->options.file_library || m->options.sample_latent;
    TRY(whole ? apply_all(&a, m, query, request, coverage, hooks)
              : apply_parts(&a, m, query, request, coverage, hooks));
    if (request->annotate) TRY(judge(&a, m));
    if (a.n_covered < a.n)
        log_warning(hooks, "%lld cells have none of the model's features and get no answer",
                    (long long)(a.n - a.n_covered));
    TRY(collect(out, &a, m, request, coverage, hooks));
done:
    answer_clear(&a);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
