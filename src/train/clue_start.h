/* SPDX-License-Identifier: BSD-3-Clause */
/* Where CLUE's decoders and library sizes start, so that training need only find what departs from it:
 *
 *   library  the source's own total, times the ratio of the two modalities' mean totals
 *   shift    nb: log of a feature's share of all counts; bernoulli: log odds of its being there; both a
 *            batch by itself, drawn towards that of all cells as if by 20 cells of them
 *   theta    nb: 10
 *   bias     normal: the mean
 *
 * As published all of these start at zero or at random. */
#ifndef TRAIN_CLUE_START_H
#define TRAIN_CLUE_START_H

#include "train/clue_source.h"

/* From the listed cells. */
SCW_CHECKED scw_status clue_start(clue_net *net, const paired_set *of, const int64_t *rows, int64_t n);

#endif
