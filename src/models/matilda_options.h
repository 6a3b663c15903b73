/* SPDX-License-Identifier: BSD-3-Clause */
/* Matilda's options. The table in matilda_options.c is the one place for defaults, ranges and help.
 */
#ifndef MODELS_MATILDA_OPTIONS_H
#define MODELS_MATILDA_OPTIONS_H

#include <stdbool.h>

#include "scweave/options.h"

typedef enum augmentation { AUGMENT_OFF = 0, AUGMENT_ADD, AUGMENT_REPLACE } augmentation;

typedef enum likelihood_choice {
    LIKELIHOOD_AUTO = 0,  /* negative binomial; presence for chromatin */
    LIKELIHOOD_NB,        /* negative binomial for all */
    LIKELIHOOD_BERNOULLI, /* presence for all */
    LIKELIHOOD_GAUSSIAN   /* no count decoders */
} likelihood_choice;

typedef enum precision_choice { PRECISION_AUTO = 0, PRECISION_FP32, PRECISION_BF16 } precision_choice;

typedef struct matilda_options {
    /* input */
    int rna_transform, adt_transform, atac_transform; /* transform_kind */
    double library;
    int unit_variance;
    int64_t components, max_dense; /* projection */
    int fractional;
    double min_coverage;
    /* architecture */
    int64_t z_dim, joint, hidden_rna, hidden_adt, hidden_atac;
    double dropout, input_dropout;
    int feature_weights, shortcut, linear_decoder;
    /* losses */
    int rec_error; /* 0 mean, 1 variance */
    double rec_weight, kl_weight, cls_weight, classify_mean, smoothing, class_weight;
    /* linear path */
    double shortcut_c, whiten, whiten_shrink;
    int modality_weights;
    int subsets; /* paths for cells that lack a modality */
    double batch_removal; /* with batches: weight of their scatter in what is taken out */
    /* count decoders */
    int likelihood; /* likelihood_choice */
    int64_t count_steps;
    double count_lr, count_decay;
    /* schedule */
    int64_t epochs, min_steps, max_steps, batch_size;
    double lr, lr_end, warmup, weight_decay, average;
    int optimizer;
    int precision; /* precision_choice */
    double validation;
    int64_t patience;
    int64_t calibration_folds;
    /* balancing */
    int augmentation;
    int64_t balance_epochs;
    double balance_lr;
    int warm_start;
    /* the authors' behaviour, part by part */
    int drop_ties, sample_latent, file_library;
    int64_t smoothing_classes;
} matilda_options;

extern const scw_option matilda_option_table[];

/* Do the products of training round to bf16? */
bool matilda_options_bf16(const matilda_options *o);

/* Set the options that together give the authors' published behaviour. */
SCW_CHECKED scw_status matilda_options_preset(void *options, const char *preset);

#endif
