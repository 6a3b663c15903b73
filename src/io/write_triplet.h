/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of one modality as matrix.mtx.gz, features.tsv.gz and barcodes.tsv.gz, as Cell Ranger 3 has them. */
#ifndef IO_WRITE_TRIPLET_H
#define IO_WRITE_TRIPLET_H

#include "data/dataset.h"
#include "scweave/hooks.h"

/* The folder is made where absent; each file appears whole or not at all. Features are given by
 * var['gene_ids'] (else their names), name and var['feature_types']. Numbers are written so that reading
 * gives the same bits. */
SCW_CHECKED scw_status write_triplet(const scw_dataset *d, const char *folder,
                                     const scw_hooks *hooks);

#endif
