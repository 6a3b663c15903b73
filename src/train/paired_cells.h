/* SPDX-License-Identifier: BSD-3-Clause */
/* The cells of a fit whose model puts several modalities into one space: which have what, which
 * are held out, and the scores that the model's encoders read (models/modality_input.h), fitted
 * on the training cells. Cells may lack modalities, but some must tie each modality to the
 * others. */
#ifndef TRAIN_PAIRED_CELLS_H
#define TRAIN_PAIRED_CELLS_H

#include "models/modality_input.h"
#include "models/linear_path.h"
#include "train/paired_fit.h"
#include "train/paired_set.h"

/* What a fit reads its cells by, out of the options of its kind. */
typedef struct paired_cells_options {
    double validation; /* share held out, among cells that have the same modalities */
    double library;    /* that RNA counts are scaled to; 0: chosen (train/path_choice.h) */
    int unit_rows;     /* of chromatin, paired_rows; auto: chosen */
    modality_input_options input; /* its unit_rows follows from that */
    linear_path_options path;
} paired_cells_options;

/* In the order of `auto|on|off`. */
enum paired_rows { PAIRED_ROWS_AUTO = 0, PAIRED_ROWS_ON, PAIRED_ROWS_OFF };

/* What the scores of a modality were fitted with. */
typedef struct paired_scored {
    int64_t n_train; /* 0: there are none yet */
    double library;
    bool unit_rows;
} paired_scored;

typedef struct paired_cells {
    const paired_fit *fit; /* borrowed, like all up to from_input */
    scw_model *model;      /* receives modalities, transforms, batches */
    modality_input *input; /* [modalities] of the model */
    const modality_input *from_input; /* of the model that the fit starts from, if it does; NULL:
                                       * transforms and scores are fitted on the training cells */
    paired_cells_options options;
    paired_set cells;
    int64_t *all; /* [n] 0, 1, ... */
    int64_t *train, *validation;
    int64_t n_train, n_validation;
    paired_scored scored[MODEL_MAX_MODALITIES];
} paired_cells;

/* With the first fields set; what the options leave open is chosen by the training cells. Score
 * afterwards. SCW_EDATA: one modality, too few cells, or no cells that tie them. */
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
SCW_CHECKED scw_status paired_cells_path(linear_path *out, const paired_cells *p);

/* The library size and how chromatin is read, where the options leave that open; part of
 * paired_cells_init. paired_library.c */
SCW_CHECKED scw_status paired_cells_choose(paired_cells *p);

#endif
