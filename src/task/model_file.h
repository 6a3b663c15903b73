/* SPDX-License-Identifier: BSD-3-Clause */
/* The model file as its parts are written and read: what all kinds have is model_file.c's affair,
 * the rest is a kind's own describe, write and read (models/kind.h), which find their tools here.
 * The checkpoint uses some of them too. */
#ifndef TASK_MODEL_FILE_H
#define TASK_MODEL_FILE_H

#include <jansson.h>
#include <stdbool.h>

#include "io/safetensors.h"
#include "models/kind.h"

/* Every option of a kind as text; those of the group Batches only with `batches`. */
SCW_CHECKED scw_status model_file_options(json_t **out, const scw_model_kind *kind,
                                          const void *options, bool batches);
/* Put a JSON value into the metadata as text; takes over `value`. */
SCW_CHECKED scw_status model_file_put(json_t *metadata, const char *key, json_t *value);
/* Put it among the facts; takes over `value`, of which NULL says that memory was short. */
SCW_CHECKED scw_status model_file_fact(json_t *facts, const char *key, json_t *value);

/* What tells a model from others: of all that its file holds but the version that wrote it. */
enum { FINGERPRINT = 17 };
SCW_CHECKED scw_status model_fingerprint(char out[FINGERPRINT], const scw_model *m);

/* The tensors of a file in the making. */
typedef struct model_writer {
    safetensor *tensors; /* [n]; their data is borrowed, their names are names.at */
    int64_t n, capacity;
    strings names;
} model_writer;

/* `name` as for printf. */
SCW_CHECKED scw_status model_writer_add(model_writer *w, const safetensor *t, const char *name, ...)
    SCW_PRINTF(3, 4);
SCW_CHECKED scw_status model_writer_params(model_writer *w, const params *of);
/* The transforms of all modalities. */
SCW_CHECKED scw_status model_writer_prep(model_writer *w, const scw_model *m);

/* A file that is read. What all kinds have is in the model already. */
typedef struct model_reader {
    const safetensors_file *file;
    const char *path;
    const json_t *modalities; /* as the kind described them */
} model_reader;

/* Value of the metadata's `key`, an array or an object; SCW_EFORMAT when there is none. */
SCW_CHECKED scw_status model_file_part(json_t **out, const safetensors_file *f, const char *path,
                                       const char *key, bool array);
/* A part that not every file has; *out stays NULL without it. */
SCW_CHECKED scw_status model_file_optional(json_t **out, const safetensors_file *f,
                                           const char *path, const char *key, bool array);
/* The file must hold so many values, parameters say, before memory is asked for them: SCW_EFORMAT. */
SCW_CHECKED scw_status model_file_holds(const safetensors_file *f, const char *path, double n);
/* Fill the parameters from the tensors of their names; SCW_EFORMAT: absent, of another shape. */
SCW_CHECKED scw_status model_file_params(params *to, const safetensors_file *f, const char *path);
/* Which of n names the word is; false: none. */
bool model_file_word(int *out, const char *word, const char *(*name_of)(int), int n);

#endif
