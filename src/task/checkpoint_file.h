/* SPDX-License-Identifier: BSD-3-Clause */
/* A fit in the middle on disk: one safetensors file, like a model. Tensors are the blocks of
 * train/checkpoint.h. Metadata, each a text:
 *
 *   format   "scweave-checkpoint-1"
 *   version, model, from, options, label, seed, threads, data
 *            what the fit is of; `from` is the fingerprint of the model that it starts from,
 *            `data` one of cells, labels, features and counts
 *   state    JSON object, position and history
 *   content  fingerprint of the tensors and the state
 *
 * A fit continues only from a checkpoint of the very same fit, because anything else would be neither. */
#ifndef TASK_CHECKPOINT_FILE_H
#define TASK_CHECKPOINT_FILE_H

#include "io/safetensors.h"
#include "train/checkpoint.h"
#include "train/reference.h"

typedef struct checkpoint_file {
    const scw_fit_request *request; /* borrowed, like what follows */
    const scw_model_kind *kind;
    const void *options;
    const reference *ref;
    const scw_hooks *hooks;
    json_t *identity; /* the texts that say what the fit is of; made when first needed */
    safetensors_file file;
    checkpoint resume;
    checkpoint_plan plan;
} checkpoint_file;

/* `plan` receives what fit_model wants: NULL when the request names no checkpoint. threads_set must
 * have been called. Errors: SCW_EIO and SCW_EFORMAT (no checkpoint, a damaged one), SCW_EDATA (that of
 * another fit; the message says what differs). */
SCW_CHECKED scw_status checkpoint_file_open(checkpoint_file *out, const checkpoint_plan **plan,
                                            const scw_fit_request *request,
                                            const scw_model_kind *kind, const void *options,
                                            const reference *ref, const scw_hooks *hooks);
void checkpoint_file_clear(checkpoint_file *f);

#endif
