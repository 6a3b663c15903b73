/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/write_triplet.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/log.h"

#define GZIP_LEVEL "wb6"

typedef struct gzip_file {
    atomic_file f;
    gzFile out;
} gzip_file;

static scw_status gzip_begin(gzip_file *g, const char *folder, const char *name)
{
    scw_status st = SCW_OK;
    textbuf path = {0};

    *g = (gzip_file){0};
    TRY(text_add(&path, "%s/%s", folder, name));
    TRY(atomic_file_begin(&g->f, text_get(&path)));
    g->out = gzopen(g->f.temporary, GZIP_LEVEL);
    if (!g->out) FAIL(SCW_EIO, "%s: cannot write: %s", g->f.target, strerror(errno));
    (void)gzbuffer(g->out, 1 << 17);
done:
    text_clear(&path);
    return st;
}

static scw_status gzip_write(gzip_file *g, const char *text, size_t n)
{
    if (n && gzwrite(g->out, text, (unsigned)n) != (int)n)
        return status_fail(SCW_EIO, "%s: cannot write: %s", g->f.target, strerror(errno));
    return SCW_OK;
}

static scw_status gzip_finish(gzip_file *g)
{
    int rc = gzclose(g->out);

    g->out = NULL;
    if (rc != Z_OK)
        return status_fail(SCW_EIO, "%s: cannot write: %s", g->f.target, strerror(errno));
    return SCW_OK;
}

static void gzip_clear(gzip_file *g)
{
    if (g->out) (void)gzclose(g->out);
    atomic_file_clear(&g->f);
}

/* A tab or a line's end within a name would end the field. */
static scw_status write_field(gzip_file *g, const char *text, char end)
{
    scw_status st = SCW_OK;

    if (strpbrk(text, "\t\r\n"))
        FAIL(SCW_EDATA, "%s: the name '%s' holds a tab or the end of a line", g->f.target, text);
    TRY(gzip_write(g, text, strlen(text)));
    TRY(gzip_write(g, &end, 1));
done:
    return st;
}

static scw_status write_names(gzip_file *g, const char *folder, const strings *names)
{
    scw_status st = SCW_OK;

    TRY(gzip_begin(g, folder, "barcodes.tsv.gz"));
    for (int64_t i = 0; i < names->n; i++) TRY(write_field(g, names->at[i], '\n'));
    TRY(gzip_finish(g));
done:
    return st;
}

static scw_status write_features(gzip_file *g, const char *folder, const frame *var)
{
    scw_status st = SCW_OK;
    strings ids = {0}, types = {0};
    const column *id = frame_find(var, "gene_ids"), *type = frame_find(var, "feature_types");

    TRY(gzip_begin(g, folder, "features.tsv.gz"));
    if (id) TRY(column_texts(&ids, id));
    if (type) TRY(column_texts(&types, type));
    for (int64_t j = 0; j < var->n_rows; j++) {
        const char *name = var->index.at[j];
        TRY(write_field(g, id && *ids.at[j] ? ids.at[j] : name, '\t'));
        TRY(write_field(g, name, '\t'));
        TRY(write_field(g, type ? types.at[j] : "Gene Expression", '\n'));
    }
    TRY(gzip_finish(g));
done:
    strings_clear(&ids);
    strings_clear(&types);
    return st;
}

/* The shortest decimal text that gives the number again. */
static int number_text(char *out, size_t size, double v, number_type type)
{
    if (type != NUMBER_F32 && type != NUMBER_F64) return snprintf(out, size, "%.0f", v);
    int n = 0, most = type == NUMBER_F32 ? 9 : 17;
    for (int digits = type == NUMBER_F32 ? 6 : 15; digits <= most; digits++) {
        n = snprintf(out, size, "%.*g", digits, v);
        double back = strtod(out, NULL);
        if (type == NUMBER_F32 ? (float)back == (float)v : back == v) break;
    }
    for (char *p = out; *p; p++)
        if (*p == ',') *p = '.'; /* whatever the host's locale */
    return n;
}

static scw_status write_entries(gzip_file *g, const row_block *b, number_type stored)
{
    scw_status st = SCW_OK;
    const matrix *m = &b->x;
    char line[96], value[40];

    for (int64_t i = 0; i < m->n_rows; i++) {
        for (int64_t e = m->indptr[i]; e < m->indptr[i + 1]; e++) {
            double v = b->exact ? b->exact[e] : (double)m->values[e];
            (void)number_text(value, sizeof value, v, stored);
            int n = snprintf(line, sizeof line, "%lld %lld %s\n", (long long)m->indices[e] + 1,
                             (long long)(b->from + i) + 1, value);
            TRY(gzip_write(g, line, (size_t)n));
        }
    }
done:
    return st;
}

/* Entries of all rows; written when there is a file. */
static scw_status pass_rows(int64_t *nnz, gzip_file *g, const modality *m, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    block_reader *rows = NULL;
    row_block b = {0};
    bool more;

    *nnz = 0;
    TRY(modality_rows_exact(&rows, m));
    for (;;) {
        TRY(log_check_cancel(hooks));
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
        *nnz += b.x.indptr[b.x.n_rows];
        if (g) TRY(write_entries(g, &b, m->x.stored));
    }
done:
    row_block_clear(&b);
    block_reader_free(rows);
    return st;
}

static scw_status write_matrix_file(gzip_file *g, const char *folder, const modality *m,
                                    const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    char head[160];
    int64_t nnz;

    TRY(pass_rows(&nnz, NULL, m, hooks));
    bool real = m->x.stored == NUMBER_F32 || m->x.stored == NUMBER_F64;
    TRY(gzip_begin(g, folder, "matrix.mtx.gz"));
    int n = snprintf(head, sizeof head,
                     "%%%%MatrixMarket matrix coordinate %s general\n%lld %lld %lld\n",
                     real ? "real" : "integer", (long long)m->x.n_cols, (long long)m->x.n_rows,
                     (long long)nnz);
    TRY(gzip_write(g, head, (size_t)n));
    TRY(pass_rows(&nnz, g, m, hooks));
    TRY(gzip_finish(g));
done:
    return st;
}

scw_status write_triplet(const scw_dataset *d, const char *folder, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    gzip_file files[3] = {0};
    const modality *m = &d->modalities[0];

    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        FAIL(SCW_EIO, "%s: cannot make the folder: %s", folder, strerror(errno));
    TRY(write_names(&files[0], folder, &d->obs.index));
    TRY(write_features(&files[1], folder, &m->var));
    TRY(write_matrix_file(&files[2], folder, m, hooks));
    for (int k = 0; k < 3; k++) TRY(atomic_file_sync(&files[k].f));
    /* Three names cannot change at once. Between the first and the last of them the folder lacks its matrix,
     * which every reader refuses, so that old and new are never taken for one set. */
    if (unlink(files[2].f.target) != 0 && errno != ENOENT)
        FAIL(SCW_EIO, "%s: cannot write: %s", files[2].f.target, strerror(errno));
    for (int k = 0; k < 3; k++) TRY(atomic_file_commit(&files[k].f));
    if (d->obs.n_columns)
        log_info(hooks, "a matrix folder has no place for the %lld columns of obs",
                 (long long)d->obs.n_columns);
done:
    for (int k = 0; k < 3; k++) gzip_clear(&files[k]);
    return st;
}
