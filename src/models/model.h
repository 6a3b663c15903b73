/* SPDX-License-Identifier: BSD-3-Clause */
/* What every model has, whatever its kind: what its inputs and classes are called, and how counts
 * become inputs. A kind's own struct begins with a scw_model; models/kind.h says what a kind is. */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include <jansson.h>

#include "data/dataset.h"
#include "models/cells.h"
#include "scweave/model.h"

/* What a modality measures; decides its default transform and width. */
typedef enum modality_kind { MODALITY_RNA = 0, MODALITY_ADT, MODALITY_ATAC } modality_kind;

const char *modality_kind_name(modality_kind kind);
/* From the modality's name, else from var['feature_types'], else from its number of features. */
modality_kind modality_guess_kind(const modality *m);

typedef struct model_modality {
    char *name;
    modality_kind kind;
    strings features;
    transform prep;
} model_modality;

struct scw_model {
    const scw_model_kind *kind;
    strings classes; /* empty where the kind knows none */
    strings batches; /* of the training cells; fewer than two are not told apart */
    int n_modalities;
    model_modality modality[MODEL_MAX_MODALITIES];
    json_t *record; /* training record: seed, cells, history, scores */
};

/* A model of the kind with these options, everything else empty. */
SCW_CHECKED scw_status model_new(scw_model **out, const scw_model_kind *kind, const void *options);
/* The options struct of its kind. */
const void *model_options(const scw_model *m);

/* Batches that the model's decoders tell apart: the columns beside the latent in their input. */
int64_t model_n_batches(const scw_model *m);
/* Codes of an obs column of the data set as the model's batches, -1 for another name or none; *out is
 * new [n_obs]. SCW_ENOTFOUND: no such column. */
SCW_CHECKED scw_status model_batches(int32_t **out, const scw_model *m, const scw_dataset *d,
                                     const char *key);

/* What a query has of the model's features. */
typedef struct model_coverage {
    int64_t n_vars, n_found, n_present; /* features of the model, found; cells with the modality */
    int64_t n_empty;                    /* cells that have it, but none of the model's features */
    bool by_kind;                       /* the modality was found under another name */
    const char *column;                 /* of the query's var that has the model's features; NULL: the index */
} model_coverage;

/* The query's cells as the model's input; coverage [n_modalities]. SCW_EDATA when no modality is
 * shared, when one has less of the features than the kind asks for (models/kind.h; the message names
 * both), or the values are not counts. Warnings say what is missing. */
SCW_CHECKED scw_status model_prepare(cells *out, model_coverage *coverage, const scw_model *m,
                                     const scw_dataset *query, const scw_hooks *hooks);

/* The same without words, so that cells [from, from + n) of a large query can be had block by block;
 * coverage->n_empty adds up. model_report then says what is missing. */
SCW_CHECKED scw_status model_prepare_part(cells *out, model_coverage *coverage, const scw_model *m,
                                          const scw_dataset *query, int64_t from, int64_t n);
void model_report(const scw_model *m, const model_coverage *coverage, const scw_dataset *query,
                  const scw_hooks *hooks);

/* The query's raw counts of modality k in the order of the model's features, a CSR row a cell (empty
 * where absent), and which cells have it: present is new [n_obs]. A modality that the query lacks is
 * absent everywhere. Errors as model_prepare. */
SCW_CHECKED scw_status model_counts(matrix *counts, uint8_t **present, const scw_model *m, int k,
                                    const scw_dataset *query);
/* The same of cells [from, from + n). */
SCW_CHECKED scw_status model_counts_part(matrix *counts, uint8_t **present, const scw_model *m, int k,
                                         const scw_dataset *query, int64_t from, int64_t n);
/* The query's modality that is the model's k-th: of its name, or the only one of its kind; NULL: there is
 * none. */
const modality *model_find_modality(const scw_model *m, int k, const scw_dataset *query);

/* The class with the largest of n scores or probabilities; the first of equals. */
int64_t model_best_class(const float *scores, int64_t n);

#endif
