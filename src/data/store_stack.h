/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of matrices below each other, or a part of a matrix's columns, without bringing any into memory. */
#ifndef DATA_STORE_STACK_H
#define DATA_STORE_STACK_H

#include "data/blocks.h"

typedef struct stack_part {
    matrix x;         /* the rows, or with a store their shape */
    row_store *store; /* NULL: in x */
    int64_t *to;      /* [x.n_cols] column of the result, -1: left out; NULL: as it is */
} stack_part;

void stack_part_clear(stack_part *p);

/* The parts, which are emptied, as one store with n_cols columns. `memory_bytes` as in row_store. */
SCW_CHECKED scw_status row_store_stack(row_store **out, stack_part *parts, int n, int64_t n_cols,
                                       int64_t memory_bytes);

#endif
