/* SPDX-License-Identifier: BSD-3-Clause */
/* Where batches come from: a list of entries that can be gathered in any order. */
#ifndef TRAIN_SOURCE_H
#define TRAIN_SOURCE_H

#include "base/rng.h"
#include "models/cells.h"
#include "train/inputs.h"

typedef struct train_source {
    int64_t n; /* entries */
    const void *self;
    /* Batch of the listed entries, in the tape's memory. A failure stays on the tape. */
    void (*gather)(const void *self, tape *t, const int64_t *entries, int64_t n,
                   model_batch *batch);
    /* A hint: these entries will be gathered soon. NULL: no use of it. */
    void (*ahead)(const void *self, const int64_t *entries, int64_t n);
} train_source;

/* Rows of prepared cells. */
typedef struct row_source {
    const cells *cells;
    const int64_t *rows; /* [n] */
    int64_t n;
    const inputs *projected; /* of these rows; NULL: each batch is projected anew */
} row_source;

train_source row_source_as_source(const row_source *s);

#endif
