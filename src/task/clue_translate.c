/* SPDX-License-Identifier: BSD-3-Clause */
/* One modality of a query told from another, as a new modality of the output: X expected values,
 * layers 'lower' and 'upper' the ends of prediction intervals (models/clue_translation.h). The
 * matrices are computed while they are written, block by block. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "io/write_part.h"
#include "models/clue_translation.h"
#include "scweave/version.h"
#include "task/apply.h"
#include "task/clue.h"
#include "task/record.h"

#define ROWS 512 /* cells of one block */

typedef enum what { MEAN = 0, LOWER, UPPER } what;

/* What the readers borrow. */
typedef struct job {
    const clue_model *m;
    const scw_dataset *query;
    int from, to, level;  /* level -1: no intervals */
    int64_t n, *cells;    /* [n] positions in obs of the cells that have the source */
    int32_t *batch;       /* [n_obs] or NULL */
    tape *tape;
} job;

static void job_free(void *keep)
{
    job *j = keep;

    if (!j) return;
    mem_free(j->cells);
    mem_free(j->batch);
    tape_free(j->tape);
    mem_free(j);
}

/* --------------------------------------------------------------------------- a block of rows */

/* Cells [first, first + n) of obs as the model's input. */
typedef struct part {
    cells c;
    matrix counts;
    uint8_t *present;
    int64_t first;
} part;

static void part_clear(part *p)
{
    cells_clear(&p->c);
    matrix_clear(&p->counts);
    mem_free(p->present);
    *p = (part){0};
}

static scw_status part_open(part *p, const job *j, int64_t first, int64_t n)
{
    scw_status st = SCW_OK;
    model_coverage coverage[MODEL_MAX_MODALITIES];

    p->first = first;
    TRY(model_prepare_part(&p->c, coverage, &j->m->base, j->query, first, n));
    TRY(model_counts_part(&p->counts, &p->present, &j->m->base, j->from, j->query, first, n));
    if (!j->batch) goto done;
    TRY(mem_new(&p->c.known_batch, n));
    memcpy(p->c.known_batch, j->batch + first, (size_t)n * sizeof *j->batch);
done:
    return st;
}

/* What is asked for of one block of cells, into out [n, F]. NaN for cells without counts. */
static scw_status answer(float *out, const job *j, what w, const part *p, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const nn_pass pass = {.t = j->tape, .p = &j->m->net.p};
    row_list counts[MODEL_MAX_MODALITIES] = {{0}};
    clue_batch batch;
    clue_translation made;
    float *other = NULL;

    counts[j->from].x = &p->counts;
    tape_reset(j->tape, TAPE_EVAL);
    clue_gather(&batch, j->m, j->tape, &p->c, rows, n, counts);
    TRY(tape_status(j->tape));
    if (batch.n != n) FAIL(SCW_ENOMEM, "out of memory while translating cells");
    TRY(clue_translate(&made, j->m, &pass, &batch, j->from, j->to));
    if (w == MEAN) {
        for (int64_t e = 0; e < n * made.n_vars; e++) out[e] = (float)made.mean[e];
    } else {
        TRY(mem_new(&other, n * made.n_vars));
        clue_translation_bounds(w == LOWER ? out : other, w == LOWER ? other : out, &made, j->m,
                                j->from, j->to, j->level);
    }
    const real *present = batch.slot[j->from].present;
    for (int64_t e = 0; present && e < n * made.n_vars; e++)
        if (present[e / made.n_vars] == 0) out[e] = NAN;
done:
    mem_free(other);
    return st;
}

typedef struct state {
    const job *job;
    what what;
} state;

static scw_status read_rows(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const state *s = r->state;
    const job *j = s->job;
    const int64_t n_vars = r->n_cols;
    part p = {0};
    int64_t rows[ROWS];

    TRY(row_block_reserve(out, n, n * n_vars, false));
    for (int64_t i = 0; i <= n; i++) out->x.indptr[i] = i * n_vars;
    for (int64_t e = 0; e < n * n_vars; e++) out->x.indices[e] = (int32_t)(e % n_vars);
    for (int64_t at = 0; at < n; at += ROWS) {
        const int64_t size = n - at < ROWS ? n - at : ROWS, *obs = j->cells + from + at;
        part_clear(&p);
        TRY(part_open(&p, j, obs[0], obs[size - 1] - obs[0] + 1));
        for (int64_t i = 0; i < size; i++) rows[i] = obs[i] - p.first;
        TRY(answer(out->x.values + at * n_vars, j, s->what, &p, rows, size));
    }
done:
    part_clear(&p);
    return st;
}

static void close_rows(block_reader *r)
{
    mem_free(r->state);
}

static scw_status reader_new(block_reader **out, const job *j, what w)
{
    static const block_reader_kind kind = {"translation", read_rows, close_rows, NULL};
    scw_status st = SCW_OK;
    state *s = NULL;
    const int64_t n_vars = j->m->base.modality[j->to].features.n;

    TRY(mem_new(out, 1));
    TRY(mem_new(&s, 1));
    *s = (state){j, w};
    **out = (block_reader){.kind = &kind, .state = s, .n_rows = j->n, .n_cols = n_vars,
                           .nnz = j->n * n_vars, .block_rows = ROWS};
done:
    return st;
}

/* -------------------------------------------------------------------------- the new modality */

static scw_status add_matrix(results_part *p, const job *j, what w, const char *layer)
{
    scw_status st = SCW_OK;
    results_matrix x = {0};

    TRY(reader_new(&x.rows, j, w));
    if (layer) TRY(mem_strdup(&x.layer, layer));
    TRY(mem_new(&x.shift, j->m->base.modality[j->to].features.n)); /* zeros: the matrix is dense */
    TRY(results_part_matrix(p, &x));
done:
    block_reader_free(x.rows);
    mem_free(x.layer);
    mem_free(x.shift);
    return st;
}

static scw_status add_record(results_part *p, const job *j, const scw_translate_request *request)
{
    scw_status st = SCW_OK;
    const char *const likelihoods[] = {"nb", "bernoulli", "normal"};
    char *text = NULL;
    json_t *record =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*}", "version", scw_version(), "model",
                  j->m->base.kind->name, "from", j->m->base.modality[j->from].name, "to",
                  j->m->base.modality[j->to].name, "likelihood",
                  likelihoods[j->m->net.config.modality[j->to].likelihood], "command",
                  request->command);

    if (record && j->level >= 0 &&
        json_object_set_new(record, "coverage", json_real(clue_levels[j->level])) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the record of the results");
    if (!record) FAIL(SCW_EDATA, "the name of a modality or the command is not valid UTF-8");
    TRY(record_text(&text, record));
    TRY(results_part_record(p, "translation", text));
done:
    json_decref(record);
    mem_free(text);
    return st;
}

/* The job is the part's from now on, also on failure. */
static scw_status add_part(scw_results *r, job *j, const char *name,
                           const scw_translate_request *request)
{
    scw_status st = SCW_OK;
    const strings *features = &j->m->base.modality[j->to].features;
    results_part *p = NULL;

    TRY(results_part_of(&p, r, name, j->n, features->n));
    p->keep = j;
    p->keep_free = job_free;
    TRY(strings_copy(&p->var.index, features));
    TRY(mem_new(&p->row_of_obs, j->query->n_obs));
    for (int64_t i = 0; i < j->query->n_obs; i++) p->row_of_obs[i] = -1;
    for (int64_t k = 0; k < j->n; k++) {
        p->row_of_obs[j->cells[k]] = k;
        TRY(strings_add(&p->obs.index, j->query->obs.index.at[j->cells[k]]));
    }
    TRY(add_matrix(p, j, MEAN, NULL));
    if (j->level >= 0) {
        TRY(add_matrix(p, j, LOWER, "lower"));
        TRY(add_matrix(p, j, UPPER, "upper"));
    }
    TRY(add_record(p, j, request));
done:
    if (!p) job_free(j);
    return st;
}

/* ----------------------------------------------------------------------------------- the verb */

static scw_status find_modality(int *out, const scw_model *m, const char *name, const char *flag)
{
    scw_status st = SCW_OK;
    textbuf known = {0};

    for (*out = 0; *out < m->n_modalities; ++*out)
        if (name && strcmp(m->modality[*out].name, name) == 0) return SCW_OK;
    for (int k = 0; k < m->n_modalities; k++)
        TRY(text_add(&known, "%s%s", k ? ", " : "", m->modality[k].name));
    FAIL(SCW_ENOTFOUND, "%s: the model has no modality '%s' (it has: %s)", flag, name ? name : "",
         text_get(&known));
done:
    text_clear(&known);
    return st;
}

static scw_status choose_level(job *j, double coverage, const scw_hooks *hooks)
{
    j->level = -1;
    if (!(coverage > 0.0)) return SCW_OK;
    j->level = clue_level(coverage);
    if (j->level < 0)
        return status_fail(SCW_EINVAL, "prediction intervals go up to a coverage of %g, not %g",
                           clue_levels[CLUE_LEVELS - 1], coverage);
    if (!j->m->spread[j->from][j->to]) {
        log_warning(hooks,
                    "the fit held out fewer than 20 cells with both '%s' and '%s': there are expected "
                    "values, but no prediction intervals",
                    j->m->base.modality[j->from].name, j->m->base.modality[j->to].name);
        j->level = -1;
    }
    return SCW_OK;
}

/* The cells that have the source, and a word about what the query lacks. */
static scw_status choose_cells(job *j, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const scw_dataset *q = j->query;
    const model_modality *x = &j->m->base.modality[j->from];
    model_coverage coverage[MODEL_MAX_MODALITIES];
    cells c = {0};
    const modality *from = model_find_modality(&j->m->base, j->from, q);

    if (!from)
        FAIL(SCW_EDATA, "the query has no modality '%s' to translate from (its first is '%s')", x->name,
             q->modalities[0].name);
    TRY(mem_new(&j->cells, q->n_obs));
    for (int64_t i = 0; i < q->n_obs; i++)
        if (from->row_of_obs[i] >= 0) j->cells[j->n++] = i;
    if (j->n == 0) FAIL(SCW_EDATA, "no cell of the query has '%s'", x->name);
    TRY(model_prepare_part(&c, coverage, &j->m->base, q, 0, q->n_obs < ROWS ? q->n_obs : ROWS));
    if (coverage[j->from].n_found < coverage[j->from].n_vars)
        log_warning(hooks, "modality '%s': %lld of the model's %lld features are missing in the query",
                    x->name, (long long)(coverage[j->from].n_vars - coverage[j->from].n_found),
                    (long long)coverage[j->from].n_vars);
done:
    cells_clear(&c);
    return st;
}

scw_status clue_translate_query(scw_results **out, const scw_model *model, const scw_dataset *query,
                                const scw_translate_request *request, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const clue_model *m = (const clue_model *)model;
    job *j = NULL;
    char name[2 * MODEL_NAME + 16];

    TRY(mem_new(&j, 1));
    *j = (job){.m = m, .query = query};
    TRY(find_modality(&j->from, model, request->from, "--from"));
    TRY(find_modality(&j->to, model, request->to, "--to"));
    if (j->from == j->to)
        FAIL(SCW_EINVAL, "'%s' was named for both --from and --to", request->from);
    (void)snprintf(name, sizeof name, "%s_from_%s", request->to, request->from);
    const char *called = request->name ? request->name : name;
    if (dataset_find_modality(query, called))
        FAIL(SCW_EINVAL, "there is a modality '%s' already; name the new one otherwise", called);
    TRY(write_parts_check(query));
    TRY(choose_level(j, request->coverage, hooks));
    TRY(choose_cells(j, hooks));
    if (request->batch_key) TRY(model_batches(&j->batch, model, query, request->batch_key));
    TRY(tape_new(&j->tape));
    TRY(results_new(out, query->n_obs));
    job *given = j;
    j = NULL;
    TRY(add_part(*out, given, called, request));
    log_info(hooks, "%lld cells: %s from %s", (long long)given->n, request->to, request->from);
done:
    job_free(j);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
