/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave convert: from any format that is read to .h5ad, .h5mu or a matrix folder. */
#include <string.h>

#include "cli.h"

typedef struct options {
    char *output, *modality;
    int to, merge, compression;
} options;

static const scw_option table[] = {
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "what to write; unless said, the last argument"},
    {"to", SCW_OPTION_CHOICE, offsetof(options, to), "ending", 0, 0, "ending|h5ad|h5mu|mtx", NULL,
     "Task", "format to write: by the output's ending, or named"},
    {"modality", SCW_OPTION_TEXT, offsetof(options, modality), NULL, 0, 0, NULL, "NAME", "Task",
     "only this one of several"},
    {"merge", SCW_OPTION_BOOL, offsetof(options, merge), "off", 0, 0, NULL, NULL, "Task",
     "all modalities side by side in one matrix, told apart by var feature_types"},
    {"compression", SCW_OPTION_CHOICE, offsetof(options, compression), "keep", 0, 0,
     "keep|gzip|lzf|none", NULL, "Task", "of the matrices written"},
    {.type = SCW_OPTION_END},
};

static int run(cli_run *r)
{
    const options *o = r->options;
    static const char *const formats[] = {NULL, "h5ad", "h5mu", "mtx"};
    const char *output = o->output;

    if (!output && r->n_arguments) output = r->arguments[--r->n_arguments];
    if (!output || cli_input_count(r) == 0)
        return cli_misuse(r, "name what to read and, last, what to write");
    const scw_read_options read = cli_read_options(r);
    const scw_convert_options how = {.to = formats[o->to],
                                     .modality = o->modality,
                                     .merge = o->merge,
                                     .compression = (scw_compression)o->compression,
                                     .read = &read};
    return cli_finish(r, cli_convert(r, output, &how));
}

const cli_command cli_cmd_convert = {
    "convert",
    run,
    "write data in another format: .h5ad, .h5mu, a matrix folder",
    "INPUT... OUTPUT [options]",
    "Reads .h5ad, .h5mu, 10x files, folders and archives, MatrixMarket, loom, tables. Between .h5ad and "
    ".h5mu every element is kept as it is stored; from other formats numbers keep their type and every "
    "bit. An output that ends in / becomes a folder with matrix.mtx.gz, features.tsv.gz and "
    "barcodes.tsv.gz.",
    "scweave convert filtered_feature_bc_matrix.h5 pbmc.h5mu\n"
    "scweave convert pbmc.h5mu --modality rna rna.h5ad\n"
    "scweave convert day1.h5ad day2.h5ad both.h5ad --join outer --batch-column day",
    table,
    sizeof(options),
    CLI_TAKES_INPUT,
};
