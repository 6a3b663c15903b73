/* SPDX-License-Identifier: BSD-3-Clause */
/* A matrix that stays where it is because it does not fit in memory, and that can only be read through
 * from its beginning: MatrixMarket, dense matrices of features x cells. Each reader reads it through once
 * and deals its entries into groups of rows (blocks_scattered.c). */
#ifndef IO_ENTRY_STORE_H
#define IO_ENTRY_STORE_H

#include "data/dataset.h"
#include "io/file_blocks.h"
#include "io/formats.h"

typedef struct entry_origin {
    void *self;
    scw_status (*open)(entry_source *out, const void *self); /* from the beginning */
    void (*close)(void *self);
    int64_t n_entries; /* expected */
} entry_origin;

/* m->x has the shape and the type of the values; the origin is taken over, also when this fails. */
SCW_CHECKED scw_status entry_store_leave(modality *m, const entry_origin *origin,
                                         const char *where, const read_request *q);
/* Is a matrix of so many entries to be left where it is? */
bool entry_store_wanted(int64_t n_entries, int64_t n_rows, const input *in, const read_request *q);

#endif
