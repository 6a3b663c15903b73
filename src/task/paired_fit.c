/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/paired_fit.h"

#include "base/log.h"
#include "task/checkpoint_file.h"

static scw_status put_key(json_t *record, const char *name, const char *key)
{
    if (!key || json_object_set_new(record, name, json_string(key)) == 0) return SCW_OK;
    return status_fail(SCW_ENOMEM, "out of memory in the training record");
}

static scw_status build(reference *ref, const scw_dataset *data, const scw_fit_request *q,
                        int fractional, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    if (q->from)
        TRY(reference_build_like(ref, data, q->from, q->label_key, q->batch_key, fractional,
                                 q->n_cells, q->seed, hooks));
    else
        TRY(reference_build_cells(ref, data, q->label_key, q->modalities, fractional, q->n_cells,
                                  q->seed, hooks));
    log_info(hooks, "%lld cells, %d %s", (long long)ref->n, ref->n_modalities,
             ref->n_modalities == 1 ? "modality" : "modalities");
    if (q->batch_key && !q->from) TRY(reference_set_batches(ref, data, q->batch_key));
done:
    return st;
}

scw_status paired_fit_data(scw_model **out, const scw_model_kind *kind, const scw_dataset *data,
                           const scw_fit_request *request, const void *options, int fractional,
                           paired_fitter *fitter, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    reference ref = {0};
    checkpoint_file kept = {0};
    paired_fit f = {.kind = kind, .options = options, .ref = &ref, .from = request->from,
                    .seed = request->seed, .hooks = hooks};
    scw_model *m = NULL;

    TRY(build(&ref, data, request, fractional, hooks));
    TRY(checkpoint_file_open(&kept, &f.plan, request, kind, options, &ref, hooks));
    st = fitter(&m, &f);
    if (st == SCW_EFORMAT && f.plan && f.plan->resume)
        st = status_prefix(st, "%s: cannot be used", f.plan->where);
    if (st != SCW_OK) goto done;
    TRY(put_key(m->record, "label_key", request->label_key));
    TRY(put_key(m->record, "batch_key", request->batch_key));
    *out = m;
    m = NULL;
done:
    scw_model_free(m);
    checkpoint_file_clear(&kept);
    reference_clear(&ref);
    return st;
}
