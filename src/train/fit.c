/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/fit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "metric/classification.h"
#include "prep/pca_stream.h"
#include "prep/pca.h"
#include "train/align.h"
#include "train/balance.h"
#include "train/batch_removal.h"
#include "train/fit_counts.h"
#include "train/fit_job.h"
#include "train/shortcut.h"
#include "train/subsets.h"
#include "train/trainer.h"

#define MOST_AT_ONCE BLOCK_READER_ROWS /* cells whose components are found without passes */
#define SMALLEST_SPLIT_CLASS                                                                       \
    10 /* classes with fewer cells are not touched by the validation share */

static void job_clear(fit_job *j)
{
    fit_state_clear(&j->state);
    matilda_free(j->model);
    cells_clear(&j->all);
    mem_free(j->train);
    mem_free(j->validation);
    *j = (fit_job){0};
}

/* ------------------------------------------------------------------------------------ split */

scw_status fit_split(int64_t *train, int64_t *n_train, int64_t *validation, int64_t *n_validation,
                     const int32_t *labels, const int64_t *rows, int64_t n, int64_t n_classes,
                     double share, uint64_t seed)
{
    scw_status st = SCW_OK;
    int64_t *members = NULL, *order = NULL;
    uint8_t *held = NULL;

    TRY(mem_new(&members, n));
    TRY(mem_new(&order, n));
    TRY(mem_new(&held, n));
    for (int64_t c = 0; c < n_classes; c++) {
        int64_t size = 0;
        for (int64_t i = 0; i < n; i++)
            if (labels[rows[i]] == c) members[size++] = i;
        if (size < SMALLEST_SPLIT_CLASS) continue;
        int64_t take = (int64_t)floor(share * (double)size + 0.5);
        rng_permutation(order, size, rng_make_key(seed, RNG_VALIDATION, 0), (uint32_t)c);
        for (int64_t k = 0; k < take; k++)
            held[members[order[k]]] = 1;
    }
    *n_train = *n_validation = 0;
    for (int64_t i = 0; i < n; i++) {
        if (held[i])
            validation[(*n_validation)++] = rows[i];
        else
            train[(*n_train)++] = rows[i];
    }
done:
    mem_free(members);
    mem_free(order);
    mem_free(held);
    return st;
}

/* ---------------------------------------------------------------------------------- classes */

/* Names that occur among the rows in use, in their order, and the rows' codes of them [n]. */
static scw_status used_names(int32_t **codes, strings *used, const fit_job *j, const int32_t *of,
                             const strings *names)
{
    scw_status st = SCW_OK;
    int32_t *code = NULL;

    TRY(mem_new(&code, names->n));
    TRY(mem_new(codes, j->n));
    for (int64_t i = 0; i < j->n; i++)
        code[of[j->rows[i]]] = 1;
    for (int64_t c = 0; c < names->n; c++) {
        if (!code[c]) continue;
        code[c] = (int32_t)used->n;
        TRY(strings_add(used, names->at[c]));
    }
    for (int64_t i = 0; i < j->n; i++)
        (*codes)[i] = code[of[j->rows[i]]];
done:
    mem_free(code);
    return st;
}

/* Classes and batches of the rows in use. */
static scw_status set_classes(fit_job *j)
{
    scw_status st = SCW_OK;
    const reference *r = j->ref;

    TRY(used_names(&j->all.labels, &j->model->base.classes, j, r->labels, &r->classes));
    if (j->model->base.classes.n < 2)
        FAIL(SCW_EDATA, "the training cells have one class only ('%s')",
             j->model->base.classes.at[0]);
    if (!r->batches) goto done;
    TRY(used_names(&j->all.known_batch, &j->model->base.batches, j, r->batches, &r->batch_names));
    if (j->model->base.batches.n < 2)
        log_warning(j->hooks,
                    "all training cells are of batch '%s': there is nothing to tell apart",
                    j->model->base.batches.at[0]);
done:
    return st;
}

/* Weight of a cell by the frequency of its class, 1 on average over the training cells. */
static scw_status set_weights(fit_job *j)
{
    scw_status st = SCW_OK;
    const double power = j->model->options.class_weight;
    double *count = NULL, total = 0.0;

    if (power <= 0.0) return SCW_OK;
    TRY(mem_new(&count, j->model->base.classes.n));
    TRY(mem_new(&j->all.weight, j->n));
    for (int64_t i = 0; i < j->n_train; i++)
        count[j->all.labels[j->train[i]]]++;
    for (int64_t i = 0; i < j->n_train; i++)
        total += pow(count[j->all.labels[j->train[i]]], -power);
    for (int64_t i = 0; i < j->n; i++) {
        double n = fmax(1.0, count[j->all.labels[i]]);
        j->all.weight[i] = (float)(pow(n, -power) * (double)j->n_train / total);
    }
done:
    mem_free(count);
    return st;
}

/* ----------------------------------------------------------------------------------- inputs */

static transform_kind transform_for(const matilda_options *o, modality_kind kind)
{
    return (transform_kind)(kind == MODALITY_ADT    ? o->adt_transform
                            : kind == MODALITY_ATAC ? o->atac_transform
                                                    : o->rna_transform);
}

/* Rows of the training cells that have modality k. */
static scw_status present_training_rows(int64_t **out, int64_t *n, const fit_job *j, int k)
{
    scw_status st = SCW_OK;
    const reference_modality *x = &j->ref->modality[k];

    *n = 0;
    TRY(mem_new(out, j->n_train));
    for (int64_t i = 0; i < j->n_train; i++)
        if (x->present[j->rows[j->train[i]]]) (*out)[(*n)++] = j->rows[j->train[i]];
    if (*n < 2) FAIL(SCW_EDATA, "modality '%s': fewer than two training cells have it", x->name);
done:
    return st;
}

/* Names of modality k, before its transform. */
static scw_status add_modality(fit_job *j, int k)
{
    scw_status st = SCW_OK;
    const reference_modality *x = &j->ref->modality[k];
    model_modality *to = &j->model->base.modality[k];

    j->model->base.n_modalities = j->all.n_modalities = k + 1;
    to->kind = x->kind;
    TRY(mem_strdup(&to->name, x->name));
    TRY(strings_copy(&to->features, x->features));
done:
    return st;
}

/* Fit modality k's transform on the training cells and apply it to all. `library`: what counts are
 * scaled to, 0: the median cell. */
static scw_status transform_modality(fit_job *j, int k, double library)
{
    scw_status st = SCW_OK;
    const reference_modality *x = &j->ref->modality[k];
    model_modality *to = &j->model->base.modality[k];
    block_reader *training = NULL;
    int64_t *rows = NULL, n;
    transform_options options = {.kind = transform_for(&j->model->options, x->kind),
                                 .unit_variance = j->model->options.unit_variance != 0,
                                 .target = library};

    transform_clear(&to->prep);
    prepared_clear(&j->all.x[k]);
    TRY(present_training_rows(&rows, &n, j, k));
    const row_list listed = reference_rows(x, rows, n);
    TRY(row_list_reader(&training, &listed));
    st = transform_fit_rows(&to->prep, training, &options, NULL);
    if (st != SCW_OK) {
        st = status_prefix(st, "modality '%s'", x->name);
        goto done;
    }
    TRY(reference_prepare(&j->all.x[k], &to->prep, x, j->rows, j->n, false));
done:
    block_reader_free(training);
    mem_free(rows);
    return st;
}

/* Does the library size matter to modality k? */
static bool scales_library(const fit_job *j, int k)
{
    return transform_for(&j->model->options, j->model->base.modality[k].kind) == TRANSFORM_LOG;
}

scw_status fit_prepare(cells *out, const matilda_model *m, const reference *ref,
                       const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    name_index classes = {0};

    *out = (cells){.n = n, .n_modalities = m->base.n_modalities};
    TRY(mem_new(&out->labels, n));
    TRY(name_index_build(&classes, (const char *const *)m->base.classes.at, m->base.classes.n,
                         NULL));
    for (int64_t i = 0; i < n; i++)
        out->labels[i] = (int32_t)name_index_find(&classes, ref->classes.at[ref->labels[rows[i]]]);
    for (int k = 0; k < m->base.n_modalities; k++)
        TRY(reference_prepare(&out->x[k], &m->base.modality[k].prep, &ref->modality[k], rows, n,
                           m->options.file_library != 0));
done:
    name_index_clear(&classes);
    if (st != SCW_OK) cells_clear(out);
    return st;
}

/* Width of modality k's projection: components, all features of a small panel, or none. */
static int64_t projection_width(const fit_job *j, int k)
{
    const matilda_options *o = &j->model->options;
    int64_t n_vars = j->model->base.modality[k].features.n;

    if (o->components == 0) return 0;
    if (j->model->base.modality[k].kind == MODALITY_ADT && n_vars <= o->max_dense) return n_vars;
    int64_t width = o->components;
    if (width > n_vars) width = n_vars;
    if (width > j->n_train) width = j->n_train;
    return width;
}

/* Principal components of the listed cells of modality k: at once where they are few, else in passes.
 * Which of the two does not depend on the memory there is, as the last bits do on which. */
static scw_status find_components(pca *out, fit_job *j, int k, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const pca_options options = {.k = j->model->net.config.modality[k].n_components, .seed = j->seed};
    block_reader *y = NULL;
    row_block all = {0};
    pca_stream passes;

    TRY(prepared_reader(&y, &j->all.x[k], rows, n));
    if (n <= MOST_AT_ONCE) {
        TRY(block_reader_read(&all, y, 0, n));
        TRY(pca_fit(out, &all.x, &options));
    } else {
        TRY(pca_stream_fit(&passes, y,
                           &(pca_stream_options){.k = options.k, .seed = options.seed}, j->hooks));
        *out = (pca){.p = passes.p,
                     .k = passes.k,
                     .components = passes.components,
                     .singular_values = passes.singular_values,
                     .variances = passes.variances,
                     .mean = passes.mean};
    }
done:
    row_block_clear(&all);
    block_reader_free(y);
    return st;
}

/* Leaves `most` of the n rows, unless that is 0. */
static void thin_evenly(int64_t *rows, int64_t *n, int64_t most)
{
    if (most == 0 || *n <= most) return;
    for (int64_t i = 0; i < most; i++)
        rows[i] = rows[i * *n / most];
    *n = most;
}

/* Fill the projection buffer: the identity, or loadings of the centred training cells. */
static scw_status set_projection(fit_job *j, int k)
{
    scw_status st = SCW_OK;
    const matilda_modality *x = &j->model->net.config.modality[k];
    pca fit = {0};
    int64_t *rows = NULL, n = 0;
    double variance = 0.0;

    if (x->n_components == 0) return SCW_OK;
    real *p = params_value(&j->model->net.p, j->model->net.projection[k]); /* [F, K] */
    if (x->n_components == x->n_vars) {
        memset(p, 0, (size_t)(x->n_vars * x->n_vars) * sizeof *p);
        for (int64_t f = 0; f < x->n_vars; f++)
            p[f * x->n_vars + f] = 1;
        return SCW_OK;
    }
    TRY(mem_new(&rows, j->n_train));
    for (int64_t i = 0; i < j->n_train; i++)
        if (j->all.x[k].present[j->train[i]] > 0.0f) rows[n++] = j->train[i];
    thin_evenly(rows, &n, j->most_projected);
    TRY(find_components(&fit, j, k, rows, n));
    for (int64_t c = 0; c < fit.k; c++)
        variance += fit.variances[c];
    /* The network's input is x times block_scale; the scores get a total variance of one in turn.
     */
    double block = j->model->base.modality[k].prep.block_scale;
    double scale =
        j->model->options.unit_variance && variance > 0.0 ? 1.0 / (block * sqrt(variance)) : 1.0;
    for (int64_t f = 0; f < x->n_vars; f++)
        for (int64_t c = 0; c < fit.k; c++)
            p[f * x->n_components + c] = (real)(scale * fit.components[f * fit.k + c]);
done:
    mem_free(rows);
    pca_clear(&fit);
    return st;
}

scw_status fit_job_project(fit_job *j)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < j->model->base.n_modalities; k++)
        TRY(set_projection(j, k));
    if (j->model->net.config.n_batches > 0 && j->model->options.batch_removal > 0.0)
        TRY(batch_removal_fit(j->model, &j->all, j->train, j->n_train,
                              j->model->options.batch_removal));
    shortcut_weigh(j->model);
done:
    return st;
}

/* Does the fit start from a checkpoint? Then nothing is fitted that the checkpoint has. */
static bool continues(const fit_job *j)
{
    return j->state.plan && j->state.plan->resume;
}

/* A network with new weights and fitted projections, for the transforms as they are. */
static scw_status build_network(fit_job *j)
{
    scw_status st = SCW_OK;
    int64_t components[MODEL_MAX_MODALITIES];
    matilda_config config;

    matilda_net_clear(&j->model->net);
    for (int k = 0; k < j->model->base.n_modalities; k++)
        components[k] = projection_width(j, k);
    matilda_config_of(j->model, components, &config);
    TRY(matilda_net_init(&j->model->net, &config, j->seed));
    if (continues(j)) return SCW_OK; /* the values come from the checkpoint */
    TRY(fit_job_project(j));
done:
    return st;
}

static scw_status scale_to_library(fit_job *j, double library)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < j->model->base.n_modalities; k++)
        if (scales_library(j, k)) TRY(transform_modality(j, k, library));
done:
    return st;
}

/* Are there library sizes to choose between? */
static bool chooses_library(const fit_job *j)
{
    bool any = false;

    for (int k = 0; k < j->model->base.n_modalities; k++)
        any = any || scales_library(j, k);
    return any && j->model->options.library == 0.0;
}

/* The library size decides how much the logarithm bends: with the median cell's, abundant genes
 * lead; with 10,000, presence and absence do. Which tells the classes apart depends on the data:
 * the better one in cross-validation is taken. It looks at few cells, and so do the projections it
 * looks through; the network is then built anew if it does not have those of all cells. */
static scw_status choose_library(fit_job *j, shortcut_choice *best)
{
    static const double candidates[] = {0.0, 1e4};
    scw_status st = SCW_OK;
    double chosen = 0.0, scaled = 0.0;

    j->most_projected = MOST_AT_ONCE;
    *best = (shortcut_choice){0.0, INFINITY};
    for (size_t q = 0; q < sizeof candidates / sizeof *candidates; q++) {
        shortcut_choice choice;
        if (candidates[q] != scaled) TRY(scale_to_library(j, candidates[q]));
        scaled = candidates[q];
        TRY(build_network(j));
        TRY(shortcut_judge(&choice, j->model, &j->all, j->train, j->n_train, j->seed));
        log_detail(j->hooks, "library size %s: log loss %.4f at C %g",
                   candidates[q] > 0.0 ? "10,000" : "of the median cell", choice.log_loss,
                   choice.c);
        TRY(log_check_cancel(j->hooks));
        if (choice.log_loss >= best->log_loss) continue;
        *best = choice;
        chosen = candidates[q];
    }
    j->most_projected = 0;
    if (scaled != chosen) TRY(scale_to_library(j, chosen));
    if (scaled != chosen || j->n_train > MOST_AT_ONCE) TRY(build_network(j));
    j->state.library = chosen;
done:
    return st;
}

/* Transforms, projections and, with the shortcut, the fitted linear paths. */
static scw_status prepare_network(fit_job *j)
{
    scw_status st = SCW_OK;
    shortcut_choice choice;
    bool projected = false;

    for (int k = 0; k < j->ref->n_modalities; k++) {
        TRY(add_modality(j, k));
        TRY(transform_modality(
            j, k, scales_library(j, k) ? j->state.library : j->model->options.library));
    }
    TRY(set_weights(j));
    for (int k = 0; k < j->model->base.n_modalities; k++)
        projected = projected || projection_width(j, k) > 0;
    bool linear = j->model->options.shortcut && projected && !continues(j);
    if (linear && chooses_library(j)) {
        TRY(choose_library(j, &choice));
    } else {
        TRY(build_network(j));
        if (linear)
            TRY(shortcut_judge(&choice, j->model, &j->all, j->train, j->n_train, j->seed));
    }
    if (!linear) goto done;
    TRY(shortcut_fit(j->model, &choice, &j->all, j->train, j->n_train, j->seed, j->hooks));
    j->state.penalty = choice.c;
done:
    return st;
}

/* --------------------------------------------------------------------------------- training */

/* Validation score: mean of accuracy and macro-F1, so that rare classes count. */
static scw_status validation_score(void *self, const params *p, double *out)
{
    scw_status st = SCW_OK;
    const fit_job *j = self;
    const int64_t n_classes = j->model->base.classes.n;
    float *probabilities = NULL;
    double log_loss = 0.0, weight = 0.0;

    TRY(mem_new(&probabilities, j->n_validation * n_classes));
    TRY(matilda_infer(j->model, p, &j->all, j->validation, j->n_validation, probabilities, NULL));
    calibration_softmax(probabilities, j->n_validation, n_classes, 1.0);
    for (int64_t i = 0; i < j->n_validation; i++) {
        int64_t row = j->validation[i];
        double w = j->all.weight ? (double)j->all.weight[row] : 1.0;
        double q = (double)probabilities[i * n_classes + j->all.labels[row]];
        log_loss -= w * log(fmax(q, 1e-12));
        weight += w;
    }
    *out = -log_loss / weight;
done:
    mem_free(probabilities);
    return st;
}

static int64_t clamp_epochs(const matilda_options *o, int64_t n)
{
    int64_t per_epoch = (n + o->batch_size - 1) / o->batch_size, epochs = o->epochs;

    if (epochs * per_epoch < o->min_steps) epochs = (o->min_steps + per_epoch - 1) / per_epoch;
    if (o->max_steps > 0 && epochs * per_epoch > o->max_steps) epochs = o->max_steps / per_epoch;
    return epochs > 1 ? epochs : 1;
}

/* The projections stay as they are while the network trains, so each cell is projected once: where
 * that takes no more memory than the non-zeros it stands for. */
static scw_status project_once(inputs *out, row_source *source, const fit_job *j)
{
    scw_status st = SCW_OK;
    int64_t width = 0, nnz = 0;

    for (int k = 0; k < j->model->base.n_modalities; k++) {
        width += j->model->net.config.modality[k].n_components;
        nnz += matrix_nnz(&j->all.x[k].y);
    }
    if (width == 0 || width * j->n > nnz) goto done;
    TRY(inputs_gather(out, j->model, &j->all, j->train, j->n_train));
    source->projected = out;
done:
    return st;
}

static scw_status run_stage1(fit_job *j, trainer *t, int64_t epochs)
{
    scw_status st = SCW_OK;
    const matilda_options *o = &j->model->options;
    row_source source = {.cells = &j->all, .rows = j->train, .n = j->n_train};
    inputs projected = {0};
    train_phase phase = {.name = "stage 1",
                         .source = row_source_as_source(&source),
                         .n_epochs = epochs,
                         .lr = o->lr,
                         .lr_end = o->lr_end,
                         .warmup = o->warmup,
                         .patience = o->patience};

    TRY(project_once(&projected, &source, j));
    TRY(trainer_run(t, &phase, false));
done:
    inputs_clear(&projected);
    return st;
}

scw_status fit_job_restart(fit_job *j, uint64_t seed)
{
    scw_status st = SCW_OK;
    matilda_net fresh = {0}, *net = &j->model->net;

    TRY(matilda_net_init(&fresh, &net->config, seed));
    for (int k = 0; k < net->config.n_modalities; k++) {
        if (net->projection[k] < 0) continue;
        const matilda_modality *x = &net->config.modality[k];
        memcpy(params_value(&fresh.p, net->projection[k]), params_value(&net->p, net->projection[k]),
               (size_t)(x->n_vars * x->n_components) * sizeof(real));
    }
    memcpy(net->p.value, fresh.p.value, (size_t)fresh.p.n_values * sizeof(real));
done:
    matilda_net_clear(&fresh);
    return st;
}

/* Stage 2 (specs 3.5): half at the first rate, half at a tenth of it with fresh moments. */
static scw_status run_stage2(fit_job *j, trainer *t)
{
    scw_status st = SCW_OK;
    const matilda_options *o = &j->model->options;
    balance_plan plan = {0};
    balance_source source = {0};
    network net = matilda_network(&j->model->net);
    balance_options options = {.drop_ties = o->drop_ties,
                               .seed = j->seed,
                               .replace_real = o->augmentation == AUGMENT_REPLACE};

    TRY(balance_plan_build(&plan, j->all.labels, j->train, j->n_train,
                           (int)j->model->base.classes.n, &options));
    log_detail(j->hooks, "stage 2: %lld cells, %lld in each class", (long long)plan.n,
               (long long)plan.median);
    TRY(balance_source_init(&source, &plan, &j->all, &net, (int)j->model->base.classes.n, j->seed));
    const checkpoint *c = fit_state_here(&j->state);
    if (c && checkpoint_find(c, "simulator"))
        TRY(checkpoint_copy(source.values, c, "simulator", net.p->n_values));
    else if (!o->warm_start)
        TRY(fit_job_restart(j, j->seed + 1)); /* as the authors' package */
    j->state.simulator = source.values;
    train_phase phase = {.name = "stage 2a",
                         .source = balance_source_as_source(&source),
                         .n_epochs = o->balance_epochs,
                         .lr = o->balance_lr,
                         .lr_end = o->balance_lr};
    TRY(trainer_run(t, &phase, true));
    phase.name = "stage 2b";
    phase.lr = phase.lr_end = 0.1 * o->balance_lr;
    TRY(trainer_run(t, &phase, true));
done:
    j->state.simulator = NULL;
    balance_source_clear(&source);
    balance_plan_clear(&plan);
    return st;
}

static scw_status record_precision(const fit_job *j)
{
    const char *name = j->model->net.config.bf16 ? "bf16" : "fp32";

    if (json_object_set_new(j->model->base.record, "precision", json_string(name)) != 0)
        return status_fail(SCW_ENOMEM, "out of memory in the training record");
    return SCW_OK;
}

scw_status fit_job_train(fit_job *j, bool twin)
{
    scw_status st = SCW_OK;
    const matilda_options *o = &j->model->options;
    trainer t = {0};
    network net = matilda_network(&j->model->net);
    train_validator validator = {j, validation_score};
    train_options options = {.seed = j->seed,
                             .batch_size = o->batch_size,
                             .optimizer = optimizer_defaults((optimizer_kind)o->optimizer),
                             .average = o->average};
    int64_t epochs = clamp_epochs(o, j->n_train);

    options.optimizer.weight_decay[MATILDA_GROUP_WEIGHT] = o->weight_decay;
    /* Features of a block with unit variance are of size 1/sqrt(F), and so are a linear decoder's
     * weights; Adam's steps do not know that. */
    for (int k = 0; k < j->model->base.n_modalities && o->unit_variance; k++) {
        double size = 1.0 / sqrt((double)j->model->base.modality[k].features.n);
        options.optimizer.lr_scale[MATILDA_GROUP_DECODER + k] = size;
        options.optimizer.weight_decay[MATILDA_GROUP_DECODER + k] = o->weight_decay;
    }
    bool stage2 = o->augmentation != AUGMENT_OFF;
    TRY(trainer_init(&t, &net, &options, epochs + (stage2 ? 2 * o->balance_epochs : 0),
                     j->n_validation > 0 ? &validator : NULL, j->hooks));
    TRY(fit_state_attach(&j->state, &t, twin ? "calibration" : "training"));
    TRY(run_stage1(j, &t, epochs));
    if (stage2) TRY(run_stage2(j, &t));
    trainer_finish(&t);
    if (!twin) {
        TRY(trainer_record(j->model->base.record, &t, j->n_train, j->n_validation));
        TRY(record_precision(j));
    }
done:
    fit_state_detach(&j->state);
    trainer_clear(&t);
    return st;
}

scw_status fit_model(matilda_model **out, const scw_model_kind *kind, const reference *ref,
                     const int64_t *rows, int64_t n, const matilda_options *options, uint64_t seed,
                     const checkpoint_plan *plan, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    fit_job j = {.ref = ref, .rows = rows, .n = n, .seed = seed, .hooks = hooks};
    int64_t *positions = NULL;

    *out = NULL;
    TRY(matilda_new(&j.model, kind, options));
    TRY(fit_state_init(&j.state, plan, j.model, hooks));
    j.all.n = n;
    TRY(set_classes(&j));
    TRY(mem_new(&positions, n));
    for (int64_t i = 0; i < n; i++)
        positions[i] = i;
    TRY(mem_new(&j.train, n));
    TRY(mem_new(&j.validation, n));
    TRY(fit_split(j.train, &j.n_train, j.validation, &j.n_validation, j.all.labels, positions, n,
                  j.model->base.classes.n, options->validation, seed));
    TRY(prepare_network(&j));
    if (!fit_state_is_past(&j.state)) TRY(fit_job_train(&j, false));
    TRY(fit_state_finish_model(&j.state));
    TRY(subsets_plan(j.model, &j.all, j.train, j.n_train, seed, hooks));
    TRY(fit_job_calibrate(&j));
    if (j.n_validation > 0 && j.state.penalty > 0.0) {
        TRY(shortcut_refit(j.model, j.state.penalty, &j.all, positions, n, false));
        TRY(subsets_fit(j.model, &j.all, positions, n));
    }
    TRY(align_learn(j.model, &j.all, positions, n));
    TRY(fit_counts(j.model, &j.all, ref, rows, j.train, j.n_train, seed, &j.state, hooks));
    *out = j.model;
    j.model = NULL;
done:
    if (st == SCW_EFORMAT && continues(&j)) st = status_prefix(st, "%s: cannot be used", plan->where);
    mem_free(positions);
    job_clear(&j);
    return st;
}
