/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/read_mtx.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/number.h"

#define ENTRIES_AT_ONCE 16384
#define LINES_A_CHECK 65536 /* how often is the host asked whether to stop */
/* A matrix that is longer, and has more rows or columns for each entry, is nearly all names: a small
 * file that asks for all memory. */
#define MOST_EMPTY (1 << 22)
#define MANY_A_ENTRY 64

typedef enum symmetry { GENERAL, SYMMETRIC, SKEW } symmetry;

struct mtx_reader {
    byte_stream *from;
    line_reader lines;
    bool array, pattern, integer, exchange;
    symmetry shape;
    int64_t n_rows, n_cols, n_entries;
    int64_t done;        /* entries read; of an array the column */
    int64_t row;         /* of an array */
    bool all_float, all_int32; /* every number so far is one */
    const scw_hooks *hooks;
    const rule_sink *faults;
};

/* Room for what is read next. */
typedef struct entries {
    int64_t n, room;
    int32_t *rows, *cols;
    double *values;
} entries;

static scw_status wrong(const mtx_reader *r, const char *what)
{
    return rule_broken(NULL, RULE_HEADER_VALID, SCW_EFORMAT, "%s: line %lld: %s",
                       bytes_name(r->from), (long long)r->lines.number, what);
}

/* A line of values that is passed over when someone wants to hear of all. */
static scw_status wrong_line(const mtx_reader *r, rule_id rule, const char *what)
{
    return rule_broken(r->faults, rule, SCW_EFORMAT, "%s: line %lld: %s",
                       bytes_name(r->from), (long long)r->lines.number, what);
}

/* The next word of a line; *at moves behind it. "" at the end. */
static size_t next_word(const char **word, const char **at)
{
    while (**at == ' ' || **at == '\t') ++*at;
    *word = *at;
    while (**at && **at != ' ' && **at != '\t') ++*at;
    return (size_t)(*at - *word);
}

static bool word_is(const char *word, size_t n, const char *expected)
{
    return n == strlen(expected) && strncasecmp(word, expected, n) == 0;
}

static scw_status read_banner(mtx_reader *r)
{
    scw_status st = SCW_OK;
    char *line;
    const char *at, *word;
    size_t n;

    TRY(lines_next(&line, &r->lines));
    if (!line) return wrong(r, "the file is empty");
    at = line;
    n = next_word(&word, &at);
    if (!word_is(word, n, "%%MatrixMarket")) return wrong(r, "expected %%MatrixMarket");
    n = next_word(&word, &at);
    if (!word_is(word, n, "matrix")) return wrong(r, "only objects of the kind 'matrix' are read");
    n = next_word(&word, &at);
    r->array = word_is(word, n, "array");
    if (!r->array && !word_is(word, n, "coordinate"))
        return wrong(r, "expected 'coordinate' or 'array'");
    n = next_word(&word, &at);
    r->pattern = word_is(word, n, "pattern");
    r->integer = r->pattern || word_is(word, n, "integer");
    if (!r->integer && !word_is(word, n, "real") && !word_is(word, n, "double"))
        return wrong(r, "expected 'real', 'integer' or 'pattern' numbers");
    if (r->array && r->pattern) return wrong(r, "an array cannot be a pattern");
    n = next_word(&word, &at);
    r->shape = word_is(word, n, "symmetric") ? SYMMETRIC
               : word_is(word, n, "skew-symmetric") ? SKEW : GENERAL;
    if (r->shape == GENERAL && !word_is(word, n, "general"))
        return wrong(r, "expected 'general', 'symmetric' or 'skew-symmetric'");
done:
    return st;
}

/* The next line that is no comment; NULL at the end. */
static scw_status next_data(char **line, mtx_reader *r)
{
    scw_status st = SCW_OK;

    do {
        TRY(lines_next(line, &r->lines));
        if (r->lines.number % LINES_A_CHECK == 0) TRY(log_check_cancel(r->hooks));
        if (!*line) break;
        while (isspace((unsigned char)**line)) ++*line;
    } while (**line == '%' || **line == '\0');
done:
    return st;
}

static bool take_int(int64_t *out, const char **at)
{
    const char *word;
    size_t n = next_word(&word, at);
    return n > 0 && number_int(out, word, n);
}

/* Is the file long enough for its entries? Of a symmetric array a triangle is written. */
static scw_status check_promise(const mtx_reader *r)
{
    const int64_t shortest = r->array ? 2 : 4; /* "1\n", "1 1\n" */
    const int64_t fit = bytes_at_most(r->from) / shortest;
    int64_t needed = r->n_entries;

    if (r->array && r->shape != GENERAL) needed = needed / 2 - r->n_rows;
    return needed <= fit ? SCW_OK
                         : rule_broken(NULL, RULE_ENTRY_COUNT, SCW_EFORMAT,
                                       "%s: line %lld: promises %lld entries, its bytes hold at "
                                       "most %lld",
                                       bytes_name(r->from), (long long)r->lines.number,
                                       (long long)r->n_entries, (long long)fit);
}

static scw_status read_size(mtx_reader *r)
{
    scw_status st = SCW_OK;
    char *line;
    const char *at, *rest;

    TRY(next_data(&line, r));
    if (!line) return wrong(r, "the file ends before its size");
    at = line;
    if (!take_int(&r->n_rows, &at) || !take_int(&r->n_cols, &at) ||
        (!r->array && !take_int(&r->n_entries, &at)) || next_word(&rest, &at) != 0)
        return wrong(r, r->array ? "expected two numbers: rows, columns"
                                 : "expected three numbers: rows, columns, entries");
    if (r->n_rows < 0 || r->n_cols < 0 || r->n_entries < 0 || r->n_rows > INT32_MAX ||
        r->n_cols > INT32_MAX)
        return wrong(r, "the size is out of range");
    if (r->array) r->n_entries = r->n_rows * r->n_cols;
    TRY(check_promise(r));
    const int64_t longest = r->n_rows > r->n_cols ? r->n_rows : r->n_cols;
    if (longest > MOST_EMPTY && longest / MANY_A_ENTRY > r->n_entries)
        BREAK(RULE_SIZE_HONEST, SCW_EFORMAT,
              "%s: line %lld: %lld rows and %lld columns are far more than the %lld entries need",
              bytes_name(r->from), (long long)r->lines.number, (long long)r->n_rows, (long long)r->n_cols,
              (long long)r->n_entries);
    if (r->shape != GENERAL && r->n_rows != r->n_cols)
        return wrong(r, "a symmetric matrix has as many rows as columns");
done:
    return st;
}

static void put(entries *e, const mtx_reader *r, int64_t row, int64_t col, double v)
{
    e->rows[e->n] = (int32_t)(r->exchange ? col : row);
    e->cols[e->n] = (int32_t)(r->exchange ? row : col);
    e->values[e->n++] = v;
}

static void add(entries *e, mtx_reader *r, int64_t row, int64_t col, double v)
{
    r->all_float &= (double)(float)v == v || isnan(v);
    r->all_int32 &= v >= INT32_MIN && v <= INT32_MAX;
    put(e, r, row, col, v);
    if (r->shape != GENERAL && row != col) put(e, r, col, row, r->shape == SKEW ? -v : v);
}

static scw_status take_value(double *out, mtx_reader *r, const char **at)
{
    const char *word, *rest;
    size_t n = next_word(&word, at);

    *out = 1;
    if (r->pattern ? n != 0 : !number_real(out, word, n))
        return wrong_line(r, RULE_FIELD_NUMBER,
                          r->pattern ? "a pattern has no values" : "the value is not a number");
    if (r->integer && *out != trunc(*out))
        return wrong_line(r, RULE_FIELD_NUMBER, "expected an integer");
    if (fabs(*out) > 9007199254740992.0 && r->integer)
        return wrong_line(r, RULE_FIELD_NUMBER, "integers beyond 2^53 are not read");
    if (next_word(&rest, at) != 0)
        return wrong_line(r, RULE_FIELD_COUNT, "more values than expected");
    if (r->faults && !isfinite(*out))
        return wrong_line(r, RULE_VALUES_FINITE, "the value is not finite");
    return SCW_OK;
}

static scw_status read_coordinates(entries *e, mtx_reader *r)
{
    scw_status st = SCW_OK;
    char *line;

    while (e->n + 2 <= e->room) {
        int64_t row, col;
        double v;
        TRY(next_data(&line, r));
        if (!line) {
            if (r->done < r->n_entries)
                BREAK(RULE_ENTRY_COUNT, SCW_EFORMAT, "%s: ends after %lld of %lld entries",
                      bytes_name(r->from), (long long)r->done, (long long)r->n_entries);
            break;
        }
        if (r->done++ == r->n_entries)
            return wrong_line(r, RULE_ENTRY_COUNT, "more entries than the size says");
        const char *at = line;
        if (!take_int(&row, &at) || !take_int(&col, &at)) {
            TRY(wrong_line(r, RULE_FIELD_COUNT, "expected row, column and value"));
            continue;
        }
        if (row < 1 || row > r->n_rows || col < 1 || col > r->n_cols) {
            TRY(rule_broken(r->faults, RULE_ENTRY_IN_RANGE, SCW_EFORMAT,
                            "%s: line %lld: entry (%lld, %lld) is outside the matrix of %lld x %lld; "
                            "counting begins at 1", bytes_name(r->from), (long long)r->lines.number,
                            (long long)row, (long long)col, (long long)r->n_rows,
                            (long long)r->n_cols));
            continue;
        }
        TRY(take_value(&v, r, &at));
        add(e, r, row - 1, col - 1, v);
    }
done:
    return st;
}

/* First row of a column of an array: of a symmetric one only what is on and below the diagonal is there. */
static int64_t first_row(const mtx_reader *r, int64_t col)
{
    return r->shape == GENERAL ? 0 : r->shape == SKEW ? col + 1 : col;
}

/* An array is written column by column. */
static scw_status read_array(entries *e, mtx_reader *r)
{
    scw_status st = SCW_OK;
    char *line;

    while (r->done < r->n_cols && e->n + 2 <= e->room) {
        if (r->row >= r->n_rows) {
            r->row = ++r->done < r->n_cols ? first_row(r, r->done) : 0;
            continue;
        }
        double v;
        TRY(next_data(&line, r));
        if (!line) return wrong_line(r, RULE_ENTRY_COUNT, "the file ends before the last value");
        const char *at = line;
        TRY(take_value(&v, r, &at));
        if (v != 0) add(e, r, r->row, r->done, v);
        r->row++;
    }
    if (r->done < r->n_cols) goto done;
    TRY(next_data(&line, r));
    if (line) return wrong_line(r, RULE_ENTRY_COUNT, "more values than the size says");
done:
    return st;
}

scw_status mtx_next(void *self, int64_t *n, int32_t *rows, int32_t *cols, double *values,
                    int64_t room)
{
    mtx_reader *r = self;
    entries e = {0, room, rows, cols, values};
    scw_status st = r->array ? read_array(&e, r) : read_coordinates(&e, r);

    *n = e.n;
    return st;
}

scw_status mtx_open(mtx_reader **out, byte_stream *from, bool exchange, const scw_hooks *hooks,
                    const rule_sink *faults)
{
    scw_status st = SCW_OK;
    mtx_reader *r = NULL;

    *out = NULL;
    TRY(mem_new(&r, 1));
    *r = (mtx_reader){.from = from, .lines = {.from = from}, .exchange = exchange, .hooks = hooks, .faults = faults,
                      .all_float = true, .all_int32 = true};
    from = NULL;
    TRY(read_banner(r));
    TRY(read_size(r));
    if (r->array) r->row = first_row(r, 0);
    *out = r;
    r = NULL;
done:
    bytes_free(from);
    mtx_close(r);
    return st;
}

void mtx_close(void *self)
{
    mtx_reader *r = self;

    if (!r) return;
    lines_clear(&r->lines);
    bytes_free(r->from);
    mem_free(r);
}

void mtx_shape(int64_t shape[2], int64_t *n_entries, const mtx_reader *r)
{
    shape[0] = r->exchange ? r->n_cols : r->n_rows;
    shape[1] = r->exchange ? r->n_rows : r->n_cols;
    *n_entries = r->n_entries;
    if (!r->array && r->shape != GENERAL && *n_entries < INT64_MAX / 2) *n_entries *= 2;
}

/* Entries to the end: into the builder, or only looked at. */
static scw_status read_through(matrix_builder *b, mtx_reader *r)
{
    scw_status st = SCW_OK;
    int32_t *rows = NULL, *cols = NULL;
    double *values = NULL;
    int64_t n;

    TRY(mem_new(&rows, ENTRIES_AT_ONCE));
    TRY(mem_new(&cols, ENTRIES_AT_ONCE));
    TRY(mem_new(&values, ENTRIES_AT_ONCE));
    do {
        TRY(mtx_next(r, &n, rows, cols, values, ENTRIES_AT_ONCE));
        for (int64_t k = 0; b && k < n; k++)
            TRY(matrix_builder_add(b, rows[k], cols[k], values[k]));
    } while (n > 0);
done:
    mem_free(rows);
    mem_free(cols);
    mem_free(values);
    return st;
}

static number_type type_read(const mtx_reader *r)
{
    if (r->integer) return r->all_int32 ? NUMBER_I32 : NUMBER_I64;
    return r->all_float ? NUMBER_F32 : NUMBER_F64;
}

scw_status mtx_look(number_type *stored, mtx_reader *r)
{
    scw_status st = read_through(NULL, r);

    *stored = type_read(r);
    return st;
}

scw_status mtx_read(matrix *out, mtx_reader *r, bool exact)
{
    scw_status st = SCW_OK;
    matrix_builder b = {0};
    int64_t shape[2], n;

    *out = (matrix){0};
    mtx_shape(shape, &n, r);
    TRY(matrix_builder_init(&b, shape[0], shape[1], exact));
    TRY(read_through(&b, r));
    b.m.stored = type_read(r);
    TRY(matrix_builder_finish(out, &b));
done:
    matrix_builder_clear(&b);
    return st;
}
