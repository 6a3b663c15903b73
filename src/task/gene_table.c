/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/gene_table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "task/table.h"

#define GTF_COLUMNS 9

void gene_table_clear(gene_table *t)
{
    strings_clear(&t->ids);
    strings_clear(&t->symbols);
    strings_clear(&t->chromosomes);
    mem_free(t->genes);
    *t = (gene_table){0};
}

scw_status chromosome_name(const char **out, textbuf *scratch, const char *name)
{
    scw_status st = SCW_OK;

    if (strncasecmp(name, "chr", 3) == 0 && name[3]) name += 3;
    text_clear(scratch);
    TRY(text_add(scratch, "%s", strcasecmp(name, "MT") == 0 ? "M" : name));
    *out = text_get(scratch);
done:
    return st;
}

bool interval_parse(textbuf *name, int64_t *start, int64_t *end, const char *text)
{
    const size_t length = strlen(text);
    size_t second = length, first;
    char number[24];

    while (second > 0 && text[second - 1] >= '0' && text[second - 1] <= '9')
        second--;
    if (second == length || second < 4 || !strchr("-_", text[second - 1])) return false;
    first = second - 1;
    while (first > 0 && text[first - 1] >= '0' && text[first - 1] <= '9')
        first--;
    if (first == second - 1 || first < 2 || !strchr(":-_", text[first - 1])) return false;
    if (length - second >= sizeof number || second - 1 - first >= sizeof number) return false;
    memcpy(number, text + first, second - 1 - first);
    number[second - 1 - first] = '\0';
    if (!text_to_int(start, number) || !text_to_int(end, text + second) || *end <= *start)
        return false;
    text_clear(name);
    return text_add_bytes(name, text, (int64_t)first - 1) == SCW_OK;
}

/* ------------------------------------------------------------------ collecting */

typedef struct collector {
    gene_table *t;
    int64_t room;
    textbuf scratch;
} collector;

static scw_status add_gene(collector *c, const char *id, const char *symbol, const char *chromosome,
                           activity_gene gene)
{
    scw_status st = SCW_OK;
    gene_table *t = c->t;
    const char *name;
    int64_t k = 0;

    TRY(chromosome_name(&name, &c->scratch, chromosome));
    /* Genes come chromosome by chromosome: the last one is looked at first. */
    if (t->n > 0 && strcmp(t->chromosomes.at[t->genes[t->n - 1].body.chromosome], name) == 0) {
        k = t->genes[t->n - 1].body.chromosome;
    } else {
        while (k < t->chromosomes.n && strcmp(t->chromosomes.at[k], name) != 0)
            k++;
        if (k == t->chromosomes.n) TRY(strings_add(&t->chromosomes, name));
    }
    if (t->n == c->room) {
        c->room = c->room ? 2 * c->room : 4096;
        TRY(mem_resize(&t->genes, c->room));
    }
    TRY(strings_add(&t->ids, id));
    TRY(strings_add(&t->symbols, symbol && *symbol ? symbol : id));
    gene.body.chromosome = (int32_t)k;
    t->genes[t->n++] = gene;
done:
    return st;
}

/* ------------------------------------------------------------------ GTF */

/* gene_id "ENSG..."; the value is cut out of the text, which is changed. */
static char *attribute(char *text, const char *name)
{
    size_t n = strlen(name);

    for (char *at = strstr(text, name); at; at = strstr(at + n, name)) {
        bool whole =
            (at == text || at[-1] == ' ' || at[-1] == ';' || at[-1] == '\t') && at[n] == ' ';
        char *open = whole ? strchr(at + n, '"') : NULL,
             *close = open ? strchr(open + 1, '"') : NULL;
        if (!close) continue;
        *close = '\0';
        return open + 1;
    }
    return NULL;
}

static scw_status gtf_line(collector *c, char *line, const char *path, int64_t number)
{
    scw_status st = SCW_OK;
    char *cells[GTF_COLUMNS], *at = line, *symbol, *id;
    int n = 0;
    int64_t start, end;

    for (; n < GTF_COLUMNS && at; n++) {
        cells[n] = at;
        at = n < GTF_COLUMNS - 1 ? strchr(at, '\t') : NULL;
        if (at) *at++ = '\0';
    }
    if (n < GTF_COLUMNS)
        FAIL(SCW_EFORMAT, "%s, line %lld: %d columns, a GTF has 9", path, (long long)number, n);
    if (strcmp(cells[2], "gene") != 0) goto done;
    if (!text_to_int(&start, cells[3]) || !text_to_int(&end, cells[4]) || start < 1 || end < start)
        FAIL(SCW_EFORMAT, "%s, line %lld: '%s' to '%s' is no interval", path, (long long)number,
             cells[3], cells[4]);
    symbol = attribute(cells[8], "gene_name");
    /* The first cut ends the text only behind the name; the id may stand on either side. */
    id = attribute(cells[8], "gene_id");
    if (!id && symbol) id = attribute(symbol + strlen(symbol) + 1, "gene_id");
    if (!id) FAIL(SCW_EFORMAT, "%s, line %lld: no gene_id", path, (long long)number);
    int strand = cells[6][0] == '+' ? 1 : cells[6][0] == '-' ? -1 : 0;
    TRY(add_gene(c, id, symbol, cells[0],
                 (activity_gene){{0, start - 1, end}, strand < 0 ? end - 1 : start - 1, strand}));
done:
    return st;
}

static scw_status read_gtf(collector *c, const char *path)
{
    scw_status st = SCW_OK;
    line_reader r = {0};
    char *line;

    TRY(text_file_open(&r.from, path));
    for (;;) {
        TRY(lines_next(&line, &r));
        if (!line) break;
        if (*line && *line != '#') TRY(gtf_line(c, line, path, r.number));
    }
done:
    bytes_free(r.from);
    lines_clear(&r);
    return st;
}

/* ------------------------------------------------------------------ tables */

static int64_t find_any(const table *t, const char *names)
{
    char copy[160], *rest = NULL;

    (void)snprintf(copy, sizeof copy, "%s", names);
    for (char *one = strtok_r(copy, "|", &rest); one; one = strtok_r(NULL, "|", &rest))
        for (int64_t k = 0; k < t->n_columns; k++)
            if (strcasecmp(t->header[k], one) == 0) return k;
    return -1;
}

static scw_status table_row(collector *c, const table *t, int64_t row, const int64_t at[7],
                            const char *path)
{
    scw_status st = SCW_OK;
    int64_t start, end, tss;
    int strand = 0;
    enum { ID, SYMBOL, CHROMOSOME, TSS, START, END, STRAND };

    if (at[STRAND] >= 0) {
        const char *s = table_cell(t, row, at[STRAND]);
        strand = *s == '+' || strcmp(s, "1") == 0 ? 1 : *s == '-' ? -1 : 0;
    }
    bool body = at[START] >= 0 && at[END] >= 0, ok = true;
    if (body) {
        ok = text_to_int(&start, table_cell(t, row, at[START])) &&
             text_to_int(&end, table_cell(t, row, at[END])) && end >= start;
        tss = strand < 0 ? end : start;
    }
    if (at[TSS] >= 0) ok = ok && text_to_int(&tss, table_cell(t, row, at[TSS]));
    if (!ok)
        FAIL(SCW_EFORMAT, "%s, line %lld: the position is no whole number", path,
             (long long)t->line[row]);
    if (!body) start = tss, end = tss + 1;
    TRY(add_gene(c, table_cell(t, row, at[ID] >= 0 ? at[ID] : at[SYMBOL]),
                 at[SYMBOL] >= 0 ? table_cell(t, row, at[SYMBOL]) : NULL,
                 table_cell(t, row, at[CHROMOSOME]),
                 (activity_gene){{0, start, end}, tss, strand}));
done:
    return st;
}

static scw_status read_table(collector *c, const char *path)
{
    static const char *const names[7] = {
        "gene_id|gene_ids|ensembl_id|ensembl|response_id|id",
        "gene_name|symbol|gene_symbol|gene|response_name|name",
        "chr|chrom|chromosome|seqname|seqnames",
        "tss|position|pos",
        "start|gene_start",
        "end|gene_end|stop",
        "strand",
    };
    scw_status st = SCW_OK;
    table t = {0};
    int64_t at[7];

    TRY(table_read(&t, path));
    for (int k = 0; k < 7; k++)
        at[k] = find_any(&t, names[k]);
    if ((at[0] < 0 && at[1] < 0) || at[2] < 0 || (at[3] < 0 && (at[4] < 0 || at[5] < 0)))
        FAIL(SCW_EFORMAT,
             "%s: a table of genes needs a heading with gene_id or gene_name, chrom, and "
             "tss or start and end (tab-separated); a GTF is told by its name, .gtf or .gtf.gz",
             path);
    for (int64_t row = 0; row < t.n_rows; row++)
        TRY(table_row(c, &t, row, at, path));
done:
    table_clear(&t);
    return st;
}

/* By its name, compressed or not. */
static bool is_gtf(const char *path)
{
    size_t n = strlen(path);

    if (n > 3 && strcasecmp(path + n - 3, ".gz") == 0) n -= 3;
    return n > 4 && strncasecmp(path + n - 4, ".gtf", 4) == 0;
}

scw_status gene_table_read(gene_table *out, const char *path)
{
    scw_status st = SCW_OK;
    collector c = {.t = out};

    *out = (gene_table){0};
    TRY(is_gtf(path) ? read_gtf(&c, path) : read_table(&c, path));
    if (out->n == 0) FAIL(SCW_EFORMAT, "%s: holds no genes", path);
done:
    text_clear(&c.scratch);
    if (st != SCW_OK) gene_table_clear(out);
    return st;
}
