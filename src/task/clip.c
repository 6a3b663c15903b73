/* SPDX-License-Identifier: BSD-3-Clause */
/* CLIP: its row, which says all that it does, its fit, and its part of the model file: the towers and
 * what they read (task/input_file.h). */
#include "task/clip.h"

#include "task/input_file.h"
#include "task/paired_embed.h"
#include "task/paired_fit.h"
#include "train/clip_fit.h"

static scw_status fit(scw_model **out, const scw_model_kind *kind, const scw_dataset *data,
                      const scw_fit_request *request, const void *options, const scw_hooks *hooks)
{
    const clip_options *o = options;

    if (request->batch_key)
        return status_fail(SCW_EUNSUPPORTED,
                           "clip does not tell batches apart: its towers see a cell as it is. Leave the batch "
                           "key out, and match within batches (match --batch-key)");
    return paired_fit_data(out, kind, data, request, o, o->fractional, clip_fit, hooks);
}

/* ----------------------------------------------------------------------------- model file */

static scw_status describe(json_t *facts, const scw_model *base)
{
    return input_file_describe(facts, base, ((const clip_model *)base)->input);
}

static scw_status write(model_writer *w, const scw_model *base)
{
    scw_status st = SCW_OK;
    const clip_model *m = (const clip_model *)base;

    TRY(model_writer_params(w, &m->net.p));
    TRY(model_writer_prep(w, base));
    TRY(input_file_write(w, base, m->input));
done:
    return st;
}

/* Of its parameters at least so many. */
static double least_size(const clip_config *c)
{
    double want = 0.0;
    const double hidden = (double)c->width;

    for (int k = 0; k < c->n_modalities; k++) {
        const double n_in = (double)c->modality[k].n_in;
        want += c->depth > 0 ? hidden * (n_in + (double)c->z_dim + hidden * (c->depth - 1))
                             : n_in * (double)c->z_dim;
    }
    return want;
}

static scw_status read(scw_model *base, const model_reader *from)
{
    scw_status st = SCW_OK;
    clip_model *m = (clip_model *)base;
    clip_config config;

    TRY(input_file_read(m->input, base, from));
    clip_config_of(&config, m);
    TRY(model_file_holds(from->file, from->path, least_size(&config)));
    st = clip_net_init(&m->net, &config, 1);
    if (st == SCW_EINVAL) st = status_prefix(SCW_EFORMAT, "%s", from->path);
    TRY(st);
    TRY(model_file_params(&m->net.p, from->file, from->path));
done:
    return st;
}

/* --------------------------------------------------------------------------------- a query */

static scw_status apply(scw_results **out, const scw_model *model, const scw_dataset *query,
                        const scw_task_request *request, const scw_hooks *hooks)
{
    const paired_embedder by = {.width = ((const clip_model *)model)->options.z_dim,
                                .embed = clip_embed};

    return paired_embed(out, model, &by, query, request, hooks);
}

static const struct scw_model_ops ops = {.size = sizeof(clip_model),
                                         .options = offsetof(clip_model, options),
                                         .clear = clip_clear,
                                         .intake = clip_intake,
                                         .describe = describe,
                                         .write = write,
                                         .read = read,
                                         .fit = fit,
                                         .kept_groups = "Input|Architecture",
                                         .free_options = "fractional|min-coverage|dropout|input-dropout",
                                         .apply = apply};

const scw_model_kind clip_kind = {
    .name = "clip",
    .summary = "put modalities into one space in which a cell finds itself again",
    .options = clip_option_table,
    .options_size = sizeof(clip_options),
    .presets = "rna-adt|rna-atac",
    .preset = clip_options_preset,
    .ops = &ops};
