/* SPDX-License-Identifier: BSD-3-Clause */
/* Results go into a copy of the input.
 *
 * One file: its bytes are copied to the temporary file beside the target, and the new elements are
 * added there: whatever the input held, read or not, is in the output. Several .h5ad files: a new
 * .h5mu takes each whole file as a modality. In both cases the space is asked of the file system
 * first, because HDF5 recovers badly from a disk that fills up while it writes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "io/element.h"
#include "io/formats.h"
#include "io/write_element.h"
#include "io/write_h5mu.h"
#include "io/write_part.h"

#define COPY_BYTES (1 << 20)

/* ------------------------------------------------------------------ bytes and space */

/* Room for `bytes` in a file without changing its size. File systems that cannot reserve are trusted:
 * the writing itself is checked too. */
static scw_status reserve_space(const char *path, const char *target, int64_t bytes)
{
    scw_status st = SCW_OK;

    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) FAIL(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
    int rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes), why = errno;
    (void)close(fd);
    if (rc != 0 && (why == ENOSPC || why == EDQUOT || why == EFBIG))
        FAIL(SCW_EIO, "%s: cannot write: about %lld MB are needed: %s", target,
             (long long)(bytes >> 20) + 1, strerror(why));
done:
    return st;
}

/* Give back what was reserved beyond the end. */
static void release_space(const char *path)
{
    struct stat info;

    if (stat(path, &info) == 0 && truncate(path, info.st_size) != 0) return;
}

static scw_status copy_bytes(const char *from, const char *to, const char *target,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    char *buffer = NULL;
    int in = -1, out = -1;

    TRY(mem_new(&buffer, COPY_BYTES));
    in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) FAIL(SCW_EIO, "%s: cannot open: %s", from, strerror(errno));
    out = open(to, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (out < 0) FAIL(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
    for (;;) {
        TRY(log_check_cancel(hooks));
        ssize_t n = read(in, buffer, COPY_BYTES);
        if (n == 0) break;
        if (n < 0) FAIL(SCW_EIO, "%s: cannot read: %s", from, strerror(errno));
        for (ssize_t done_bytes = 0; done_bytes < n;) {
            ssize_t w = write(out, buffer + done_bytes, (size_t)(n - done_bytes));
            if (w < 0) FAIL(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
            done_bytes += w;
        }
    }
done:
    if (in >= 0) (void)close(in);
    if (out >= 0 && close(out) != 0 && st == SCW_OK)
        st = status_fail(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
    mem_free(buffer);
    return st;
}

/* Bytes the results take at most: uncompressed, with room for HDF5's own structures. */
static int64_t results_bytes(const scw_results *r, const scw_dataset *d)
{
    int64_t names = 0, bytes = 2 << 20;

    for (int64_t i = 0; i < d->obs.index.n; i++) names += (int64_t)strlen(d->obs.index.at[i]) + 48;
    for (int64_t i = 0; i < r->n_columns; i++) {
        const column *c = &r->columns[i];
        bytes += 9 * c->n + 8192;
        for (int64_t k = 0; k < c->text.n; k++) bytes += (int64_t)strlen(c->text.at[k]) + 48;
    }
    for (int64_t i = 0; i < r->n_arrays; i++) {
        const results_array *a = &r->arrays[i];
        bytes += a->n_rows * a->n_cols * 4 + (a->col_names.n + 1) * 4096 + names;
    }
    if (r->ranking) {
        int64_t n = r->ranking->groups.n * r->ranking->n_ranks;
        bytes += n * (8 * RESULTS_RANKING_VALUES + 2 * 16 + 2 * 48) + 65536;
    }
    return bytes + bytes / 4 + names + write_parts_bytes(r);
}

/* ------------------------------------------------------------------ adding */

/* rows[i]: result row of the file's cell i. *rows stays NULL when the orders are equal. */
static scw_status match_rows(int64_t **rows, const strings *file_index, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    bool equal = file_index->n == d->n_obs;

    *rows = NULL;
    for (int64_t i = 0; equal && i < d->n_obs; i++)
        equal = strcmp(file_index->at[i], d->obs.index.at[i]) == 0;
    if (equal) goto done;
    TRY(mem_new(rows, file_index->n));
    TRY(name_index_build(&index, (const char *const *)d->obs.index.at, d->n_obs, NULL));
    for (int64_t i = 0; i < file_index->n; i++) {
        (*rows)[i] = name_index_find(&index, file_index->at[i]);
        if ((*rows)[i] < 0 || file_index->n != d->n_obs)
            FAIL(SCW_EDATA, "%s: has changed since it was read (cell '%s')", d->files[0].path,
                 file_index->at[i]);
    }
done:
    name_index_clear(&index);
    return st;
}

static scw_status add_columns(hid_t obs, const scw_results *r, const int64_t *rows)
{
    scw_status st = SCW_OK;
    column c = {0};

    for (int64_t i = 0; i < r->n_columns; i++) {
        const column *from = &r->columns[i];
        if (rows) {
            column_clear(&c);
            TRY(column_gather(&c, from, from->name, rows, r->n_obs));
            from = &c;
        }
        TRY(write_into_frame(obs, from));
    }
done:
    column_clear(&c);
    return st;
}

static scw_status add_arrays(hid_t obsm, const scw_results *r, const int64_t *rows,
                             const strings *index)
{
    scw_status st = SCW_OK;
    float *values = NULL;

    for (int64_t k = 0; k < r->n_arrays; k++) {
        results_array a = r->arrays[k]; /* borrows all but the values */
        if (rows) {
            mem_free(values);
            TRY(mem_new(&values, a.n_rows * a.n_cols));
            for (int64_t i = 0; i < a.n_rows; i++)
                memcpy(values + i * a.n_cols, a.values + rows[i] * a.n_cols,
                       (size_t)a.n_cols * sizeof *values);
            a.values = values;
        }
        TRY(write_obsm(obsm, &a, index));
    }
done:
    mem_free(values);
    return st;
}

static scw_status add_results(hid_t file, const scw_results *r, const scw_dataset *d,
                              const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t obs = 0, obsm = 0, uns = 0;
    frame bare = {.n_rows = d->n_obs, .index = d->obs.index}, in_file = {0};
    int64_t *rows = NULL;

    TRY(convert_frame_records(file, "obs", hooks));
    if (h5_find(file, "obs") == H5_ABSENT) TRY(write_frame(file, "obs", &bare));
    TRY(h5_open_group(&obs, file, "obs"));
    TRY(element_frame_index(&in_file, obs));
    TRY(match_rows(&rows, &in_file.index, d));
    TRY(add_columns(obs, r, rows));
    if (r->n_arrays) {
        TRY(convert_array_records(file, "obsm"));
        TRY(write_open_dict(&obsm, file, "obsm"));
        TRY(add_arrays(obsm, r, rows, &in_file.index));
    }
    if (r->record_json || r->ranking) TRY(write_open_dict(&uns, file, "uns"));
    if (r->record_json)
        TRY(write_record(uns, r->record_name ? r->record_name : "scweave", r->record_json));
    if (r->ranking) TRY(write_ranking(uns, r->ranking));
    TRY(write_parts(file, r, d, hooks));
done:
    mem_free(rows);
    frame_clear(&in_file);
    h5_close(&obs);
    h5_close(&obsm);
    h5_close(&uns);
    return st;
}

/* ------------------------------------------------------------------ one file, several files */

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), e = strlen(ending);
    return n >= e && strcmp(path + n - e, ending) == 0;
}

static scw_status write_into_copy(const scw_results *r, const scw_dataset *d, const atomic_file *f,
                                  const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t file = 0;
    struct stat info;
    const char *from = d->files[0].path;

    if (stat(from, &info) != 0) FAIL(SCW_EIO, "%s: cannot open: %s", from, strerror(errno));
    TRY(reserve_space(f->temporary, f->target, (int64_t)info.st_size + results_bytes(r, d)));
    TRY(copy_bytes(from, f->temporary, f->target, hooks));
    TRY(reserve_space(f->temporary, f->target, (int64_t)info.st_size + results_bytes(r, d)));
    TRY(h5_file_edit(&file, f->temporary));
    TRY(add_results(file, r, d, hooks));
    TRY(h5_file_finish(&file));
    release_space(f->temporary);
done:
    h5_close(&file);
    return st;
}

static scw_status copy_modality(hid_t mod, const dataset_file *from)
{
    scw_status st = SCW_OK;
    hid_t source = 0, group = 0;

    TRY(h5_file_open(&source, from->path));
    TRY(h5_copy(source, "/", mod, from->modality));
    TRY(h5_open_group(&group, mod, from->modality));
    if (!h5_has_attr(group, "encoding-type")) TRY(write_encoding(group, "anndata", "0.1.0"));
done:
    h5_close(&group);
    h5_close(&source);
    return st;
}

static scw_status write_joined(const scw_results *r, const scw_dataset *d, const atomic_file *f,
                               const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t file = 0, mod = 0;
    struct stat info;
    int64_t bytes = results_bytes(r, d);

    for (int k = 0; k < d->n_files; k++) {
        if (stat(d->files[k].path, &info) != 0)
            FAIL(SCW_EIO, "%s: cannot open: %s", d->files[k].path, strerror(errno));
        bytes += (int64_t)info.st_size + info.st_size / 8;
    }
    TRY(h5_file_create(&file, f->temporary, H5MU_USERBLOCK));
    TRY(reserve_space(f->temporary, f->target, bytes));
    TRY(h5_make_group(&mod, file, "mod"));
    for (int k = 0; k < d->n_files; k++) {
        TRY(log_check_cancel(hooks));
        TRY(copy_modality(mod, &d->files[k]));
    }
    TRY(h5mu_write_around(file, d));
    TRY(add_results(file, r, d, hooks));
    h5_close(&mod);
    TRY(h5_file_finish(&file));
    TRY(h5mu_write_userblock(f->temporary));
    release_space(f->temporary);
done:
    h5_close(&mod);
    h5_close(&file);
    return st;
}

/* Files of other formats, and batches: the set is read once more with its exact values and written. */
static scw_status write_anew(const scw_results *r, const scw_dataset *d, const atomic_file *f,
                             bool h5ad, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t file = 0;
    scw_dataset *again = NULL;

    if (d->stacked)
        log_info(hooks, "the files become one: what cannot be joined (obsp, varm, varp, uns) is left out");
    TRY(dataset_read_again(&again, d, hooks));
    if (again->n_obs != d->n_obs)
        FAIL(SCW_EDATA, "%s: has changed since it was read", d->files[0].path);
    TRY(h5_file_create(&file, f->temporary, h5ad ? 0 : H5MU_USERBLOCK));
    TRY(h5ad ? dataset_write_h5ad_into(file, again) : dataset_write_h5mu_into(file, again));
    TRY(add_results(file, r, d, hooks));
    TRY(h5_file_finish(&file));
    if (!h5ad) TRY(h5mu_write_userblock(f->temporary));
done:
    h5_close(&file);
    scw_dataset_free(again);
    return st;
}

/* Files of other formats, and batches: no file holds the cells of the set. */
static bool is_written_anew(const scw_dataset *d)
{
    bool anew = d->stacked;

    for (int k = 0; k < d->n_files; k++) anew |= !d->files[k].native;
    return anew;
}

scw_status dataset_write_native(const scw_dataset *d, const char *path, bool h5ad,
                                const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const scw_results none = {.n_obs = d->n_obs};
    atomic_file f = {0};

    TRY(atomic_file_begin(&f, path));
    TRY(is_written_anew(d) ? write_anew(&none, d, &f, h5ad, hooks) : write_joined(&none, d, &f, hooks));
    TRY(atomic_file_commit(&f));
done:
    atomic_file_clear(&f);
    return st;
}

scw_status scw_results_write(const scw_results *results, const scw_dataset *dataset,
                             const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_session session;
    atomic_file f = {0};

    if (!results || !dataset) return status_fail(SCW_EINVAL, "nothing to write");
    h5_session_begin(&session);
    if (results->n_obs != dataset->n_obs)
        FAIL(SCW_EINTERNAL, "results for %lld cells, the data set has %lld",
             (long long)results->n_obs, (long long)dataset->n_obs);
    if (dataset->n_files < 1)
        FAIL(SCW_EINVAL, "the data set was not read from a file, so there is none to add to");
    bool one_each = true;
    for (int k = 0; k < dataset->n_files; k++) one_each &= dataset->files[k].n_parts == 1;
    TRY(atomic_file_begin(&f, path));
    bool joined = dataset->n_files > 1;
    for (int64_t k = 0; k < results->n_parts; k++) /* one more modality makes an .h5ad an .h5mu */
        joined |= results->parts[k].row_of_obs && dataset->files[0].modality;
    if (is_written_anew(dataset) || (dataset->n_files > 1 && !one_each))
        TRY(write_anew(results, dataset, &f, ends_with(path, ".h5ad"), hooks));
    else
        TRY(joined ? write_joined(results, dataset, &f, hooks)
                   : write_into_copy(results, dataset, &f, hooks));
    TRY(atomic_file_commit(&f));
done:
    atomic_file_clear(&f);
    h5_session_end(&session);
    return st;
}
