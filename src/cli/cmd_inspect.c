/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave inspect: what is in a file and what is wrong with it. */
#include <string.h>

#include "cli.h"
#include "print.h"

typedef struct options {
    int json;
} options;

static const scw_option table[] = {
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Inspection",
     "print one JSON document a file (docs/formats.md)"},
    {.type = SCW_OPTION_END},
};

/* ["a", "b", "c"] as "a, b, c", at most `most` of them. */
static void join(char *out, size_t size, const json_t *list, size_t most)
{
    size_t k, used = 0;
    const json_t *v;

    (void)snprintf(out, size, "-");
    json_array_foreach(list, k, v)
    {
        if (k >= most || used >= size) break;
        used += (size_t)snprintf(out + used, size - used, "%s%s", k ? ", " : "",
                                 json_string_value(v) ? json_string_value(v) : "?");
    }
    if (k < json_array_size(list) && used < size)
        (void)snprintf(out + used, size - used, ", ... (%zu)", json_array_size(list));
}

/* "csr float32", "dense float32" */
static void print_storage(print_table *t, const json_t *x)
{
    const char *encoding = print_text(x, "encoding");

    if (json_is_false(json_object_get(x, "sparse"))) encoding = "dense";
    print_table_cell(t, "%.*s %s", (int)strcspn(encoding, "_"), encoding, print_text(x, "dtype"));
}

static void print_values(print_table *t, const json_t *x)
{
    const char *what = json_is_true(json_object_get(x, "counts")) ? "counts" : "not counts";

    if (!json_is_number(json_object_get(x, "minimum")))
        print_table_cell(t, "-");
    else
        print_table_cell(t, "%g to %g, %s", print_number(x, "minimum"), print_number(x, "maximum"),
                         what);
}

static void print_modalities(const json_t *modalities)
{
    static const char *const headings[] = {"modality", "cells",  "features", "matrix",
                                           "filled",   "values", "layers",   "var columns"};
    const int n = sizeof headings / sizeof *headings;
    char text[256], count[32];
    size_t k;
    const json_t *m;

    print_table *t = print_table_new(n);
    for (int h = 0; h < n; h++) print_table_cell(t, "%s", headings[h]);
    json_array_foreach(modalities, k, m)
    {
        const json_t *x = json_object_get(m, "x");
        print_table_cell(t, "%s", print_text(m, "name"));
        print_table_cell(t, "%s", print_count(count, print_number(m, "n_obs")));
        print_table_cell(t, "%s", print_count(count, print_number(m, "n_vars")));
        print_storage(t, x);
        print_table_cell(t, "%.1f %%", 100.0 * print_number(x, "density"));
        print_values(t, x);
        join(text, sizeof text, json_object_get(m, "layers"), 4);
        print_table_cell(t, "%s%s", text, json_is_true(json_object_get(m, "raw")) ? ", raw" : "");
        join(text, sizeof text, json_object_get(m, "var"), 4);
        print_table_cell(t, "%s", text);
    }
    print_table_end(t, 2);
}

/* "CD4 T (516), B (135), ..." */
static void print_most_frequent(print_table *t, const json_t *column)
{
    char text[160] = "", count[32];
    const json_t *values = json_object_get(column, "most_frequent"), *v;
    size_t k, used = 0;

    json_array_foreach(values, k, v)
    {
        char one[128];
        int n = snprintf(one, sizeof one, "%s%s (%s)", k ? ", " : "", print_text(v, "value"),
                         print_count(count, print_number(v, "count")));
        if (n < 0 || n >= (int)sizeof one || used + (size_t)n > 68) break;
        memcpy(text + used, one, (size_t)n + 1);
        used += (size_t)n;
    }
    if (json_array_size(values) == 0 && json_is_number(json_object_get(column, "minimum")))
        print_table_cell(t, "%g to %g", print_number(column, "minimum"),
                         print_number(column, "maximum"));
    else
        print_table_cell(t, "%s%s", text, (double)k < print_number(column, "n_values") ? ", ..." : "");
}

static void print_columns(const json_t *columns)
{
    static const char *const headings[] = {"obs column", "kind", "values", "missing", "content"};
    const int n = sizeof headings / sizeof *headings;
    char count[32];
    size_t k;
    const json_t *c;

    if (json_array_size(columns) == 0) return;
    (void)putchar('\n');
    print_table *t = print_table_new(n);
    for (int h = 0; h < n; h++) print_table_cell(t, "%s", headings[h]);
    json_array_foreach(columns, k, c)
    {
        print_table_cell(t, "%s", print_text(c, "name"));
        print_table_cell(t, "%s", print_text(c, "kind"));
        print_table_cell(t, "%s", print_count(count, print_number(c, "n_values")));
        print_table_cell(t, "%s", print_count(count, print_number(c, "n_missing")));
        print_most_frequent(t, c);
    }
    print_table_end(t, 2);
}

static void print_problems(const json_t *problems)
{
    size_t k;
    const json_t *p;

    (void)fputs(json_array_size(problems) ? "\n" : "\n  no problems found\n", stdout);
    json_array_foreach(problems, k, p)
        (void)printf("  %s: %s: %s\n", print_text(p, "severity"), print_text(p, "element"),
                     print_text(p, "text"));
}

static void print_arrays(const json_t *owner, const char *of)
{
    char text[256];
    const json_t *obsm = json_object_get(owner, "obsm");

    if (json_array_size(obsm) == 0) return;
    join(text, sizeof text, obsm, 12);
    (void)printf("\n  obsm%s%s: %s\n", *of ? " of " : "", of, text);
}

static void print_file(const json_t *file)
{
    char count[32];
    size_t k;
    const json_t *m;

    (void)printf("%s: %s", print_text(file, "path"), print_text(file, "kind"));
    if (json_is_number(json_object_get(file, "n_obs")))
        (void)printf(", %s cells", print_count(count, print_number(file, "n_obs")));
    (void)fputs("\n\n", stdout);
    print_modalities(json_object_get(file, "modalities"));
    print_columns(json_object_get(file, "obs"));
    print_arrays(file, "");
    json_array_foreach(json_object_get(file, "modalities"), k, m)
        print_arrays(m, print_text(m, "name"));
    print_problems(json_object_get(file, "problems"));
}

static int show(cli_run *r, const char *path)
{
    const options *o = r->options;
    char *text = NULL;

    int result = cli_finish(r, scw_inspect(&text, path, r->hooks));
    if (result == CLI_OK) result = print_either(text, o->json, print_file);
    scw_free(text);
    return result;
}

/* Every file is looked at, also behind one that fails. */
static int run(cli_run *r)
{
    const options *o = r->options;
    int result = CLI_OK;

    if (r->n_arguments == 0) return cli_misuse(r, "name the files to look at");
    for (int k = 0; k < r->n_arguments; k++) {
        if (k && !o->json) (void)putchar('\n');
        int one = show(r, r->arguments[k]);
        if (one != CLI_OK) result = one;
        if (one == CLI_INTERRUPTED) break;
    }
    return result;
}

const cli_command cli_cmd_inspect = {
    "inspect",
    run,
    "say what is in a file: shapes, sparsity, values, labels, problems",
    "FILE... [--json]",
    "Reads no more than is needed, and as far as it can of files that the other commands refuse.",
    "scweave inspect pbmc.h5mu",
    table,
    sizeof(options),
    0,
};
