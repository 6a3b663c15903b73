/* SPDX-License-Identifier: BSD-3-Clause */
/* A set cut to one modality, or its modalities side by side in one matrix. */
#ifndef IO_MERGE_H
#define IO_MERGE_H

#include "data/dataset.h"
#include "scweave/hooks.h"

/* One modality in the place of all: their features one after the other, with var['feature_types']. A
 * cell that lacks a modality has zeros there, which the log says. */
SCW_CHECKED scw_status dataset_merge(scw_dataset *d, const scw_hooks *hooks);
/* Cells of a set of one modality: those that have it, in the order of its rows. */
SCW_CHECKED scw_status dataset_own_cells(scw_dataset *d);

#endif
