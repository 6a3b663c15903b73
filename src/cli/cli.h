/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands share: the command table's row, one invocation, its conversation with the user.
 *
 * A command is one file cmd_<name>.c with one option table, one `cli_command` and one function. From
 * the row come parsing, --help and the manual page. Data goes to stdout, everything else to stderr. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "options.h"

typedef enum cli_exit {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_MISUSE = 2,
    CLI_INTERRUPTED = 130
} cli_exit;

typedef struct cli_run cli_run;

/* What a command takes beside its own options and those every command has. */
typedef enum cli_takes {
    CLI_TAKES_INPUT = 1, /* data files: arguments, --rna, --adt, --atac, --layer */
    CLI_TAKES_KIND = 2,  /* a kind of model as first argument, and that kind's options */
    CLI_TAKES_UMAP = 4,  /* the library's options of UMAP */
    CLI_TAKES_CLUSTER = 8, /* the library's options of clustering */
    CLI_TAKES_PLOT = 16, /* the same as a kind of model, with a kind of picture */
    CLI_LEAVES_MATRICES = 32, /* passes over the matrices of its input once, or not at all */
    CLI_TAKES_QC = 64,   /* the library's options of these verbs */
    CLI_TAKES_FILTER = 128,
    CLI_TAKES_PREPROCESS = 256,
    CLI_TAKES_ACTIVITY = 512,
    CLI_TAKES_MATCH = 2048,
    CLI_TAKES_CCA = 4096,
    CLI_TAKES_FROM = 8192, /* its option --from names a model, whose options are then the defaults */
    CLI_COPIES_MATRICES = 1024 /* has matrices in memory more than once while it works on them */
} cli_takes;

typedef struct cli_command {
    const char *name;
    int (*run)(cli_run *run); /* exit status */
    const char *summary;      /* one line, for the list of commands */
    const char *usage;        /* what follows the command's name */
    const char *about;        /* paragraphs, one a line */
    const char *examples;     /* command lines, one a line; NULL: none */
    const scw_option *options;
    size_t options_size;
    unsigned takes; /* cli_takes */
} cli_command;

/* Options of every command. */
typedef struct cli_general {
    int help, quiet, verbose;
} cli_general;

/* Options of commands that read data. */
typedef struct cli_input {
    char *rna, *adt, *atac, *layer, *var_names, *batch_column, *tmp;
    int join, rows; /* scw_join, scw_rows */
    int64_t mem;
} cli_input;

struct cli_run {
    const cli_command *command;
    cli_general general;
    cli_input input;
    void *options;              /* the command's struct */
    void *settings;       /* the struct of cli_settings_table */
    const cli_kind *kind; /* CLI_TAKES_KIND, CLI_TAKES_PLOT: chosen by the first argument */
    void *kind_options;
    scw_model *from; /* CLI_TAKES_FROM; NULL: not given */
    int n_arguments;
    char **arguments;     /* what is not an option, without the kind */
    const char *record;   /* the command as it is kept in results (options_parse) */
    const scw_hooks *hooks;
};

extern const cli_command *const cli_commands[]; /* ends with NULL */
extern const scw_option cli_general_options[], cli_input_options[];

extern const cli_command cli_cmd_inspect, cli_cmd_validate, cli_cmd_convert, cli_cmd_example, cli_cmd_fit,
    cli_cmd_annotate, cli_cmd_embed, cli_cmd_markers, cli_cmd_cca, cli_cmd_match, cli_cmd_simulate, cli_cmd_translate, cli_cmd_obs, cli_cmd_umap,
    cli_cmd_cluster,
    cli_cmd_evaluate, cli_cmd_plot, cli_cmd_report, cli_cmd_bench, cli_cmd_help, cli_cmd_qc,
    cli_cmd_filter, cli_cmd_preprocess, cli_cmd_activity;

/* Wrong use: print the sentence and where help is; CLI_MISUSE. */
int cli_misuse(const cli_run *run, const char *format, ...) SCW_PRINTF(2, 3);

/* Where help is; CLI_MISUSE. */
int cli_point_to_help(const cli_run *run);

/* The kinds of which a command takes one, as data. */
typedef struct cli_kinds {
    unsigned takes;                  /* cli_takes that asks for them */
    const char *word, *heading;      /* "model", "Models" */
    const char *argument;            /* "MODEL" */
    int (*at)(cli_kind *out, int k); /* 0 past the end */
} cli_kinds;
extern const cli_kinds cli_all_kinds[]; /* ends with takes 0 */
const cli_kinds *cli_kinds_of(const cli_command *command); /* NULL: it takes none */

/* No such kind, or (NULL) none named: print those there are; CLI_MISUSE. */
int cli_unknown_kind(const cli_run *run, const char *name);

/* Exit status for what a library call returned; prints the library's message on failure. */
int cli_finish(const cli_run *run, scw_status status);

scw_read_options cli_read_options(const cli_run *run);
/* Open the data sets that the arguments and input options name. */
SCW_CHECKED scw_status cli_open(scw_dataset **out, const cli_run *run);
/* A verb that answers a query with a model; `request` is the verb's own. */
typedef scw_status cli_verb(scw_results **out, const scw_model *model, const scw_dataset *query,
                            const void *request, const scw_hooks *hooks);
/* Load the model, open the query, answer it, write the results to `output`. Returns the exit status. */
int cli_answer(const cli_run *run, const char *model, const char *output, cli_verb *verb,
               const void *request);
/* Convert the files named, with their options, to `output`. */
SCW_CHECKED scw_status cli_convert(const cli_run *run, const char *output,
                                   const scw_convert_options *how);
/* The library's table that a command takes, and the size of its struct; NULL: none. */
const scw_option *cli_settings_table(const cli_command *command, size_t *size);
/* Number of data files named. */
int cli_input_count(const cli_run *run);

/* Are both the same existing file? Compared as files, so that a link does not hide it. */
int cli_same_file(const char *a, const char *b);
/* Is `path` one of the data files named? */
int cli_writes_over_input(const cli_run *run, const char *path);

/* Zeroed memory or the end of the program; given back with free. */
void *cli_new(size_t count, size_t size);

/* help.c */
void help_overview(FILE *out);
void help_command(FILE *out, const cli_run *run);
void help_kinds(FILE *out, const cli_kinds *kinds); /* those there are */
void help_manual(FILE *out);
const cli_command *help_find(const char *name);

#endif
