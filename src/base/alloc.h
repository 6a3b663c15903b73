/* SPDX-License-Identifier: BSD-3-Clause */
/* The only door to the heap. Sizes are checked products; a test can make the n-th call fail, or large ones. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Allocate count * size zeroed bytes into *out (void ** by cast through the macro below). A count of
 * zero gives a valid pointer to nothing. On failure *out is NULL and the code SCW_ENOMEM. */
SCW_CHECKED scw_status mem_new_raw(void **out, int64_t count, size_t size);

/* Copy of count * size bytes, or NULL for NULL. */
SCW_CHECKED scw_status mem_copy_raw(void **out, const void *from, int64_t count, size_t size);

/* Change the size of *block to count * size bytes; new bytes are not set. On failure *block is
 * unchanged. */
SCW_CHECKED scw_status mem_resize_raw(void **block, int64_t count, size_t size);

/* Zeroed array of `count` elements of the type of **out: TRY(mem_new(&p, n)). */
#define mem_new(out_, count_) mem_new_raw((void **)(out_), (count_), sizeof **(out_))
#define mem_copy(out_, from_, count_) mem_copy_raw((void **)(out_), (from_), (count_), sizeof **(out_))
#define mem_resize(block_, count_) mem_resize_raw((void **)(block_), (count_), sizeof **(block_))

void mem_free(void *block);

/* Copy of a string, or NULL for NULL. */
SCW_CHECKED scw_status mem_strdup(char **out, const char *text);

/* Test support: the call number `n` from now (1 = next) fails, and those after it succeed; 0 turns
 * injection off. Returns the number of allocations asked for since the last call. */
int64_t mem_fail_at(int64_t n);

/* Test support: a block of more than `bytes` is refused from now on; 0: none is. */
void mem_cap(int64_t bytes);

#endif
