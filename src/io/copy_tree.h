/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements from one HDF5 file into another as they are stored. */
#ifndef IO_COPY_TREE_H
#define IO_COPY_TREE_H

#include "io/h5.h"
#include "scweave/dataset.h"
#include "scweave/hooks.h"

/* Attributes and members of a group into another, which lacks them. SCW_COMPRESSION_KEEP copies every
 * element byte for byte; with another choice the arrays of X, raw, layers, obsm, obsp, varm and varp are
 * compressed anew. Links out of the file stay what they are and are not followed. */
SCW_CHECKED scw_status copy_tree(hid_t from, hid_t to, scw_compression how, const scw_hooks *hooks);

#endif
