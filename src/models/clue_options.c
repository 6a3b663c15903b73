/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clue_options.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/status.h"

#define DECODER_STEPS 400.0 /* of decoders alone, about */
#define DECODER_LEAST 10.0   /* epochs */

#define AT(field_) offsetof(clue_options, field_)
#define OPTIMIZERS "adam|adamw|rmsprop" /* in the order of train/optimizer.h */

/* name, type, offset, default, minimum, maximum, choices, argument, group, help */
const scw_option clue_option_table[] = {
    {"rna-likelihood", SCW_OPTION_CHOICE, AT(rna_likelihood), "nb", 0, 0, CLUE_LIKELIHOODS, NULL,
     "Input", "how a decoder explains RNA counts: negative binomial, present or not, squared error"},
    {"adt-likelihood", SCW_OPTION_CHOICE, AT(adt_likelihood), "nb", 0, 0, CLUE_LIKELIHOODS, NULL,
     "Input", "the same for protein"},
    {"atac-likelihood", SCW_OPTION_CHOICE, AT(atac_likelihood), "bernoulli", 0, 0,
     CLUE_LIKELIHOODS, NULL, "Input", "the same for chromatin"},
    {"components", SCW_OPTION_INT, AT(components), "100", 1, 1000, NULL, "N", "Input",
     "principal components of a modality that its encoders read"},
    {"max-dense", SCW_OPTION_INT, AT(max_dense), "300", 0, 10000, NULL, "N", "Input",
     "a protein panel of at most N antibodies is read whole instead of by components"},
    {"standardise", SCW_OPTION_BOOL, AT(standardise), "off", 0, 0, NULL, NULL, "Input",
     "divide each gene and protein by its deviation and cut it at 10, as published: all then count "
     "alike, also those that are mostly noise"},
    {"unit-rows", SCW_OPTION_CHOICE, AT(unit_rows), "auto", 0, 0, "auto|on|off", NULL, "Input",
     "chromatin: give each cell's components mean 0 and deviation 1, as published, which takes its depth out; "
     "off: centred components; auto: by cross-validation of the linear path"},
    {"library", SCW_OPTION_REAL, AT(library), "0", 0, 1e9, NULL, "N", "Input",
     "library size that RNA counts are scaled to before the logarithm; 0: chosen by cross-validation of the "
     "linear path"},
    {"fractional", SCW_OPTION_BOOL, AT(fractional), "off", 0, 0, NULL, NULL, "Input",
     "accept counts that are not whole numbers (ambient-corrected, say)"},
    {"min-coverage", SCW_OPTION_REAL, AT(min_coverage), "0.1", 0, 1, NULL, "SHARE", "Input",
     "refuse a query that has a smaller share of a modality's features"},

    {"z-dim", SCW_OPTION_INT, AT(z_dim), "20", 1, 10000, NULL, "N", "Architecture",
     "width of a modality's block of the embedding"},
    {"encoder-depth", SCW_OPTION_INT, AT(encoder_depth), "1", 0, CLUE_MAX_DEPTH, NULL, "N",
     "Architecture", "hidden layers of an encoder"},
    {"encoder-width", SCW_OPTION_INT, AT(encoder_width), "512", 1, 100000, NULL, "N",
     "Architecture", "and their width"},
    {"decoder-depth", SCW_OPTION_INT, AT(decoder_depth), "1", 0, CLUE_MAX_DEPTH, NULL, "N",
     "Architecture", "hidden layers of a decoder"},
    {"decoder-width", SCW_OPTION_INT, AT(decoder_width), "128", 1, 100000, NULL, "N",
     "Architecture", "and their width"},
    {"discriminator-depth", SCW_OPTION_INT, AT(discriminator_depth), "2", 0, CLUE_MAX_DEPTH, NULL,
     "N", "Architecture", "hidden layers of the discriminator"},
    {"discriminator-width", SCW_OPTION_INT, AT(discriminator_width), "256", 1, 100000, NULL, "N",
     "Architecture", "and their width"},
    {"dropout", SCW_OPTION_REAL, AT(dropout), "0.5", 0, 0.95, NULL, "P", "Architecture",
     "dropout of every hidden layer of encoders and discriminator"},
    {"decoder-dropout", SCW_OPTION_REAL, AT(decoder_dropout), "0.2", 0, 0.95, NULL, "P", "Architecture",
     "and of decoders"},
    {"share-encoders", SCW_OPTION_BOOL, AT(share_encoders), "on", 0, 0, NULL, NULL, "Architecture",
     "one encoder a modality with a head for each block; off: an encoder for each pair of modality "
     "and block, whose cost grows with the square of their number"},
    {"path", SCW_OPTION_BOOL, AT(path), "on", 0, 0, NULL, NULL, "Architecture",
     "a linear path beside each encoder, fitted first by canonical correlation of paired cells"},
    {"path-ridge", SCW_OPTION_REAL, AT(path_ridge), "0.1", 0, 1e6, NULL, "X", "Architecture",
     "share of the mean variance added to each variance there; larger: smoother"},
    {"path-power", SCW_OPTION_REAL, AT(path_power), "1", 0, 10, NULL, "X", "Architecture",
     "variates are weighted by this power of their correlation"},
    {"path-gain", SCW_OPTION_REAL, AT(path_gain), "3", 1e-3, 1e3, NULL, "X", "Architecture",
     "length of an embedding at the start"},
    {"start-deviation", SCW_OPTION_REAL, AT(start_deviation), "0.01", 1e-6, 10, NULL, "X",
     "Architecture", "and deviation of its posterior there, in each direction"},
    {"least-deviation", SCW_OPTION_REAL, AT(least_deviation), "1", 1e-12, 10, NULL, "X",
     "Architecture", "no posterior is narrower than this"},
    {"start-means", SCW_OPTION_BOOL, AT(start_means), "on", 0, 0, NULL, NULL, "Architecture",
     "decoders and library sizes start at the means of the training cells; off: at zero and at random"},

    {"kl-weight", SCW_OPTION_REAL, AT(kl_weight), "1", 0, 1e6, NULL, "W", "Losses",
     "weight of the divergence from the prior"},
    {"align-weight", SCW_OPTION_REAL, AT(align_weight), "0", 0, 1e6, NULL, "W", "Losses",
     "weight of the discriminator, which makes unpaired modalities overlap; 0: there is none"},
    {"joint-weight", SCW_OPTION_REAL, AT(joint_weight), "0", 0, 1e6, NULL, "W", "Losses",
     "weight of reconstruction from the mean embedding of paired cells"},
    {"cross-weight", SCW_OPTION_REAL, AT(cross_weight), "1", 0, 1e6, NULL, "W", "Losses",
     "weight of reconstruction of one modality from another's embedding"},
    {"cos-weight", SCW_OPTION_REAL, AT(cos_weight), "0", 0, 1e6, NULL, "W", "Losses",
     "weight of the angle between the embeddings of paired cells"},
    {"label-weight", SCW_OPTION_REAL, AT(label_weight), "0.02", 0, 1e6, NULL, "W", "Losses",
     "weight of the classes, where there are labels"},
    {"match-weight", SCW_OPTION_REAL, AT(match_weight), "3", 0, 1e6, NULL, "W", "Losses",
     "weight of telling each paired cell's partner from the other cells of the batch"},
    {"match-sharpness", SCW_OPTION_REAL, AT(match_sharpness), "10", 1e-3, 1e4, NULL, "X", "Losses",
     "what cosines are multiplied by there"},

    {"optimizer", SCW_OPTION_CHOICE, AT(optimizer), "adam", 0, 0, OPTIMIZERS, NULL, "Schedule",
     "of the network and of the discriminator"},
    {"lr", SCW_OPTION_REAL, AT(lr), "0.001", 1e-9, 10, NULL, "RATE", "Schedule",
     "learning rate of both optimizers"},
    {"lr-end", SCW_OPTION_REAL, AT(lr_end), "0.001", 0, 10, NULL, "RATE", "Schedule",
     "where it ends, along a cosine over all epochs, if that is less"},
    {"batch-size", SCW_OPTION_INT, AT(batch_size), "128", 2, 1000000, NULL, "N", "Schedule",
     "cells of a step"},
    {"validation", SCW_OPTION_REAL, AT(validation), "0.1", 0, 0.5, NULL, "SHARE", "Schedule",
     "share of cells held out to say when to stop and how far off predictions are; 0: none"},
    {"refit", SCW_OPTION_BOOL, AT(refit), "on", 0, 0, NULL, NULL, "Schedule",
     "then train anew on all cells for as many epochs as were best; doubles the time"},
    {"average", SCW_OPTION_REAL, AT(average), "0.98", 0, 0.99999, NULL, "DECAY", "Schedule",
     "keep a running average of the weights with this decay; 0: the last ones"},
    {"modality-dropout", SCW_OPTION_REAL, AT(modality_dropout), "0", 0, 1, NULL, "P", "Schedule",
     "share of the cells with several modalities that a step takes for one with fewer"},
    {"burn-in", SCW_OPTION_INT, AT(burn_in), "5", -1, 100000, NULL, "N", "Schedule",
     "epochs over which noise hides from the discriminator which modality it sees; 0: by the number "
     "of cells; -1: none"},
    {"epochs", SCW_OPTION_INT, AT(epochs), "50", 0, 100000, NULL, "N", "Schedule",
     "most epochs; 0: by the number of cells"},
    {"patience", SCW_OPTION_INT, AT(patience), "15", 0, 100000, NULL, "N", "Schedule",
     "stop after N epochs without a better validation loss; 0: by the number of cells"},
    {"lr-patience", SCW_OPTION_INT, AT(lr_patience), "15", 0, 100000, NULL, "N", "Schedule",
     "a tenth of the learning rate after N such epochs; 0: by the number of cells"},

    {"decoder-epochs", SCW_OPTION_INT, AT(decoder_epochs), "0", 0, 100000, NULL, "N", "Decoders afterwards",
     "most epochs in which decoders and library sizes alone go on learning, from embeddings without noise; 0: "
     "by the number of cells"},
    {"decoder-lr", SCW_OPTION_REAL, AT(decoder_lr), "0.01", 0, 10, NULL, "RATE", "Decoders afterwards",
     "learning rate there; 0: decoders stay as they were learnt with the encoders"},

    {"sphere", SCW_OPTION_BOOL, AT(sphere), "on", 0, 0, NULL, NULL, "Authors' behaviour",
     "the discriminator sees embeddings of length one, as the decoders do; off: it may tell "
     "modalities apart by the length"},
    {"target-library", SCW_OPTION_BOOL, AT(target_library), "off", 0, 0, NULL, NULL,
     "Authors' behaviour",
     "reconstruction from the mean embedding uses the depth of the very counts it predicts"},
    {0}};

typedef struct setting {
    const char *preset, *name, *value;
} setting;

/* What presets have: the authors' defaults. Not "transductive", which goes on from a model as it is. */
static const struct {
    const char *name, *value;
} published[] = {
    {"z-dim", "50"},
    {"encoder-depth", "2"},
    {"encoder-width", "256"},
    {"decoder-depth", "2"},
    {"decoder-width", "256"},
    {"dropout", "0.2"},
    {"decoder-dropout", "0.2"},
    {"align-weight", "0.02"},
    {"joint-weight", "0.02"},
    {"cross-weight", "0.02"},
    {"cos-weight", "0.02"},
    {"match-weight", "0"},
    {"optimizer", "rmsprop"},
    {"decoder-lr", "0"},
    {"lr", "0.002"},
    {"lr-end", "0.002"},
    {"average", "0"},
    {"least-deviation", "1e-7"},
    {"epochs", "0"},
    {"burn-in", "0"},
    {"patience", "0"},
    {"lr-patience", "0"},
    {"standardise", "on"},
    {"unit-rows", "on"},
    {"library", "10000"},
    {"path", "off"},
    {"refit", "off"},
    {"start-means", "off"}};

/* Competition: specs 4.6; its version had no reconstruction across. Transductive: the same section, with
 * the discriminator's weight of cite; the published losses have no match, which would learn known pairs by
 * heart (docs/models/clue.md). Compat: what the ledger of specs 4.12 finds wrong is back. */
static const setting settings[] = {{"cite", "z-dim", "20"},
                                   {"cite", "encoder-width", "512"},
                                   {"cite", "decoder-depth", "1"},
                                   {"cite", "decoder-width", "128"},
                                   {"cite", "discriminator-width", "128"},
                                   {"cite", "kl-weight", "1"},
                                   {"cite", "align-weight", "2"},
                                   {"cite", "joint-weight", "2"},
                                   {"cite", "cross-weight", "0"},
                                   {"cite", "cos-weight", "1"},
                                   {"multiome", "encoder-width", "512"},
                                   {"multiome", "decoder-depth", "1"},
                                   {"multiome", "decoder-width", "256"},
                                   {"multiome", "discriminator-depth", "1"},
                                   {"multiome", "discriminator-width", "256"},
                                   {"multiome", "kl-weight", "0.3"},
                                   {"multiome", "align-weight", "0.02"},
                                   {"multiome", "joint-weight", "1"},
                                   {"multiome", "cross-weight", "0"},
                                   {"multiome", "cos-weight", "0.02"},
                                   {"transductive", "align-weight", "2"},
                                   {"transductive", "match-weight", "0"},
                                   {"transductive", "lr", "0.001"},
                                   {"transductive", "lr-end", "0.001"},
                                   {"transductive", "burn-in", "-1"},
                                   {"transductive", "epochs", "50"},
                                   {"transductive", "patience", "8"},
                                   {"transductive", "lr-patience", "3"},
                                   {"compat", "share-encoders", "off"},
                                   {"compat", "sphere", "off"},
                                   {"compat", "target-library", "on"}};

scw_status clue_options_preset(void *options, const char *preset)
{
    scw_status st = SCW_OK;
    const bool whole = strcmp(preset, "transductive") != 0;
    bool known = false;

    for (size_t k = 0; whole && k < sizeof published / sizeof *published; k++)
        TRY(scw_options_set(clue_option_table, options, published[k].name, published[k].value));
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        if (strcmp(settings[k].preset, preset) != 0) continue;
        known = true;
        TRY(scw_options_set(clue_option_table, options, settings[k].name, settings[k].value));
    }
    if (!known)
        FAIL(SCW_EINVAL, "there is no preset '%s'; clue has: cite, multiome, compat, transductive", preset);
done:
    return st;
}

void clue_options_config(clue_config *out, const clue_options *o)
{
    *out = (clue_config){.z_dim = o->z_dim,
                         .encoder_depth = (int)o->encoder_depth,
                         .encoder_width = o->encoder_width,
                         .decoder_depth = (int)o->decoder_depth,
                         .decoder_width = o->decoder_width,
                         .discriminator_depth = (int)o->discriminator_depth,
                         .discriminator_width = o->discriminator_width,
                         .drop = o->dropout,
                         .decoder_drop = o->decoder_dropout,
                         .share_encoders = o->share_encoders != 0,
                         .path = o->path != 0,
                         .sphere = o->sphere != 0,
                         .target_library = o->target_library != 0,
                         .lam_data = 1.0,
                         .lam_kl = o->kl_weight,
                         .lam_align = o->align_weight,
                         .lam_joint = o->joint_weight,
                         .lam_cross = o->cross_weight,
                         .lam_cos = o->cos_weight,
                         .lam_label = o->label_weight,
                         .lam_match = o->match_weight,
                         .sharpness = o->match_sharpness,
                         .floor = o->least_deviation};
}

/* ------------------------------------------------------------------------------ schedule */

static int64_t automatic(int64_t given, double progress, double lr, double n_batches)
{
    if (given != 0) return given > 0 ? given : 0;
    return (int64_t)fmax(ceil(progress / lr / n_batches), ceil(progress));
}

void clue_schedule_of(clue_schedule *out, const clue_options *o, int64_t n)
{
    const double n_batches = (double)n * (1.0 - o->validation) / (double)o->batch_size;
    const double decoding = ceil(DECODER_STEPS / fmax(1.0, n_batches)); /* an epoch is a step at least */

    *out = (clue_schedule){.burn_in = automatic(o->burn_in, 12.0, o->lr, n_batches),
                           .epochs = automatic(o->epochs, 72.0, o->lr, n_batches),
                           .patience = automatic(o->patience, 9.0, o->lr, n_batches),
                           .lr_patience = automatic(o->lr_patience, 3.0, o->lr, n_batches),
                           .decoder_epochs = o->decoder_epochs > 0 ? o->decoder_epochs
                                                                   : (int64_t)fmax(DECODER_LEAST, decoding)};
}

double clue_noise(const clue_schedule *s, int64_t epoch)
{
    if (s->burn_in <= 0) return 0.0;
    return fmax(1.0 - (double)(epoch - 1) / (double)s->burn_in, 0.0);
}
