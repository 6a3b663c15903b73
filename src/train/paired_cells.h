/* SPDX-License-Identifier: BSD-3-Clause */
/* The cells of a fit whose model puts several modalities into one space: which have what, which are held
 * out, and the scores that the model's encoders read (models/clue_input.h), fitted on the training cells.
 * Cells may lack modalities, but some must tie each modality to the others. */
#ifndef TRAIN_PAIRED_CELLS_H
#define TRAIN_PAIRED_CELLS_H

#include "models/clue_input.h"
#include "models/linear_path.h"
#include "train/clue_source.h"

typedef struct paired_cells_options {
    double validation; /* share held out, among cells that have the same modalities */
    double library;    /* that RNA counts are scaled to; set by paired_cells_library */
    clue_input_options input;
} paired_cells_options;

/* What the scores of a modality were fitted with. */
typedef struct paired_scored {
    int64_t n_train; /* 0: there are none yet */
    double library;
    bool unit_rows;
} paired_scored;

typedef struct paired_cells {
    scw_model *model;  /* receives modalities, transforms, batches; borrowed, like all up to hooks */
    clue_input *input; /* [modalities] of the model */
    const reference *ref;
    uint64_t seed;
    const scw_hooks *hooks;
    const scw_model *from;        /* transforms and scores are this model's, with */
    const clue_input *from_input; /* these; NULL: they are fitted on the training cells */
    paired_cells_options options;
    clue_cells cells;
    int64_t *all; /* [n] 0, 1, ... */
    int64_t *train, *validation;
    int64_t n_train, n_validation;
    paired_scored scored[MODEL_MAX_MODALITIES];
} paired_cells;

/* With the first fields set. SCW_EDATA: one modality, too few cells, or no cells that tie them. */
SCW_CHECKED scw_status paired_cells_init(paired_cells *p);
/* Transforms and scores as the options say; again where the training cells or, of RNA, the library
 * size or, of chromatin, the rows have changed. */
SCW_CHECKED scw_status paired_cells_score(paired_cells *p);
/* The validation cells become training cells too: nothing is held out any more. Score again. */
void paired_cells_join(paired_cells *p);
void paired_cells_clear(paired_cells *p);

/* The listed cells' scores, borrowed. */
void paired_cells_view(linear_path_cells *out, const paired_cells *p, const int64_t *rows, int64_t n);

/* The linear path of the training cells' scores. */
SCW_CHECKED scw_status paired_cells_path(linear_path *out, const paired_cells *p,
                                         const linear_path_options *options);

/* What is left to the fit, chosen by its training cells: the library size that RNA counts are scaled to, where
 * it is 0, and whether chromatin is read by unit rows, in the order of `auto|on|off`. Score afterwards.
 * paired_library.c */
enum { PAIRED_ROWS_AUTO = 0, PAIRED_ROWS_ON, PAIRED_ROWS_OFF };
SCW_CHECKED scw_status paired_cells_choose(paired_cells *p, double *library, int *unit_rows,
                                           const linear_path_options *options);

#endif
