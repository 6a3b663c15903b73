/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices written while they are read, block by block. */
#ifndef IO_WRITE_BLOCKS_H
#define IO_WRITE_BLOCKS_H

#include "data/blocks.h"
#include "io/h5.h"
#include "scweave/hooks.h"

/* All rows of the reader as the csr_matrix `name` of float32, replaced if there; memory for one block and
 * the row pointers. */
SCW_CHECKED scw_status write_blocks_csr(hid_t parent, const char *name, block_reader *rows,
                                        const scw_hooks *hooks);

/* All rows of a reader of exact values, in the type that they are stored in and with indices of 64 bits
 * only where 32 do not reach; `dense`: as an array. SCW_EUNSUPPORTED: integers beyond 2^53. */
SCW_CHECKED scw_status write_blocks_exact(hid_t parent, const char *name, block_reader *rows,
                                          number_type stored, bool dense, const scw_hooks *hooks);

/* The same as write_blocks_csr as a dense array of float32: value plus shift [n_cols] of the column. */
SCW_CHECKED scw_status write_blocks_dense(hid_t parent, const char *name, block_reader *rows,
                                          const double *shift, const scw_hooks *hooks);

#endif
