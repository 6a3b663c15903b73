/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave match: which cell of one file is which cell of another. */
#include "cli.h"
#include "print.h"

typedef struct options {
    char *use, *with, *map, *batch_key, *output, *pairs;
    int64_t threads;
    int features, json;
} options;

static const scw_option table[] = {
    {"use", SCW_OPTION_TEXT, offsetof(options, use), NULL, 0, 0, NULL, "KEY", "Task",
     "array of obsm of A, such as X_cca; MODALITY:KEY for one of a modality"},
    {"with", SCW_OPTION_TEXT, offsetof(options, with), NULL, 0, 0, NULL, "KEY", "Task",
     "the same of B, or of a single file; that of --use unless said"},
    {"features", SCW_OPTION_BOOL, offsetof(options, features), "off", 0, 0, NULL, NULL, "Task",
     "match by the features that two modalities share, which --use and --with then name; without a "
     "model, so as a baseline"},
    {"map", SCW_OPTION_TEXT, offsetof(options, map), NULL, 0, 0, NULL, "FILE", "Task",
     "table of two columns: features of A and of B that are the same; those of one name unless said"},
    {"batch-key", SCW_OPTION_TEXT, offsetof(options, batch_key), NULL, 0, 0, NULL, "KEY", "Task",
     "obs column of both: only cells of one batch are matched"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "an .h5ad with a row for each cell of A, a column for each of B, and the weights in X"},
    {"pairs", SCW_OPTION_TEXT, offsetof(options, pairs), NULL, 0, 0, NULL, "FILE", "Task",
     "the same as a table: cell_a, cell_b, weight, distance; .csv for commas, else tabs"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Task",
     "print the counts as JSON"},
    {.type = SCW_OPTION_END},
};

static int check(const cli_run *r)
{
    const options *o = r->options;
    int result;

    if (r->n_arguments < 1 || r->n_arguments > 2)
        return cli_misuse(r, "name two files, or one with two arrays of obsm");
    if (o->map && !o->features) return cli_misuse(r, "--map needs --features");
    if (!o->use && !o->features) return cli_misuse(r, "--use is missing: the array of obsm to match by, as X_cca");
    if (r->n_arguments == 1 && !o->with)
        return cli_misuse(r, "--with is missing: what of the same file is matched with --use");
    if (!o->output && !o->pairs)
        return cli_misuse(r, "say where the matches go: --output FILE, --pairs FILE, or both");
    if (o->output && o->pairs && cli_same_file(o->output, o->pairs))
        return cli_misuse(r, "--output and --pairs name the same file");
    for (int k = 0; k < r->n_arguments; k++)
        if ((o->output && cli_same_file(o->output, r->arguments[k])) ||
            (o->pairs && cli_same_file(o->pairs, r->arguments[k])))
            return cli_misuse(r, "the matches would replace %s", r->arguments[k]);
    result = o->output ? cli_finish(r, scw_output_check(o->output)) : CLI_OK;
    if (result == CLI_OK && o->pairs) result = cli_finish(r, scw_output_check(o->pairs));
    return result;
}

static scw_status open_one(scw_dataset **out, const cli_run *r, int k)
{
    const options *o = r->options;
    const scw_source source = {.path = r->arguments[k]};

    return scw_dataset_open(out, &source, 1,
                            &(scw_read_options){.leave_matrices = !o->features}, r->hooks);
}

static int show(const scw_match *m, const options *o)
{
    char *text = NULL, a[32], b[32], c[32], d[32], e[32];

    if (scw_match_describe(&text, m) != SCW_OK) return CLI_FAILURE;
    if (o->json) {
        (void)puts(text);
        scw_free(text);
        return CLI_OK;
    }
    json_t *root = print_parse(text);
    scw_free(text);
    if (!root) return CLI_FAILURE;
    (void)printf("%s of %s cells matched with %s of %s, %s entries\n",
                 print_count(a, print_number(root, "n_matched_a")),
                 print_count(b, print_number(root, "n_a")),
                 print_count(c, print_number(root, "n_matched_b")),
                 print_count(d, print_number(root, "n_b")),
                 print_count(e, print_number(root, "n_entries")));
    const json_t *named = json_object_get(root, "by_name");
    if (json_is_object(named))
        (void)printf("of %s cells with the same name on both sides: match probability %.4f, first "
                     "choice right %.4f\n",
                     print_count(a, print_number(named, "n_pairs")),
                     print_number(named, "match_probability"), print_number(named, "top1"));
    json_decref(root);
    return CLI_OK;
}

static int run(cli_run *r)
{
    const options *o = r->options;
    scw_dataset *a = NULL, *b = NULL;
    scw_match *m = NULL;
    int shown = CLI_OK;

    int result = check(r);
    if (result != CLI_OK) return result;
    scw_status st = open_one(&a, r, 0);
    if (st == SCW_OK && r->n_arguments == 2) st = open_one(&b, r, 1);
    const scw_match_request request = {{a, o->use}, {b ? b : a, o->with ? o->with : o->use},
                                       o->batch_key, (int)o->threads, r->record, o->features,
                                       o->map};
    if (st == SCW_OK) st = scw_match_cells(&m, &request, r->settings, r->hooks);
    if (st == SCW_OK && o->output) st = scw_match_write(m, o->output, r->hooks);
    if (st == SCW_OK && o->pairs) st = scw_match_write_pairs(m, o->pairs);
    if (st == SCW_OK) shown = show(m, o);
    result = shown == CLI_OK ? cli_finish(r, st) : cli_finish(r, SCW_EINTERNAL);
    scw_match_free(m);
    scw_dataset_free(a);
    scw_dataset_free(b);
    return result;
}

const cli_command cli_cmd_match = {
    "match",
    run,
    "find which cell of one file is which cell of another, by their embeddings",
    "A [B] --use KEY [--with KEY] [-o FILE] [--pairs FILE] [options]",
    "Matches cells that have places in one space: those of two files, or of one file with two arrays "
    "in obsm. Cells of one batch are matched with each other only, when --batch-key says what a batch "
    "is. With --features they are matched by what both measure, log counts of the same genes say. The "
    "result is sparse: an .h5ad of weights, cells of A by cells of B, or a table of pairs. "
    "Where cells of both sides have the same name, prints how often those were found. docs/match.md "
    "says what the engines compute.",
    "scweave match rna.h5ad adt.h5ad --use X_cca --batch-key batch -o match.h5ad\n"
    "scweave match cite.h5mu --use rna:X_cca --with adt:X_cca --pairs pairs.csv",
    table,
    sizeof(options),
    CLI_TAKES_MATCH,
};
