/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE's options. The table in clue_options.c is the one place for defaults, ranges and help. */
#ifndef MODELS_CLUE_OPTIONS_H
#define MODELS_CLUE_OPTIONS_H

#include "models/clue.h"
#include "scweave/options.h"

#define CLUE_LIKELIHOODS "nb|bernoulli|normal" /* in the order of clue_likelihood */

typedef struct clue_options {
    /* input */
    int rna_likelihood, adt_likelihood, atac_likelihood;
    int64_t components, max_dense;
    int standardise, unit_rows;
    double library;
    int fractional;
    double min_coverage;
    /* architecture */
    int64_t z_dim;
    int64_t encoder_depth, encoder_width, decoder_depth, decoder_width;
    int64_t discriminator_depth, discriminator_width;
    double dropout, decoder_dropout;
    int share_encoders;
    int path;
    double path_ridge, path_power, path_gain, start_deviation, least_deviation;
    int start_means;
    /* losses */
    double kl_weight, align_weight, joint_weight, cross_weight, cos_weight, label_weight;
    double match_weight, match_sharpness;
    /* schedule */
    int optimizer;
    double lr, lr_end, validation, modality_dropout, average;
    int refit;
    int64_t batch_size, burn_in, epochs, patience, lr_patience;
    /* decoders afterwards */
    int64_t decoder_epochs;
    double decoder_lr;
    /* authors' behaviour */
    int sphere, target_library;
} clue_options;

extern const scw_option clue_option_table[];
/* "cite", "multiome": the settings of the NeurIPS 2021 competition; "compat": the published
 * behaviour; "transductive": the schedule by which the competition fitted a model on to the cells of a
 * query too, and the weights of its losses that differ; nothing else. */
SCW_CHECKED scw_status clue_options_preset(void *options, const char *preset);

/* What the options say of a network; modalities, batches and classes are the caller's. */
void clue_options_config(clue_config *out, const clue_options *o);

/* How long a fit on n cells takes, in epochs. What the options leave at 0 follows the number of
 * batches n_b of an epoch (specs 4.6): max(ceil(p / lr / n_b), ceil(p)), p = 12, 72, 9, 3. */
typedef struct clue_schedule {
    int64_t burn_in; /* epochs over which the noise of the discriminator's input fades */
    int64_t epochs;  /* at most */
    int64_t patience, lr_patience;
    int64_t decoder_epochs; /* of decoders alone: those of DECODER_STEPS steps, DECODER_LEAST at least */
} clue_schedule;

void clue_schedule_of(clue_schedule *out, const clue_options *o, int64_t n);

/* a = max(1 - (epoch - 1) / burn_in, 0) of the epoch, counted from 1; 0 without burn-in. */
double clue_noise(const clue_schedule *s, int64_t epoch);

#endif
