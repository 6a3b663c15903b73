/* SPDX-License-Identifier: BSD-3-Clause */
/* Markers: which features speak for each class, by a fitted model and by tests of expression. */
#ifndef SCWEAVE_MARKERS_H
#define SCWEAVE_MARKERS_H

#include <stdint.h>

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How features are ranked. docs/markers.md has the equations. */
typedef enum scw_markers_method {
    SCW_MARKERS_SHARED = 0, /* integrated gradients, credit shared by features that vary together */
    SCW_MARKERS_IG,         /* integrated gradients (Sundararajan, Taly, Yan 2017) */
    SCW_MARKERS_SALIENCY,   /* mean size of the gradient (Simonyan, Vedaldi, Zisserman 2014) */
    SCW_MARKERS_TTEST,      /* Welch's t on the model's log-normalised values, class against rest */
    SCW_MARKERS_WILCOXON    /* rank sum, with correction for ties */
} scw_markers_method;

typedef enum scw_markers_baseline {
    SCW_MARKERS_MEAN = 0, /* attributions are against the mean training cell */
    SCW_MARKERS_ZERO      /* against a cell without a count */
} scw_markers_baseline;

typedef enum scw_markers_score {
    SCW_MARKERS_MARGIN = 0, /* what is explained: the class score less the mean of the others' */
    SCW_MARKERS_LOGIT       /* the class score alone, as published */
} scw_markers_score;

typedef struct scw_markers_request {
    const char *label_key; /* obs column with the classes: only cells that the model gets right are
                            * explained, and the tests use the labels; NULL: the model's answers */
    scw_markers_method method;
    scw_markers_baseline baseline;
    scw_markers_score score;
    int all;             /* 0: rank features that are raised in the class only; 1: all */
    int64_t steps;       /* Gauss-Legendre nodes of the integral, 1..1000 */
    int64_t top;         /* features a class, 0: all that are ranked */
    int64_t cells;       /* explain at most so many cells of a class (a seeded sample), 0: all */
    uint64_t seed;
    int threads;         /* 0: all cores */
    const char *command; /* recorded in uns; may be NULL */
} scw_markers_request;

/* A table: for each class its features in order. */
typedef struct scw_markers scw_markers;

/* Explain `model` on the cells of `data`. Classes without a cell to explain are reported through
 * the log hook and have no rows. Cost: `steps` passes through the network for each explained cell;
 * memory is that of the table and one block of cells.
 * Errors: SCW_ENOTFOUND (label key), SCW_EDATA (no feature shared, no label known to the model, no
 * cell to explain), SCW_EINVAL (request out of range), SCW_ECANCELLED. */
SCW_API SCW_CHECKED scw_status scw_model_markers(scw_markers **out, const scw_model *model,
                                                 const scw_dataset *data,
                                                 const scw_markers_request *request,
                                                 const scw_hooks *hooks);
SCW_API void scw_markers_free(scw_markers *markers);

/* The table as tab-separated text, a line a feature under a line of names (docs/markers.md); NA
 * where there is no value. *out: free with scw_free. */
SCW_API SCW_CHECKED scw_status scw_markers_text(char **out, const scw_markers *markers);
/* The same into a file, atomically. */
SCW_API SCW_CHECKED scw_status scw_markers_write(const scw_markers *markers, const char *path);
/* As results for scw_results_write: uns['markers'], in the layout of scanpy's rank_genes_groups. */
SCW_API SCW_CHECKED scw_status scw_markers_results(scw_results **out, const scw_markers *markers);

/* Facts as JSON: {"method", "baseline", "score", "n_rows", "classes": [{"name", "n_cells"}],
 * "completeness": [{"modalities", "n_cells", "error"}]}: over the cells that have the same
 * modalities, the relative error of attributions that should add up to the change of the score.
 * Free with scw_free. */
SCW_API SCW_CHECKED scw_status scw_markers_describe(char **out_json, const scw_markers *markers);

#ifdef __cplusplus
}
#endif
#endif
