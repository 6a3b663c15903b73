/* SPDX-License-Identifier: BSD-3-Clause */
/* A simulated, labelled set of blood cells: RNA, surface protein and chromatin, two batches. */
#ifndef DATA_EXAMPLE_H
#define DATA_EXAMPLE_H

#include <stdint.h>

#include "data/dataset.h"

/* Which features: all (1,900 genes, 46 proteins, 3,000 peaks), or only genes that are markers or
 * abundant (some 460) and the peaks of the markers (some 840), where time matters. */
typedef enum example_panel { EXAMPLE_WHOLE, EXAMPLE_NARROW } example_panel;

/* Modalities "rna" (sparse counts), "adt" (dense counts), "atac" (sparse fragment counts of peaks,
 * var column "gene"). obs: cell_type (2 % of the labels are wrong), batch, truth, is_doublet (2 %
 * of the cells hold a second cell; truth is then the type of the first). Every number is a function
 * of (seed, cell, feature): the same for any number of threads, and the first cells of a larger set
 * are those of a smaller one. SCW_EINVAL: n_obs < 1 or above 10 million. */
SCW_CHECKED scw_status example_make(scw_dataset **out, int64_t n_obs, example_panel panel,
                                    uint64_t seed);

#endif
