/* SPDX-License-Identifier: BSD-3-Clause */
/* A matrix.mtx of features x cells with the names of both beside it, as Cell Ranger, STARsolo and others
 * write them: in a folder, in an archive, or with a prefix among other files.
 *
 *   [prefix]matrix.mtx[.gz]   [prefix]features.tsv[.gz]: id, name, kind, ...   [prefix]barcodes.tsv[.gz]
 *                             before version 3 genes.tsv: id, name; for peaks peaks.bed
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/entry_store.h"
#include "io/read_mtx.h"

#define MOST_FIELDS 16

/* Members that belong together; "" where there is none. */
typedef struct triplet {
    char *matrix, *features, *cells;
} triplet;

static void triplet_clear(triplet *t)
{
    mem_free(t->matrix);
    mem_free(t->features);
    mem_free(t->cells);
    *t = (triplet){0};
}

/* Length of `name` before `tail` or `tail`.gz; -1: it does not end so. */
static int64_t before(const char *name, const char *tail)
{
    size_t n = strlen(name), t = strlen(tail);

    if (n > 3 && strcmp(name + n - 3, ".gz") == 0) n -= 3;
    return n >= t && strncmp(name + n - t, tail, t) == 0 ? (int64_t)(n - t) : -1;
}

/* Files of macOS's archives have the names of others with "._" before. */
static bool is_stray(const char *name)
{
    const char *slash = strrchr(name, '/');
    return (slash ? slash[1] : name[0]) == '.';
}

/* The member <prefix><tail>[.gz], the prefix being the first n bytes of `like`; "." or "_" may follow it. */
static scw_status find_beside(char **out, const strings *members, const char *like, int64_t n,
                              const char *const *tails)
{
    for (; *tails && !*out; tails++)
        for (int64_t i = 0; i < members->n && !*out; i++) {
            const char *name = members->at[i];
            int64_t m = before(name, *tails);
            bool joined = m == n || (n && m == n + 1 && strchr("._", name[n]));
            if (joined && strncmp(name, like, (size_t)n) == 0) return mem_strdup(out, name);
        }
    return SCW_OK;
}

static const char *const feature_tails[] = {"features.tsv", "genes.tsv", "peaks.bed", NULL};
static const char *const cell_tails[] = {"barcodes.tsv", "cells.tsv", NULL};

/* The names that lie beside a matrix. */
static scw_status complete(triplet *t, const strings *members, const char *name, int64_t prefix)
{
    scw_status st = SCW_OK;

    TRY(mem_strdup(&t->matrix, name));
    TRY(find_beside(&t->features, members, name, prefix, feature_tails));
    TRY(find_beside(&t->cells, members, name, prefix, cell_tails));
done:
    return st;
}

static bool in_subfolder(const char *name)
{
    return strchr(name, '/') != NULL;
}

/* The one complete triplet among the members; several are refused with their names. A folder's own files
 * go before those of its subfolders. *n: how many there are. */
static scw_status find_triplet(triplet *out, int *n, const input *in)
{
    scw_status st = SCW_OK;
    triplet t = {0};
    textbuf list = {0};

    *out = (triplet){0};
    *n = 0;
    for (int pass = 0; pass < 2 && *n == 0; pass++) {
        for (int64_t i = 0; i < in->members.n; i++) {
            const char *name = in->members.at[i];
            int64_t prefix = before(name, "matrix.mtx");
            if (prefix < 0 || is_stray(name)) continue;
            if (in->kind == INPUT_FOLDER && in_subfolder(name) != (pass == 1)) continue;
            triplet_clear(&t);
            TRY(complete(&t, &in->members, name, prefix));
            if (!t.features || !t.cells) continue;
            TRY(text_add(&list, "%s%s", *n ? ", " : "", name));
            if (++*n > 1) continue;
            *out = t;
            t = (triplet){0};
        }
        if (in->kind != INPUT_FOLDER) break;
    }
    if (*n > 1)
        BREAK(RULE_MEMBERS_COMPLETE, SCW_EINVAL, "%s: holds several matrices (%s); %s", in->path,
              text_get(&list),
              in->kind == INPUT_FOLDER ? "name one of them" : "unpack it and name one of them");
done:
    text_clear(&list);
    triplet_clear(&t);
    if (st != SCW_OK) triplet_clear(out);
    return st;
}

bool is_triplet(const input *in)
{
    if (in->kind != INPUT_FOLDER && in->kind != INPUT_TAR) return false;
    for (int64_t i = 0; i < in->members.n; i++)
        if (before(in->members.at[i], "matrix.mtx") >= 0 && !is_stray(in->members.at[i])) return true;
    return false;
}

bool is_mtx(const input *in)
{
    return in->kind == INPUT_TEXT && strncmp(text_get(&in->head), "%%MatrixMarket", 14) == 0;
}

/* ------------------------------------------------------------------ names */

/* Columns of a file of tab-separated lines. */
typedef struct name_table {
    strings column[MOST_FIELDS];
    int n_columns;
    int64_t n;
} name_table;

static void name_table_clear(name_table *t)
{
    for (int k = 0; k < MOST_FIELDS; k++) strings_clear(&t->column[k]);
}

static scw_status add_line(name_table *t, char *line, const line_reader *r, const rule_sink *faults)
{
    scw_status st = SCW_OK;
    int k = 0;

    for (char *at = line, *tab = line; tab && k < MOST_FIELDS; at = tab ? tab + 1 : NULL, k++) {
        tab = strchr(at, '\t');
        if (tab) *tab = '\0';
        size_t n = strlen(at);
        if (n > 1 && at[0] == '"' && at[n - 1] == '"') { /* as R writes them */
            at[n - 1] = '\0';
            at++;
        }
        TRY(strings_add(&t->column[k], at));
    }
    if (t->n == 0) t->n_columns = k;
    t->n++;
    if (k != t->n_columns)
        TRY(rule_broken(faults, RULE_FIELD_COUNT, SCW_EFORMAT,
                        "%s: line %lld: %d fields, expected %d as in the first line",
                        bytes_name(r->from), (long long)r->number, k, t->n_columns));
    for (; k < t->n_columns; k++) TRY(strings_add(&t->column[k], ""));
done:
    return st;
}

/* n: lines expected; one more is taken for a heading. */
static scw_status read_name_table(name_table *t, const input *in, const char *member, int64_t n,
                                  const char *what, const rule_sink *faults)
{
    scw_status st = SCW_OK;
    line_reader r = {0};
    char *line;

    *t = (name_table){0};
    TRY(input_stream(&r.from, in, member));
    for (;;) {
        TRY(lines_next(&line, &r));
        if (!line) break;
        if (t->n == 0 && line[0] == '#') continue; /* comments of .bed */
        TRY(add_line(t, line, &r, faults));
    }
    if (t->n == n + 1) {
        for (int k = 0; k < t->n_columns; k++) {
            mem_free(t->column[k].at[0]);
            memmove(t->column[k].at, t->column[k].at + 1, (size_t)n * sizeof(char *));
            t->column[k].n--;
        }
        t->n--;
    }
    if (r.n_latin1 && faults)
        TRY(rule_broken(faults, RULE_TEXT_UTF8, SCW_EFORMAT, "%s: %lld lines are not UTF-8",
                        bytes_name(r.from), (long long)r.n_latin1));
    if (t->n != n)
        BREAK(RULE_NAMES_AGREE, SCW_EFORMAT, "%s: names %lld %s, the matrix has %lld",
              bytes_name(r.from), (long long)t->n, what, (long long)n);
done:
    bytes_free(r.from);
    lines_clear(&r);
    return st;
}

/* Move a list into a new column of text. */
static scw_status add_text_column(frame *f, const char *name, strings *values)
{
    scw_status st = SCW_OK;
    column c = {0};

    TRY(column_init(&c, name, COLUMN_STRING, f->n_rows));
    c.text = *values;
    *values = (strings){0};
    TRY(frame_add(f, &c));
done:
    column_clear(&c);
    return st;
}

/* "chr1", "100", "200" become "chr1:100-200". */
static scw_status name_peaks(frame *var, const name_table *t)
{
    scw_status st = SCW_OK;
    textbuf name = {0};
    strings kinds = {0};

    for (int64_t j = 0; j < t->n; j++) {
        text_clear(&name);
        TRY(text_add(&name, "%s:%s-%s", t->column[0].at[j], t->column[1].at[j],
                     t->column[2].at[j]));
        TRY(strings_add(&var->index, text_get(&name)));
        TRY(strings_add(&kinds, "Peaks"));
    }
    TRY(add_text_column(var, "feature_types", &kinds));
done:
    strings_clear(&kinds);
    text_clear(&name);
    return st;
}

static scw_status read_features(frame *var, const input *in, const char *member, int64_t n,
                                const rule_sink *faults)
{
    static const char *const more[] = {"feature_types", "chrom", "chromStart", "chromEnd"};
    scw_status st = SCW_OK;
    name_table t = {0};

    var->n_rows = n;
    TRY(mem_strdup(&var->index_name, "_index"));
    TRY(read_name_table(&t, in, member, n, "features", faults));
    if (before(member, "peaks.bed") >= 0 && t.n_columns >= 3) {
        TRY(name_peaks(var, &t));
        goto done;
    }
    int names = t.n_columns > 1;
    var->index = t.column[names];
    t.column[names] = (strings){0};
    if (names) TRY(add_text_column(var, "gene_ids", &t.column[0]));
    for (int k = 2; k < t.n_columns && k < 6; k++)
        TRY(add_text_column(var, more[k - 2], &t.column[k]));
done:
    name_table_clear(&t);
    return st;
}

static scw_status read_cells(frame *obs, const input *in, const char *member, int64_t n,
                             const rule_sink *faults)
{
    scw_status st = SCW_OK;
    name_table t = {0};

    obs->n_rows = n;
    TRY(mem_strdup(&obs->index_name, "_index"));
    TRY(read_name_table(&t, in, member, n, "cells", faults));
    obs->index = t.column[0];
    t.column[0] = (strings){0};
done:
    name_table_clear(&t);
    return st;
}

static scw_status number_names(frame *f, int64_t n, const char *word)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    f->n_rows = n;
    TRY(mem_strdup(&f->index_name, "_index"));
    for (int64_t i = 0; i < n; i++) {
        text_clear(&name);
        TRY(text_add(&name, "%s%lld", word, (long long)i));
        TRY(strings_add(&f->index, text_get(&name)));
    }
done:
    text_clear(&name);
    return st;
}

/* ------------------------------------------------------------------ reading */

/* The matrix member once more, from its beginning, for readers of a matrix that stays there. */
typedef struct mtx_origin {
    char *path, *member; /* NULL: the file itself */
    bool exchange;
} mtx_origin;

static scw_status open_matrix(mtx_reader **out, const input *in, const char *member, bool exchange,
                              const scw_hooks *hooks, const rule_sink *faults)
{
    scw_status st = SCW_OK;
    byte_stream *s = NULL;

    TRY(input_stream(&s, in, member));
    TRY(mtx_open(out, s, exchange, hooks, faults));
done:
    return st;
}

static scw_status open_origin(entry_source *out, const void *self)
{
    scw_status st = SCW_OK;
    const mtx_origin *o = self;
    input in = {0};
    mtx_reader *r = NULL;

    TRY(input_open(&in, o->path));
    TRY(open_matrix(&r, &in, o->member, o->exchange, NULL, NULL));
    *out = (entry_source){r, mtx_next, mtx_close};
done:
    input_close(&in);
    return st;
}

static void close_origin(void *self)
{
    mtx_origin *o = self;

    mem_free(o->path);
    mem_free(o->member);
    mem_free(o);
}

static scw_status leave_matrix(modality *m, mtx_reader *r, const input *in, const char *member,
                               bool exchange, const read_request *q)
{
    scw_status st = SCW_OK;
    mtx_origin *o = NULL;
    int64_t shape[2], n;

    mtx_shape(shape, &n, r);
    m->x = (matrix){.n_rows = shape[0], .n_cols = shape[1], .sparse = true};
    if (q->depth == READ_WHOLE) TRY(mtx_look(&m->x.stored, r));
    TRY(mem_new(&o, 1));
    o->exchange = exchange;
    TRY(mem_strdup(&o->path, in->path));
    TRY(mem_strdup(&o->member, member));
    const entry_origin origin = {o, open_origin, close_origin, n};
    o = NULL;
    TRY(entry_store_leave(m, &origin, in->path, q));
done:
    if (o) close_origin(o);
    return st;
}

static scw_status read_matrix(modality *m, const input *in, const char *member,
                              const read_request *q)
{
    scw_status st = SCW_OK;
    const bool exchange = q->options->rows != SCW_ROWS_CELLS;
    mtx_reader *r = NULL;
    int64_t shape[2], n;

    TRY(open_matrix(&r, in, member, exchange, q->hooks, q->faults));
    mtx_shape(shape, &n, r);
    if (q->depth == READ_FRAMES) {
        m->x = (matrix){.n_rows = shape[0], .n_cols = shape[1], .sparse = true};
        TRY(mtx_look(&m->x.stored, r));
    } else if (entry_store_wanted(n, shape[0], in, q)) {
        TRY(leave_matrix(m, r, in, member, exchange, q));
    } else {
        TRY(mtx_read(&m->x, r, q->depth == READ_WHOLE));
    }
done:
    mtx_close(r);
    return st;
}

/* `names`: where the files of names lie, which need not be where the matrix is. */
static scw_status read_members(dataset_part *part, const input *in, const input *names,
                               const triplet *t, const read_request *q)
{
    scw_status st = SCW_OK;

    TRY(read_matrix(&part->m, in, t->matrix, q));
    TRY(t->features ? read_features(&part->m.var, names, t->features, part->m.x.n_cols, q->faults)
                    : number_names(&part->m.var, part->m.x.n_cols, "feature_"));
    TRY(t->cells ? read_cells(&part->obs, names, t->cells, part->m.x.n_rows, q->faults)
                 : number_names(&part->obs, part->m.x.n_rows, "cell_"));
done:
    return st;
}

scw_status read_triplet(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    dataset_part part = {0};
    triplet t = {0};
    int n;

    TRY(find_triplet(&t, &n, in));
    if (n == 0)
        BREAK(RULE_MEMBERS_COMPLETE, SCW_EFORMAT,
              "%s: has a matrix.mtx, but not both features.tsv (or genes.tsv) and barcodes.tsv",
              in->path);
    TRY(read_members(&part, in, in, &t, q));
    TRY(parts_add(out, &part, in->path, q));
done:
    triplet_clear(&t);
    dataset_part_clear(&part);
    return st;
}

scw_status read_mtx_file(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    dataset_part part = {0};
    triplet t = {0};
    input folder = {0};
    const char *slash = strrchr(in->path, '/');
    textbuf path = {0};

    TRY(text_add(&path, "%.*s", slash ? (int)(slash - in->path) + 1 : 2, slash ? in->path : "./"));
    if (!in->bytes) {
        const char *name = slash ? slash + 1 : in->path;
        int64_t prefix = before(name, "matrix.mtx");
        if (prefix < 0) prefix = before(name, ".mtx");
        TRY(input_open(&folder, text_get(&path)));
        TRY(complete(&t, &folder.members, name, prefix < 0 ? 0 : prefix));
        mem_free(t.matrix);
        t.matrix = NULL; /* it is the file itself */
    }
    if (!t.features || !t.cells)
        log_info(q->hooks, "%s: rows are taken for %s; no names of %s lie beside it", in->path,
                 q->options->rows == SCW_ROWS_CELLS ? "cells" : "features", t.features ? "cells" : t.cells ? "features" : "either");
    TRY(read_members(&part, in, &folder, &t, q));
    TRY(parts_add(out, &part, in->path, q));
done:
    text_clear(&path);
    input_close(&folder);
    triplet_clear(&t);
    dataset_part_clear(&part);
    return st;
}
