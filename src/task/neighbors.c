/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave umap and scweave cluster: an array of obsm in, columns of the copy out. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "data/results.h"
#include "scweave/neighbors.h"
#include "scweave/version.h"
#include "task/embedding.h"
#include "task/record.h"

/* What is kept beside a result: the version, the command, the array it came from and the settings.
 */
static scw_status begin_record(json_t **out, const scw_neighbors_request *request,
                               const scw_option *table, const void *options)
{
    scw_status st = SCW_OK;
    json_t *record = json_pack("{s:s, s:s}", "version", scw_version(), "use", request->use);
    int failed = record == NULL;

    if (!failed && request->command)
        failed |= json_object_set_new(record, "command", json_string(request->command));
    TRY(record_add_options(record, &failed, table, options));
    if (failed) FAIL(SCW_EDATA, "the name of the array or the command is not valid UTF-8");
    *out = record;
    record = NULL;
done:
    json_decref(record);
    return st;
}

static scw_status set_record(scw_results *r, const char *name, const json_t *record)
{
    scw_status st = SCW_OK;

    TRY(record_text(&r->record_json, record));
    TRY(mem_strdup(&r->record_name, name));
done:
    return st;
}

static scw_status begin(float **x, int64_t *d, const scw_dataset *dataset,
                        const scw_neighbors_request *request, const char *key,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    if (!dataset || !request->use)
        FAIL(SCW_EINVAL, "neighbours need a data set and an array of obsm");
    if (!*key) FAIL(SCW_EINVAL, "the name of the result is empty");
    if (strcmp(key, "scweave") == 0 || strcmp(key, "X_scweave") == 0)
        FAIL(SCW_EINVAL, "the result cannot be named '%s': uns['scweave'] is the models' record",
             key);
    threads_set(request->threads);
    TRY(embedding_read(x, d, dataset, request->use));
    log_info(hooks, "%lld cells, %lld columns in %s", (long long)dataset->n_obs, (long long)*d,
             request->use);
    TRY(log_check_cancel(hooks));
done:
    return st;
}

scw_status scw_dataset_umap(scw_results **out, const scw_dataset *dataset,
                            const scw_neighbors_request *request, const scw_umap_options *options,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_umap_options o;
    const char *key = request->key ? request->key : "X_umap";
    results_array array = {0};
    json_t *record = NULL;
    float *x = NULL;
    int64_t d;

    *out = NULL;
    TRY(scw_options_init(scw_umap_option_table(), &o));
    if (options) o = *options;
    if (request->use && strcmp(key, request->use) == 0)
        FAIL(SCW_EINVAL, "the result would replace '%s', from which it is made", key);
    TRY(begin(&x, &d, dataset, request, key, hooks));
    array = (results_array){.n_rows = dataset->n_obs, .n_cols = 2};
    TRY(mem_strdup(&array.name, key));
    TRY(mem_new(&array.values, array.n_rows * array.n_cols));
    st = scw_umap(array.values, x, dataset->n_obs, d, &o, hooks);
    if (st != SCW_OK) {
        status_prefix(st, "%s", request->use);
        goto done;
    }
    TRY(begin_record(&record, request, scw_umap_option_table(), &o));
    TRY(results_new(out, dataset->n_obs));
    TRY(results_add_array(*out, &array));
    TRY(set_record(*out, strncmp(key, "X_", 2) == 0 && key[2] ? key + 2 : key, record));
done:
    mem_free(x);
    results_array_clear(&array);
    json_decref(record);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}

/* Categories "0", "1", ...: in the order of their numbers, which is not that of their text. */
static scw_status label_column(column *c, const char *key, const int32_t *cluster, int64_t n,
                               int32_t n_clusters)
{
    scw_status st = SCW_OK;
    char name[16];

    TRY(column_init(c, key, COLUMN_CATEGORICAL, n));
    for (int32_t k = 0; k < n_clusters; k++) {
        (void)snprintf(name, sizeof name, "%d", k);
        TRY(strings_add(&c->categories, name));
    }
    if (n > 0) memcpy(c->codes, cluster, (size_t)n * sizeof *cluster);
done:
    return st;
}

static scw_status add_facts(json_t *record, const scw_clusters *facts)
{
    int failed = json_object_set_new(record, "n_clusters", json_integer(facts->n_clusters));

    failed |= json_object_set_new(record, "reached", json_real(facts->quality));
    failed |= json_object_set_new(record, "edges", json_integer(facts->n_edges));
    failed |= json_object_set_new(record, "pieces", json_integer(facts->n_pieces));
    return failed ? status_fail(SCW_ENUMERIC, "the quality of the clusters is no finite number")
                  : SCW_OK;
}

scw_status scw_dataset_cluster(scw_results **out, const scw_dataset *dataset,
                               const scw_neighbors_request *request,
                               const scw_cluster_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_cluster_options o;
    const char *key = request->key ? request->key : "leiden";
    scw_clusters facts;
    column label = {0};
    json_t *record = NULL;
    int32_t *cluster = NULL;
    float *x = NULL;
    int64_t d;

    *out = NULL;
    TRY(scw_options_init(scw_cluster_option_table(), &o));
    if (options) o = *options;
    TRY(begin(&x, &d, dataset, request, key, hooks));
    TRY(mem_new(&cluster, dataset->n_obs));
    st = scw_cluster(cluster, &facts, x, dataset->n_obs, d, &o, hooks);
    if (st != SCW_OK) {
        status_prefix(st, "%s", request->use);
        goto done;
    }
    log_info(hooks, "%d clusters, %s %.4f", facts.n_clusters,
             o.quality == SCW_QUALITY_MODULARITY ? "modularity" : "constant Potts quality",
             facts.quality);
    TRY(begin_record(&record, request, scw_cluster_option_table(), &o));
    TRY(add_facts(record, &facts));
    TRY(label_column(&label, key, cluster, dataset->n_obs, facts.n_clusters));
    TRY(results_new(out, dataset->n_obs));
    TRY(results_add_column(*out, &label));
    TRY(set_record(*out, key, record));
done:
    mem_free(x);
    mem_free(cluster);
    column_clear(&label);
    json_decref(record);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
