/* SPDX-License-Identifier: BSD-3-Clause */
/* Matilda: its row, which says all that it does, and its fit. */
#include "task/matilda.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "task/checkpoint_file.h"
#include "train/fit.h"

/* Classes of one cell are learnt, but cannot be checked: say so once. */
static void report_classes(const reference *r, const scw_hooks *hooks)
{
    int64_t single = 0;

    for (int64_t c = 0; c < r->classes.n; c++) {
        int64_t n = 0;
        for (int64_t i = 0; i < r->n; i++)
            n += r->labels[i] == c;
        single += n == 1;
    }
    log_info(hooks, "%lld cells, %lld classes, %d modalities", (long long)r->n,
             (long long)r->classes.n, r->n_modalities);
    for (int k = 0; k < r->n_modalities; k++)
        log_info(hooks, "  %s: %lld features", r->modality[k].name,
                 (long long)r->modality[k].features->n);
    if (single > 0)
        log_warning(hooks,
                    "%lld classes have a single cell; what is learnt from one cell is not to "
                    "be relied on",
                    (long long)single);
}

void matilda_report_precision(const matilda_options *o, const scw_hooks *hooks)
{
    if (matilda_options_bf16(o) && !kernel_bf16_is_native())
        log_warning(hooks, "precision bf16: this processor has no instructions for it, so that it is "
                           "emulated, which is slower than fp32");
}

static scw_status fit(scw_model **out, const scw_model_kind *kind, const scw_dataset *data,
                      const scw_fit_request *request, const void *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    reference ref = {0};
    int64_t *rows = NULL;
    const matilda_options *o = options;
    checkpoint_file kept = {0};
    const checkpoint_plan *plan = NULL;
    matilda_model *m = NULL;

    TRY(reference_build_sample(&ref, data, request->label_key, request->modalities, o->fractional,
                               request->n_cells, request->seed, hooks));
    report_classes(&ref, hooks);
    matilda_report_precision(o, hooks);
    if (request->batch_key) TRY(reference_set_batches(&ref, data, request->batch_key));
    TRY(mem_new(&rows, ref.n));
    for (int64_t i = 0; i < ref.n; i++)
        rows[i] = i;
    TRY(checkpoint_file_open(&kept, &plan, request, kind, o, &ref, hooks));
    TRY(fit_model(&m, kind, &ref, rows, ref.n, o, request->seed, plan, hooks));
    json_t *record = m->base.record;
    if (json_object_set_new(record, "label_key", json_string(request->label_key)) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the training record");
    if (request->batch_key &&
        json_object_set_new(record, "batch_key", json_string(request->batch_key)) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the training record");
    *out = &m->base;
    m = NULL;
done:
    matilda_free(m);
    checkpoint_file_clear(&kept);
    mem_free(rows);
    reference_clear(&ref);
    return st;
}

static const struct scw_model_ops ops = {.size = sizeof(matilda_model),
                                         .options = offsetof(matilda_model, options),
                                         .init = matilda_init,
                                         .clear = matilda_clear,
                                         .intake = matilda_intake,
                                         .describe = matilda_describe,
                                         .write = matilda_write,
                                         .read = matilda_read,
                                         .fit = fit,
                                         .cross_validate = matilda_cross_validate,
                                         .apply = matilda_apply,
                                         .simulate = matilda_simulate,
                                         .markers = matilda_markers};

const scw_model_kind matilda_kind = {
    .name = "matilda",
    .summary = "annotate, embed and simulate cells of several modalities with one network",
    .options = matilda_option_table,
    .options_size = sizeof(matilda_options),
    .presets = "compat",
    .preset = matilda_options_preset,
    .labels = SCW_LABELS_NEEDED,
    .ops = &ops};
