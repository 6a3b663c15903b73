/* SPDX-License-Identifier: BSD-3-Clause */
/* The cells of a data set, as counts: what a model is fitted on. */
#ifndef TRAIN_REFERENCE_H
#define TRAIN_REFERENCE_H

#include "data/dataset.h"
#include "data/packed_rows.h"
#include "models/model.h"

typedef struct reference_modality {
    const char *name; /* borrowed from the data set */
    modality_kind kind;
    const strings *features; /* borrowed */
    matrix counts;           /* CSR, a row a cell; empty where absent. Packed: its shape and indptr */
    packed_rows *packed;     /* where the counts are when they do not fit in memory, else NULL */
    uint8_t *present;        /* [n] */
} reference_modality;

typedef struct reference {
    int64_t n;       /* cells with at least one modality, and a label where one is asked for */
    int64_t *obs;    /* [n] their positions in the data set */
    int32_t *labels; /* [n]; -1: none */
    strings classes; /* in code-point order */
    int32_t *batches;    /* [n] batch of each cell; NULL: not told apart */
    strings batch_names; /* in code-point order */
    int n_modalities;
    reference_modality modality[MODEL_MAX_MODALITIES];
} reference;

/* `modalities`: comma-separated names, NULL for all. Errors: SCW_ENOTFOUND (label key, modality),
 * SCW_EDATA (fewer than two classes, not counts). */
SCW_CHECKED scw_status reference_build(reference *out, const scw_dataset *d, const char *label_key,
                                       const char *modalities, bool allow_fractional,
                                       const scw_hooks *hooks);
/* Tell the batches of the cells apart by obs column `key`. SCW_ENOTFOUND: no such column; SCW_EDATA: a
 * cell of the reference has none. */
SCW_CHECKED scw_status reference_set_batches(reference *r, const scw_dataset *d, const char *key);
/* The same of about n_cells of the cells (0: all): each class keeps its share, but at least 50 cells or
 * all it has. Which ones is a function of the seed and of their place in the set. */
SCW_CHECKED scw_status reference_build_sample(reference *out, const scw_dataset *d,
                                              const char *label_key, const char *modalities,
                                              bool allow_fractional, int64_t n_cells, uint64_t seed,
                                              const scw_hooks *hooks);
/* The same of cells that need no label: label_key may be NULL, and cells without one stay. */
SCW_CHECKED scw_status reference_build_cells(reference *out, const scw_dataset *d,
                                             const char *label_key, const char *modalities,
                                             bool allow_fractional, int64_t n_cells, uint64_t seed,
                                             const scw_hooks *hooks);
/* The same for a fit that starts from model m: modalities and features are the model's, in its order, and
 * so are the first classes and batches. batch_key: as for reference_set_batches, NULL: not told apart.
 * SCW_EDATA: the data lack a modality or a feature of the model, or have a modality that it does not know. */
SCW_CHECKED scw_status reference_build_like(reference *out, const scw_dataset *d, const scw_model *m,
                                            const char *label_key, const char *batch_key,
                                            bool allow_fractional, int64_t n_cells, uint64_t seed,
                                            const scw_hooks *hooks);
void reference_clear(reference *r);

/* The listed cells of a modality, wherever their counts are. */
row_list reference_rows(const reference_modality *x, const int64_t *rows, int64_t n);
/* The same under a fitted transform, which packed ones refer to, as to rows. file_target: as for
 * transform_apply. */
SCW_CHECKED scw_status reference_prepare(prepared *out, const transform *t,
                                         const reference_modality *x, const int64_t *rows, int64_t n,
                                         bool file_target);

#endif
