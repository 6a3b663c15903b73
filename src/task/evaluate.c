/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_evaluate: labels, predictions and embeddings of one file, or of two for pairs, handed to metric/evaluate. */
#include "scweave/evaluate.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "metric/evaluate.h"
#include "task/embedding.h"
#include "task/obs.h"
#include "task/pairs.h"
#include "task/splits.h"

/* What the file and, for pairs, the other one give. */
typedef struct subject {
    scw_dataset *data, *partner_data; /* the second only where another file was named */
    strings classes, predicted_names, batches;
    int32_t *truth, *predicted, *batch, *other_truth;
    float *embedding, *before;
    int64_t d, d_before;
    pair_sides sides;
} subject;

static void subject_clear(subject *s)
{
    pair_sides_clear(&s->sides);
    scw_dataset_free(s->data);
    scw_dataset_free(s->partner_data);
    strings_clear(&s->classes);
    strings_clear(&s->predicted_names);
    strings_clear(&s->batches);
    mem_free(s->truth);
    mem_free(s->predicted);
    mem_free(s->batch);
    mem_free(s->other_truth);
    mem_free(s->embedding);
    mem_free(s->before);
}

static scw_status open_frames(scw_dataset **out, const char *path, const scw_hooks *hooks)
{
    scw_source source = {.path = path};

    return scw_dataset_open(out, &source, 1, &(scw_read_options){.leave_matrices = 1}, hooks);
}

static scw_status check_request(const scw_evaluate_request *r)
{
    if (!r->path || !r->label_key)
        return status_fail(SCW_EINVAL,
                           "evaluation needs a file and the obs column with the true labels");
    if (!r->embedding_key && (r->integration || r->batch_key || r->before_key || r->partner_key))
        return status_fail(SCW_EINVAL, "figures of integration and of pairs need an embedding");
    if (r->before_key && !r->batch_key)
        return status_fail(SCW_EINVAL, "what an embedding was before is compared by batches: name "
                                       "the obs column that holds them");
    if (r->partner_key && !r->partner_path && strcmp(r->partner_key, r->embedding_key) == 0)
        return status_fail(SCW_EINVAL, "'%s' was named for both sides of the pairs",
                           r->partner_key);
    if (!r->splits != !r->fold)
        return status_fail(SCW_EINVAL, "a table of folds and the fold to judge go together");
    if (r->partner_path && !r->partner_key)
        return status_fail(SCW_EINVAL, "a second file needs the name of its embedding");
    return SCW_OK;
}

/* The two sides, with labels (in the classes' codes) and batches. */
static scw_status read_pairs(subject *s, const scw_evaluate_request *r, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    if (r->partner_path) TRY(open_frames(&s->partner_data, r->partner_path, hooks));
    TRY(pair_sides_read(&s->sides, s->data, r->embedding_key,
                        s->partner_data ? s->partner_data : s->data, r->partner_key,
                        r->batch_key));
    TRY(pair_sides_classes(&s->truth, &s->other_truth, &s->classes, &s->sides, r->label_key));
    s->embedding = s->sides.x;
    s->sides.x = NULL;
    s->d = s->sides.d;
    if (!r->batch_key) goto done;
    s->batch = s->sides.batch_x;
    s->sides.batch_x = NULL;
    s->batches = s->sides.batches;
    s->sides.batches = (strings){0};
done:
    return st;
}

static scw_status read_one(subject *s, const scw_evaluate_request *r)
{
    scw_status st = SCW_OK;

    TRY(obs_classes(&s->truth, &s->classes, s->data, r->path, r->label_key));
    if (r->embedding_key) TRY(embedding_read(&s->embedding, &s->d, s->data, r->embedding_key));
    if (r->batch_key) TRY(obs_classes(&s->batch, &s->batches, s->data, r->path, r->batch_key));
done:
    return st;
}

/* Forget labels and embeddings of cells that are not of the fold. */
static scw_status keep_fold(const scw_evaluate_request *r, const scw_dataset *data, int32_t *truth,
                            float *x, int64_t d)
{
    scw_status st = SCW_OK;
    splits folds = {0};
    int32_t wanted = -1;

    TRY(splits_read(&folds, r->splits, data));
    for (int64_t k = 0; k < folds.names.n; k++)
        if (strcmp(folds.names.at[k], r->fold) == 0) wanted = (int32_t)k;
    if (wanted < 0) FAIL(SCW_ENOTFOUND, "%s: there is no fold '%s'", r->splits, r->fold);
    for (int64_t i = 0; i < data->n_obs; i++) {
        if (folds.fold[i] == wanted) continue;
        truth[i] = -1;
        for (int64_t e = i * d; x && e < (i + 1) * d; e++) x[e] = NAN;
    }
done:
    splits_clear(&folds);
    return st;
}

scw_status scw_evaluate(char **out_json, const scw_evaluate_request *request,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const scw_evaluate_request *r = request;
    subject s = {0};

    *out_json = NULL;
    TRY(check_request(r));
    threads_set(r->threads);
    TRY(open_frames(&s.data, r->path, hooks));
    if (r->partner_key)
        TRY(read_pairs(&s, r, hooks));
    else
        TRY(read_one(&s, r));
    if (r->prediction_key) {
        TRY(obs_classes(&s.predicted, &s.predicted_names, s.data, r->path, r->prediction_key));
        TRY(obs_join_codes(s.predicted, &s.classes, s.data->n_obs, &s.predicted_names));
    }
    if (r->splits) {
        TRY(keep_fold(r, s.data, s.truth, s.embedding, s.d));
        if (r->partner_key) TRY(keep_fold(r, s.sides.b, s.other_truth, s.sides.y, s.d));
    }
    if (r->before_key) TRY(embedding_read(&s.before, &s.d_before, s.data, r->before_key));
    TRY(log_check_cancel(hooks));
    evaluate_other other = {.y = s.sides.y, .n = r->partner_key ? s.sides.b->n_obs : 0,
                            .truth = s.other_truth, .batch = s.sides.batch_y,
                            .partner = s.sides.partner, .cosine = r->cosine != 0};
    evaluate_input input = {.n = s.data->n_obs, .classes = &s.classes, .truth = s.truth,
                            .prediction = s.predicted, .embedding = s.embedding, .d = s.d,
                            .seed = r->seed, .integration = r->integration || r->batch_key,
                            .batch = s.batch, .n_batches = (int32_t)s.batches.n,
                            .before = s.before, .d_before = s.d_before,
                            .other = r->partner_key ? &other : NULL};
    st = evaluate_json(out_json, &input, hooks);
    if (st != SCW_OK) status_prefix(st, "%s: obs column '%s'", r->path, r->label_key);
done:
    subject_clear(&s);
    return st;
}
