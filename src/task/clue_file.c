/* SPDX-License-Identifier: BSD-3-Clause */
/* What CLUE's model file has beside that of every kind (task/model_file.c). Tensors: both sets of
 * parameters, "input.<modality>.loadings", ".offset", ".ceiling" (models/modality_input.h) and
 * "interval.<from>.<to>" (models/clue_translation.h), the last not in all. Metadata:
 *
 *   modalities  each with n_inputs, how many scores its encoders read */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "task/clue.h"
#include "task/input_file.h"

scw_status clue_describe(json_t *facts, const scw_model *base)
{
    return input_file_describe(facts, base, ((const clue_model *)base)->input);
}

scw_status clue_write(model_writer *w, const scw_model *base)
{
    scw_status st = SCW_OK;
    const clue_model *m = (const clue_model *)base;

    TRY(model_writer_params(w, &m->net.p));
    TRY(model_writer_params(w, &m->net.adversary));
    TRY(model_writer_prep(w, base));
    TRY(input_file_write(w, base, m->input));
    for (int k = 0; k < base->n_modalities; k++) {
        const char *name = base->modality[k].name;
        for (int q = 0; q < base->n_modalities; q++)
            TRY(input_file_add(w, m->spread[k][q], CLUE_LEVELS, base->modality[q].features.n, "interval", name,
                    base->modality[q].name));
    }
done:
    return st;
}

/* ------------------------------------------------------------------------------------- load */

/* Weights of hidden layers and of the one behind them. */
static double n_weights(double n_in, int depth, double width, double n_out)
{
    return depth > 0 ? width * (n_in + width * (depth - 1) + n_out) : n_in * n_out;
}

/* Of its parameters at least so many. */
static double least_size(const clue_config *c)
{
    const double joint = (double)c->n_modalities * (double)c->z_dim;
    const double trunks = c->share_encoders ? 1.0 : c->n_modalities;
    double want = n_weights(joint, c->discriminator_depth, (double)c->discriminator_width, c->n_modalities);

    for (int k = 0; k < c->n_modalities; k++) {
        const clue_modality *m = &c->modality[k];
        want += trunks * n_weights((double)m->n_in, c->encoder_depth, (double)c->encoder_width,
                                   2.0 * joint / trunks); /* means and deviations */
        want += n_weights((double)c->z_dim, c->decoder_depth, (double)c->decoder_width, (double)m->n_vars);
    }
    return want;
}

scw_status clue_read(scw_model *base, const model_reader *from)
{
    scw_status st = SCW_OK;
    clue_model *m = (clue_model *)base;
    clue_config config;

    TRY(input_file_read(m->input, base, from));
    clue_config_of(&config, m);
    TRY(model_file_holds(from->file, from->path, least_size(&config)));
    st = clue_net_init(&m->net, &config, 1);
    if (st == SCW_EINVAL) st = status_prefix(SCW_EFORMAT, "%s", from->path);
    TRY(st);
    TRY(model_file_params(&m->net.p, from->file, from->path));
    TRY(model_file_params(&m->net.adversary, from->file, from->path));
    for (int k = 0; k < base->n_modalities; k++)
        for (int q = 0; q < base->n_modalities; q++)
            TRY(input_file_load(&m->spread[k][q], from, CLUE_LEVELS * base->modality[q].features.n, false,
                     "interval", base->modality[k].name, base->modality[q].name));
done:
    return st;
}
