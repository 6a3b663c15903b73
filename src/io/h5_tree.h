/* SPDX-License-Identifier: BSD-3-Clause */
/* The links and objects of a file, each visited once: before anything follows them without end. */
#ifndef IO_H5_TREE_H
#define IO_H5_TREE_H

#include "io/h5.h"
#include "scweave/hooks.h"

/* Can HDF5 copy an object and what lies below it? SCW_EFORMAT: it is nested more than H5_MAX_DEPTH deep
 * (HDF5 copies by recursion and runs out of its stack), or has text among attributes that lie outside
 * of its header, as libver='latest' puts many or large ones (HDF5 1.10 crashes). *tree, if not NULL: no
 * group is reached twice, through soft links neither, so that whoever descends comes to an end. */
SCW_CHECKED scw_status h5_tree_measure(bool *tree, hid_t object);

/* Everything that is wrong with the links, the storage and the attributes below a group, to the sink. */
SCW_CHECKED scw_status h5_tree_check(const rule_sink *sink, hid_t group, const scw_hooks *hooks);

#endif
