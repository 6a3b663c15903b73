/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/identity.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"

/* Names of var columns that hold symbols or stable ids, as 10x, scanpy, CELLxGENE and loom write them. */
static bool identifies(const char *name)
{
    static const char *const known[] = {
        "gene_ids",     "gene_id",     "ensembl_id",   "ensembl_ids",   "ensembl",  "feature_id",
        "feature_ids",  "id",          "accession",    "gene_symbols",  "gene_symbol",
        "gene_name",    "gene_names",  "feature_name", "feature_names", "symbol",   "symbols",
        "gene",         "gene_short_name", "ensembl_gene_id", "hgnc_symbol", "name"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i]) == 0) return true;
    return false;
}

/* Ids of Ensembl end in a version, ".5", that changes from release to release. */
static scw_status without_versions(strings *names)
{
    for (int64_t i = 0; i < names->n; i++) {
        char *name = names->at[i], *point = strrchr(name, '.');
        if (strncmp(name, "ENS", 3) != 0 || !point || point[1] == '\0') continue;
        if (strspn(point + 1, "0123456789") == strlen(point + 1)) *point = '\0';
    }
    return SCW_OK;
}

static scw_status candidate(strings *out, const frame *f, int64_t k)
{
    scw_status st = SCW_OK;

    TRY(k < 0 ? strings_copy(out, &f->index) : column_texts(out, &f->columns[k]));
    TRY(without_versions(out));
done:
    return st;
}

static bool is_candidate(const frame *f, int64_t k)
{
    if (k < 0) return true;
    const column *c = &f->columns[k];
    return (c->kind == COLUMN_STRING || c->kind == COLUMN_CATEGORICAL) && identifies(c->name);
}

/* Partners by these names; "" names nothing. */
static scw_status match(int64_t *at, int64_t *n_found, const strings *wanted, const strings *there)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    uint8_t *used = NULL;

    *n_found = 0;
    TRY(name_index_build(&index, (const char *const *)there->at, there->n, NULL));
    TRY(mem_new(&used, there->n));
    for (int64_t j = 0; j < wanted->n; j++) {
        at[j] = *wanted->at[j] ? name_index_find(&index, wanted->at[j]) : -1;
        if (at[j] >= 0 && used[at[j]]++) at[j] = -1;
        *n_found += at[j] >= 0;
    }
done:
    mem_free(used);
    name_index_clear(&index);
    return st;
}

scw_status features_match(int64_t *at, features_how *how, const frame *wanted, const frame *there)
{
    scw_status st = SCW_OK;
    int64_t *trial = NULL, found;
    int64_t smaller = wanted->n_rows < there->n_rows ? wanted->n_rows : there->n_rows;
    strings a = {0}, b = {0};

    *how = (features_how){0};
    TRY(match(at, &how->n_found, &wanted->index, &there->index));
    if (2 * how->n_found >= smaller) goto done;
    TRY(mem_new(&trial, wanted->n_rows));
    for (int64_t i = -1; i < wanted->n_columns; i++) {
        if (!is_candidate(wanted, i)) continue;
        strings_clear(&a);
        TRY(candidate(&a, wanted, i));
        for (int64_t k = -1; k < there->n_columns; k++) {
            if (!is_candidate(there, k)) continue;
            strings_clear(&b);
            TRY(candidate(&b, there, k));
            TRY(match(trial, &found, &a, &b));
            if (found <= how->n_found) continue;
            memcpy(at, trial, (size_t)wanted->n_rows * sizeof *at);
            *how = (features_how){i < 0 ? NULL : wanted->columns[i].name,
                                  k < 0 ? NULL : there->columns[k].name, found};
        }
    }
done:
    mem_free(trial);
    strings_clear(&a);
    strings_clear(&b);
    return st;
}
