/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of markers, between what computes it (markers.c) and what writes it
 * (markers_output.c). */
#ifndef TASK_MARKERS_H
#define TASK_MARKERS_H

#include "metric/ranking.h"
#include "models/attribution.h"
#include "scweave/markers.h"

typedef struct marker_row {
    int32_t class;
    int modality;
    int64_t feature; /* of the modality */
    int64_t rank, n_cells;
    double score, se; /* se: NaN where there is none */
    double mean_in, mean_out, log_fold_change;
    int64_t rank_t, rank_z;
    double t, p_t, z, p_z; /* p: adjusted */
    double raw_p_t, raw_p_z;
} marker_row;

struct scw_markers {
    const char *method, *baseline, *score; /* constants */
    char *model, *command, *group_by;      /* group_by "": the model's answers */
    int64_t n_obs;
    strings classes;
    int64_t *n_cells; /* [classes.n] cells explained or tested */
    int n_modalities;
    strings modalities;
    strings features[MODEL_MAX_MODALITIES];
    int64_t n_rows;
    marker_row *rows; /* by class, then rank */
    int n_sets;
    attribution_completeness *sets;
};

#endif
