/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: named columns beside an index of names, as obs and var hold them. */
#ifndef DATA_FRAME_H
#define DATA_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef enum column_kind {
    COLUMN_FLOAT = 0,   /* f64 */
    COLUMN_INT,         /* i64 */
    COLUMN_BOOL,        /* boolean, 0 or 1 */
    COLUMN_STRING,      /* text */
    COLUMN_CATEGORICAL  /* codes into categories; -1 is missing */
} column_kind;

/* One column. Exactly the arrays of its kind are set; all are owned. */
typedef struct column {
    char *name;
    column_kind kind;
    int64_t n;
    uint8_t *missing;   /* [n] 1 where the value is missing, or NULL: none is (not for CATEGORICAL) */
    double *f64;        /* [n] */
    int64_t *i64;       /* [n] */
    uint8_t *boolean;   /* [n] */
    strings text;       /* n strings */
    int32_t *codes;     /* [n] */
    strings categories; /* the distinct values, in their order */
    bool ordered;       /* the categories have an order */
} column;

typedef struct frame {
    int64_t n_rows;
    char *index_name; /* name under which the index was stored, e.g. "_index" */
    strings index;    /* n_rows names */
    int64_t n_columns;
    column *columns; /* [n_columns], owned */
} frame;

void column_clear(column *c);
void frame_clear(frame *f);

/* New zeroed column with the arrays of `kind` allocated for n rows (strings lists stay empty). */
SCW_CHECKED scw_status column_init(column *c, const char *name, column_kind kind, int64_t n);

/* Append a column; the frame takes over *c, which is zeroed. */
SCW_CHECKED scw_status frame_add(frame *f, column *c);

/* Text of each value: numbers by their shortest decimal text, booleans "False" and "True", "" where
 * the value is missing. */
SCW_CHECKED scw_status column_texts(strings *out, const column *c);

bool column_is_missing(const column *c, int64_t i);
/* A mask that marks nothing is dropped. */
void column_drop_empty_mask(column *c);
/* out = values of the rows of c in the given order, under a new name; row -1 gives a missing value. */
SCW_CHECKED scw_status column_gather(column *out, const column *c, const char *name,
                                     const int64_t *rows, int64_t n);

/* The rows of a frame in the given order, none of them -1. */
SCW_CHECKED scw_status frame_gather(frame *out, const frame *f, const int64_t *rows, int64_t n);

const column *frame_find(const frame *f, const char *name); /* NULL: absent */

/* A column of any kind as classes: codes 0..n_classes-1 in the order of their names by byte value
 * (code-point order for UTF-8), -1 for missing ("" and "nan" strings count as missing for COLUMN_STRING). Unused
 * categories get no class. Numbers are named by their shortest decimal text, booleans "False" and
 * "True". *codes is new [n]. */
SCW_CHECKED scw_status column_classes(const column *c, int32_t **codes, strings *classes);

#endif
