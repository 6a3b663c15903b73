/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/splits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define LINE_SIZE 4096

void splits_clear(splits *s)
{
    mem_free(s->fold);
    strings_clear(&s->names);
    *s = (splits){0};
}

/* Field number k of a tab-separated line, cut out in place; NULL when there are fewer. */
static char *field(char *line, int k)
{
    for (; k > 0 && line; k--) {
        line = strchr(line, '\t');
        if (line) line++;
    }
    return line;
}

static void end_field(char *f)
{
    f[strcspn(f, "\t\r\n")] = '\0';
}

static int find_header(const char *header, const char *name)
{
    size_t n = strlen(name);
    int k = 0;

    for (const char *at = header; at; k++) {
        if (strncmp(at, name, n) == 0 && strchr("\t\r\n", at[n])) return k;
        at = strchr(at, '\t');
        if (at) at++;
    }
    return -1;
}

static scw_status parse_line(splits *out, strings *fold_of, char *line, int cell_at, int fold_at,
                             const name_index *cells, const char *path, int64_t number)
{
    scw_status st = SCW_OK;
    char *cell = field(line, cell_at), *fold = field(line, fold_at);

    if (!cell || !fold)
        FAIL(SCW_EFORMAT, "%s, line %lld: too few columns", path, (long long)number);
    end_field(cell_at < fold_at ? fold : cell);
    end_field(cell_at < fold_at ? cell : fold);
    int64_t i = name_index_find(cells, cell);
    if (i < 0)
        FAIL(SCW_ENOTFOUND, "%s, line %lld: the data has no cell '%s'", path, (long long)number,
             cell);
    TRY(strings_add(fold_of, fold));
    out->fold[i] = (int32_t)(fold_of->n - 1);
done:
    return st;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* From line numbers to positions in the sorted list of distinct fold names. */
static scw_status name_folds(splits *out, const strings *fold_of, const char *path)
{
    scw_status st = SCW_OK;
    strings sorted = {0};
    name_index index = {0};

    TRY(strings_copy(&sorted, fold_of));
    qsort(sorted.at, (size_t)sorted.n, sizeof *sorted.at, compare_names);
    for (int64_t k = 0; k < sorted.n; k++)
        if (k == 0 || strcmp(sorted.at[k], sorted.at[k - 1]) != 0)
            TRY(strings_add(&out->names, sorted.at[k]));
    if (out->names.n < 2) FAIL(SCW_EFORMAT, "%s: fewer than two folds", path);
    TRY(name_index_build(&index, (const char *const *)out->names.at, out->names.n, NULL));
    for (int64_t i = 0; i < out->n_obs; i++)
        if (out->fold[i] >= 0)
            out->fold[i] = (int32_t)name_index_find(&index, fold_of->at[out->fold[i]]);
done:
    strings_clear(&sorted);
    name_index_clear(&index);
    return st;
}

scw_status splits_read(splits *out, const char *path, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    char line[LINE_SIZE];
    strings fold_of = {0};
    name_index cells = {0};
    int64_t number = 1;

    *out = (splits){.n_obs = d->n_obs};
    FILE *file = fopen(path, "r");
    if (!file) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    TRY(mem_new(&out->fold, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++)
        out->fold[i] = -1;
    TRY(name_index_build(&cells, (const char *const *)d->obs.index.at, d->n_obs, NULL));
    if (!fgets(line, sizeof line, file)) FAIL(SCW_EFORMAT, "%s: the file is empty", path);
    int cell_at = find_header(line, "cell"), fold_at = find_header(line, "fold");
    if (cell_at < 0 || fold_at < 0)
        FAIL(SCW_EFORMAT,
             "%s: the header must name the columns 'cell' and 'fold', separated by tabs", path);
    while (fgets(line, sizeof line, file)) {
        number++;
        if (!strchr(line, '\n') && !feof(file))
            FAIL(SCW_EFORMAT, "%s, line %lld: longer than %d bytes", path, (long long)number,
                 LINE_SIZE - 2);
        if (line[strspn(line, "\r\n")] == '\0') continue;
        TRY(parse_line(out, &fold_of, line, cell_at, fold_at, &cells, path, number));
    }
    TRY(name_folds(out, &fold_of, path));
done:
    if (file) (void)fclose(file);
    strings_clear(&fold_of);
    name_index_clear(&cells);
    if (st != SCW_OK) splits_clear(out);
    return st;
}
