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

/* Measure this machine (products in fp32 and bf16 where it can, memory bandwidth) and training steps
 * of the given reference files against it: the median step, and the slowest of the quickest tenth,
 * which other programs disturb least. batch_size 0: that of the settings. JSON text, free with
 * scw_free. */
SCW_API SCW_CHECKED scw_status scw_bench(char **out_json, const char *const *paths, int n_paths,
                                         int64_t batch_size, int threads, const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
