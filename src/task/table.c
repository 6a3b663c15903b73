/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/table.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

#define LARGEST ((int64_t)1 << 30) /* bytes of a table */

static scw_status check_file(const char *path)
{
    scw_status st = SCW_OK;
    struct stat info;

    if (stat(path, &info) != 0) FAIL(SCW_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) FAIL(SCW_EIO, "%s: is not a regular file", path);
done:
    return st;
}

scw_status text_file_open(byte_stream **out, const char *path)
{
    scw_status st = SCW_OK;

    *out = NULL;
    TRY(check_file(path));
    TRY(bytes_of_file(out, path, path));
    TRY(bytes_decompress(out));
done:
    return st;
}

scw_status text_file_read(char **out, int64_t *n, const char *path, int64_t limit)
{
    scw_status st = SCW_OK;
    byte_stream *s = NULL;
    int64_t room = 65536, got;

    *out = NULL;
    *n = 0;
    TRY(text_file_open(&s, path));
    TRY(mem_new(out, room + 1));
    for (;;) {
        TRY(bytes_read(s, *out + *n, room - *n, &got));
        *n += got;
        if (*n < room) break;
        if (room > limit)
            FAIL(SCW_EFORMAT, "%s: has more bytes than a text of at most %lld", path, (long long)limit);
        room *= 2;
        TRY(mem_resize(out, room + 1));
    }
    if (*n > limit)
        FAIL(SCW_EFORMAT, "%s: has %lld bytes, expected a text of at most %lld", path, (long long)*n,
             (long long)limit);
    (*out)[*n] = '\0';
    if (memchr(*out, '\0', (size_t)*n)) FAIL(SCW_EFORMAT, "%s: is not a text file", path);
done:
    bytes_free(s);
    if (st != SCW_OK) {
        mem_free(*out);
        *out = NULL;
    }
    return st;
}

void table_clear(table *t)
{
    mem_free(t->text);
    mem_free(t->header);
    mem_free(t->cells);
    mem_free(t->line);
    *t = (table){0};
}

/* The next line that counts, terminated; *at moves behind it. NULL at the end. */
static char *next_line(char **at, int64_t *number)
{
    while (**at) {
        char *line = *at, *end = line + strcspn(line, "\n");
        *at = *end ? end + 1 : end;
        *end = '\0';
        if (end > line && end[-1] == '\r') end[-1] = '\0';
        ++*number;
        if (*line && *line != '#') return line;
    }
    return NULL;
}

static int64_t count(const char *text, char c)
{
    int64_t n = 0;
    for (; *text; text++)
        n += *text == c;
    return n;
}

/* Take the quotes off a cell; returns what follows its separator, NULL at the line's end. What stands
 * between the closing quote and the separator belongs to the cell. */
static char *cut_quoted(char *cell, char separator)
{
    char *rest = text_unquote(cell), *end = strchr(rest, separator);

    if (end) *end = '\0';
    memmove(cell + strlen(cell), rest, strlen(rest) + 1);
    return end ? end + 1 : NULL;
}

/* Cut a line at its separators. Returns the number of cells; only the first n are kept. */
static int64_t cut(char **cells, int64_t n, char *line, char separator)
{
    int64_t k = 0;

    for (char *cell = line, *next; cell; cell = next, k++) {
        if (separator == ',' && *cell == '"') {
            next = cut_quoted(cell, separator);
        } else {
            char *end = strchr(cell, separator);
            if (end) *end = '\0';
            next = end ? end + 1 : NULL;
        }
        if (k < n) cells[k] = cell;
    }
    return k;
}

/* R leaves the header of the row names out. */
static scw_status name_first_column(table *t)
{
    scw_status st = SCW_OK;
    static char none[] = "";

    TRY(mem_resize(&t->header, t->n_columns + 1));
    memmove(t->header + 1, t->header, (size_t)t->n_columns * sizeof *t->header);
    t->header[0] = none;
    t->n_columns++;
done:
    return st;
}

scw_status table_read(table *out, const char *path)
{
    scw_status st = SCW_OK;
    int64_t n, number = 0;
    char *at, *line;

    *out = (table){0};
    TRY(text_file_read(&out->text, &n, path, LARGEST));
    const int64_t n_lines = count(out->text, '\n') + 1;
    at = out->text;
    if (strncmp(at, "\xEF\xBB\xBF", 3) == 0) at += 3; /* a byte order mark, as Excel writes it */
    line = next_line(&at, &number);
    if (!line) FAIL(SCW_EFORMAT, "%s: the file is empty", path);
    bool tabs = strchr(line, '\t') || (!strchr(line, ',') && strchr(at, '\t'));
    const char separator = tabs ? '\t' : ',';
    const int64_t room = count(line, separator) + 2;
    TRY(mem_new(&out->header, room));
    out->n_columns = cut(out->header, room, line, separator);
    TRY(mem_new(&out->cells, n_lines * (out->n_columns + 1)));
    TRY(mem_new(&out->line, n_lines));
    while ((line = next_line(&at, &number))) {
        int64_t cells = cut(out->cells + out->n_rows * out->n_columns, out->n_columns + !out->n_rows,
                            line, separator);
        if (out->n_rows == 0 && cells == out->n_columns + 1) TRY(name_first_column(out));
        if (cells != out->n_columns)
            FAIL(SCW_EFORMAT, "%s, line %lld: %lld cells, the header has %lld", path,
                 (long long)number, (long long)cells, (long long)out->n_columns);
        out->line[out->n_rows++] = number;
    }
done:
    if (st != SCW_OK) table_clear(out);
    return st;
}

int64_t table_column(const table *t, const char *name)
{
    for (int64_t k = 0; k < t->n_columns; k++)
        if (strcmp(t->header[k], name) == 0) return k;
    return -1;
}

scw_status table_need_column(int64_t *out, const table *t, const char *name, const char *path)
{
    scw_status st = SCW_OK;
    textbuf list = {0};

    *out = table_column(t, name);
    if (*out >= 0) return SCW_OK;
    for (int64_t k = 0; k < t->n_columns && k < 20; k++)
        TRY(text_add(&list, "%s%.60s", k ? ", " : "", t->header[k]));
    FAIL(SCW_ENOTFOUND, "%s: no column '%s'; there %s: %s", path, name,
         t->n_columns == 1 ? "is" : "are", text_get(&list));
done:
    text_clear(&list);
    return st;
}
