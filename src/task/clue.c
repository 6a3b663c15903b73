/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE: its row, which says all that it does, and its fit. */
#include "task/clue.h"

#include "task/paired_fit.h"
#include "train/clue_fit.h"

static scw_status fit(scw_model **out, const scw_model_kind *kind, const scw_dataset *data,
                      const scw_fit_request *request, const void *options, const scw_hooks *hooks)
{
    const clue_options *o = options;

    return paired_fit_data(out, kind, data, request, o, o->fractional, clue_fit, hooks);
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
                                         .free_options = "fractional|min-coverage|dropout|decoder-dropout",
                                         .apply = clue_apply,
                                         .translate = clue_translate_query};

const scw_model_kind clue_kind = {
    .name = "clue",
    .summary = "put cells of any modalities into one space, translate one into another",
    .options = clue_option_table,
    .options_size = sizeof(clue_options),
    .presets = "cite|multiome|compat|transductive",
    .preset = clue_options_preset,
    .labels = SCW_LABELS_OPTIONAL,
    .ops = &ops};
