/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave preprocess: pipelines of steps (prep/steps.h) over modalities. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "io/read_obsm.h"
#include "io/write_part.h"
#include "prep/steps.h"
#include "scweave/preprocess.h"
#include "scweave/version.h"
#include "task/record.h"
#include "task/streaming.h"

#define LOOK_ROWS 500

#define AT(field_) offsetof(scw_preprocess_options, field_)

static const scw_option table[] = {
    {"steps", SCW_OPTION_TEXT, AT(steps), NULL, 0, 0, NULL, "STEPS", "Steps",
     "[MODALITY=]STEP[:OPTION=VALUE]...,STEP...;MODALITY=... as in "
     "rna=normalize,log1p,hvg:n=3000,pca;adt=clr"},
    {"preset", SCW_OPTION_TEXT, AT(preset), NULL, 0, 0, NULL, "NAME", "Steps",
     "a named pipeline instead: default, cite or multiome; default unless said"},
    {"modality", SCW_OPTION_TEXT, AT(modality), NULL, 0, 0, NULL, "NAME", "Steps",
     "the modality of steps that name none"},
    {"batch-key", SCW_OPTION_TEXT, AT(batch_key), NULL, 0, 0, NULL, "KEY", "Steps",
     "obs column with batches: variable features are chosen within each, then joined"},
    {"seed", SCW_OPTION_INT, AT(seed), "1", 0, 9e15, NULL, "N", "Steps", "of the random starts"},
    {.type = SCW_OPTION_END},
};

const scw_option *scw_preprocess_option_table(void)
{
    return table;
}

/* One modality's share of the text. */
typedef struct assignment {
    char *modality; /* NULL: none was named */
    char *steps;
} assignment;

typedef struct plan {
    assignment *at;
    int n;
    bool of_preset;
} plan;

static void plan_clear(plan *p)
{
    for (int k = 0; k < p->n; k++) {
        mem_free(p->at[k].modality);
        mem_free(p->at[k].steps);
    }
    mem_free(p->at);
    *p = (plan){0};
}

/* ------------------------------------------------------------------ reading the text */

/* A modality is named where '=' comes before the first ':' and ','. */
static scw_status read_assignment(assignment *a, char *text)
{
    scw_status st = SCW_OK;
    size_t n = strcspn(text, "=:,");

    *a = (assignment){0};
    if (text[n] == '=') {
        text[n] = '\0';
        TRY(mem_strdup(&a->modality, text));
        text += n + 1;
    }
    TRY(mem_strdup(&a->steps, text));
done:
    return st;
}

static scw_status find_preset(const char **steps, const char *name)
{
    scw_status st = SCW_OK;
    const scw_prep_preset *p;
    textbuf list = {0};

    for (int k = 0; (p = scw_prep_preset_at(k)); k++) {
        *steps = p->steps;
        if (strcmp(p->name, name) == 0) goto done;
        TRY(text_add(&list, "%s%s", k ? ", " : "", p->name));
    }
    FAIL(SCW_EINVAL, "there is no preset '%s'; there are: %s", name, text_get(&list));
done:
    text_clear(&list);
    return st;
}

static scw_status read_plan(plan *out, const scw_preprocess_options *o)
{
    scw_status st = SCW_OK;
    const char *text = o->steps;
    char *copy = NULL, *rest = NULL;

    *out = (plan){.of_preset = text == NULL};
    if (o->steps && o->preset) FAIL(SCW_EINVAL, "steps and a preset exclude each other");
    if (!text) TRY(find_preset(&text, o->preset ? o->preset : "default"));
    TRY(mem_strdup(&copy, text));
    for (char *one = strtok_r(copy, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
        while (*one == ' ')
            one++;
        TRY(mem_resize(&out->at, out->n + 1));
        out->at[out->n++] = (assignment){0};
        TRY(read_assignment(&out->at[out->n - 1], one));
    }
    if (out->n == 0) FAIL(SCW_EINVAL, "steps: none are named in '%s'", text);
done:
    mem_free(copy);
    if (st != SCW_OK) plan_clear(out);
    return st;
}

/* ------------------------------------------------------------------ report */

/* What a fitted step found, in figures. */
static scw_status describe_step(json_t *list, const prep_step *s)
{
    scw_status st = SCW_OK;
    json_t *one = json_pack("{s:s}", "step", s->kind->about.name);
    char *value = NULL;
    int failed = one == NULL;

    for (const scw_option *o = s->kind->about.options; o->type != SCW_OPTION_END; o++) {
        mem_free(value);
        TRY(scw_options_get(&value, s->kind->about.options, s->options, o->name));
        if (value) failed |= json_object_set_new(one, o->name, json_string(value));
    }
    const step_array *chosen = step_find_array(s, "highly_variable"),
                     *ratio = step_find_array(s, "ratio"), *target = step_find_array(s, "target");
    if (chosen) {
        json_int_t n = 0;
        for (int64_t j = 0; j < chosen->n_rows; j++)
            n += chosen->values[j] != 0.0;
        failed |= json_object_set_new(one, "n_highly_variable", json_integer(n));
    }
    if (ratio) {
        double sum = 0.0;
        for (int64_t h = 0; h < ratio->n_rows; h++)
            sum += ratio->values[h];
        failed |= json_object_set_new(one, "components", json_integer((json_int_t)ratio->n_rows));
        failed |= json_object_set_new(one, "variance_explained", json_real(sum));
    }
    if (target) failed |= json_object_set_new(one, "fitted_target", json_real(target->values[0]));
    TRY(streaming_json(failed | json_array_append(list, one)));
done:
    mem_free(value);
    json_decref(one);
    return st;
}

static scw_status describe(json_t *list, const modality *m, const pipeline *p)
{
    scw_status st = SCW_OK;
    json_t *steps = json_array();
    json_t *one = json_pack("{s:s, s:O}", "modality", m->name, "steps", steps);

    for (int k = 0; k < p->n_steps; k++)
        TRY(describe_step(steps, &p->steps[k]));
    TRY(streaming_json(!one || json_array_append(list, one)));
done:
    json_decref(one);
    json_decref(steps);
    return st;
}

/* ------------------------------------------------------------------ matrices */

/* Steps whose values X takes over end before the first z-score, which would make it dense. */
static scw_status steps_of_x(int *out, const pipeline *p)
{
    scw_status st = SCW_OK;
    bool scaled = false;

    *out = p->n_steps;
    for (int k = 0; k < p->n_steps; k++) {
        if (scaled && p->steps[k].kind->map)
            FAIL(SCW_EINVAL, "steps: '%s' changes values behind 'scale'; put it before",
                 p->steps[k].kind->about.name);
        if (p->steps[k].kind != &step_scale) continue;
        scaled = true;
        *out = k;
    }
done:
    return st;
}

static scw_status add_dense_layer(results_part *part, const pipeline *p, int k)
{
    scw_status st = SCW_OK;
    const prep_step *s = &p->steps[k];
    const step_array *shift = step_find_array(s, "shift");
    results_matrix m = {0};
    char *layer = NULL;

    TRY(scw_options_get(&layer, s->kind->about.options, s->options, "layer"));
    if (!layer) goto done;
    TRY(mem_strdup(&m.layer, layer));
    TRY(mem_new(&m.shift, shift->n_rows));
    memcpy(m.shift, shift->values, (size_t)shift->n_rows * sizeof *m.shift);
    TRY(pipeline_rows(&m.rows, p, k + 1));
    TRY(results_part_matrix(part, &m));
done:
    mem_free(layer);
    mem_free(m.layer);
    mem_free(m.shift);
    block_reader_free(m.rows);
    return st;
}

static scw_status add_matrices(results_part *part, const pipeline *p, int n_steps_of_x)
{
    scw_status st = SCW_OK;
    results_matrix m = {0};

    if (pipeline_changes(p, n_steps_of_x)) {
        TRY(pipeline_rows(&m.rows, p, n_steps_of_x));
        TRY(results_part_matrix(part, &m));
    }
    for (int k = 0; k < p->n_steps; k++)
        if (p->steps[k].kind == &step_scale) TRY(add_dense_layer(part, p, k));
done:
    block_reader_free(m.rows);
    return st;
}

/* ------------------------------------------------------------------ one modality */

/* X moves to layers['counts']: is there room? Asked before the work. */
static scw_status check_counts_layer(const scw_dataset *d, const modality *m)
{
    scw_status st = SCW_OK;
    bool there;

    if (m->layer && strcmp(m->layer, "raw") == 0)
        FAIL(SCW_EINVAL,
             "%s: raw has features of its own, so its results do not fit the file; start "
             "from X or a layer",
             m->name);
    if (m->layer || d->n_files < 1) goto done;
    for (int f = 0; f < d->n_files; f++) {
        const dataset_file *file = &d->files[f];
        if (!file->native || (file->modality && strcmp(file->modality, m->name) != 0)) continue;
        TRY(io_has_layer(&there, file->path, file->modality ? NULL : m->name, "counts"));
        if (there)
            FAIL(SCW_EINVAL,
                 "%s: there is a layer 'counts' already, so X cannot be kept as it; "
                 "--layer counts starts from that layer",
                 m->name);
    }
done:
    return st;
}

/* A word to who normalises what is normalised: looks at the first cells only. */
static scw_status warn_if_no_counts(const modality *m, block_reader *rows, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    row_block b = {0};
    bool fractional = false;

    TRY(block_reader_read(&b, rows, 0, rows->n_rows < LOOK_ROWS ? rows->n_rows : LOOK_ROWS));
    for (int64_t e = 0; e < b.x.indptr[b.x.n_rows]; e++)
        fractional |= b.x.values[e] != floorf(b.x.values[e]);
    if (fractional)
        log_warning(hooks,
                    "%s: the matrix holds values that are not whole numbers, so it is not "
                    "counts; --layer names the layer that is",
                    m->name);
done:
    row_block_clear(&b);
    return st;
}

static void free_pipeline(void *keep)
{
    pipeline_clear(keep);
    mem_free(keep);
}

static scw_status one_modality(scw_results *results, json_t *list, const scw_dataset *d, int k,
                               const char *steps, const scw_preprocess_options *o,
                               const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const modality *m = &d->modalities[k];
    results_part *part;
    pipeline *p = NULL;
    int32_t *batch = NULL;
    int n_steps_of_x;
    step_input in = {.batch_key = o->batch_key, .seed = (uint64_t)o->seed, .hooks = hooks};

    TRY(mem_new(&p, 1));
    TRY(pipeline_read(p, steps));
    TRY(steps_of_x(&n_steps_of_x, p));
    if (pipeline_changes(p, n_steps_of_x)) TRY(check_counts_layer(d, m));
    for (int64_t e = 0; e < results->n_parts; e++)
        if (strcmp(results->parts[e].modality, m->name) == 0)
            FAIL(SCW_EINVAL, "steps: modality '%s' is named twice", m->name);
    TRY(streaming_batches(&batch, &in.n_batches, NULL, d, k, o->batch_key));
    in.batch = batch;
    TRY(streaming_open(&p->counts, d, k));
    if (pipeline_changes(p, p->n_steps)) TRY(warn_if_no_counts(m, p->counts, hooks));
    TRY(results_part_of(&part, results, m->name, m->x.n_rows, m->x.n_cols));
    if (m->layer) TRY(mem_strdup(&part->source_layer, m->layer));
    part->keep = p;
    part->keep_free = free_pipeline;
    pipeline *kept = p;
    p = NULL;
    st = pipeline_run(kept, part, &in);
    if (st != SCW_OK) {
        if (st != SCW_ECANCELLED) status_prefix(st, "%s", m->name);
        goto done;
    }
    TRY(add_matrices(part, kept, n_steps_of_x));
    TRY(describe(list, m, kept));
done:
    if (p) free_pipeline(p);
    mem_free(batch);
    return st;
}

/* ------------------------------------------------------------------ the verb */

static scw_status add_record(scw_results *r, const scw_prep_request *request, const json_t *list)
{
    scw_status st = SCW_OK;
    json_t *record = json_pack("{s:s, s:O}", "version", scw_version(), "steps", list);
    int failed = record == NULL;

    if (!failed && request && request->command)
        failed |= json_object_set_new(record, "command", json_string(request->command));
    TRY(streaming_json(failed));
    TRY(record_text(&r->record_json, record));
    TRY(mem_strdup(&r->record_name, "preprocess"));
done:
    json_decref(record);
    return st;
}

static scw_status run_plan(scw_results *results, json_t *list, const scw_dataset *d, const plan *p,
                           const scw_preprocess_options *o, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int which;

    for (int k = 0; k < p->n; k++) {
        const assignment *a = &p->at[k];
        if (p->of_preset && (!dataset_find_modality(d, a->modality) ||
                             (o->modality && strcmp(o->modality, a->modality) != 0)))
            continue;
        TRY(streaming_modality(&which, d, a->modality ? a->modality : o->modality, NULL));
        TRY(one_modality(results, list, d, which, a->steps, o, hooks));
    }
    if (results->n_parts == 0)
        FAIL(SCW_ENOTFOUND,
             "the preset names no modality of this set, whose first is '%s'; say --steps",
             d->modalities[0].name);
done:
    return st;
}

scw_status scw_dataset_preprocess(scw_results **out, char **report, const scw_dataset *dataset,
                                  const scw_prep_request *request,
                                  const scw_preprocess_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_preprocess_options o;
    plan p = {0};
    json_t *list = json_array(), *root = NULL;

    *out = NULL;
    if (report) *report = NULL;
    TRY(scw_options_init(table, &o)); /* nothing of its own to free: all texts are unset */
    if (options) o = *options;
    if (!dataset) FAIL(SCW_EINVAL, "preprocessing needs a data set");
    threads_set(request ? request->threads : 0);
    TRY(read_plan(&p, &o));
    TRY(write_parts_check(dataset));
    TRY(results_new(out, dataset->n_obs));
    TRY(run_plan(*out, list, dataset, &p, &o, hooks));
    TRY(add_record(*out, request, list));
    root = json_pack("{s:O}", "modalities", list);
    TRY(streaming_json(!root));
    TRY(streaming_report(report, root));
done:
    plan_clear(&p);
    json_decref(list);
    json_decref(root);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
