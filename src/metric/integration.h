/* SPDX-License-Identifier: BSD-3-Clause */
/* Does an embedding keep what cells are, and does it forget which batch they came from?
 *
 * The figures of scIB (Luecken et al. 2022), with BRAS and CiLISI, which see batches that were mixed
 * across types. All lie between 0 and 1 and larger is better, but for pcr_before and pcr. With n cells,
 * labels c, batches b, and neighbours by exhaustive search:
 *
 *   asw_label      (mean silhouette of the labels + 1) / 2, Euclidean
 *   isolated_asw   the same of the cells of a label that few batches have; mean over those labels
 *   clisi          1 - (median LISI of the labels - 1) / (L - 1)
 *   connectivity   mixing_connectivity of the labels, neighbourhoods of 15 cells
 *   leiden_nmi/ari best NMI with the labels over Leiden resolutions 0.2, 0.4 ... 2; ARI of the same
 *   isolated_f1    best F1 of any cluster of any of them, mean over the isolated labels
 *   asw_batch      mean over labels of mean(1 - |s|), s the silhouette of the batches in the label
 *   bras           the same with cosine distance and b the mean distance to all other batches
 *   ilisi          (median LISI of the batches - 1) / (B - 1)
 *   cilisi         mean over cells of (LISI of the batches among cells of the own label - 1) /
 *                  (batches that the label has - 1), of labels with 10 cells and 2 batches or more
 *   kbet           mean over labels of mixing_kbet within the label, k0 = min(70, max(10, mean batch
 *                  size / 4)) cells, of labels with 10 cells and 2 batches or more
 *   pcr            share of the embedding's variance that lies between batches: sum_k Var_k R^2_k over
 *                  all principal components k of it, over sum_k Var_k
 *   pcr_score      max(0, (pcr_before - pcr) / pcr_before)
 *
 * Isolated labels are in as few batches as any label is; if that is all batches, there are none. */
#ifndef METRIC_INTEGRATION_H
#define METRIC_INTEGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "scweave/hooks.h"

typedef struct integration_input {
    const float *x;       /* [n, d], finite */
    int64_t n, d;
    const int32_t *label; /* [n] 0..n_labels-1 */
    int32_t n_labels;
    const int32_t *batch; /* [n] 0..n_batches-1, or NULL: figures of the labels only */
    int32_t n_batches;
    const float *before;  /* [n, d_before] the embedding before integration, or NULL */
    int64_t d_before;
    uint64_t seed;        /* of Leiden */
} integration_input;

/* NaN: not defined here (one batch, no isolated label), or not asked. */
typedef struct integration {
    int64_t n, n_labels, n_batches, n_isolated; /* groups that have cells */
    double asw_label, isolated_asw, clisi, connectivity, leiden_nmi, leiden_ari, leiden_resolution,
        isolated_f1;
    double asw_batch, bras, ilisi, cilisi, kbet, pcr, pcr_before, pcr_score;
    bool clustered; /* false: the build has no Leiden, and its figures are NaN */
} integration;

/* SCW_EDATA: fewer than two labels or three cells. Cost O(n^2 d); memory O(n (d + 90)). */
SCW_CHECKED scw_status integration_measure(integration *out, const integration_input *input,
                                           const scw_hooks *hooks);

#endif
