/* SPDX-License-Identifier: BSD-3-Clause */
/* Models: fit, save, load, and the tasks a fitted model does. */
#ifndef SCWEAVE_MODEL_H
#define SCWEAVE_MODEL_H

#include <stdint.h>

#include "dataset.h"
#include "options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scw_model scw_model;

/* What a fit does with a label key. */
typedef enum scw_labels {
    SCW_LABELS_NONE = 0, /* it learns no classes: a label key is refused */
    SCW_LABELS_OPTIONAL,
    SCW_LABELS_NEEDED
} scw_labels;

/* A kind of model, one row of the registry. Not every kind offers every verb: one that it does not
 * offer is SCW_EUNSUPPORTED. */
typedef struct scw_model_kind {
    const char *name;           /* "matilda" */
    const char *summary;        /* one line */
    const scw_option *options;  /* table of its options */
    size_t options_size;        /* bytes of its options struct */
    const char *presets;        /* "compat": names of its presets, separated by | */
    /* Set the options that a preset changes. Presets apply first, single options override. */
    scw_status (*preset)(void *options, const char *name);
    scw_labels labels;               /* are classes of cells learnt? */
    const struct scw_model_ops *ops; /* what the library does with it */
} scw_model_kind;

/* k-th kind of the registry, or NULL past the end. */
SCW_API const scw_model_kind *scw_model_kind_at(int k);
/* Kind called `name`, or NULL. */
SCW_API const scw_model_kind *scw_model_kind_find(const char *name);

typedef struct scw_fit_request {
    const char *label_key;  /* obs column with the class of each cell; missing values are left out */
    const char *modalities; /* comma-separated subset to use, NULL: all in the data */
    uint64_t seed;
    int threads;            /* 0: all cores */
    const char *command;    /* recorded in the model file; may be NULL */
    const char *checkpoint; /* file that keeps the state of a fit under way; NULL: none */
    double checkpoint_minutes; /* write it so many minutes after the start, and then again and again;
                                  0: not by time */
    int64_t checkpoint_epochs; /* write it after every so many epochs; 0: not by epochs */
    int resume; /* continue from the checkpoint, if the file is there */
    const char *batch_key; /* obs column with the batch of each cell, which the decoders then get as an
                              input and the encoders do not; NULL: batches are not told apart */
    int64_t n_cells; /* train on a sample of about so many cells, each class by its share but none below
                      * 50 (or all it has); 0: on all. The sample is a function of the seed. */
    const scw_model *from; /* start from this fitted model of the same kind, borrowed; NULL: from nothing */
} scw_fit_request;

/* Train a model on a reference. `options` is the kind's options struct (scw_options_init first).
 *
 * With a checkpoint, the state is written as asked for, and when the cancel hook stops the fit. A fit
 * that is continued from it, with the same data, options, seed and number of threads, gives the bytes
 * that the uninterrupted one would have given. It may be some steps older than the moment of the stop.
 * A checkpoint that cannot be written is a warning. The file stays when the fit is done: remove it once
 * the model is saved.
 *
 * A fit that starts from a model keeps its modalities, features, transforms and the scores that its
 * encoders read, so that the same input means the same to both, and starts at its parameters, which are
 * matched by name; batches and classes by theirs. New batches start at the mean of those known. Take the
 * options from scw_model_options; those of input and architecture must stay as they are. The new model's
 * record names the old one's fingerprint as "from". Not every kind can: SCW_EUNSUPPORTED.
 *
 * Training that blows up (a value that is not finite, a loss that stays ten times above its best) goes
 * back to the last sound state with 0.3 of the learning rate, three times at most, with a warning that
 * names the part of the loss and the parameter or feature; then it is SCW_ENUMERIC.
 *
 * Errors: SCW_EINVAL (a model to start from of another kind, or options that differ from it; a model that
 * tells batches apart without a batch key; a label key that is missing, or that the kind has no use for),
 * SCW_ENOTFOUND (label key, batch key), SCW_EDATA (one class only, a cell without a batch, no usable cell or
 * feature, values that are not counts, the checkpoint of another fit, features of the model to start from
 * that the data lack), SCW_EFORMAT (a damaged checkpoint), SCW_EIO (a file that is no checkpoint lies in its
 * place), SCW_ENUMERIC, SCW_ECANCELLED. */
SCW_API SCW_CHECKED scw_status scw_model_fit(scw_model **out, const scw_model_kind *kind,
                                             const scw_dataset *reference,
                                             const scw_fit_request *request, const void *options,
                                             const scw_hooks *hooks);

/* The options that a model was fitted with, in the options struct of its kind. */
SCW_API void scw_model_options(void *options, const scw_model *model);
/* Kind of a model. */
SCW_API const scw_model_kind *scw_model_kind_of(const scw_model *model);

/* Run the folds of a splits table (TSV with columns cell and fold) and report accuracy and macro-F1
 * of the model beside logistic regression, k nearest neighbours and the majority class on the same
 * folds. *out_json: text as described in docs/evaluate.md, free with scw_free. */
SCW_API SCW_CHECKED scw_status scw_model_cross_validate(char **out_json,
                                                        const scw_model_kind *kind,
                                                        const scw_dataset *reference,
                                                        const char *splits_path,
                                                        const scw_fit_request *request,
                                                        const void *options,
                                                        const scw_hooks *hooks);

SCW_API SCW_CHECKED scw_status scw_model_save(const scw_model *model, const char *path);
SCW_API SCW_CHECKED scw_status scw_model_load(scw_model **out, const char *path);
SCW_API void scw_model_free(scw_model *model);

/* Facts about a model as JSON: kind, options, modalities, classes, training record, and a fingerprint of
 * it all with the parameters. */
SCW_API SCW_CHECKED scw_status scw_model_describe(char **out_json, const scw_model *model);

typedef struct scw_task_request {
    int annotate;        /* label, confidence, per-class probabilities */
    int embed;           /* obsm['X_<model>'] */
    int threads;         /* 0: all cores */
    const char *command; /* recorded in uns['scweave']; may be NULL */
    double coverage;     /* with annotate: share of cells whose label set shall hold the truth, in
                            (0, 1); 0: no label sets. Needs a calibrated model */
    double reject;       /* with annotate: share of cells like the reference's that may be called
                            'unknown', in [0, 1); 0: none are. Needs a calibrated model */
    int align;           /* line up the query with the reference first: what sets a batch of it
                            apart, whatever the type of the cell, is taken out. A cell's answer then
                            depends on the other cells of its batch */
    const char *batch_key; /* with align: obs column of the query that names the batch of each cell;
                              NULL: the query is one batch */
} scw_task_request;

/* Apply a fitted model to a query. A missing modality or missing features are reported through the
 * log hook; a query that shares no modality or too few features is refused with SCW_EDATA, and so is a
 * batch column with missing values; SCW_ENOTFOUND: no such column. */
SCW_API SCW_CHECKED scw_status scw_model_apply(scw_results **out, const scw_model *model,
                                               const scw_dataset *query,
                                               const scw_task_request *request,
                                               const scw_hooks *hooks);

typedef struct scw_translate_request {
    const char *from, *to; /* modalities of the model */
    const char *name;      /* of the new modality; NULL: "<to>_from_<from>" */
    double coverage;       /* share of cells whose value the prediction interval of a feature shall hold:
                              0.5, 0.8, 0.9 or 0.95, or the next larger of these; 0: no intervals */
    const char *batch_key; /* obs column with the batch of each cell, for a model that tells batches
                              apart; batches that it does not know, and all without a key, are predicted
                              for the mean of its own */
    int threads;           /* 0: all cores */
    const char *command;   /* recorded in uns of the new modality; may be NULL */
} scw_translate_request;

/* Tell one modality of a query from another: a new modality with expected counts (chances of being there
 * where the likelihood is bernoulli) as X and prediction intervals as layers 'lower' and 'upper', for
 * every cell that has modality `from`; NaN where it has no count of a feature of the model. They are
 * computed while scw_results_write writes them, block by block: model and query must live until then.
 * A cell's answer does not depend on the others. An interval holds the true value of a cell like those
 * of the fit with at least the chance asked for (split conformal prediction on the validation cells).
 * Without 20 such cells there are none, which a warning says.
 * Errors: SCW_ENOTFOUND (modality, batch key), SCW_EINVAL (the same modality twice, a name that is taken,
 * a coverage above 0.95), SCW_EDATA (no cell of the query has it, too few features), SCW_EUNSUPPORTED. */
SCW_API SCW_CHECKED scw_status scw_model_translate(scw_results **out, const scw_model *model,
                                                   const scw_dataset *query,
                                                   const scw_translate_request *request,
                                                   const scw_hooks *hooks);

typedef enum scw_simulate_from {
    SCW_SIMULATE_CLASS = 0, /* a Gaussian of each type over latent and residual scores */
    SCW_SIMULATE_POSTERIOR, /* around the latent of a real cell, as published */
    SCW_SIMULATE_PRIOR      /* z ~ N(0, 1); types are then the classifier's answer */
} scw_simulate_from;

typedef struct scw_simulate_request {
    const char *type;      /* the type to simulate; NULL: all types of the reference */
    int64_t n;             /* cells: of the type, or of all together in the reference's proportions */
    int64_t n_each;        /* > 0, without type: so many of each type instead */
    scw_simulate_from from;
    double library;        /* 0: as the real cells; -1: the type's median; else total RNA counts a cell */
    int with_real;         /* the labelled real cells go into the file too */
    const char *label_key; /* obs column of the reference; NULL: the one the model was trained with */
    uint64_t seed;
    int threads;           /* 0: all cores */
    const char *command;   /* recorded in uns['scweave']; may be NULL */
    const char *batch;     /* for a model that tells batches apart: the batch to draw for; "observed" or
                              NULL: those of the real cells drawn from; "mean": none in particular */
} scw_simulate_request;

/* Simulate cells from a model and labelled real cells, and write them as a new .h5mu with the model's
 * features: X counts, obs[label key], obs['simulated'], with SCW_SIMULATE_POSTERIOR
 * obs['source_cell'], uns['scweave']. A modality without a count decoder (a model fitted with
 * likelihood gaussian, or by an earlier version) gets expected transformed values instead, which a
 * warning and the record say. Equal arguments give equal files. Time grows with cells times features
 * times the smaller of 256 and the type's number of real cells.
 * A model that tells batches apart writes the cells' batch too, under the key of its training.
 * Errors: SCW_EINVAL (request), SCW_ENOTFOUND (type, label key, batch), SCW_EDATA (type without real cells,
 * what scw_model_apply refuses), SCW_EIO; the target is untouched on failure. */
SCW_API SCW_CHECKED scw_status scw_model_simulate(const scw_model *model,
                                                  const scw_dataset *reference,
                                                  const scw_simulate_request *request,
                                                  const char *path, const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
