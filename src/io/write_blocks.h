/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices written while they are read, block by block. */
#ifndef IO_WRITE_BLOCKS_H
#define IO_WRITE_BLOCKS_H

#include "data/blocks.h"
#include "io/h5.h"
#include "scweave/hooks.h"

/* All rows of the reader as the csr_matrix `name` of float32 (float64 from an exact reader),
 * replaced if there; memory for one block and the row pointers. */
SCW_CHECKED scw_status write_blocks_csr(hid_t parent, const char *name, block_reader *rows,
                                        const scw_hooks *hooks);

/* The same as a dense array of float32: value plus shift [n_cols] of the column. */
SCW_CHECKED scw_status write_blocks_dense(hid_t parent, const char *name, block_reader *rows,
                                          const double *shift, const scw_hooks *hooks);

#endif
