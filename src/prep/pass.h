/* SPDX-License-Identifier: BSD-3-Clause */
/* Passing over a matrix block by block, and readers that change what passes.
 *
 *   file or memory ──> borrowed ──> mapped ──> mapped ──> visitor: a fit, a table, a writer
 *
 * A step of preprocessing is a map over blocks of whole cells, so a pipeline is a chain of readers:
 * nothing is kept but one block, whatever the size of the matrix. */
#ifndef PREP_PASS_H
#define PREP_PASS_H

#include "data/blocks.h"
#include "scweave/hooks.h"

/* One block. What is kept of it must be the same for any number of threads. */
typedef scw_status (*block_visitor)(void *state, const row_block *b);

/* Show every block to the visitor, in order; asks for cancellation and reports progress under the
 * name of the phase between blocks. */
SCW_CHECKED scw_status blocks_each(block_reader *r, const char *phase, const scw_hooks *hooks,
                                   block_visitor visit, void *state);

/* Change the values of a block in place. An entry may become zero; none is added. */
typedef scw_status (*block_map)(row_block *b, const void *state);

/* A reader over `base`, which it owns from now on, also when this fails (NULL base: passes on a
 * failure to make it). `state` is borrowed. */
SCW_CHECKED scw_status block_reader_mapped(block_reader **out, block_reader *base, block_map map,
                                           const void *state);

/* A reader over `base` that leaves it open when it is freed, so that chains can share it. */
SCW_CHECKED scw_status block_reader_borrowed(block_reader **out, block_reader *base);

/* Sums of whole rows, in double: out [n rows of the block]. */
void block_row_sums(double *out, const row_block *b);

#endif
