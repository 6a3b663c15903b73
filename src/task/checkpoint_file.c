/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/checkpoint_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"
#include "scweave/version.h"
#include "task/model_file.h"

#define FORMAT "scweave-checkpoint-1"

/* --------------------------------------------------------------------------------- identity */

/* The counts of all cells, block by block. */
static scw_status hash_counts(uint64_t *h, const reference_modality *x, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL;
    block_reader *counts = NULL;
    row_block b = {0};
    bool more;

    TRY(mem_new(&rows, n));
    for (int64_t i = 0; i < n; i++) rows[i] = i;
    const row_list all = reference_rows(x, rows, n);
    TRY(row_list_reader(&counts, &all));
    for (;;) {
        TRY(block_reader_next(&b, counts, &more));
        if (!more) break;
        const matrix *y = &b.x;
        *h = hash_bytes(*h, y->indptr, (y->n_rows + 1) * (int64_t)sizeof *y->indptr);
        *h = hash_bytes(*h, y->indices, y->indptr[y->n_rows] * (int64_t)sizeof *y->indices);
        *h = hash_bytes(*h, y->values, y->indptr[y->n_rows] * (int64_t)sizeof *y->values);
    }
done:
    row_block_clear(&b);
    block_reader_free(counts);
    mem_free(rows);
    return st;
}

static scw_status hash_modality(uint64_t *out, const reference_modality *x, int64_t n)
{
    scw_status st = SCW_OK;
    uint64_t h = *out;

    h = hash_text(h, x->name);
    h = hash_bytes(h, &x->kind, sizeof x->kind);
    for (int64_t f = 0; f < x->features->n; f++)
        h = hash_text(h, x->features->at[f]);
    TRY(hash_counts(&h, x, n));
    *out = hash_bytes(h, x->present, n * (int64_t)sizeof *x->present);
done:
    return st;
}

static scw_status hash_data(uint64_t *out, const reference *r)
{
    scw_status st = SCW_OK;
    uint64_t h = hash_bytes(HASH_START, r->labels, r->n * (int64_t)sizeof *r->labels);

    for (int64_t c = 0; c < r->classes.n; c++)
        h = hash_text(h, r->classes.at[c]);
    for (int k = 0; k < r->n_modalities; k++)
        TRY(hash_modality(&h, &r->modality[k], r->n));
    if (!r->batches) goto done;
    h = hash_bytes(h, r->batches, r->n * (int64_t)sizeof *r->batches);
    for (int64_t b = 0; b < r->batch_names.n; b++)
        h = hash_text(h, r->batch_names.at[b]);
done:
    *out = h;
    return st;
}

static scw_status put_text(json_t *to, const char *key, const char *text)
{
    if (json_object_set_new(to, key, json_string(text)) == 0) return SCW_OK;
    return status_fail(SCW_ENOMEM, "out of memory in a checkpoint");
}

static scw_status put_number(json_t *to, const char *key, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return put_text(to, key, text);
}

static scw_status put_hash(json_t *to, const char *key, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%016" PRIx64, value);
    return put_text(to, key, text);
}

/* The texts that two parts of the same fit have alike. */
static scw_status identify(checkpoint_file *f)
{
    scw_status st = SCW_OK;
    json_t *options = NULL, *to = NULL;
    char from[FINGERPRINT] = "no model";
    uint64_t data;

    if (f->identity) return SCW_OK;
    to = json_object();
    TRY(put_text(to, "format", FORMAT));
    TRY(put_text(to, "version", scw_version()));
    TRY(put_text(to, "model", f->kind->name));
    if (f->request->from) TRY(model_fingerprint(from, f->request->from));
    TRY(put_text(to, "from", from));
    TRY(put_text(to, "label", f->request->label_key ? f->request->label_key : ""));
    TRY(put_number(to, "seed", f->request->seed));
    TRY(put_number(to, "threads", (uint64_t)threads_get()));
    TRY(hash_data(&data, f->ref));
    TRY(put_hash(to, "data", data));
    TRY(model_file_options(&options, f->kind, f->options, f->ref->batches != NULL));
    TRY(model_file_put(to, "options", options));
    f->identity = to;
    to = NULL;
done:
    json_decref(to);
    return st;
}

/* ------------------------------------------------------------------------------------- save */

static uint64_t hash_content(const safetensor *tensors, int64_t n, const char *state)
{
    uint64_t h = hash_text(HASH_START, state);

    for (int64_t k = 0; k < n; k++) {
        h = hash_text(h, tensors[k].name);
        h = hash_bytes(h, tensors[k].data, tensors[k].size * (int64_t)sizeof *tensors[k].data);
    }
    return h;
}

static scw_status save(void *self, const checkpoint *c)
{
    scw_status st = SCW_OK;
    checkpoint_file *f = self;
    safetensor tensors[CHECKPOINT_MAX_BLOCKS];
    json_t *metadata = NULL;

    TRY(identify(f));
    for (int k = 0; k < c->n_blocks; k++)
        tensors[k] = (safetensor){.name = c->block[k].name,
                                  .n_dims = 1,
                                  .dim = {c->block[k].n},
                                  .size = c->block[k].n,
                                  .data = c->block[k].value};
    metadata = json_copy(f->identity);
    TRY(model_file_put(metadata, "state", json_incref(c->state)));
    const char *state = json_string_value(json_object_get(metadata, "state"));
    TRY(put_hash(metadata, "content", hash_content(tensors, c->n_blocks, state)));
    TRY(safetensors_write(f->request->checkpoint, tensors, c->n_blocks, metadata));
    log_detail(f->hooks, "checkpoint written");
done:
    json_decref(metadata);
    return st;
}

/* ------------------------------------------------------------------------------------- read */

/* Names and values of options that differ, into `out`. */
static scw_status compare_options(textbuf *out, const char *then, const char *now)
{
    scw_status st = SCW_OK;
    json_t *a = json_loads(then, 0, NULL), *b = json_loads(now, 0, NULL), *value;
    const char *name;

    json_object_foreach(b, name, value)
    {
        const char *old = json_string_value(json_object_get(a, name));
        const char *new = json_string_value(value);
        if (!old || !new || strcmp(old, new) != 0)
            TRY(text_add(out, "%s--%s was %s, now %s", out->length ? "; " : "", name,
                         old ? old : "not there", new ? new : "not there"));
    }
done:
    json_decref(a);
    json_decref(b);
    return st;
}

/* What the checkpoint says otherwise than this call. */
static scw_status compare(textbuf *out, const checkpoint_file *f)
{
    static const char *const keys[][2] = {{"version", "version of scweave"},
                                          {"model", "model"},
                                          {"from", "the model to start from"},
                                          {"label", "--label"},
                                          {"seed", "--seed"}};
    scw_status st = SCW_OK;

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const char *then = safetensors_text(&f->file, keys[k][0]);
        const char *now = json_string_value(json_object_get(f->identity, keys[k][0]));
        if (strcmp(then, now) != 0)
            TRY(text_add(out, "%s%s was %s, now %s", out->length ? "; " : "", keys[k][1], then,
                         now));
    }
    TRY(compare_options(out, safetensors_text(&f->file, "options"),
                        json_string_value(json_object_get(f->identity, "options"))));
    if (strcmp(safetensors_text(&f->file, "data"),
               json_string_value(json_object_get(f->identity, "data"))) != 0)
        TRY(text_add(out, "%sthe data are not the same (cells, labels, features or counts)",
                     out->length ? "; " : ""));
done:
    return st;
}

static bool is_checkpoint(const safetensors_file *f)
{
    const char *format = safetensors_text(f, "format");

    return format && strcmp(format, FORMAT) == 0;
}

/* Whole and undamaged? */
static scw_status check_content(const checkpoint_file *f)
{
    static const char *const keys[] = {"version", "model", "from",    "label", "seed",
                                       "threads", "data",  "options", "state"};
    scw_status st = SCW_OK;
    const char *path = f->request->checkpoint;
    const char *content = safetensors_text(&f->file, "content");
    char found[32];

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (!safetensors_text(&f->file, keys[k]))
            FAIL(SCW_EFORMAT, "%s: the checkpoint has no '%s'", path, keys[k]);
    uint64_t h = hash_content(f->file.tensors, f->file.n, safetensors_text(&f->file, "state"));
    (void)snprintf(found, sizeof found, "%016" PRIx64, h);
    if (!content || strcmp(content, found) != 0 || f->file.n > CHECKPOINT_MAX_BLOCKS)
        FAIL(SCW_EFORMAT, "%s: the checkpoint is damaged: its content does not match its "
                          "fingerprint", path);
done:
    return st;
}

static scw_status check_identity(checkpoint_file *f)
{
    scw_status st = SCW_OK;
    const char *path = f->request->checkpoint;
    textbuf differs = {0};

    TRY(identify(f));
    TRY(compare(&differs, f));
    if (differs.length > 0)
        FAIL(SCW_EDATA,
             "%s is the checkpoint of another fit and cannot be continued: %s. Repeat that fit's "
             "command, or leave --resume out to start anew",
             path, text_get(&differs));
    const char *then = safetensors_text(&f->file, "threads");
    const char *now = json_string_value(json_object_get(f->identity, "threads"));
    if (strcmp(then, now) != 0)
        log_warning(f->hooks,
                    "%s was made with %s threads, this run has %s: the result may differ in its "
                    "last bits from that of an uninterrupted fit",
                    path, then, now);
done:
    text_clear(&differs);
    return st;
}

static scw_status start_from(checkpoint_file *f)
{
    scw_status st = SCW_OK;
    const char *path = f->request->checkpoint;

    if (!is_checkpoint(&f->file))
        FAIL(SCW_EFORMAT, "%s: is not a checkpoint that this version of scweave reads", path);
    TRY(check_content(f));
    TRY(check_identity(f));
    f->resume.state = json_loads(safetensors_text(&f->file, "state"), 0, NULL);
    if (!json_is_object(f->resume.state))
        FAIL(SCW_EFORMAT, "%s: the checkpoint has no valid 'state'", path);
    for (int64_t k = 0; k < f->file.n; k++) {
        const safetensor *t = &f->file.tensors[k];
        checkpoint_add(&f->resume, t->name, t->data, t->size);
    }
    f->plan.resume = &f->resume;
done:
    return st;
}

/* A file that lies where the checkpoint is to be written, but is not to be continued. */
static scw_status check_replaced(const checkpoint_file *f, scw_status read)
{
    const char *path = f->request->checkpoint;

    if (read != SCW_OK && read != SCW_EFORMAT) return read;
    if (read != SCW_OK || !is_checkpoint(&f->file))
        return status_fail(SCW_EIO,
                           "%s: is where the checkpoint is to be written, but is no checkpoint of "
                           "scweave; move it away, or name another file with --checkpoint",
                           path);
    log_warning(f->hooks,
                "%s holds an interrupted fit, which --resume would continue; this one starts from "
                "the beginning and replaces it",
                path);
    return SCW_OK;
}

scw_status checkpoint_file_open(checkpoint_file *out, const checkpoint_plan **plan,
                                const scw_fit_request *request, const scw_model_kind *kind,
                                const void *options, const reference *ref, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    struct stat info;
    const char *path = request->checkpoint;

    *out = (checkpoint_file){.request = request,
                             .kind = kind,
                             .options = options,
                             .ref = ref,
                             .hooks = hooks,
                             .plan = {.where = path,
                                      .minutes = request->checkpoint_minutes,
                                      .epochs = request->checkpoint_epochs,
                                      .self = out,
                                      .save = save}};
    *plan = path ? &out->plan : NULL;
    if (!path && request->resume) FAIL(SCW_EINVAL, "a fit to be continued needs its checkpoint");
    if (!path) goto done;
    if (stat(path, &info) != 0) {
        if (errno != ENOENT) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
        if (request->resume)
            log_info(hooks, "there is no checkpoint %s: training starts from the beginning", path);
        goto done;
    }
    st = safetensors_read(&out->file, path);
    if (!request->resume) {
        TRY(check_replaced(out, st));
        safetensors_clear(&out->file);
        goto done;
    }
    if (st == SCW_OK) st = start_from(out);
    if (st == SCW_EFORMAT)
        st = status_prefix(st, "cannot resume (without --resume, and with that file moved away, "
                               "training starts from the beginning)");
done:
    if (st != SCW_OK) checkpoint_file_clear(out);
    return st;
}

void checkpoint_file_clear(checkpoint_file *f)
{
    json_decref(f->identity);
    checkpoint_clear(&f->resume);
    safetensors_clear(&f->file);
    *f = (checkpoint_file){0};
}
