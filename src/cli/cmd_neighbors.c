/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave umap and scweave cluster: what the neighbourhood of cells in an embedding says. */
#include "cli.h"

typedef struct options {
    char *use, *output, *key;
    int64_t threads;
} options;

#define TASK_ROWS(what_, key_help_)                                                                \
    {"use", SCW_OPTION_TEXT, offsetof(options, use), NULL, 0, 0, NULL, "KEY", "Task",              \
     "array of obsm to start from, such as X_matilda; MODALITY:KEY for one of a modality"},        \
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",       \
     "where the copy of the data with the " what_ " goes"},                                        \
    {"key", SCW_OPTION_TEXT, offsetof(options, key), NULL, 0, 0, NULL, "NAME", "Task", key_help_}, \
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",       \
     "0: all cores"}

static const scw_option umap_table[] = {
    TASK_ROWS("coordinates", "name of the result in obsm; X_umap unless said"),
    {.type = SCW_OPTION_END},
};

static const scw_option cluster_table[] = {
    TASK_ROWS("clusters", "name of the column in obs; leiden unless said"),
    {.type = SCW_OPTION_END},
};

static int check(const cli_run *r)
{
    const options *o = r->options;

    if (cli_input_count(r) == 0) return cli_misuse(r, "name the file with the embedding");
    if (!o->use)
        return cli_misuse(r, "--use is missing: the array of obsm to start from, as X_matilda");
    if (!o->output) return cli_misuse(r, "--output is missing: the file to write");
    if (o->key && !*o->key) return cli_misuse(r, "--key is empty");
    return cli_finish(r, scw_output_check(o->output));
}

static int run(cli_run *r, int cluster)
{
    const options *o = r->options;
    const scw_neighbors_request request = {o->use, o->key, (int)o->threads, r->record};
    scw_dataset *data = NULL;
    scw_results *results = NULL;

    int result = check(r);
    if (result != CLI_OK) return result;
    scw_status st = cli_open(&data, r);
    if (st == SCW_OK)
        st = cluster ? scw_dataset_cluster(&results, data, &request, r->settings, r->hooks)
                     : scw_dataset_umap(&results, data, &request, r->settings, r->hooks);
    if (st == SCW_OK) st = scw_results_write(results, data, o->output, r->hooks);
    result = cli_finish(r, st);
    scw_results_free(results);
    scw_dataset_free(data);
    return result;
}

static int run_umap(cli_run *r)
{
    return run(r, 0);
}

static int run_cluster(cli_run *r)
{
    return run(r, 1);
}

const cli_command cli_cmd_umap = {
    "umap",
    run_umap,
    "place cells in the plane so that neighbours in an embedding stay neighbours",
    "FILE --use KEY -o OUT [options]",
    "Writes a copy of the file with two coordinates for each cell in obsm X_umap, computed from an "
    "embedding in obsm by UMAP on exact nearest neighbours. Cells without an embedding get none. "
    "The output may be the input itself: it is replaced at once, when all is written. "
    "docs/neighbors.md says what is computed.",
    "scweave umap embedded.h5mu --use X_matilda -o embedded.h5mu",
    umap_table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_UMAP | CLI_LEAVES_MATRICES,
};

const cli_command cli_cmd_cluster = {
    "cluster",
    run_cluster,
    "group cells that are neighbours in an embedding",
    "FILE --use KEY -o OUT [options]",
    "Writes a copy of the file with the cluster of each cell in obs leiden: communities of the "
    "graph of nearest neighbours, by the Leiden algorithm, numbered from the largest. Cells "
    "without an embedding get none. The output may be the input itself: it is replaced at once, "
    "when all is written. Needs a build with igraph.",
    "scweave cluster embedded.h5mu --use X_matilda -o embedded.h5mu --resolution 0.8",
    cluster_table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_CLUSTER | CLI_LEAVES_MATRICES,
};
