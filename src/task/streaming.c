/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/streaming.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "task/obs.h"

scw_status streaming_open(block_reader **out, const scw_dataset *d, int k)
{
    return modality_rows(out, &d->modalities[k]);
}

scw_status streaming_modality(int *out, const scw_dataset *d, const char *name, const char *usual)
{
    scw_status st = SCW_OK;
    textbuf list = {0};

    for (int k = 0; k < d->n_modalities; k++) {
        const char *one = d->modalities[k].name;
        *out = k;
        if (name ? strcmp(one, name) == 0 : d->n_modalities == 1) goto done;
        if (!name && usual && strcmp(one, usual) == 0) goto done;
        TRY(text_add(&list, "%s%s", k ? ", " : "", one));
    }
    if (!name) FAIL(SCW_EINVAL, "which modality? there are: %s", text_get(&list));
    FAIL(SCW_ENOTFOUND, "no modality '%s'; there %s: %s", name, d->n_modalities == 1 ? "is" : "are",
         text_get(&list));
done:
    text_clear(&list);
    return st;
}

scw_status streaming_batches(int32_t **codes, int32_t *n_batches, strings *names,
                             const scw_dataset *d, int k, const char *key)
{
    scw_status st = SCW_OK;
    const modality *m = &d->modalities[k];
    int32_t *all = NULL;
    strings classes = {0};

    *codes = NULL;
    *n_batches = 1;
    if (!key) goto done;
    TRY(obs_classes(&all, &classes, d, d->n_files ? d->files[0].path : "data", key));
    TRY(mem_new(codes, m->x.n_rows));
    for (int64_t r = 0; r < m->x.n_rows; r++)
        (*codes)[r] = (int32_t)classes.n;
    bool missing = m->n_present < m->x.n_rows;
    for (int64_t i = 0; i < d->n_obs; i++) {
        if (m->row_of_obs[i] < 0) continue;
        missing |= all[i] < 0;
        if (all[i] >= 0) (*codes)[m->row_of_obs[i]] = all[i];
    }
    if (missing) TRY(strings_add(&classes, "(missing)"));
    *n_batches = (int32_t)classes.n;
    if (names) {
        *names = classes;
        classes = (strings){0};
    }
done:
    mem_free(all);
    strings_clear(&classes);
    return st;
}

static bool looks_like_ids(const strings *names)
{
    int64_t n = 0, look = names->n < 100 ? names->n : 100;

    for (int64_t j = 0; j < look; j++)
        n += strncmp(names->at[j], "ENS", 3) == 0;
    return look > 0 && 2 * n > look;
}

scw_status streaming_symbols(const strings **out, strings *copy, const modality *m)
{
    static const char *const keys[] = {"gene_symbols", "gene_symbol", "gene_name", "gene_names",
                                       "feature_name", "symbol",      "SYMBOL"};
    scw_status st = SCW_OK;

    *copy = (strings){0};
    *out = &m->var.index;
    if (!looks_like_ids(&m->var.index)) goto done;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const column *c = frame_find(&m->var, keys[i]);
        if (!c || (c->kind != COLUMN_STRING && c->kind != COLUMN_CATEGORICAL)) continue;
        TRY(column_texts(copy, c));
        *out = copy;
        break;
    }
done:
    return st;
}

scw_status streaming_json(int failed)
{
    return failed ? status_fail(SCW_ENOMEM, "out of memory in the report") : SCW_OK;
}

scw_status streaming_report(char **out, const json_t *report)
{
    scw_status st = SCW_OK;
    char *text = NULL;

    if (!out) return SCW_OK;
    *out = NULL;
    text = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    if (!text) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(mem_strdup(out, text));
done:
    free(text);
    return st;
}

scw_status streaming_reals(column *out, const char *name, const double *values, int64_t n)
{
    scw_status st = SCW_OK;

    TRY(column_init(out, name, COLUMN_FLOAT, n));
    if (n > 0) memcpy(out->f64, values, (size_t)n * sizeof *values);
done:
    return st;
}

scw_status streaming_ints(column *out, const char *name, const int64_t *values, int64_t n)
{
    scw_status st = SCW_OK;

    TRY(column_init(out, name, COLUMN_INT, n));
    if (n > 0) memcpy(out->i64, values, (size_t)n * sizeof *values);
done:
    return st;
}

scw_status streaming_bools(column *out, const char *name, const uint8_t *values, int64_t n)
{
    scw_status st = SCW_OK;

    TRY(column_init(out, name, COLUMN_BOOL, n));
    if (n > 0) memcpy(out->boolean, values, (size_t)n);
done:
    return st;
}
