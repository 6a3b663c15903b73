/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of numbers as text: a heading, then a name and numbers on each line, separated by commas,
 * tabs, semicolons or spaces; fields may stand in double quotes (RFC 4180).
 *
 *        ,GeneA,GeneB          GeneA GeneB (R: the heading lacks the corner)
 *   cell1,0,3            cell1 0     3
 *
 * Cells may be the lines or the columns: `rows` of scw_read_options, or the names tell. Zeros are not
 * kept, so a table takes the room of its other numbers. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/formats.h"
#include "io/number.h"

typedef struct table_reader {
    line_reader lines;
    char separator; /* ' ': any run of spaces and tabs */
    textbuf record;
    char **field; /* [n_fields] into record */
    int64_t n_fields, room;
} table_reader;

static void table_clear(table_reader *t)
{
    bytes_free(t->lines.from);
    lines_clear(&t->lines);
    text_clear(&t->record);
    mem_free(t->field);
}

/* ------------------------------------------------------------------ fields */

static char find_separator(const char *line)
{
    static const char candidates[] = "\t,;";
    int64_t count[3] = {0};
    bool quoted = false;

    for (const char *p = line; *p && *p != '\n'; p++) { /* the first line */
        if (*p == '"') quoted = !quoted;
        const char *which = quoted ? NULL : strchr(candidates, *p);
        if (which) count[which - candidates]++;
    }
    int best = count[1] > count[0] ? 1 : 0;
    if (count[2] > count[best]) best = 2;
    return count[best] ? candidates[best] : ' ';
}

static scw_status add_field(table_reader *t, char *at)
{
    scw_status st = SCW_OK;

    if (t->n_fields == t->room) {
        int64_t room = 2 * t->room + 64;
        TRY(mem_resize(&t->field, room));
        t->room = room;
    }
    t->field[t->n_fields++] = at;
done:
    return st;
}

/* Does a quote stay open at the end of the record? */
static bool quote_open(const char *text)
{
    bool open = false;
    for (; *text; text++) open ^= *text == '"';
    return open;
}

static scw_status split(table_reader *t)
{
    scw_status st = SCW_OK;
    char *at = t->record.data;

    t->n_fields = 0;
    for (;;) {
        if (t->separator == ' ') at += strspn(at, " \t");
        if (t->separator == ' ' && !*at) break;
        char *field = at, *end;
        if (*at == '"') {
            char *closing = text_unquote(at);
            end = t->separator == ' ' ? closing + strcspn(closing, " \t")
                                      : closing + strcspn(closing, (char[]){t->separator, 0});
        } else {
            end = t->separator == ' ' ? at + strcspn(at, " \t")
                                      : at + strcspn(at, (char[]){t->separator, 0});
        }
        bool more = *end != '\0';
        *end = '\0';
        TRY(add_field(t, field));
        if (!more) break;
        at = end + 1;
    }
done:
    return st;
}

/* The next record that is not empty; *more is false at the end. */
static scw_status next_record(table_reader *t, bool *more)
{
    scw_status st = SCW_OK;
    char *line;

    *more = false;
    t->record.length = 0;
    do {
        TRY(lines_next(&line, &t->lines));
        if (!line) return SCW_OK;
    } while (line[strspn(line, " \t")] == '\0' || (line[0] == '#' && t->n_fields == 0));
    const char *start = t->lines.number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line;
    TRY(text_add_bytes(&t->record, start, (int64_t)strlen(start)));
    int64_t first = t->lines.number;
    while (quote_open(t->record.data)) {
        TRY(lines_next(&line, &t->lines));
        if (!line)
            BREAK(RULE_FIELD_COUNT, SCW_EFORMAT, "%s: line %lld: a quote is not closed",
                  bytes_name(t->lines.from), (long long)first);
        TRY(text_add(&t->record, "\n%s", line));
    }
    TRY(split(t));
    *more = true;
done:
    return st;
}

/* ------------------------------------------------------------------ what the names are */

static bool is_number(const char *text)
{
    double v;
    return number_real(&v, text, strlen(text));
}

/* Do names look like cells (+1) or like features (-1)? */
static int looks_like(const char *name)
{
    static const char *const genes[] = {
        "ACTB", "GAPDH", "MALAT1", "B2M",  "CD3D",  "CD3E", "CD4",  "CD8A", "CD8B", "MS4A1", "CD19",
        "CD14", "LYZ",   "NKG7",   "PTPRC", "RPLP0", "RPL3", "RPS6", "TP53", "MT-CO1"};
    size_t bases = strspn(name, "ACGT");

    if (bases >= 10 && (!name[bases] || strchr("-_.:", name[bases]))) return 1;
    if (strncmp(name, "ENS", 3) == 0 && strspn(name + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") <= 5 &&
        strlen(name) >= 15)
        return -1;
    if (strncasecmp(name, "cell", 4) == 0 || strstr(name, "barcode")) return 1;
    if (strncasecmp(name, "gene", 4) == 0) return -1;
    for (size_t i = 0; i < sizeof genes / sizeof *genes; i++)
        if (strcasecmp(name, genes[i]) == 0) return -1;
    return 0;
}

static int64_t votes(const strings *names)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < names->n; i++) sum += looks_like(names->at[i]);
    return sum;
}

/* ------------------------------------------------------------------ reading */

typedef struct table {
    strings columns, lines; /* names */
    matrix_builder b;       /* lines x columns */
    int64_t room_lines;
    bool named, all_int32, all_float, all_whole;
    bool keep; /* the numbers, not only the names */
    const rule_sink *faults;
} table;

static scw_status take_numbers(table *out, const table_reader *t, int64_t line, int64_t first)
{
    scw_status st = SCW_OK;

    for (int64_t k = first; k < t->n_fields; k++) {
        double v;
        const char *text = t->field[k];
        size_t n = strlen(text);
        while (n && (*text == ' ' || *text == '\t')) text++, n--;
        while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
        if (!number_real(&v, text, n)) {
            TRY(rule_broken(out->faults, RULE_FIELD_NUMBER, SCW_EFORMAT,
                            "%s: line %lld: '%.60s' in column %lld%s%.60s%s is not a number",
                            bytes_name(t->lines.from), (long long)t->lines.number, text,
                            (long long)k + 1, out->columns.n ? " ('" : "",
                            out->columns.n && k - first < out->columns.n ? out->columns.at[k - first]
                                                                         : "",
                            out->columns.n ? "')" : ""));
            continue;
        }
        if (out->faults && !isfinite(v))
            TRY(rule_broken(out->faults, RULE_VALUES_FINITE, SCW_EFORMAT,
                            "%s: line %lld: '%.60s' in column %lld is not finite",
                            bytes_name(t->lines.from), (long long)t->lines.number, text,
                            (long long)k + 1));
        if (v == 0 || !out->keep) continue;
        out->all_whole &= v == trunc(v);
        out->all_int32 &= v >= INT32_MIN && v <= INT32_MAX;
        out->all_float &= (double)(float)v == v || isnan(v);
        TRY(matrix_builder_add(&out->b, line, k - first, v));
    }
done:
    return st;
}

/* The names of columns from the heading, given the first line of numbers. */
static scw_status take_heading(table *out, const strings *heading, const table_reader *t)
{
    scw_status st = SCW_OK;
    static const char *const corners[] = {"",     "cell",  "cells", "cellid", "cell_id", "barcode",
                                          "barcodes", "gene", "genes", "geneid", "gene_id", "symbol",
                                          "feature", "features", "index", "id", "name", "x",
                                          "unnamed: 0", "sample", "rownames"};
    bool corner = false;

    if (t->n_fields != heading->n && t->n_fields != heading->n + 1)
        BREAK(RULE_HEADER_VALID, SCW_EFORMAT, "%s: line %lld: %lld fields, the heading has %lld",
              bytes_name(t->lines.from), (long long)t->lines.number, (long long)t->n_fields,
              (long long)heading->n);
    for (size_t i = 0; i < sizeof corners / sizeof *corners; i++)
        corner |= strcasecmp(heading->at[0], corners[i]) == 0;
    bool shorter = t->n_fields == heading->n + 1;
    out->named = shorter || corner || !is_number(t->field[0]);
    for (int64_t k = out->named && !shorter; k < heading->n; k++)
        TRY(strings_add(&out->columns, heading->at[k]));
    if (out->columns.n == 0)
        FAIL(SCW_EFORMAT, "%s: no columns of numbers", bytes_name(t->lines.from));
done:
    return st;
}

static scw_status number_strings(strings *out, int64_t n)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    for (int64_t i = out->n; i < n; i++) {
        text_clear(&name);
        TRY(text_add(&name, "%lld", (long long)i));
        TRY(strings_add(out, text_get(&name)));
    }
done:
    text_clear(&name);
    return st;
}

static scw_status take_line(table *out, const table_reader *t)
{
    scw_status st = SCW_OK;
    int64_t line = out->lines.n, expected = out->columns.n + out->named;

    if (t->n_fields != expected)
        return rule_broken(out->faults, RULE_FIELD_COUNT, SCW_EFORMAT,
                           "%s: line %lld: %lld fields, expected %lld", bytes_name(t->lines.from),
                           (long long)t->lines.number, (long long)t->n_fields, (long long)expected);
    if (line >= out->room_lines) {
        out->room_lines = 2 * out->room_lines + 1024;
        TRY(matrix_builder_grow_rows(&out->b, out->room_lines));
    }
    if (out->named) TRY(strings_add(&out->lines, t->field[0]));
    else TRY(number_strings(&out->lines, line + 1));
    TRY(take_numbers(out, t, line, out->named));
done:
    return st;
}

static scw_status read_lines(table *out, table_reader *t, bool exact, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    strings heading = {0};
    bool more, numbers = true;

    TRY(next_record(t, &more));
    if (!more)
        BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the table is empty", bytes_name(t->lines.from));
    for (int64_t k = 0; k < t->n_fields; k++) {
        numbers &= is_number(t->field[k]);
        TRY(strings_add(&heading, t->field[k]));
    }
    TRY(matrix_builder_init(&out->b, 0, 0, exact));
    if (numbers) { /* no heading at all */
        TRY(number_strings(&out->columns, t->n_fields));
        TRY(take_line(out, t));
    }
    for (bool first = !numbers;; first = false) {
        TRY(next_record(t, &more));
        if (!more) break;
        if (first) TRY(take_heading(out, &heading, t));
        TRY(take_line(out, t));
        if (out->lines.n % 256 == 0) TRY(log_check_cancel(hooks));
    }
    if (t->lines.n_latin1 && out->faults)
        TRY(rule_broken(out->faults, RULE_TEXT_UTF8, SCW_EFORMAT, "%s: %lld lines are not UTF-8",
                        bytes_name(t->lines.from), (long long)t->lines.n_latin1));
    if (out->lines.n == 0)
        BREAK(RULE_HEADER_VALID, SCW_EFORMAT, "%s: a heading without lines", bytes_name(t->lines.from));
    if (out->columns.n > INT32_MAX)
        FAIL(SCW_EFORMAT, "%s: too many columns", bytes_name(t->lines.from));
    out->b.m.n_rows = out->lines.n;
    out->b.m.n_cols = out->columns.n;
    out->b.m.stored = out->all_whole ? (out->all_int32 ? NUMBER_I32 : NUMBER_I64)
                                     : (out->all_float ? NUMBER_F32 : NUMBER_F64);
done:
    strings_clear(&heading);
    return st;
}

static bool cells_are_lines(const table *t, const input *in, const read_request *q)
{
    if (q->options->rows == SCW_ROWS_CELLS) return true;
    if (q->options->rows == SCW_ROWS_FEATURES) return false;
    int64_t lines = votes(&t->lines), columns = votes(&t->columns);
    bool cells = lines >= columns;
    log_info(q->hooks, "%s: lines are taken for %s%s; --rows says otherwise", in->path,
             cells ? "cells" : "features", lines == columns ? " (the names do not tell)" : "");
    return cells;
}

scw_status read_table(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    table_reader t = {0};
    table got = {.all_int32 = true, .all_float = true, .all_whole = true,
                 .keep = q->depth != READ_FRAMES, .faults = q->faults};
    dataset_part part = {0};
    matrix x = {0};

    t.separator = find_separator(text_get(&in->head));
    TRY(input_stream(&t.lines.from, in, NULL));
    TRY(read_lines(&got, &t, q->depth == READ_WHOLE, q->hooks));
    TRY(matrix_builder_finish(&x, &got.b));
    bool cells = cells_are_lines(&got, in, q);
    if (cells) {
        part.m.x = x;
        x = (matrix){0};
    } else {
        TRY(matrix_transpose(&part.m.x, &x));
    }
    part.obs.index = cells ? got.lines : got.columns;
    part.m.var.index = cells ? got.columns : got.lines;
    got.lines = got.columns = (strings){0};
    part.obs.n_rows = part.obs.index.n;
    part.m.var.n_rows = part.m.var.index.n;
    TRY(mem_strdup(&part.obs.index_name, "_index"));
    TRY(mem_strdup(&part.m.var.index_name, "_index"));
    TRY(parts_add(out, &part, in->path, q));
done:
    matrix_clear(&x);
    matrix_builder_clear(&got.b);
    strings_clear(&got.lines);
    strings_clear(&got.columns);
    dataset_part_clear(&part);
    table_clear(&t);
    return st;
}

/* The first line that is no comment as a place in the genome: chromosome, start, end and, as fragments and
 * .bed files have it, a barcode or name, which is no number. */
bool is_places(const input *in)
{
    const char *at = text_get(&in->head);
    size_t width[4];
    int64_t start, end;
    double name;

    if (in->kind != INPUT_TEXT) return false;
    while (*at == '#' && strchr(at, '\n'))
        at = strchr(at, '\n') + 1;
    const char *field[4] = {at};
    for (int k = 0; k < 4; k++) {
        if (k > 0) field[k] = field[k - 1] + width[k - 1] + 1;
        width[k] = strcspn(field[k], "\t\r\n");
        if (width[k] == 0 || (k < 3 && field[k][width[k]] != '\t')) return false;
    }
    return number_int(&start, field[1], width[1]) && number_int(&end, field[2], width[2]) &&
           start >= 0 && start < end && !number_real(&name, field[3], width[3]);
}

scw_status read_places(file_parts *out, const input *in, const read_request *q)
{
    (void)out, (void)q;
    return status_fail(SCW_EUNSUPPORTED, "%s: lists places in the genome, as fragments files do, it is no "
                       "matrix of cells; name the matrix of peaks of the same run", in->path);
}

/* Text is a table when behind its first line at least half of the separators are followed by a number. */
bool is_table(const input *in)
{
    const char *head = text_get(&in->head), *end = strchr(head, '\n');
    int64_t n = 0, numbers = 0;

    if (in->kind != INPUT_TEXT) return false;
    char separator = find_separator(head);
    /* A heading wider than what is known of the file. */
    if (!end) return separator != ' ' && in->head.length >= 4000;
    if (separator == ' ') separator = find_separator(end + 1); /* the heading may be one word */
    const char stops[] = {separator, '\r', '\n', '"', '\0'};
    for (const char *at = strchr(end, separator); at; at = strchr(at, separator)) {
        double v;
        do at++;
        while (*at == ' ' || *at == '"');
        n++;
        numbers += number_real(&v, at, strcspn(at, stops));
    }
    return n > 0 && 2 * numbers >= n;
}
