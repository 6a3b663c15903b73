/* SPDX-License-Identifier: BSD-3-Clause */
/* Highly variable features, by the definitions that scanpy's and Seurat's names stand for.
 *
 *   seurat_v3        on counts: variance of (x - m_j) / s_j clipped at sqrt(N), with log10 s_j^2
 * the loess of log10 variance on log10 mean (Stuart et al., Cell 177, 2019) seurat_v3_paper  the
 * same; between batches the number of batches goes before the median rank cell_ranger      on
 * logarithms: dispersion against the median and median deviation of features of about the same mean
 * (Zheng et al., Nature Communications 8, 2017) seurat           on logarithms, of the values
 * before: log dispersion against mean and deviation within bins of equal width (Satija et al.,
 * Nature Biotechnology 33, 2015)
 */
#ifndef PREP_HVG_H
#define PREP_HVG_H

#include "data/blocks.h"
#include "scweave/hooks.h"

typedef enum hvg_flavor {
    HVG_SEURAT_V3 = 0,
    HVG_SEURAT_V3_PAPER,
    HVG_CELL_RANGER,
    HVG_SEURAT
} hvg_flavor;
#define HVG_FLAVORS "seurat_v3|seurat_v3_paper|cell_ranger|seurat"

typedef struct hvg_options {
    hvg_flavor flavor;
    int64_t n_top;  /* how many to choose; 0 (dispersions only): by the four limits */
    double span;    /* of the loess */
    int64_t n_bins; /* seurat */
    double min_mean, max_mean, min_disp, max_disp; /* exclusive */
    const int32_t *batch;                          /* [n] in 0 .. n_batches - 1, or NULL */
    int32_t n_batches;
} hvg_options;

typedef struct hvg {
    int64_t p;
    uint8_t *selected; /* [p] */
    double *mean;      /* [p]; of the dispersions' flavours over batches */
    double *spread;    /* [p] variance, or (log) dispersion */
    double *norm;      /* [p] its standardised form, mean over batches */
    double *rank; /* [p] seurat_v3: median rank from 0, NaN where never among the first n_top */
    int64_t *n_batches; /* [p] batches in which the feature is among the chosen */
} hvg;

/* rows: counts, or for the dispersions log1p of normalised counts. SCW_EINVAL: negative or (counts)
 * fractional values; SCW_EDATA: a batch of fewer than two cells, too few features that vary.
 * Two passes for counts, one else; memory O(p n_batches) and a block. */
SCW_CHECKED scw_status hvg_fit(hvg *out, block_reader *rows, const hvg_options *options,
                               const scw_hooks *hooks);
void hvg_clear(hvg *h);

#endif
