/* SPDX-License-Identifier: BSD-3-Clause */
/* CLIP's options. The table in clip_options.c is the one place for defaults, ranges and help. */
#ifndef MODELS_CLIP_OPTIONS_H
#define MODELS_CLIP_OPTIONS_H

#include "models/clip.h"
#include "scweave/options.h"

typedef struct clip_options {
    /* input */
    int64_t components, max_dense;
    double library, min_coverage;
    int standardise, unit_rows, fractional;
    /* architecture */
    int64_t z_dim, depth, width;
    double dropout, input_dropout;
    int path;
    double path_ridge, path_power;
    /* losses */
    double temperature, noise, mixup;
    /* schedule */
    double lr, weight_decay, validation, average;
    int refit;
    int64_t validation_from, batch_size, epochs, patience;
} clip_options;

extern const scw_option clip_option_table[];
/* "rna-adt", "rna-atac": the settings of team Novel in the NeurIPS 2021 competition. */
SCW_CHECKED scw_status clip_options_preset(void *options, const char *preset);

/* What the options say of a network; modalities are the caller's. */
void clip_options_config(clip_config *out, const clip_options *o);

#endif
