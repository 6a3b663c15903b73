/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_evaluate: labels, predictions and an embedding of one file, handed to metric/evaluate. */
#include "scweave/evaluate.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "metric/evaluate.h"
#include "task/embedding.h"

/* Codes of the predictions in the vocabulary of the labels; names the labels lack are appended. */
static scw_status join_codes(int32_t *codes, strings *classes, int64_t n, const strings *names)
{
    scw_status st = SCW_OK;
    int32_t *joint = NULL;
    name_index index = {0};
    int64_t n_true = classes->n;

    TRY(mem_new(&joint, names->n));
    TRY(name_index_build(&index, (const char *const *)classes->at, n_true, NULL));
    for (int64_t k = 0; k < names->n; k++) {
        joint[k] = (int32_t)name_index_find(&index, names->at[k]);
        if (joint[k] < 0) joint[k] = -2; /* the index borrows the list: append after it is used */
    }
    for (int64_t k = 0; k < names->n; k++) {
        if (joint[k] != -2) continue;
        joint[k] = (int32_t)classes->n;
        TRY(strings_add(classes, names->at[k]));
    }
    for (int64_t i = 0; i < n; i++)
        if (codes[i] >= 0) codes[i] = joint[codes[i]];
done:
    name_index_clear(&index);
    mem_free(joint);
    return st;
}

/* obs column `key` as classes. */
static scw_status read_classes(int32_t **codes, strings *names, const scw_dataset *data,
                               const char *path, const char *key)
{
    scw_status st = SCW_OK;
    const column *c;

    st = dataset_obs_column(&c, data, key);
    if (st != SCW_OK) return status_prefix(st, "%s", path);
    TRY(column_classes(c, codes, names));
done:
    return st;
}

scw_status scw_evaluate(char **out_json, const scw_evaluate_request *request,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_dataset *data = NULL;
    strings classes = {0}, predicted_names = {0};
    int32_t *truth = NULL, *predicted = NULL;
    float *embedding = NULL;
    int64_t d = 0;

    *out_json = NULL;
    if (!request->path || !request->label_key)
        FAIL(SCW_EINVAL, "evaluation needs a file and the obs column with the true labels");
    threads_set(request->threads);
    scw_source source = {.path = request->path};
    TRY(scw_dataset_open(&data, &source, 1, hooks));
    TRY(read_classes(&truth, &classes, data, request->path, request->label_key));
    if (request->prediction_key) {
        TRY(read_classes(&predicted, &predicted_names, data, request->path,
                         request->prediction_key));
        TRY(join_codes(predicted, &classes, data->n_obs, &predicted_names));
    }
    TRY(log_check_cancel(hooks));
    if (request->embedding_key) TRY(embedding_read(&embedding, &d, data, request->embedding_key));
    evaluate_input input = {.n = data->n_obs, .classes = &classes, .truth = truth,
                            .prediction = predicted, .embedding = embedding, .d = d,
                            .seed = request->seed};
    st = evaluate_json(out_json, &input);
    if (st != SCW_OK) status_prefix(st, "%s: obs column '%s'", request->path, request->label_key);
done:
    scw_dataset_free(data);
    strings_clear(&classes);
    strings_clear(&predicted_names);
    mem_free(truth);
    mem_free(predicted);
    mem_free(embedding);
    return st;
}
