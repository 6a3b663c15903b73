/* SPDX-License-Identifier: BSD-3-Clause */
/* Gene activity: for each gene a weighted sum of the peaks that belong to it.
 *
 *   window   the peaks that overlap the gene and some bases before (and after) it, weight 1, as
 *            Signac's GeneActivity and Seurat's CreateGeneActivityMatrix count them
 *   decay    peaks around the transcription start with weight 2^(-d / half), d from the middle of
 * the peak, up to a reach, as in MAESTRO's regulatory potential
 *
 * Positions are half-open [start, end), from 0. */
#ifndef PREP_ACTIVITY_H
#define PREP_ACTIVITY_H

#include "base/text.h"
#include "data/blocks.h"

typedef struct interval {
    int32_t chromosome; /* index into a common list; -1: unknown */
    int64_t start, end;
} interval;

typedef struct activity_gene {
    interval body; /* of one base where only the start of transcription is known */
    int64_t tss;
    int strand; /* 1, -1, 0: unknown, then upstream lies on both sides */
} activity_gene;

typedef struct activity_options {
    int64_t upstream, downstream;
    bool decay;
    int64_t half, reach;
} activity_options;

/* Peak j adds weight[e] of itself to gene[e], e in start[j] .. start[j + 1]. */
typedef struct activity_map {
    int64_t n_peaks, n_genes;
    int64_t *start; /* [n_peaks + 1] */
    int32_t *gene;
    float *weight;
} activity_map;

/* Cost: O((n_peaks + n_genes) log n_genes + what belongs together). */
SCW_CHECKED scw_status activity_map_build(activity_map *out, const interval *peaks, int64_t n_peaks,
                                          const activity_gene *genes, int64_t n_genes,
                                          const activity_options *options);
void activity_map_clear(activity_map *m);
/* Keep only the listed genes, numbered anew: number [n_genes], -1 for those that go. */
void activity_map_renumber(activity_map *m, const int32_t *number, int64_t n_genes);

/* The cells' genes, from a reader of their peaks, which it owns from now on (also when this fails).
 * The map is borrowed. */
SCW_CHECKED scw_status activity_reader(block_reader **out, block_reader *peaks,
                                       const activity_map *map);

#endif
