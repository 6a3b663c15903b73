/* SPDX-License-Identifier: BSD-3-Clause */
/* A fitted model: the network, what its inputs and classes are called, and how counts become
 * inputs. */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include <jansson.h>

#include "data/dataset.h"
#include "models/calibration.h"
#include "models/cells.h"
#include "models/class_means.h"
#include "models/count_heads.h"
#include "models/matilda.h"
#include "models/matilda_options.h"
#include "models/subsets.h"
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
    matilda_options options;
    strings classes;
    strings batches; /* of the training cells; fewer than two are not told apart */
    int n_modalities;
    model_modality modality[MODEL_MAX_MODALITIES];
    matilda_net net;
    calibration calibration;
    subsets subsets;    /* answers for cells that lack a modality; empty where the model has none */
    class_means means;
    count_heads counts; /* decoders of counts; empty where the model has none */
    json_t *record; /* training record: seed, cells, history, scores */
};

SCW_CHECKED scw_status model_new(scw_model **out, const scw_model_kind *kind,
                                 const matilda_options *options);

/* Network sizes that follow from the model's modalities, classes and options. `components` [k]:
 * width of modality k's fitted projection, 0 for none. */
void model_config(const scw_model *m, const int64_t *components, matilda_config *out);

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
 * shared, when a shared one has less than options.min_coverage of the features (all are then
 * named), or the values are not counts. Warnings say what is missing. */
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

/* Class scores [n, C] and latent [n, d] of cells; either may be NULL. In blocks of rows. A cell that
 * lacks a modality is answered by m->subsets where there is a path for what it has. Scores become
 * probabilities by calibration_softmax with the temperature of model_calibration. */
SCW_CHECKED scw_status model_infer(const scw_model *m, const params *p, const cells *c,
                                   const int64_t *rows, int64_t n, float *logits, float *latent);

/* Whose answer it is to be. */
enum {
    MODEL_AS_NETWORK = -2, /* the network's, whatever the cells have */
    MODEL_AS_PRESENT = -1  /* of model_infer; k >= 0: of m->subsets.at[k], which the cells must have */
};
SCW_CHECKED scw_status model_infer_as(const scw_model *m, int as, const cells *c,
                                      const int64_t *rows, int64_t n, float *logits, float *latent);

/* Which path of m->subsets answers for cell i, -1: the network. */
int model_path_of(const scw_model *m, const cells *c, int64_t i);
/* How far the answers of path k can be trusted; -1: the network's, which stands in for a path that has
 * no calibration of its own. */
const calibration *model_calibration(const scw_model *m, int k);

/* The class with the largest of n scores or probabilities; the first of equals. */
int64_t model_best_class(const float *scores, int64_t n);

/* Share of the variance of modality k's inputs (about the training mean) that the reconstructions
 * from the posterior mean explain, over all the cells; below zero when they are worse than the
 * mean. NaN for a modality that no cell has. out [n_modalities]. */
SCW_CHECKED scw_status model_explained_variance(const scw_model *m, const cells *c, double *out);

#endif
