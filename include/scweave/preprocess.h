/* SPDX-License-Identifier: BSD-3-Clause */
/* From counts to what analyses start from: quality figures, filters, pipelines of preprocessing
 * steps, gene activity. Everything passes over the matrix in blocks of cells: memory is that of a
 * few columns of obs and var, of what is asked for (scores [n, k]) and of one block.
 * docs/preprocess.md has the formulas, their sources and what is written. */
#ifndef SCWEAVE_PREPROCESS_H
#define SCWEAVE_PREPROCESS_H

#include <stdint.h>

#include "dataset.h"
#include "options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scw_prep_request {
    int threads;         /* 0: all cores */
    const char *command; /* recorded in the result; may be NULL */
} scw_prep_request;

/* ------------------------------------------------------------------------------- quality */

typedef struct scw_qc_options {
    char *modality; /* NULL: all */
    char *sets; /* "mt=MT-;ribo=RPS,RPL;mine=@genes.txt": sets of features by prefixes, or listed
                 * in a file, a name a line */
    char *top;  /* "50,100,200,500": shares of the largest counts; "" none */
    int log1p;  /* the log1p_ columns too */
} scw_qc_options;
SCW_API const scw_option *scw_qc_option_table(void);

/* Columns of obs and var of each modality, named as by scanpy's calculate_qc_metrics; *report (may
 * be NULL): a JSON document with their medians and what is odd, free with scw_free. A figure
 * divided by a total of zero is NaN. Errors: SCW_ENOTFOUND (modality), SCW_EINVAL (sets, top),
 * SCW_EIO (a list), SCW_EDATA (values that are not finite), SCW_ECANCELLED. One pass over each
 * matrix. */
SCW_API SCW_CHECKED scw_status scw_dataset_qc(scw_results **out, char **report,
                                              const scw_dataset *dataset,
                                              const scw_prep_request *request,
                                              const scw_qc_options *options,
                                              const scw_hooks *hooks);

/* The columns that results add to obs (of_features 0) or var (1) of their modalities as a table,
 * one row a cell or feature, tab-separated; NaN is an empty cell. SCW_EINVAL: there are none. */
SCW_API SCW_CHECKED scw_status scw_results_write_table(const scw_results *results,
                                                       const scw_dataset *dataset, int of_features,
                                                       const char *path);

/* ------------------------------------------------------------------------------- filters */

/* Limits are inclusive; a negative one is not applied. */
typedef struct scw_filter_options {
    char *modality; /* whose figures decide; NULL: the only one, or "rna" */
    double min_counts, max_counts, min_genes, max_genes; /* of a cell */
    double max_pct_mt;                                   /* percent of the counts in the set mt */
    char *mt;                                            /* prefixes of the set mt */
    double mads; /* > 0: outliers of log1p counts, log1p genes (both sides), percent mt (upper) */
    char *batch_key; /* outliers within each batch; NULL: among all cells */
    char *keep_obs;  /* boolean obs column: cells where it is true stay; NULL: all */
    double min_cells, max_cells, min_feature_counts, max_feature_counts; /* of a feature */
    char *keep_var; /* boolean var column, such as highly_variable */
} scw_filter_options;
SCW_API const scw_option *scw_filter_option_table(void);

/* Write the data set's one file without the cells and features that fail. All that belongs to an
 * axis is cut in step: obs, var, X, layers, obsm, varm, obsp, varp, and raw along cells; of an
 * .h5mu all modalities lose the cells and the maps follow. What stays is stored as it was. Figures
 * of features are those of the cells that stay. *report (may be NULL): JSON, what was dropped and
 * why. Errors: SCW_EDATA when nothing is left; those of scw_dataset_qc and scw_results_write. */
SCW_API SCW_CHECKED scw_status scw_dataset_filter(char **report, const scw_dataset *dataset,
                                                  const scw_prep_request *request,
                                                  const scw_filter_options *options,
                                                  const char *path, const scw_hooks *hooks);

/* ------------------------------------------------------------------------------- pipelines */

/* A step, a row of the table of steps. */
typedef struct scw_prep_step {
    const char *name;
    const char *summary;
    const char *writes; /* what it leaves in the file */
    const scw_option *options;
} scw_prep_step;
/* The k-th step; NULL past the last. */
SCW_API const scw_prep_step *scw_prep_step_at(int k);

/* A named pipeline. `steps` may be given as scw_preprocess_options.steps. */
typedef struct scw_prep_preset {
    const char *name;
    const char *summary;
    const char *steps;
} scw_prep_preset;
SCW_API const scw_prep_preset *scw_prep_preset_at(int k);

typedef struct scw_preprocess_options {
    /* "[MODALITY=]STEP[:OPTION=VALUE]...,STEP...;MODALITY=...". Without a modality: of the only
     * one, or of `modality`. NULL: those of the preset. */
    char *steps;
    char
        *preset; /* NULL: "default". Modalities that a preset names and the set lacks are skipped */
    char *modality;
    char *batch_key; /* obs column for steps that look at batches; NULL: none */
    int64_t seed;
} scw_preprocess_options;
SCW_API const scw_option *scw_preprocess_option_table(void);

/* Fit and apply the steps in order. If one changes the matrix, X is replaced and what was X stays
 * as layers['counts']. The results read from the data set while they are written: free them before
 * it. *report (may be NULL): JSON, a list of the steps and what each found. Errors: SCW_EINVAL and
 * SCW_ENOTFOUND (steps, options, modality, batch key), SCW_EDATA (not counts, too few cells),
 * SCW_ENUMERIC, SCW_ECANCELLED. */
SCW_API SCW_CHECKED scw_status scw_dataset_preprocess(scw_results **out, char **report,
                                                      const scw_dataset *dataset,
                                                      const scw_prep_request *request,
                                                      const scw_preprocess_options *options,
                                                      const scw_hooks *hooks);

/* ------------------------------------------------------------------------------- gene activity */

typedef enum scw_activity_weight {
    SCW_ACTIVITY_WINDOW = 0,
    SCW_ACTIVITY_DECAY
} scw_activity_weight;

typedef struct scw_activity_options {
    char *genes;    /* table of genes: GTF, or columns for id, symbol, chromosome and TSS */
    char *modality; /* the peaks; NULL: the only one, or "atac" */
    char *name;     /* of the new modality */
    int64_t upstream, downstream; /* bases around a gene that count as it */
    int weight;                   /* scw_activity_weight */
    int64_t half, reach; /* decay: the distance that halves the weight, and the one it ends at */
} scw_activity_options;
SCW_API const scw_option *scw_activity_option_table(void);

/* A new modality: for each gene the (weighted) sum of the peaks that belong to it. Features are
 * named by symbol, made unique; var has gene_ids, chrom, tss, n_peaks. Genes without a peak are
 * left out. Errors: SCW_EDATA (no peak's name can be read, no gene near a peak), SCW_EFORMAT (the
 * table). */
SCW_API SCW_CHECKED scw_status scw_dataset_gene_activity(scw_results **out, char **report,
                                                         const scw_dataset *dataset,
                                                         const scw_prep_request *request,
                                                         const scw_activity_options *options,
                                                         const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
