/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clip_options.h"

#include <stddef.h>
#include <string.h>

#include "base/status.h"

#define AT(field_) offsetof(clip_options, field_)

/* name, type, offset, default, minimum, maximum, choices, argument, group, help */
const scw_option clip_option_table[] = {
    {"components", SCW_OPTION_INT, AT(components), "50", 1, 1000, NULL, "N", "Input",
     "principal components of a modality that its tower reads"},
    {"max-dense", SCW_OPTION_INT, AT(max_dense), "300", 0, 10000, NULL, "N", "Input",
     "a protein panel of at most N antibodies is read whole instead of by components"},
    {"standardise", SCW_OPTION_BOOL, AT(standardise), "off", 0, 0, NULL, NULL, "Input",
     "divide each gene and protein by its deviation and cut it at 10: all then count alike, also "
     "those that are mostly noise"},
    {"unit-rows", SCW_OPTION_CHOICE, AT(unit_rows), "auto", 0, 0, "auto|on|off", NULL, "Input",
     "chromatin: give each cell's components mean 0 and deviation 1, as published, which takes its depth out; "
     "off: centred components; auto: by cross-validation of the linear path"},
    {"library", SCW_OPTION_REAL, AT(library), "0", 0, 1e9, NULL, "N", "Input",
     "library size that RNA counts are scaled to before the logarithm; 0: chosen by "
     "cross-validation of the linear path within the training cells"},
    {"fractional", SCW_OPTION_BOOL, AT(fractional), "off", 0, 0, NULL, NULL, "Input",
     "accept counts that are not whole numbers (ambient-corrected, say)"},
    {"min-coverage", SCW_OPTION_REAL, AT(min_coverage), "0.1", 0, 1, NULL, "SHARE", "Input",
     "refuse a query that has a smaller share of a modality's features"},

    {"z-dim", SCW_OPTION_INT, AT(z_dim), "50", 1, 10000, NULL, "N", "Architecture",
     "width of the embedding"},
    {"depth", SCW_OPTION_INT, AT(depth), "1", 0, CLIP_MAX_DEPTH, NULL, "N", "Architecture",
     "hidden layers of a tower"},
    {"width", SCW_OPTION_INT, AT(width), "256", 1, 100000, NULL, "N", "Architecture",
     "and their width"},
    {"dropout", SCW_OPTION_REAL, AT(dropout), "0.5", 0, 0.95, NULL, "P", "Architecture",
     "dropout of every hidden layer"},
    {"input-dropout", SCW_OPTION_REAL, AT(input_dropout), "0", 0, 0.95, NULL, "P", "Architecture",
     "dropout of the inputs"},
    {"path", SCW_OPTION_BOOL, AT(path), "on", 0, 0, NULL, NULL, "Architecture",
     "a linear path beside each tower, fitted first by canonical correlation; the towers learn what "
     "bends"},
    {"path-ridge", SCW_OPTION_REAL, AT(path_ridge), "0.1", 0, 1e6, NULL, "X", "Architecture",
     "share of the mean variance added to each variance there; larger: smoother"},
    {"path-power", SCW_OPTION_REAL, AT(path_power), "1", 0, 10, NULL, "X", "Architecture",
     "variates are weighted by this power of their correlation"},

    {"temperature", SCW_OPTION_REAL, AT(temperature), "2.65", -10, 10, NULL, "T", "Losses",
     "cosines are multiplied by exp(T); T at the start, it is learnt"},
    {"noise", SCW_OPTION_REAL, AT(noise), "0.5", 0, 100, NULL, "X", "Losses",
     "deviation of what training adds to each input, as a share of the modality's mean size"},
    {"mixup", SCW_OPTION_REAL, AT(mixup), "0", 0, 1, NULL, "X", "Losses",
     "training mixes up to this share of another cell into each, alike in all modalities"},

    {"lr", SCW_OPTION_REAL, AT(lr), "0.001", 1e-9, 10, NULL, "RATE", "Schedule", "learning rate"},
    {"weight-decay", SCW_OPTION_REAL, AT(weight_decay), "0.01", 0, 100, NULL, "W", "Schedule",
     "decay of the weights (AdamW)"},
    {"batch-size", SCW_OPTION_INT, AT(batch_size), "512", 2, 1000000, NULL, "N", "Schedule",
     "cells of a step: each is told from so many"},
    {"validation", SCW_OPTION_REAL, AT(validation), "0.1", 0, 0.5, NULL, "SHARE", "Schedule",
     "share of cells held out for early stopping; 0: none"},
    {"validation-from", SCW_OPTION_INT, AT(validation_from), "2000", 0, 1e9, NULL, "N", "Schedule",
     "fewer cells than N are all learnt from: what a few held-out ones say is not worth them"},
    {"refit", SCW_OPTION_BOOL, AT(refit), "on", 0, 0, NULL, NULL, "Schedule",
     "then start anew and learn from all cells, for as many epochs as were best"},
    {"average", SCW_OPTION_REAL, AT(average), "0.9", 0, 0.99999, NULL, "DECAY", "Schedule",
     "keep a running average of the weights with this decay; 0: the last ones"},
    {"epochs", SCW_OPTION_INT, AT(epochs), "320", 0, 1000000, NULL, "N", "Schedule",
     "most epochs; 0: the linear path alone"},
    {"patience", SCW_OPTION_INT, AT(patience), "30", 1, 1000000, NULL, "N", "Schedule",
     "stop after N epochs without a better validation score"},
    {0}};

typedef struct setting {
    const char *preset, *name, *value;
} setting;

/* Specs 4.8. Their towers differ between the modalities; these are the wider ones of each. */
static const setting settings[] = {{"rna-adt", "components", "128"},
                                   {"rna-adt", "z-dim", "64"},
                                   {"rna-adt", "depth", "2"},
                                   {"rna-adt", "width", "1024"},
                                   {"rna-adt", "dropout", "0.25"},
                                   {"rna-adt", "lr", "7.8e-5"},
                                   {"rna-adt", "temperature", "3.46"},
                                   {"rna-adt", "batch-size", "2048"},
                                   {"rna-atac", "components", "512"},
                                   {"rna-atac", "z-dim", "256"},
                                   {"rna-atac", "depth", "1"},
                                   {"rna-atac", "width", "2048"},
                                   {"rna-atac", "dropout", "0.6"},
                                   {"rna-atac", "lr", "5.85e-4"},
                                   {"rna-atac", "temperature", "3.065"},
                                   {"rna-atac", "batch-size", "16384"}};

/* Of both: no path, nothing done to the inputs, long training. */
static const setting common[] = {{NULL, "library", "10000"}, {NULL, "path", "off"},
                                 {NULL, "unit-rows", "on"},
                                 {NULL, "noise", "0"},       {NULL, "average", "0"},
                                 {NULL, "epochs", "7000"},   {NULL, "patience", "200"}};

scw_status clip_options_preset(void *options, const char *preset)
{
    scw_status st = SCW_OK;
    bool known = false;

    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        if (strcmp(settings[k].preset, preset) != 0) continue;
        known = true;
        TRY(scw_options_set(clip_option_table, options, settings[k].name, settings[k].value));
    }
    if (!known)
        FAIL(SCW_EINVAL, "there is no preset '%s'; clip has: rna-adt, rna-atac", preset);
    for (size_t k = 0; k < sizeof common / sizeof *common; k++)
        TRY(scw_options_set(clip_option_table, options, common[k].name, common[k].value));
done:
    return st;
}

void clip_options_config(clip_config *out, const clip_options *o)
{
    *out = (clip_config){.z_dim = o->z_dim,
                         .depth = (int)o->depth,
                         .width = o->width,
                         .drop = o->dropout,
                         .input_drop = o->input_dropout,
                         .path = o->path != 0,
                         .temperature = o->temperature,
                         .mixup = o->mixup};
}
