/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_evaluate: labels, predictions and an embedding of one file, handed to metric/evaluate. */
#include "scweave/evaluate.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "metric/evaluate.h"
#include "task/embedding.h"
#include "task/obs.h"

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
    TRY(scw_dataset_open(&data, &source, 1, &(scw_read_options){.leave_matrices = 1}, hooks));
    TRY(obs_classes(&truth, &classes, data, request->path, request->label_key));
    if (request->prediction_key) {
        TRY(obs_classes(&predicted, &predicted_names, data, request->path,
                        request->prediction_key));
        TRY(obs_join_codes(predicted, &classes, data->n_obs, &predicted_names));
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
