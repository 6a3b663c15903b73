/* SPDX-License-Identifier: BSD-3-Clause */
/* Data on stdout: aligned tables, and the library's JSON reports as text for people. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>

#include <scweave/scweave.h>

/* A table grows cell by cell, row by row; the first row is the heading. A column of numbers is set
 * to the right. */
typedef struct print_table print_table;

print_table *print_table_new(int n_columns);
void print_table_cell(print_table *t, const char *format, ...) SCW_PRINTF(2, 3);
/* Print to stdout, each line indented, and free. */
void print_table_end(print_table *t, int indent);

/* A report of the library; NULL, with a message on stderr, when the text is not JSON. */
json_t *print_parse(const char *text);
/* The report as it is (as_json), or as `show` prints it. Exit status. */
int print_either(const char *text, int as_json, void (*show)(const json_t *report));

/* A report as text: members one a line, lists of objects as tables, nested ones indented. */
void print_report(const json_t *report, int indent);

/* Members with defaults for what is absent: "" and NaN. */
const char *print_text(const json_t *object, const char *key);
double print_number(const json_t *object, const char *key);

/* "12,345": whole numbers are easier to read so. */
const char *print_count(char out[32], double n);

#endif
