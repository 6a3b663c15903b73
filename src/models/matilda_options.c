/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/matilda_options.h"

#include <stddef.h>
#include <string.h>

#include "base/status.h"
#include "prep/transform.h"

#define AT(field_) offsetof(matilda_options, field_)

/* name, type, offset, default, minimum, maximum, choices, argument, group, help */
const scw_option matilda_option_table[] = {
    {"rna-transform", SCW_OPTION_CHOICE, AT(rna_transform), "log", 0, 0, TRANSFORM_CHOICES, "KIND",
     "Input", "how RNA counts become inputs: log of depth-scaled counts, or the authors' z-score"},
    {"adt-transform", SCW_OPTION_CHOICE, AT(adt_transform), "clr", 0, 0, TRANSFORM_CHOICES, "KIND",
     "Input", "the same for protein: centred log ratio of each cell"},
    {"atac-transform", SCW_OPTION_CHOICE, AT(atac_transform), "tfidf", 0, 0, TRANSFORM_CHOICES,
     "KIND", "Input", "the same for chromatin"},
    {"library", SCW_OPTION_REAL, AT(library), "0", 0, 1e9, NULL, "N", "Input",
     "library size that RNA counts are scaled to before the logarithm; 0: the median cell's or "
     "10,000, by cross-validation"},
    {"unit-variance", SCW_OPTION_BOOL, AT(unit_variance), "on", 0, 0, NULL, NULL, "Input",
     "scale each modality to a total variance of one, so that none drowns the others"},
    {"components", SCW_OPTION_INT, AT(components), "50", 0, 1000, NULL, "N", "Input",
     "principal components of a modality that the network reads; 0: it reads all features"},
    {"max-dense", SCW_OPTION_INT, AT(max_dense), "300", 0, 10000, NULL, "N", "Input",
     "a protein panel of at most N antibodies is read whole instead of by components"},
    {"fractional", SCW_OPTION_BOOL, AT(fractional), "off", 0, 0, NULL, NULL, "Input",
     "accept counts that are not whole numbers (ambient-corrected, say)"},
    {"min-coverage", SCW_OPTION_REAL, AT(min_coverage), "0.1", 0, 1, NULL, "SHARE", "Input",
     "refuse a query that has a smaller share of a modality's features"},

    {"z-dim", SCW_OPTION_INT, AT(z_dim), "100", 1, 10000, NULL, "N", "Architecture",
     "width of the latent space"},
    {"hidden-joint", SCW_OPTION_INT, AT(joint), "100", 1, 10000, NULL, "N", "Architecture",
     "width of the joint encoder"},
    {"hidden-rna", SCW_OPTION_INT, AT(hidden_rna), "185", 1, 100000, NULL, "N", "Architecture",
     "width of the RNA encoder"},
    {"hidden-adt", SCW_OPTION_INT, AT(hidden_adt), "30", 1, 100000, NULL, "N", "Architecture",
     "width of the protein encoder"},
    {"hidden-atac", SCW_OPTION_INT, AT(hidden_atac), "185", 1, 100000, NULL, "N", "Architecture",
     "width of the chromatin encoder"},
    {"dropout", SCW_OPTION_REAL, AT(dropout), "0.2", 0, 0.95, NULL, "P", "Architecture",
     "dropout of the encoders"},
    {"input-dropout", SCW_OPTION_REAL, AT(input_dropout), "0.1", 0, 0.95, NULL, "P", "Architecture",
     "dropout of the projected input"},
    {"feature-weights", SCW_OPTION_BOOL, AT(feature_weights), "on", 0, 0, NULL, NULL,
     "Architecture", "learn a weight for each input of an encoder"},
    {"shortcut", SCW_OPTION_BOOL, AT(shortcut), "on", 0, 0, NULL, NULL, "Architecture",
     "linear paths from the projected inputs to the latent and to the class scores, fitted first"},
    {"linear-decoder", SCW_OPTION_BOOL, AT(linear_decoder), "on", 0, 0, NULL, NULL, "Architecture",
     "decoders without ReLU and batch norm: inputs are centred, so values may be negative"},

    {"rec-error", SCW_OPTION_CHOICE, AT(rec_error), "variance", 0, 0, "mean|variance", "KIND",
     "Losses", "reconstruction error: mean over values, or share of variance a cell and modality"},
    {"rec-weight", SCW_OPTION_REAL, AT(rec_weight), "1", 0, 1e6, NULL, "W", "Losses",
     "weight of reconstruction and KL"},
    {"kl-weight", SCW_OPTION_REAL, AT(kl_weight), "0.001", 0, 1e6, NULL, "W", "Losses",
     "weight of KL against reconstruction"},
    {"cls-weight", SCW_OPTION_REAL, AT(cls_weight), "1", 0, 1e6, NULL, "W", "Losses",
     "weight of the classification loss"},
    {"classify-mean", SCW_OPTION_REAL, AT(classify_mean), "0.5", 0, 1, NULL, "SHARE", "Losses",
     "share of the classification loss taken at the posterior mean, the rest at a sample"},
    {"smoothing", SCW_OPTION_REAL, AT(smoothing), "0", 0, 0.99, NULL, "P", "Losses",
     "label smoothing"},
    {"class-weight", SCW_OPTION_REAL, AT(class_weight), "0.5", 0, 2, NULL, "POWER", "Losses",
     "weight cells by 1 / (class frequency)^POWER; 0: all the same, 1: all classes the same"},

    {"shortcut-c", SCW_OPTION_REAL, AT(shortcut_c), "0", 0, 1e9, NULL, "C", "Linear path",
     "inverse strength of its penalty, as in logistic regression; 0: by cross-validation"},
    {"modality-weights", SCW_OPTION_BOOL, AT(modality_weights), "on", 0, 0, NULL, NULL,
     "Linear path", "turn a modality down where cross-validation shows that it misleads"},
    {"whiten", SCW_OPTION_REAL, AT(whiten), "0.25", 0, 0.5, NULL, "POWER", "Linear path",
     "its input is multiplied by (within-class covariance)^-POWER; 0: off"},
    {"whiten-shrink", SCW_OPTION_REAL, AT(whiten_shrink), "0.5", 0, 1, NULL, "SHARE", "Linear path",
     "share of the identity in that covariance"},
    {"subsets", SCW_OPTION_BOOL, AT(subsets), "on", 0, 0, NULL, NULL, "Linear path",
     "fit answers for cells that lack some of two or three modalities too; off: such a cell enters "
     "with what it lacks at the training mean"},

    {"batch-removal", SCW_OPTION_REAL, AT(batch_removal), "0", 0, 1e6, NULL, "WEIGHT", "Batches",
     "with --batch-key: directions of the input along which the batches of a class lie apart shrink; by "
     "sqrt(1 + WEIGHT) where that is as far as the cells of a batch scatter (30 is a good start). 0: off"},

    {"likelihood", SCW_OPTION_CHOICE, AT(likelihood), "auto", 0, 0, "auto|nb|bernoulli|gaussian",
     "KIND", "Count decoders",
     "decoders for simulate, fitted on the finished latent: nb (negative binomial) counts, "
     "bernoulli presence, auto nb and for chromatin bernoulli; gaussian: none, simulate then gives "
     "transformed values"},
    {"count-steps", SCW_OPTION_INT, AT(count_steps), "100", 1, 100000000, NULL, "N",
     "Count decoders", "training steps of the count decoders"},
    {"count-lr", SCW_OPTION_REAL, AT(count_lr), "0.02", 1e-9, 10, NULL, "RATE", "Count decoders",
     "their learning rate"},
    {"count-decay", SCW_OPTION_REAL, AT(count_decay), "0.1", 0, 10, NULL, "W", "Count decoders",
     "their weight decay"},

    {"epochs", SCW_OPTION_INT, AT(epochs), "3", 1, 100000, NULL, "N", "Schedule",
     "passes over the training cells in stage 1 (raised or cut by --min-steps and --max-steps)"},
    {"min-steps", SCW_OPTION_INT, AT(min_steps), "500", 0, 100000000, NULL, "N", "Schedule",
     "at least so many steps in stage 1, for small sets"},
    {"max-steps", SCW_OPTION_INT, AT(max_steps), "20k", 0, 100000000, NULL, "N", "Schedule",
     "at most so many steps in stage 1, for large sets (at least one epoch); 0: no limit"},
    {"batch-size", SCW_OPTION_INT, AT(batch_size), "64", 2, 100000, NULL, "N", "Schedule",
     "cells in a step"},
    {"lr", SCW_OPTION_REAL, AT(lr), "0.001", 1e-9, 10, NULL, "RATE", "Schedule",
     "learning rate of stage 1"},
    {"lr-end", SCW_OPTION_REAL, AT(lr_end), "0", 0, 10, NULL, "RATE", "Schedule",
     "learning rate at the end of stage 1 (cosine in between)"},
    {"warmup", SCW_OPTION_REAL, AT(warmup), "0.1", 0, 1, NULL, "SHARE", "Schedule",
     "share of stage 1 over which the learning rate rises from zero"},
    {"optimizer", SCW_OPTION_CHOICE, AT(optimizer), "adamw", 0, 0, "adam|adamw|rmsprop", "KIND",
     "Schedule", "optimizer"},
    {"precision", SCW_OPTION_CHOICE, AT(precision), "auto", 0, 0, "auto|fp32|bf16", "KIND", "Schedule",
     "products of training: bf16 rounds what is multiplied to 16 bits and adds up in fp32; auto: fp32, as "
     "bf16 has not been measured to be faster. Inference is always in fp32"},
    {"weight-decay", SCW_OPTION_REAL, AT(weight_decay), "0.01", 0, 10, NULL, "W", "Schedule",
     "weight decay"},
    {"average", SCW_OPTION_REAL, AT(average), "0.99", 0, 0.99999, NULL, "DECAY", "Schedule",
     "keep a running average of the weights and use it; 0: the last weights"},
    {"validation", SCW_OPTION_REAL, AT(validation), "0", 0, 0.5, NULL, "SHARE", "Schedule",
     "share of cells held out for early stopping and best weights; 0: none"},
    {"patience", SCW_OPTION_INT, AT(patience), "0", 0, 100000, NULL, "N", "Schedule",
     "stop after N epochs without a better validation score; 0: never"},
    {"calibration-folds", SCW_OPTION_INT, AT(calibration_folds), "3", 0, 20, NULL, "N", "Schedule",
     "train twins, each without one of N parts of the cells (of up to 10 parts in large sets, until "
     "1,000 cells are tried), to learn how far answers can be trusted; a validation share serves "
     "instead; 0: leave confidence as it comes"},

    {"augmentation", SCW_OPTION_CHOICE, AT(augmentation), "off", 0, 0, "off|add|replace", "HOW",
     "Balancing",
     "stage 2 on classes balanced by simulated cells: added to the real ones of a "
     "small class, or replacing them as published"},
    {"balance-epochs", SCW_OPTION_INT, AT(balance_epochs), "15", 1, 100000, NULL, "N", "Balancing",
     "epochs of each half of stage 2"},
    {"balance-lr", SCW_OPTION_REAL, AT(balance_lr), "0.02", 1e-9, 10, NULL, "RATE", "Balancing",
     "learning rate of the first half of stage 2; the second half has a tenth of it"},
    {"warm-start", SCW_OPTION_BOOL, AT(warm_start), "on", 0, 0, NULL, NULL, "Balancing",
     "stage 2 starts from the weights of stage 1; off: from new ones, as the authors' package "
     "does"},
    {"drop-ties", SCW_OPTION_BOOL, AT(drop_ties), "off", 0, 0, NULL, NULL, "Authors' behaviour",
     "drop classes that tie with the median class, except the first"},
    {"sample-latent", SCW_OPTION_BOOL, AT(sample_latent), "off", 0, 0, NULL, NULL,
     "Authors' behaviour", "sample the latent at inference too"},
    {"file-library", SCW_OPTION_BOOL, AT(file_library), "off", 0, 0, NULL, NULL,
     "Authors' behaviour", "scale a query to its own mean library size"},
    {"smoothing-classes", SCW_OPTION_INT, AT(smoothing_classes), "0", 0, 1000000, NULL, "N",
     "Authors' behaviour",
     "number of classes in label smoothing; 0: the real one, the authors: 17"},
    {0}};

/* auto is fp32: equal quality is measured (docs/models/matilda.md); a gain in time is not, on any processor
 * that has bf16, and the decoders would lose their fused kernel. */
bool matilda_options_bf16(const matilda_options *o)
{
    return o->precision == PRECISION_BF16;
}

typedef struct setting {
    const char *name, *value;
} setting;

/* The published program (specs section 3), warm start as in the paper. */
static const setting compat[] = {{"rna-transform", "matilda"},
                                 {"adt-transform", "matilda"},
                                 {"atac-transform", "matilda"},
                                 {"library", "0"},
                                 {"unit-variance", "off"},
                                 {"components", "0"},
                                 {"max-dense", "0"},
                                 {"shortcut", "off"},
                                 {"classify-mean", "0"},
                                 {"rec-error", "mean"},
                                 {"rec-weight", "0.9"},
                                 {"kl-weight", "1"},
                                 {"cls-weight", "0.1"},
                                 {"smoothing", "0.1"},
                                 {"class-weight", "0"},
                                 {"epochs", "30"},
                                 {"min-steps", "0"},
                                 {"max-steps", "0"},
                                 {"batch-size", "64"},
                                 {"lr", "0.02"},
                                 {"lr-end", "0.02"},
                                 {"warmup", "0"},
                                 {"optimizer", "adam"},
                                 {"precision", "fp32"},
                                 {"weight-decay", "0"},
                                 {"average", "0"},
                                 {"validation", "0"},
                                 {"patience", "0"},
                                 {"calibration-folds", "0"},
                                 {"augmentation", "replace"},
                                 {"balance-epochs", "15"},
                                 {"balance-lr", "0.02"},
                                 {"warm-start", "on"},
                                 {"drop-ties", "on"},
                                 {"sample-latent", "on"},
                                 {"file-library", "on"},
                                 {"smoothing-classes", "17"},
                                 {"dropout", "0.2"},
                                 {"input-dropout", "0"},
                                 {"feature-weights", "on"},
                                 {"z-dim", "100"},
                                 {"hidden-joint", "100"},
                                 {"hidden-rna", "185"},
                                 {"hidden-adt", "30"},
                                 {"hidden-atac", "185"},
                                 {"linear-decoder", "off"},
                                 {"modality-weights", "off"},
                                 {"subsets", "off"},
                                 {"likelihood", "gaussian"}};

scw_status matilda_options_preset(void *options, const char *preset)
{
    scw_status st = SCW_OK;

    if (strcmp(preset, "compat") != 0)
        FAIL(SCW_EINVAL, "there is no preset '%s'; matilda has: compat", preset);
    for (size_t k = 0; k < sizeof compat / sizeof *compat; k++)
        TRY(scw_options_set(matilda_option_table, options, compat[k].name, compat[k].value));
done:
    return st;
}
