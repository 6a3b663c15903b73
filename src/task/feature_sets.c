/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/feature_sets.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "task/table.h"

#define LONGEST_LIST (1 << 26)

void feature_sets_clear(feature_sets *s)
{
    for (int k = 0; k < s->n; k++) {
        mem_free(s->at[k].name);
        mem_free(s->at[k].member);
    }
    mem_free(s->at);
    *s = (feature_sets){0};
}

static void mark_prefix(feature_set *set, const char *prefix, const strings *names)
{
    size_t n = strlen(prefix);

    for (int64_t j = 0; n && j < names->n; j++)
        set->member[j] |= strncasecmp(names->at[j], prefix, n) == 0;
}

static scw_status mark_list(feature_set *set, const char *path, const strings *names)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    char *text = NULL, *rest;
    int64_t n;

    TRY(text_file_read(&text, &n, path, LONGEST_LIST));
    TRY(name_index_build(&index, (const char *const *)names->at, names->n, NULL));
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        int64_t j = name_index_find(&index, line);
        if (j >= 0) set->member[j] = 1;
    }
done:
    name_index_clear(&index);
    mem_free(text);
    return st;
}

/* "name=prefix,prefix" or "name=@file"; the text is cut up. */
static scw_status read_set(feature_set *set, char *text, const strings *names)
{
    scw_status st = SCW_OK;
    char *equals = strchr(text, '='), *rest;

    if (!equals || equals == text || !equals[1])
        FAIL(SCW_EINVAL, "sets: '%s' is not NAME=PREFIX,PREFIX or NAME=@FILE", text);
    *equals = '\0';
    TRY(mem_strdup(&set->name, text));
    TRY(mem_new(&set->member, names->n));
    if (equals[1] == '@') {
        TRY(mark_list(set, equals + 2, names));
    } else {
        for (char *p = strtok_r(equals + 1, ",", &rest); p; p = strtok_r(NULL, ",", &rest))
            mark_prefix(set, p, names);
    }
    for (int64_t j = 0; j < names->n; j++)
        set->n_members += set->member[j];
done:
    return st;
}

scw_status feature_sets_read(feature_sets *out, const char *text, const strings *names)
{
    scw_status st = SCW_OK;
    char *copy = NULL, *rest = NULL;

    *out = (feature_sets){0};
    TRY(mem_strdup(&copy, text ? text : ""));
    for (char *one = strtok_r(copy, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
        TRY(mem_resize(&out->at, out->n + 1));
        out->at[out->n] = (feature_set){0};
        out->n++;
        TRY(read_set(&out->at[out->n - 1], one, names));
        for (int k = 0; k < out->n - 1; k++)
            if (strcmp(out->at[k].name, out->at[out->n - 1].name) == 0)
                FAIL(SCW_EINVAL, "sets: '%s' is defined twice", out->at[k].name);
    }
done:
    mem_free(copy);
    if (st != SCW_OK) feature_sets_clear(out);
    return st;
}
