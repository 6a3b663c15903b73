/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as an HDF5 file: .h5ad, .h5mu, Cell Ranger's, loom, Matilda's. Read in every way there is, then
 * written again: new, as a copy with results, and cut.
 *
 * A crash whose innermost frame lies in libhdf5 is a defect of that library: the wrapper refuses such files
 * before the call where that can be done, and docs/formats.md says what remains. */
#include "base/alloc.h"
#include "base/hash.h"
#include "data/results.h"
#include "fuzz.h"
#include "io/copy_tree.h"
#include "io/file_blocks.h"
#include "io/formats.h"
#include "io/inspect.h"
#include "io/read_obsm.h"
#include "io/subset.h"
#include "io/write_h5mu.h"

#define MOST_MEMBERS 24 /* of a group that are looked at */

static hid_t new_file_in_memory(void)
{
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);

    (void)H5Pset_fapl_core(fapl, 1 << 16, 0);
    (void)H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG);
    hid_t file = H5Fcreate("new", H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    (void)H5Pclose(fapl);
    return file;
}

/* ------------------------------------------------------------------ reading */

static void read_blocks(hid_t element, bool stored, bool exact)
{
    const block_options options = {.memory_bytes = 4096, .folder = "/dev/shm", .exact = exact};
    block_reader *rows = NULL;
    row_block block = {0};
    bool by_columns, more = true;

    scw_status st = stored ? block_reader_as_stored(&rows, &by_columns, element, &options)
                           : block_reader_of_element(&rows, element, -1, -1, &options);
    for (int k = 0; st == SCW_OK && more && k < 50; k++) st = block_reader_next(&block, rows, &more);
    row_block_clear(&block);
    block_reader_free(rows);
}

static void read_element_blocks(hid_t parent, const char *name)
{
    hid_t element = 0;

    if (h5_open(&element, parent, name) == SCW_OK)
        for (int k = 0; k < 4; k++) read_blocks(element, k & 1, k & 2);
    h5_close(&element);
}

static void read_group_blocks(hid_t parent, const char *name)
{
    hid_t group = 0;
    strings names = {0};

    if (h5_open_group(&group, parent, name) == SCW_OK && h5_list(&names, group) == SCW_OK)
        for (int64_t i = 0; i < names.n && i < MOST_MEMBERS; i++)
            read_element_blocks(group, names.at[i]);
    strings_clear(&names);
    h5_close(&group);
}

/* The matrices of the root or of a modality as blocks; the arrays of obsm. */
static void read_parts(hid_t root, const char *path, const char *name)
{
    hid_t obsm = 0;
    strings names = {0};
    float *values = NULL;
    int64_t n, d;

    read_element_blocks(root, "X");
    read_element_blocks(root, "raw/X");
    read_group_blocks(root, "layers");
    if (h5_open_group(&obsm, root, "obsm") == SCW_OK && h5_list(&names, obsm) == SCW_OK)
        for (int64_t i = 0; i < names.n && i < MOST_MEMBERS; i++) {
            any(io_read_obsm(&values, &n, &d, path, name, names.at[i]));
            mem_free(values);
            values = NULL;
        }
    strings_clear(&names);
    h5_close(&obsm);
}

static void read_all_parts(const input *in, const char *path)
{
    hid_t mod = 0, one = 0;
    strings names = {0};

    read_parts(in->hdf5, path, NULL);
    if (h5_open_group(&mod, in->hdf5, "mod") == SCW_OK && h5_list(&names, mod) == SCW_OK)
        for (int64_t i = 0; i < names.n && i < MOST_MEMBERS; i++) {
            if (h5_open_group(&one, mod, names.at[i]) == SCW_OK) read_parts(one, path, names.at[i]);
            h5_close(&one);
        }
    strings_clear(&names);
    h5_close(&mod);
}

/* ------------------------------------------------------------------ writing */

static void write_new(const scw_dataset *d, const input *in)
{
    hid_t file = new_file_in_memory();

    any(dataset_write_h5mu_into(file, d));
    h5_close(&file);
    file = new_file_in_memory();
    any(dataset_write_h5ad_into(file, d));
    h5_close(&file);
    file = new_file_in_memory();
    any(copy_tree(in->hdf5, file, (scw_compression)(in->n_bytes % 4), NULL));
    h5_close(&file);
}

static scw_status make_results(scw_results **out, int64_t n_obs)
{
    scw_status st = SCW_OK;
    column c = {0};
    results_array a = {.n_rows = n_obs, .n_cols = 2};

    TRY(results_new(out, n_obs));
    TRY(column_init(&c, "real", COLUMN_FLOAT, n_obs));
    TRY(results_add_column(*out, &c));
    TRY(column_init(&c, "label", COLUMN_CATEGORICAL, n_obs));
    TRY(strings_add(&c.categories, "a"));
    TRY(results_add_column(*out, &c));
    TRY(mem_strdup(&a.name, "X_pca"));
    TRY(mem_new(&a.values, a.n_rows * a.n_cols));
    TRY(results_add_array(*out, &a));
    TRY(mem_strdup(&(*out)->record_json, "{\"seed\": 7}"));
done:
    column_clear(&c);
    results_array_clear(&a);
    return st;
}

static void write_results(const scw_dataset *d, const char *path)
{
    scw_results *r = NULL;

    if (make_results(&r, d->n_obs) == SCW_OK) any(scw_results_write(r, d, path, NULL));
    scw_results_free(r);
}

/* Every other cell, and every other feature of the first modality. */
static void write_subset(const scw_dataset *d, const char *path)
{
    uint8_t *cells = NULL, *features = NULL;
    const int64_t n = d->n_obs, p = d->modalities[0].x.n_cols;

    if (mem_new(&cells, n) == SCW_OK && mem_new(&features, p) == SCW_OK) {
        for (int64_t i = 0; i < n; i += 2) cells[i] = 1;
        for (int64_t j = 0; j < p; j += 2) features[j] = 1;
        any(dataset_write_subset(d, cells, 0, features, path, NULL));
    }
    mem_free(cells);
    mem_free(features);
}

static void write_copies(const fuzz_file *f, bool results, bool subset)
{
    const scw_source source = {.path = f->path};
    const scw_read_options left = {.leave_matrices = 1};
    input in = {0};
    scw_dataset *d = NULL;

    if (input_open(&in, f->path) == SCW_OK &&
        dataset_read(&d, &in, &source, 1, &left, NULL) == SCW_OK) {
        if (results) write_results(d, f->output);
        if (subset) write_subset(d, f->output);
    }
    scw_dataset_free(d);
    input_close(&in);
}

/* ------------------------------------------------------------------ the target */

enum { INSPECT = 1, READ = 2, WRITE = 4, BLOCKS = 8, RESULTS = 16, SUBSET = 32, ALL = 63 };

static void go(const input *in, const fuzz_file *f, unsigned doors)
{
    const scw_source source = {.path = f->path};
    scw_dataset *d = NULL;
    json_t *report = NULL;

    if (doors & INSPECT) {
        any(inspect_file(&report, in, NULL));
        json_decref(report);
    }
    if (doors & READ) any(dataset_read(&d, in, &source, 1, NULL, NULL));
    scw_dataset_free(d);
    d = NULL;
    if (doors & WRITE &&
        dataset_read_as(&d, in, &source, 1, &(scw_read_options){0}, READ_WHOLE, NULL) == SCW_OK)
        write_new(d, in);
    scw_dataset_free(d);
    if (doors & BLOCKS) read_all_parts(in, f->path);
    if (doors & (RESULTS | SUBSET)) write_copies(f, doors & RESULTS, doors & SUBSET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned doors[] = {INSPECT, INSPECT, READ, READ, READ, WRITE, WRITE, WRITE,
                                     BLOCKS,  BLOCKS,  RESULTS, SUBSET};
    h5_session session;
    input in = {0};
    fuzz_file f;

    if (!size) return 0;
    fuzz_file_open(&f, data, size);
    const uint64_t which = hash_bytes(HASH_START, data, (int64_t)size) % (sizeof doors / sizeof *doors);
    mem_cap(FUZZ_MOST_BYTES);
    h5_session_begin(&session);
    if (input_open_bytes(&in, "image", data, (int64_t)size) == SCW_OK && in.kind == INPUT_HDF5)
        go(&in, &f, fuzz_all_doors ? ALL : doors[which]);
    input_close(&in);
    h5_session_end(&session);
    mem_cap(0);
    fuzz_file_close(&f);
    return 0;
}

/* Values change, and links, types and shapes. Bytes changed at random mostly meet libhdf5's own checks, or
 * the lack of them: -DFUZZ_BYTES adds them. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t n = 0;

#ifdef FUZZ_BYTES
    if (seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
#endif
    n = fuzz_mutate_hdf5(data, size, max_size, seed);
    return n ? n : size;
}
