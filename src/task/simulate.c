/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave simulate: which cells to draw, and the file they go to. The drawing is models/sampler.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "io/write_h5mu.h"
#include "models/sampler.h"
#include "scweave/version.h"
#include "task/matilda.h"
#include "task/record.h"

/* The reference as the sampler sees it, and what was drawn. */
typedef struct job {
    const matilda_model *m;
    const scw_dataset *ref;
    const scw_simulate_request *request;
    const scw_hooks *hooks;
    const char *label_key;
    cells cells;
    matrix counts[MODEL_MAX_MODALITIES];
    int64_t *wanted; /* [C] cells to draw of each class */
    int64_t n_unknown; /* labelled cells of a type that the model does not know */
    int64_t *real;   /* [n_real] obs positions of the real cells that go along */
    int64_t n_real;
    sampled drawn;
} job;

static void job_clear(job *j)
{
    cells_clear(&j->cells);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) matrix_clear(&j->counts[k]);
    mem_free(j->wanted);
    mem_free(j->real);
    sampled_clear(&j->drawn);
    *j = (job){0};
}

/* ------------------------------------------------------------------------------- reference */

static scw_status find_labels(job *j)
{
    scw_status st = SCW_OK;
    const column *c = NULL;
    int32_t *codes = NULL;
    strings classes = {0};
    name_index index = {0};

    j->label_key = j->request->label_key;
    if (!j->label_key)
        j->label_key = json_string_value(json_object_get(j->m->base.record, "label_key"));
    if (!j->label_key)
        FAIL(SCW_EINVAL, "the model does not say which obs column holds the types: give it");
    TRY(dataset_obs_column(&c, j->ref, j->label_key));
    TRY(column_classes(c, &codes, &classes));
    TRY(name_index_build(&index, (const char *const *)j->m->base.classes.at, j->m->base.classes.n,
                         NULL));
    TRY(mem_new(&j->cells.labels, j->ref->n_obs));
    for (int64_t i = 0; i < j->ref->n_obs; i++) {
        int64_t class = codes[i] < 0 ? -1 : name_index_find(&index, classes.at[codes[i]]);
        j->cells.labels[i] = (int32_t)class;
        j->n_unknown += class < 0 && codes[i] >= 0;
    }
done:
    mem_free(codes);
    strings_clear(&classes);
    name_index_clear(&index);
    return st;
}

/* Batches of the reference's cells, for a model that tells them apart; what was asked for, in `*asked`. */
static scw_status find_batches(job *j, int32_t *asked)
{
    scw_status st = SCW_OK;
    const char *name = j->request->batch;
    const bool mean = name && strcmp(name, "mean") == 0;
    const char *key = json_string_value(json_object_get(j->m->base.record, "batch_key"));
    textbuf list = {0};

    *asked = mean ? SAMPLE_BATCH_MEAN : SAMPLE_BATCH_OBSERVED;
    if (model_n_batches(&j->m->base) == 0 || !key) {
        if (name) FAIL(SCW_EINVAL, "the model tells no batches apart (fit --batch-key): leave '%s' out", name);
        goto done;
    }
    st = model_batches(&j->cells.known_batch, &j->m->base, j->ref, key);
    if (st == SCW_ENOTFOUND && mean) st = SCW_OK; /* sources count as of no batch in particular */
    if (st != SCW_OK) goto done;
    if (!name || mean || strcmp(name, "observed") == 0) goto done;
    for (int64_t b = 0; b < j->m->base.batches.n; b++) {
        if (strcmp(j->m->base.batches.at[b], name) == 0) *asked = 1 + (int32_t)b;
        TRY(text_add(&list, "%s'%s'", b ? ", " : "", j->m->base.batches.at[b]));
    }
    if (*asked <= 0)
        FAIL(SCW_ENOTFOUND, "the model knows no batch '%s'; its batches are %s", name,
             text_get(&list));
done:
    text_clear(&list);
    return st;
}

/* Cells without any count are no example of anything. */
static void drop_empty(job *j)
{
    for (int64_t i = 0; i < j->cells.n; i++) {
        bool any = false;
        for (int k = 0; k < j->m->base.n_modalities; k++)
            any = any || !j->cells.x[k].present || j->cells.x[k].present[i] > 0.0f;
        if (!any) j->cells.labels[i] = -1;
    }
}

static scw_status read_reference(job *j)
{
    scw_status st = SCW_OK;
    model_coverage coverage[MODEL_MAX_MODALITIES];
    uint8_t *present = NULL;
    int64_t n_labelled = 0;

    TRY(model_prepare(&j->cells, coverage, &j->m->base, j->ref, j->hooks));
    for (int k = 0; k < j->m->base.n_modalities; k++) {
        TRY(model_counts(&j->counts[k], &present, &j->m->base, k, j->ref));
        mem_free(present);
        present = NULL;
    }
    TRY(find_labels(j));
    drop_empty(j);
    for (int64_t i = 0; i < j->cells.n; i++) n_labelled += j->cells.labels[i] >= 0;
    if (n_labelled == 0)
        FAIL(SCW_EDATA, "no cell of the reference has a type of the model in obs '%s'",
             j->label_key);
    if (j->n_unknown > 0)
        log_warning(j->hooks, "%lld cells are of types that the model does not know and are left out",
                    (long long)j->n_unknown);
done:
    mem_free(present);
    return st;
}

/* ------------------------------------------------------------------------------- how many */

static scw_status want_type(job *j)
{
    scw_status st = SCW_OK;
    textbuf list = {0};

    for (int64_t c = 0; c < j->m->base.classes.n; c++)
        if (strcmp(j->m->base.classes.at[c], j->request->type) == 0) {
            j->wanted[c] = j->request->n;
            return SCW_OK;
        }
    for (int64_t c = 0; c < j->m->base.classes.n; c++)
        TRY(text_add(&list, "%s'%s'", c ? ", " : "", j->m->base.classes.at[c]));
    FAIL(SCW_ENOTFOUND, "the model knows no type '%s'; its types are %s", j->request->type,
         text_get(&list));
done:
    text_clear(&list);
    return st;
}

/* n cells in the proportions of the reference: whole parts, then the largest remainders. */
static void want_shares(job *j, const int64_t *size, int64_t total)
{
    int64_t given = 0;

    for (int64_t c = 0; c < j->m->base.classes.n; c++) {
        j->wanted[c] = (int64_t)((double)j->request->n * (double)size[c] / (double)total);
        given += j->wanted[c];
    }
    for (; given < j->request->n; given++) {
        int64_t best = 0;
        double most = -INFINITY;
        for (int64_t c = 0; c < j->m->base.classes.n; c++) {
            double left = (double)j->request->n * (double)size[c] / (double)total -
                          (double)j->wanted[c];
            if (size[c] == 0 || left <= most) continue;
            most = left;
            best = c;
        }
        j->wanted[best]++;
    }
}

static scw_status find_wanted(job *j)
{
    scw_status st = SCW_OK;
    int64_t *size = NULL, total = 0;

    TRY(mem_new(&j->wanted, j->m->base.classes.n));
    TRY(mem_new(&size, j->m->base.classes.n));
    for (int64_t i = 0; i < j->cells.n; i++) {
        if (j->cells.labels[i] < 0) continue;
        size[j->cells.labels[i]]++;
        total++;
    }
    if (j->request->type)
        TRY(want_type(j));
    else if (j->request->n_each > 0)
        for (int64_t c = 0; c < j->m->base.classes.n; c++)
            j->wanted[c] = size[c] > 0 ? j->request->n_each : 0;
    else
        want_shares(j, size, total);
done:
    mem_free(size);
    return st;
}

static scw_status draw(job *j)
{
    scw_status st = SCW_OK;
    sampler s = {0};
    sampler_options options = {.from = (sample_from)j->request->from,
                               .library = j->request->library,
                               .seed = j->request->seed};

    TRY(find_batches(j, &options.batch));
    TRY(sampler_init(&s, j->m, &j->cells, j->counts, &options));
    if (options.from == SAMPLE_PRIOR) {
        TRY(sampler_draw(&s, &j->drawn, -1, j->request->n, j->hooks));
        goto done;
    }
    TRY(find_wanted(j));
    for (int64_t c = 0; c < j->m->base.classes.n; c++)
        if (j->wanted[c] > 0) TRY(sampler_draw(&s, &j->drawn, (int32_t)c, j->wanted[c], j->hooks));
done:
    sampler_clear(&s);
    return st;
}

/* ------------------------------------------------------------------------------- the file */

static scw_status init_batches(column *c, const job *j, int64_t n)
{
    scw_status st = SCW_OK;
    const char *key = json_string_value(json_object_get(j->m->base.record, "batch_key"));

    TRY(column_init(c, key, COLUMN_CATEGORICAL, n));
    TRY(strings_copy(&c->categories, &j->m->base.batches));
done:
    return st;
}

static int32_t batch_code(const job *j, bool is_real, int64_t at)
{
    if (!is_real) return j->drawn.batch[at];
    return j->cells.known_batch ? j->cells.known_batch[at] : -1;
}

static scw_status add_obs(scw_dataset *d, const job *j)
{
    scw_status st = SCW_OK;
    const int64_t n = d->n_obs;
    const bool batches = model_n_batches(&j->m->base) > 0;
    column batch = {0}, label = {0}, simulated = {0}, source = {0};
    char name[64];

    d->obs.n_rows = n;
    TRY(mem_strdup(&d->obs.index_name, "_index"));
    TRY(column_init(&label, j->label_key, COLUMN_CATEGORICAL, n));
    TRY(strings_copy(&label.categories, &j->m->base.classes));
    TRY(column_init(&simulated, "simulated", COLUMN_BOOL, n));
    if (batches) TRY(init_batches(&batch, j, n));
    TRY(column_init(&source, "source_cell", COLUMN_STRING, n));
    for (int64_t i = 0; i < n; i++) {
        const bool is_real = i < j->n_real;
        const int64_t at = is_real ? j->real[i] : i - j->n_real;
        (void)snprintf(name, sizeof name, "simulated_%lld", (long long)(at + 1));
        TRY(strings_add(&d->obs.index, is_real ? j->ref->obs.index.at[at] : name));
        label.codes[i] = is_real ? j->cells.labels[at] : j->drawn.label[at];
        simulated.boolean[i] = !is_real;
        if (batches) batch.codes[i] = batch_code(j, is_real, at);
        const int64_t from = is_real ? -1 : j->drawn.source[at];
        TRY(strings_add(&source.text, from >= 0 ? j->ref->obs.index.at[from] : ""));
    }
    TRY(frame_add(&d->obs, &label));
    TRY(frame_add(&d->obs, &simulated));
    if (batches) TRY(frame_add(&d->obs, &batch));
    if (j->request->from == SCW_SIMULATE_POSTERIOR) TRY(frame_add(&d->obs, &source));
done:
    column_clear(&batch);
    column_clear(&label);
    column_clear(&simulated);
    column_clear(&source);
    return st;
}

/* Rows of the real cells over those that were drawn, both CSR. */
static scw_status stack(matrix *out, const matrix *upper, const int64_t *rows, int64_t n,
                        const matrix *drawn)
{
    scw_status st = SCW_OK;
    matrix top = {0};

    TRY(matrix_rows_csr(&top, upper, rows, n));
    int64_t first = top.indptr[n], rest = drawn->indptr[drawn->n_rows];
    TRY(matrix_init_csr(out, n + drawn->n_rows, drawn->n_cols, first + rest));
    memcpy(out->indptr, top.indptr, (size_t)n * sizeof *out->indptr);
    for (int64_t i = 0; i <= drawn->n_rows; i++) out->indptr[n + i] = first + drawn->indptr[i];
    memcpy(out->indices, top.indices, (size_t)first * sizeof *out->indices);
    memcpy(out->values, top.values, (size_t)first * sizeof *out->values);
    memcpy(out->indices + first, drawn->indices, (size_t)rest * sizeof *out->indices);
    memcpy(out->values + first, drawn->values, (size_t)rest * sizeof *out->values);
done:
    matrix_clear(&top);
    return st;
}

/* Real cells that lack the modality stay without it; simulated ones have it. */
static scw_status add_modality(scw_dataset *d, job *j, int k)
{
    scw_status st = SCW_OK;
    modality *to = &d->modalities[d->n_modalities++];
    const model_modality *from = &j->m->base.modality[k];
    const int64_t n_drawn = j->drawn.n;
    int64_t *rows = NULL, n = 0;

    TRY(mem_strdup(&to->name, from->name));
    TRY(mem_strdup(&to->var.index_name, "_index"));
    TRY(strings_copy(&to->var.index, &from->features));
    to->var.n_rows = from->features.n;
    TRY(mem_new(&to->row_of_obs, d->n_obs));
    TRY(mem_new(&rows, j->n_real));
    for (int64_t i = 0; i < j->n_real; i++) {
        const float *present = j->cells.x[k].present;
        bool here = !present || present[j->real[i]] > 0.0f;
        to->row_of_obs[i] = here ? n : -1;
        if (here) rows[n++] = j->real[i];
    }
    for (int64_t i = 0; i < n_drawn; i++) to->row_of_obs[j->n_real + i] = n + i;
    to->n_present = n + n_drawn;
    if (n > 0) {
        TRY(stack(&to->x, &j->counts[k], rows, n, &j->drawn.x[k]));
    } else {
        to->x = j->drawn.x[k];
        j->drawn.x[k] = (matrix){0};
    }
done:
    mem_free(rows);
    return st;
}

static scw_status make_record(char **out, const job *j)
{
    static const char *const modes[] = {"class", "posterior", "prior"};
    scw_status st = SCW_OK;
    const scw_simulate_request *r = j->request;
    json_t *record =
        json_pack("{s:s, s:s, s:s, s:f, s:I, s:I}", "version", scw_version(), "model",
                  j->m->base.kind->name, "simulated_from", modes[r->from], "library", r->library,
                  "seed", (json_int_t)r->seed, "n_simulated", (json_int_t)j->drawn.n);
    char key[128];
    int failed = record == NULL;

    if (!failed && r->command)
        failed |= json_object_set_new(record, "command", json_string(r->command));
    if (!failed && model_n_batches(&j->m->base) > 0)
        failed |= json_object_set_new(record, "batch", json_string(r->batch ? r->batch : "observed"));
    for (int k = 0; !failed && k < j->m->base.n_modalities; k++) {
        count_kind kind = j->m->counts.head[k].kind;
        (void)snprintf(key, sizeof key, "values_%s", j->m->base.modality[k].name);
        failed |= json_object_set_new(
            record, key,
            json_string(kind == COUNT_NB          ? "counts"
                        : kind == COUNT_BERNOULLI ? "presence"
                                                  : "expected transformed values"));
    }
    if (failed) FAIL(SCW_ENOMEM, "out of memory in the record of the simulation");
    TRY(record_text(out, record));
done:
    json_decref(record);
    return st;
}

static scw_status write_file(job *j, const char *path)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    char *record = NULL;

    TRY(mem_new(&d, 1));
    TRY(mem_new(&d->modalities, j->m->base.n_modalities));
    d->n_obs = j->n_real + j->drawn.n;
    TRY(make_record(&record, j));
    TRY(add_obs(d, j));
    for (int k = 0; k < j->m->base.n_modalities; k++)
        TRY(add_modality(d, j, k));
    TRY(dataset_write_h5mu(d, record, path));
done:
    mem_free(record);
    scw_dataset_free(d);
    return st;
}

/* -------------------------------------------------------------------------------- the verb */

static scw_status check_request(const matilda_model *m, const scw_simulate_request *r)
{
    const bool each = r->n_each > 0;

    if (each ? r->type != NULL || r->n > 0 : r->n < 1)
        return status_fail(SCW_EINVAL, "ask for cells of one type or of all, or for so many of each");
    if (r->from == SCW_SIMULATE_PRIOR && (each || r->type))
        return status_fail(SCW_EINVAL, "the prior has no types: ask for a number of cells alone");
    if (!(r->library >= 0.0) && r->library != SAMPLE_LIBRARY_MEDIAN)
        return status_fail(SCW_EINVAL, "a library of %g counts does not exist", r->library);
    if (r->n > 100000000 || r->n_each > 100000000)
        return status_fail(SCW_EINVAL, "more than 100 million cells");
    for (int k = 0; k < m->base.n_modalities; k++)
        if (r->with_real && m->counts.head[k].kind == COUNT_NONE)
            return status_fail(SCW_EINVAL,
                               "the model has no count decoder for '%s': what is simulated would "
                               "be transformed values, and real counts cannot stand beside them",
                               m->base.modality[k].name);
    return SCW_OK;
}

static void warn_of_values(const matilda_model *m, const scw_hooks *hooks)
{
    for (int k = 0; k < m->base.n_modalities; k++)
        if (m->counts.head[k].kind == COUNT_NONE)
            log_warning(hooks,
                        "modality '%s' has no count decoder (--likelihood gaussian, --compat or an "
                        "older version): X holds expected values on the scale of its transform "
                        "'%s', no counts",
                        m->base.modality[k].name, transform_name(m->base.modality[k].prep.kind));
}

static scw_status list_real(job *j)
{
    scw_status st = SCW_OK;

    if (!j->request->with_real) return SCW_OK;
    TRY(mem_new(&j->real, j->cells.n));
    for (int64_t i = 0; i < j->cells.n; i++)
        if (j->cells.labels[i] >= 0) j->real[j->n_real++] = i;
done:
    return st;
}

scw_status matilda_simulate(const scw_model *model, const scw_dataset *reference,
                            const scw_simulate_request *request, const char *path,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const matilda_model *m = (const matilda_model *)model;
    job j = {.m = m, .ref = reference, .request = request, .hooks = hooks};

    TRY(check_request(m, request));
    threads_set(request->threads);
    warn_of_values(m, hooks);
    TRY(read_reference(&j));
    TRY(log_check_cancel(hooks));
    TRY(draw(&j));
    TRY(list_real(&j));
    TRY(write_file(&j, path));
    log_info(hooks, "%s: %lld simulated cells, %lld real ones", path, (long long)j.drawn.n,
             (long long)j.n_real);
done:
    job_clear(&j);
    return st;
}
