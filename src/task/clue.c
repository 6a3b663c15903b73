/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE: its row, which says all that it does, and its fit. */
#include "task/clue.h"

#include "base/log.h"
#include "task/checkpoint_file.h"
#include "train/clue_fit.h"

static scw_status put_key(json_t *record, const char *name, const char *key)
{
    if (!key || json_object_set_new(record, name, json_string(key)) == 0) return SCW_OK;
    return status_fail(SCW_ENOMEM, "out of memory in the training record");
}

static scw_status fit(scw_model **out, const scw_model_kind *kind, const scw_dataset *data,
                      const scw_fit_request *request, const void *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    reference ref = {0};
    const clue_options *o = options;
    const clue_model *from = (const clue_model *)request->from;
    checkpoint_file kept = {0};
    const checkpoint_plan *plan = NULL;
    clue_model *m = NULL;

    if (from)
        TRY(reference_build_like(&ref, data, &from->base, request->label_key, request->batch_key,
                                 o->fractional, request->n_cells, request->seed, hooks));
    else
        TRY(reference_build_cells(&ref, data, request->label_key, request->modalities, o->fractional,
                                  request->n_cells, request->seed, hooks));
    log_info(hooks, "%lld cells, %d %s", (long long)ref.n, ref.n_modalities,
             ref.n_modalities == 1 ? "modality" : "modalities");
    if (request->batch_key && !from) TRY(reference_set_batches(&ref, data, request->batch_key));
    TRY(checkpoint_file_open(&kept, &plan, request, kind, o, &ref, hooks));
    TRY(clue_fit(&m, kind, &ref, from, o, request->seed, plan, hooks));
    TRY(put_key(m->base.record, "label_key", request->label_key));
    TRY(put_key(m->base.record, "batch_key", request->batch_key));
    *out = &m->base;
    m = NULL;
done:
    clue_free(m);
    checkpoint_file_clear(&kept);
    reference_clear(&ref);
    return st;
}

static const struct scw_model_ops ops = {.size = sizeof(clue_model),
                                         .options = offsetof(clue_model, options),
                                         .clear = clue_clear,
                                         .intake = clue_intake,
                                         .describe = clue_describe,
                                         .write = clue_write,
                                         .read = clue_read,
                                         .fit = fit,
                                         .kept_groups = "Input|Architecture",
                                         .free_options = "fractional|min-coverage|dropout",
                                         .apply = clue_apply,
                                         .translate = clue_translate_query};

const scw_model_kind clue_kind = {
    .name = "clue",
    .summary = "put cells of any modalities into one space, translate one into another",
    .options = clue_option_table,
    .options_size = sizeof(clue_options),
    .presets = "cite|multiome|compat|transductive",
    .preset = clue_options_preset,
    .ops = &ops};
