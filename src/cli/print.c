/* SPDX-License-Identifier: BSD-3-Clause */
#include "print.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct print_table {
    int n_columns;
    char **cells; /* [n_cells], row after row, each owned */
    size_t n_cells, capacity;
};

print_table *print_table_new(int n_columns)
{
    print_table *t = cli_new(1, sizeof *t);
    t->n_columns = n_columns;
    return t;
}

void print_table_cell(print_table *t, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (t->n_cells == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64;
        char **cells = cli_new(capacity, sizeof *cells);
        if (t->n_cells) memcpy(cells, t->cells, t->n_cells * sizeof *cells);
        free(t->cells);
        t->cells = cells;
        t->capacity = capacity;
    }
    char *copy = cli_new(strlen(text) + 1, 1);
    memcpy(copy, text, strlen(text));
    t->cells[t->n_cells++] = copy;
}

/* Columns on the screen of UTF-8 text, as far as one character takes one. */
static int width(const char *s)
{
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static int is_number(const char *s)
{
    return *s == '\0' || strcmp(s, "-") == 0 || s[strspn(s, "0123456789.,+-e% ")] == '\0' ||
           strcmp(s, "nan") == 0 || strstr(s, " ± ");
}

void print_table_end(print_table *t, int indent)
{
    size_t n_columns = (size_t)t->n_columns;
    int *widths = cli_new(n_columns, sizeof *widths);
    int *numeric = cli_new(n_columns, sizeof *numeric);

    for (size_t c = 0; c < n_columns; c++) numeric[c] = t->n_cells > n_columns;
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t c = i % n_columns;
        if (width(t->cells[i]) > widths[c]) widths[c] = width(t->cells[i]);
        if (i >= n_columns && !is_number(t->cells[i])) numeric[c] = 0;
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t c = i % n_columns;
        int last = c + 1 == n_columns;
        int space = widths[c] - width(t->cells[i]);
        (void)printf("%*s", c == 0 ? indent : 2, "");
        if (numeric[c]) (void)printf("%*s%s", space, "", t->cells[i]);
        if (!numeric[c]) (void)printf("%s%*s", t->cells[i], last ? 0 : space, "");
        if (last) (void)putchar('\n');
    }
    for (size_t i = 0; i < t->n_cells; i++) free(t->cells[i]);
    free(t->cells);
    free(widths);
    free(numeric);
    free(t);
}

json_t *print_parse(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);

    if (!root) (void)fprintf(stderr, "scweave: a report cannot be read: %s\n", error.text);
    return root;
}

int print_either(const char *text, int as_json, void (*show)(const json_t *report))
{
    if (as_json) {
        (void)puts(text);
        return CLI_OK;
    }
    json_t *root = print_parse(text);
    if (!root) return CLI_FAILURE;
    show(root);
    json_decref(root);
    return CLI_OK;
}

const char *print_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double print_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const char *print_count(char out[32], double n)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%.0f", n);
    char *o = out;

    if (!isfinite(n) || length > 20) return memcpy(out, "-", 2);
    for (int i = 0; i < length; i++) {
        *o++ = digits[i];
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-') *o++ = ',';
    }
    *o = '\0';
    return out;
}
