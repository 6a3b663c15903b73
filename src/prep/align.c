/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/align.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "data/identity.h"

void alignment_clear(alignment *a)
{
    mem_free(a->from);
    mem_free(a->has_feature);
    *a = (alignment){0};
}

static scw_status match(alignment *a, const strings *model_names, const strings *query_names)
{
    scw_status st = SCW_OK;
    name_index index = {0};

    TRY(name_index_build(&index, (const char *const *)query_names->at, query_names->n, NULL));
    a->n_found = 0;
    for (int64_t j = 0; j < a->n_vars; j++) {
        a->from[j] = name_index_find(&index, model_names->at[j]);
        a->has_feature[j] = a->from[j] >= 0;
        a->n_found += a->from[j] >= 0;
    }
done:
    name_index_clear(&index);
    return st;
}

/* Lower case; no . - _ or space; an Ensembl id loses its version. */
static scw_status loose_names(strings *out, const strings *names)
{
    scw_status st = SCW_OK;
    textbuf word = {0};

    for (int64_t j = 0; j < names->n; j++) {
        const char *s = names->at[j];
        bool ensembl = strncmp(s, "ENS", 3) == 0;
        word.length = 0;
        TRY(text_add(&word, "%s", ""));
        for (; *s && !(ensembl && *s == '.'); s++) {
            char c = (char)tolower((unsigned char)*s);
            if (!strchr(".-_ ", c)) TRY(text_add_bytes(&word, &c, 1));
        }
        TRY(strings_add(out, text_get(&word)));
    }
done:
    text_clear(&word);
    return st;
}

/* Loose names may coincide; a query column then serves the first model feature only. */
static void drop_repeated(alignment *a, uint8_t *used)
{
    for (int64_t j = 0; j < a->n_vars; j++) {
        if (a->from[j] < 0) continue;
        if (used[a->from[j]]) {
            a->from[j] = -1;
            a->has_feature[j] = 0;
            a->n_found--;
        } else {
            used[a->from[j]] = 1;
        }
    }
}

scw_status alignment_build(alignment *out, const strings *model_names, const strings *query_names)
{
    scw_status st = SCW_OK;
    strings loose_model = {0}, loose_query = {0};
    uint8_t *used = NULL;

    *out = (alignment){.n_vars = model_names->n};
    TRY(mem_new(&out->from, out->n_vars));
    TRY(mem_new(&out->has_feature, out->n_vars));
    TRY(match(out, model_names, query_names));
    if (2 * out->n_found < out->n_vars) {
        int64_t exact = out->n_found;
        TRY(loose_names(&loose_model, model_names));
        TRY(loose_names(&loose_query, query_names));
        TRY(mem_new(&used, query_names->n));
        TRY(match(out, &loose_model, &loose_query));
        drop_repeated(out, used);
        if (out->n_found <= exact) TRY(match(out, model_names, query_names));
    }
    out->n_extra = query_names->n - out->n_found;
done:
    strings_clear(&loose_model);
    strings_clear(&loose_query);
    mem_free(used);
    if (st != SCW_OK) alignment_clear(out);
    return st;
}

scw_status alignment_build_var(alignment *out, const strings *model_names, const frame *query_var)
{
    scw_status st = SCW_OK;
    const frame wanted = {.n_rows = model_names->n, .index = *model_names};
    features_how how;
    int64_t *at = NULL;

    TRY(alignment_build(out, model_names, &query_var->index));
    if (2 * out->n_found >= out->n_vars) return SCW_OK;
    TRY(mem_new(&at, wanted.n_rows));
    TRY(features_match(at, &how, &wanted, query_var));
    if (how.n_found <= out->n_found) goto done;
    mem_free(out->from);
    out->from = at;
    at = NULL;
    for (int64_t j = 0; j < out->n_vars; j++) out->has_feature[j] = out->from[j] >= 0;
    out->n_found = how.n_found;
    out->n_extra = query_var->n_rows - how.n_found;
    out->column = how.there;
done:
    mem_free(at);
    if (st != SCW_OK) alignment_clear(out);
    return st;
}
