/* SPDX-License-Identifier: BSD-3-Clause */
/* How good is a result: annotation and clustering figures of a written file, and the machine bench. */
#ifndef SCWEAVE_EVALUATE_H
#define SCWEAVE_EVALUATE_H

#include <stdint.h>

#include "hooks.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scw_evaluate_request {
    const char *path;           /* .h5ad or .h5mu with results */
    const char *label_key;      /* obs column with the truth */
    const char *prediction_key; /* obs column with predicted labels; NULL: skip annotation figures */
    const char *embedding_key;  /* obsm array; NULL: skip clustering figures */
    uint64_t seed;              /* of k-means and Leiden */
    int threads;
    /* zeroed: as before these were there */
    int integration;            /* 1: figures of integration of the embedding, scIB's among them */
    const char *batch_key;      /* obs column with the batches, for them and for matching; implies them */
    const char *before_key;     /* obsm array before integration; NULL: not compared */
    const char *partner_key;    /* obsm array of the other side of pairs; NULL: no figures of pairs */
    const char *partner_path;   /* file that holds it, cells of the same name are partners; NULL: path */
    const char *splits, *fold;  /* table with the columns cell and fold: only cells of this fold are judged */
    int cosine;                 /* 1: pairs are judged by the angle between rows */
} scw_evaluate_request;

/* JSON: {"n_obs", "n_labelled", "annotation": {"accuracy", "macro_f1", "classes": [{"name",
 * "precision", "recall", "f1", "support"}], "majority_accuracy"}, "clustering": {"k", "ari", "nmi",
 * "fm", "jaccard"}, "integration": {"asw_label", ...}, "pairing": {"foscttm", ...}}; docs/evaluate.md has
 * all of them. A figure that is not defined is null. Free with scw_free. */
SCW_API SCW_CHECKED scw_status scw_evaluate(char **out_json, const scw_evaluate_request *request,
                                            const scw_hooks *hooks);

typedef struct scw_translation_request {
    const char *path;          /* .h5ad or .h5mu with predicted values */
    const char *predicted;     /* where they are: a modality, a layer ("MODALITY:LAYER", in an .h5ad also
                                * "LAYER"), or an obsm array ("KEY", "MODALITY:KEY") with a column for each
                                * measured feature in their order */
    const char *measured;      /* modality that holds the measured values */
    const char *measured_path; /* the file it is in, cells of the same name being the same; NULL: path */
    const char *source;        /* modality or obsm array of that file from which neighbours are found for
                                * the regression; NULL: none. Needs splits */
    const char *splits, *fold; /* table with the columns cell and fold: cells of this fold are judged, those
                                * of the others train the predictors to compare with. NULL: all are judged */
    int64_t neighbors;         /* of the regression, 1 or more */
    int log;                   /* 1: log1p of both sides; 0: both as they are */
    int threads;
} scw_translation_request;

/* One modality predicted from another. JSON: {"n_obs", "translation": {"n", "n_features", "prediction":
 * {"pearson_feature", "auroc_feature", "pearson_cell", "auroc_cell", "rmse", "mae", ...}, "features":
 * [{"name", "pearson", "auroc"}], "mean", "neighbors"}}: docs/evaluate.md. The last two, the mean of the
 * training cells and the mean of the nearest of them, are there with splits and with a source. Features
 * of a modality or layer are told by name. Memory: 4 bytes a judged cell and feature, and the measured
 * rows. Errors: SCW_ENOTFOUND (array, modality, fold), SCW_EDATA (no cell or feature on both sides). */
SCW_API SCW_CHECKED scw_status scw_evaluate_translation(char **out_json,
                                                        const scw_translation_request *request,
                                                        const scw_hooks *hooks);

typedef struct scw_bench_request {
    const char *const *paths;     /* reference files with an obs column cell_type */
    int n_paths;
    const char *cells, *features; /* sizes of made sets, with commas; NULL: a short list */
    double density;               /* share of their RNA that is not zero */
    int full;                     /* longer lists, wider sweeps: half an hour, not two minutes */
    int64_t batch_size;           /* of the steps; 0: 64 and 512 */
    int threads;                  /* 0: all cores */
    const char *csv_path;         /* a table of all measurements, one a row; NULL: none */
} scw_bench_request;

/* Measure this machine (products in fp32 and bf16 where it can, memory, decompression), then
 * training steps and inference of the files and of sets of the sizes asked for; where neither is
 * named, of some sets, each op, and how a step's time grows with non-zeros, features and cells.
 * Every figure stands beside the time that its arithmetic and memory traffic take at least here
 * (docs/bench.md). JSON text: "machine", "limits", and a list of measurements for each part; free
 * with scw_free. SCW_EINVAL: a list or the density cannot be read. Sets that do not fit in memory
 * are left out with a warning and listed under "left_out". */
SCW_API SCW_CHECKED scw_status scw_bench(char **out_json, const scw_bench_request *request,
                                         const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
