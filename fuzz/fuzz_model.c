/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a model file, which is then used, and as the texts beside the data: folds, columns for obs, genes (a table or
 * a GTF), a list of features. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "io/formats.h"
#include "scweave/model.h"
#include "scweave/options.h"
#include "task/feature_sets.h"
#include "task/gene_table.h"
#include "task/splits.h"

#define N_OBS 4

/* Four cells with the features that the models of the corpus know. */
static scw_dataset *make_query(const char *name)
{
    static const char text[] = ",CD3,CD4,CD8,CD19\nc0,1,0,2,3\nc1,0,0,0,0\nc2,5,0,1,0\nc3,0,2,9,4\n";
    const scw_source source = {.path = "query", .modality = name};
    const scw_read_options options = {.rows = SCW_ROWS_CELLS};
    input in = {0};
    scw_dataset *d = NULL;

    if (input_open_bytes(&in, "query", text, sizeof text - 1) == SCW_OK)
        any(dataset_read(&d, &in, &source, 1, &options, NULL));
    input_close(&in);
    return d;
}

static void apply(const scw_model *m, const char *name)
{
    const scw_task_request request = {.annotate = 1, .embed = 1, .threads = 1, .coverage = 0.9,
                                      .reject = 0.05};
    scw_dataset *query = make_query(name);
    scw_results *results = NULL;

    if (query) any(scw_model_apply(&results, m, query, &request, NULL));
    scw_results_free(results);
    scw_dataset_free(query);
}

/* What can be loaded must also be fit for use. */
static void read_model(const char *path)
{
    scw_model *m = NULL;
    char *text = NULL;

    if (scw_model_load(&m, path) != SCW_OK) return;
    any(scw_model_describe(&text, m));
    apply(m, "rna");
    apply(m, "adt");
    scw_free(text);
    scw_model_free(m);
}

static void read_texts(const char *path)
{
    static char *const cells[N_OBS] = {"c0", "c1", "c2", "c3"};
    const scw_dataset d = {.n_obs = N_OBS,
                           .obs = {.n_rows = N_OBS, .index = {(char **)(uintptr_t)cells, N_OBS, N_OBS}}};
    const scw_obs_request request = {.table = path};
    char sets[80];
    splits folds = {0};
    gene_table genes = {0};
    feature_sets lists = {0};
    scw_results *columns = NULL;

    (void)snprintf(sets, sizeof sets, "mt=@%s", path);
    any(splits_read(&folds, path, &d));
    any(gene_table_read(&genes, path));
    any(feature_sets_read(&lists, sets, &d.obs.index));
    any(scw_obs_from_table(&columns, &d, &request, NULL));
    splits_clear(&folds);
    gene_table_clear(&genes);
    feature_sets_clear(&lists);
    scw_results_free(columns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_file f;

    fuzz_file_open(&f, data, size);
    mem_cap(FUZZ_MOST_BYTES);
    if (size > 8 && memcmp(data + 4, "\0\0\0", 4) == 0) read_model(f.path);
    else read_texts(f.path);
    mem_cap(0);
    fuzz_file_close(&f);
    return 0;
}

/* In a model file the header changes and its length with it; the tensors behind it stay. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint64_t length = 0;
    static uint8_t tensors[1 << 20];

    for (int k = 0; size > 8 && k < 8; k++) length |= (uint64_t)data[k] << (8 * k);
    if (size <= 8 || length == 0 || length > size - 8 || max_size < size || seed % 8 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    size_t n_tensors = size - 8 - (size_t)length;
    if (n_tensors > sizeof tensors) return LLVMFuzzerMutate(data, size, max_size);
    memcpy(tensors, data + 8 + length, n_tensors);
    length = LLVMFuzzerMutate(data + 8, (size_t)length, max_size - 8 - n_tensors);
    for (int k = 0; k < 8; k++) data[k] = (uint8_t)(length >> (8 * k));
    memcpy(data + 8 + length, tensors, n_tensors);
    return 8 + (size_t)length + n_tensors;
}
