/* SPDX-License-Identifier: BSD-3-Clause */
/* The program: finds the command, reads the line through its tables, runs it, closes the talk.
 *
 * How to add a command: write cmd_<name>.c with a cli_command, declare it in cli.h, add it to
 * cli_commands below and to meson.build, and give it a case in tests/cli. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "console.h"

const cli_command *const cli_commands[] = {
    &cli_cmd_inspect, &cli_cmd_validate, &cli_cmd_convert, &cli_cmd_qc, &cli_cmd_filter, &cli_cmd_preprocess,
    &cli_cmd_activity, &cli_cmd_example, &cli_cmd_fit, &cli_cmd_annotate,
    &cli_cmd_embed,   &cli_cmd_markers,  &cli_cmd_simulate, &cli_cmd_translate, &cli_cmd_umap,
    &cli_cmd_cluster, &cli_cmd_cca,     &cli_cmd_match,    &cli_cmd_evaluate, &cli_cmd_plot,     &cli_cmd_report,
    &cli_cmd_obs,     &cli_cmd_bench,    &cli_cmd_help,     NULL,
};

const scw_option cli_general_options[] = {
    {"help", SCW_OPTION_BOOL, offsetof(cli_general, help), "off", 0, 0, NULL, NULL, "General",
     "this text"},
    {"quiet", SCW_OPTION_BOOL, offsetof(cli_general, quiet), "off", 0, 0, NULL, NULL, "General",
     "print only warnings and errors beside the data"},
    {"verbose", SCW_OPTION_BOOL, offsetof(cli_general, verbose), "off", 0, 0, NULL, NULL,
     "General", "say more; progress also where there is no terminal"},
    {.type = SCW_OPTION_END},
};

const scw_option cli_input_options[] = {
    {"rna", SCW_OPTION_TEXT, offsetof(cli_input, rna), NULL, 0, 0, NULL, "FILE", "Input",
     "an .h5ad with gene counts"},
    {"adt", SCW_OPTION_TEXT, offsetof(cli_input, adt), NULL, 0, 0, NULL, "FILE", "Input",
     "an .h5ad with surface protein counts"},
    {"atac", SCW_OPTION_TEXT, offsetof(cli_input, atac), NULL, 0, 0, NULL, "FILE", "Input",
     "an .h5ad with chromatin accessibility"},
    {"layer", SCW_OPTION_TEXT, offsetof(cli_input, layer), NULL, 0, 0, NULL, "NAME", "Input",
     "matrix to read: X, raw, or the name of a layer; X unless said"},
    {"var-names", SCW_OPTION_TEXT, offsetof(cli_input, var_names), NULL, 0, 0, NULL, "COLUMN",
     "Input", "column of var that names the features, gene_ids say; their index unless said"},
    {"join", SCW_OPTION_CHOICE, offsetof(cli_input, join), "inner", 0, 0, "inner|outer|reference",
     NULL, "Input", "features of several files of one modality: those of all, of any, of the first"},
    {"rows", SCW_OPTION_CHOICE, offsetof(cli_input, rows), "guess", 0, 0, "guess|cells|features",
     NULL, "Input", "what the rows of tables and MatrixMarket files are"},
    {"batch-column", SCW_OPTION_TEXT, offsetof(cli_input, batch_column), NULL, 0, 0, NULL, "NAME",
     "Input", "obs column that tells such files apart; batch unless said"},
    {"mem", SCW_OPTION_INT, offsetof(cli_input, mem), "0", 0, 1e15, NULL, "BYTES", "Input",
     "memory for matrices, 512M or 2G say; larger ones are read in blocks; 0: half of what is free"},
    {"tmp", SCW_OPTION_TEXT, offsetof(cli_input, tmp), NULL, 0, 0, NULL, "FOLDER", "Input",
     "for temporary files that stand in for memory; /var/tmp unless said"},
    {.type = SCW_OPTION_END},
};

static int model_at(cli_kind *out, int k)
{
    const scw_model_kind *m = scw_model_kind_at(k);

    if (m)
        *out = (cli_kind){m->name, m->summary, m->options, m->options_size, m->presets, m->preset,
                          "label", m->labels};
    return m != NULL;
}

static int plot_at(cli_kind *out, int k)
{
    const scw_plot_kind *p = scw_plot_kind_at(k);

    if (p) *out = (cli_kind){p->name, p->summary, p->options, p->options_size, NULL, NULL, NULL, 0};
    return p != NULL;
}

const cli_kinds cli_all_kinds[] = {
    {CLI_TAKES_KIND, "model", "Models", "MODEL", model_at},
    {CLI_TAKES_PLOT, "kind of picture", "Kinds", "KIND", plot_at},
    {0, NULL, NULL, NULL, NULL},
};

const cli_kinds *cli_kinds_of(const cli_command *command)
{
    for (const cli_kinds *k = cli_all_kinds; k->takes; k++)
        if (command->takes & k->takes) return k;
    return NULL;
}

void *cli_new(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);

    if (!block) {
        (void)fputs("scweave: memory ran out\n", stderr);
        exit(CLI_FAILURE);
    }
    return block;
}

int cli_misuse(const cli_run *run, const char *format, ...)
{
    va_list args;

    console_clear_line();
    (void)fprintf(stderr, "scweave %s: ", run->command->name);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return cli_point_to_help(run);
}

int cli_point_to_help(const cli_run *run)
{
    (void)fprintf(stderr, "Try 'scweave %s%s%s --help'.\n", run->command->name,
                  run->kind ? " " : "", run->kind ? run->kind->name : "");
    return CLI_MISUSE;
}

int cli_finish(const cli_run *run, scw_status status)
{
    if (status == SCW_OK) return CLI_OK;
    console_clear_line();
    const char *why = scw_error_message();
    (void)fprintf(stderr, "scweave %s: %s\n", run->command->name,
                  *why ? why : scw_status_name(status));
    if (status == SCW_ECANCELLED) return CLI_INTERRUPTED;
    return status == SCW_EINVAL ? CLI_MISUSE : CLI_FAILURE;
}

int cli_input_count(const cli_run *run)
{
    return run->n_arguments + !!run->input.rna + !!run->input.adt + !!run->input.atac;
}

/* One named file. An argument NAME=FILE names its modality and NAME@BATCH=FILE or @BATCH=FILE its
 * batch, unless there is a file of that very name; `room` receives the cut text. */
static scw_source source_of(char *argument, const char *layer, char **room)
{
    scw_source source = {.path = argument, .layer = layer};
    struct stat info;
    const char *equals = strchr(argument, '=');

    if (!equals || equals == argument || stat(argument, &info) == 0) return source;
    *room = cli_new(strlen(argument) + 1, 1);
    memcpy(*room, argument, (size_t)(equals - argument));
    char *at = strchr(*room, '@');
    if (at) {
        *at = '\0';
        source.batch = at + 1;
    }
    if (**room) source.modality = *room;
    source.path = equals + 1;
    return source;
}

static int list_sources(scw_source *out, char **rooms, const cli_run *run)
{
    const cli_input *in = &run->input;
    int n = 0;

    for (; n < run->n_arguments; n++) out[n] = source_of(run->arguments[n], in->layer, &rooms[n]);
    if (in->rna) out[n++] = (scw_source){.path = in->rna, .modality = "rna", .layer = in->layer};
    if (in->adt) out[n++] = (scw_source){.path = in->adt, .modality = "adt", .layer = in->layer};
    if (in->atac) out[n++] = (scw_source){.path = in->atac, .modality = "atac", .layer = in->layer};
    return n;
}

scw_read_options cli_read_options(const cli_run *run)
{
    return (scw_read_options){.var_names = run->input.var_names,
                              .join = (scw_join)run->input.join,
                              .rows = (scw_rows)run->input.rows,
                              .batch_key = run->input.batch_column,
                              .memory_bytes = run->input.mem,
                              .spill_folder = run->input.tmp,
                              .matrices = run->command->takes & CLI_COPIES_MATRICES ? 3 : 1,
                              .leave_matrices = run->command->takes & CLI_LEAVES_MATRICES};
}

scw_status cli_open(scw_dataset **out, const cli_run *run)
{
    int room = cli_input_count(run);
    scw_source *sources = cli_new((size_t)room, sizeof *sources);
    char **names = cli_new((size_t)room, sizeof *names);
    int n = list_sources(sources, names, run);

    const scw_read_options options = cli_read_options(run);
    scw_status st = scw_dataset_open(out, sources, n, &options, run->hooks);
    for (int k = 0; k < room; k++) free(names[k]);
    free(names);
    free(sources);
    return st;
}

int cli_answer(const cli_run *run, const char *model_path, const char *output, cli_verb *verb,
               const void *request)
{
    scw_model *model = NULL;
    scw_dataset *query = NULL;
    scw_results *results = NULL;

    scw_status st = scw_model_load(&model, model_path);
    if (st == SCW_OK) st = cli_open(&query, run);
    if (st == SCW_OK) st = verb(&results, model, query, request, run->hooks);
    if (st == SCW_OK) st = scw_results_write(results, query, output, run->hooks);
    int result = cli_finish(run, st);
    scw_results_free(results);
    scw_dataset_free(query);
    scw_model_free(model);
    return result;
}

scw_status cli_convert(const cli_run *run, const char *output, const scw_convert_options *how)
{
    int room = cli_input_count(run);
    scw_source *sources = cli_new((size_t)room, sizeof *sources);
    char **names = cli_new((size_t)room, sizeof *names);
    int n = list_sources(sources, names, run);

    scw_status st = scw_convert(sources, n, output, how, run->hooks);
    for (int k = 0; k < room; k++) free(names[k]);
    free(names);
    free(sources);
    return st;
}

int cli_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int cli_writes_over_input(const cli_run *run, const char *path)
{
    int room = cli_input_count(run), found = 0;
    scw_source *sources = cli_new((size_t)room, sizeof *sources);
    char **names = cli_new((size_t)room, sizeof *names);
    int n = list_sources(sources, names, run);

    for (int k = 0; k < n; k++) found |= cli_same_file(path, sources[k].path);
    for (int k = 0; k < room; k++) free(names[k]);
    free(names);
    free(sources);
    return found;
}

const scw_option *cli_settings_table(const cli_command *command, size_t *size)
{
    static const struct {
        unsigned takes;
        const scw_option *(*table)(void);
        size_t size;
    } settings[] = {
        {CLI_TAKES_UMAP, scw_umap_option_table, sizeof(scw_umap_options)},
        {CLI_TAKES_CLUSTER, scw_cluster_option_table, sizeof(scw_cluster_options)},
        {CLI_TAKES_PREPROCESS, scw_preprocess_option_table, sizeof(scw_preprocess_options)},
        {CLI_TAKES_FILTER, scw_filter_option_table, sizeof(scw_filter_options)},
        {CLI_TAKES_ACTIVITY, scw_activity_option_table, sizeof(scw_activity_options)},
        {CLI_TAKES_CCA, scw_cca_option_table, sizeof(scw_cca_options)},
        {CLI_TAKES_MATCH, scw_match_option_table, sizeof(scw_match_options)},
        {CLI_TAKES_QC, scw_qc_option_table, sizeof(scw_qc_options)},
    };

    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        if (!(command->takes & settings[k].takes)) continue;
        *size = settings[k].size;
        return settings[k].table();
    }
    *size = 0;
    return NULL;
}

/* The model to start from, and its options in the place of the defaults; of another kind they say nothing,
 * and the fit refuses it. */
static int start_from(cli_run *run, int argc, char **argv)
{
    const char *path = run->command->takes & CLI_TAKES_FROM ? options_peek(argc, argv, "from") : NULL;

    if (!run->kind || !path) return CLI_OK;
    const scw_status st = scw_model_load(&run->from, path);
    if (st == SCW_OK && strcmp(scw_model_kind_of(run->from)->name, run->kind->name) == 0)
        scw_model_options(run->kind_options, run->from);
    return cli_finish(run, st);
}

/* Set all options to their defaults and read the words into them. */
static int read_line(cli_run *run, options_line *line, int argc, char **argv)
{
    size_t size;

    line->tables[line->n_tables++] = (options_table){cli_general_options, &run->general};
    if (run->command->options)
        line->tables[line->n_tables++] = (options_table){run->command->options, run->options};
    if (run->settings)
        line->tables[line->n_tables++] =
            (options_table){cli_settings_table(run->command, &size), run->settings};
    if (run->command->takes & CLI_TAKES_INPUT)
        line->tables[line->n_tables++] = (options_table){cli_input_options, &run->input};
    if (run->kind) {
        line->tables[line->n_tables++] = (options_table){run->kind->options, run->kind_options};
        line->kind = run->kind;
        line->kind_options = run->kind_options;
    }
    for (int t = 0; t < line->n_tables; t++)
        if (scw_options_init(line->tables[t].rows, line->tables[t].values) != SCW_OK)
            return cli_finish(run, SCW_EINTERNAL);
    const int result = start_from(run, argc, argv);
    if (result != CLI_OK) return result;
    if (options_parse(line, argc, argv) != 0) return cli_misuse(run, "%s", line->message);
    run->arguments = line->arguments;
    run->n_arguments = line->n_arguments;
    run->record = line->record ? line->record : "";
    return CLI_OK;
}

int cli_unknown_kind(const cli_run *run, const char *name)
{
    const cli_kinds *kinds = cli_kinds_of(run->command);

    if (name)
        (void)fprintf(stderr, "scweave %s: there is no %s '%s'\n", run->command->name, kinds->word,
                      name);
    else
        (void)fprintf(stderr, "scweave %s: name the %s first\n", run->command->name, kinds->word);
    help_kinds(stderr, kinds);
    (void)fputc('\n', stderr);
    return cli_point_to_help(run);
}

/* The kind's name stands first, because it decides which options there are. */
static int choose_kind(cli_run *run, cli_kind *kind, int argc, char **argv)
{
    const cli_kinds *kinds = cli_kinds_of(run->command);

    if (argc == 0 || argv[0][0] == '-') return CLI_OK;
    for (int k = 0; kinds->at(kind, k); k++) {
        if (strcmp(kind->name, argv[0]) != 0) continue;
        run->kind = kind;
        run->kind_options = cli_new(1, kind->options_size);
        return CLI_OK;
    }
    return cli_unknown_kind(run, argv[0]);
}

/* Data that could not be written is a failure, whatever the command thinks. */
static int close_stdout(const cli_run *run, int result)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return result;
    (void)fprintf(stderr, "scweave %s: cannot write to standard output: %s\n", run->command->name,
                  strerror(errno));
    return result == CLI_OK ? CLI_FAILURE : result;
}

static int run_command(const cli_command *command, int argc, char **argv, int all, char **words)
{
    cli_run run = {.command = command};
    options_line line = {0};
    cli_kind kind;
    int result = CLI_OK;
    size_t size;

    line.arguments = cli_new((size_t)argc + 1, sizeof *line.arguments);
    options_record(&line, "scweave");
    options_record(&line, command->name);
    if (command->options) run.options = cli_new(1, command->options_size);
    if (cli_settings_table(command, &size)) run.settings = cli_new(1, size);
    if (cli_kinds_of(command)) result = choose_kind(&run, &kind, argc, argv);
    if (run.kind) options_record(&line, argv[0]);
    if (result == CLI_OK)
        result = read_line(&run, &line, argc - !!run.kind, argv + !!run.kind);
    if (result == CLI_OK && run.general.help) {
        help_command(stdout, &run);
        result = close_stdout(&run, CLI_OK);
    } else if (result == CLI_OK) {
        run.hooks = console_begin(run.general.quiet, run.general.verbose);
        result = close_stdout(&run, command->run(&run));
        if (result == CLI_OK && command != &cli_cmd_help) console_end(all, words);
    }
    for (int t = 0; t < line.n_tables; t++)
        scw_options_clear(line.tables[t].rows, line.tables[t].values);
    free(run.options);
    free(run.settings);
    free(run.kind_options);
    scw_model_free(run.from);
    free(line.record);
    free(line.arguments);
    return result;
}

static int unknown_command(const char *word)
{
    const char *nearest = NULL;
    int best = 0;

    for (const cli_command *const *c = cli_commands; *c; c++) {
        int distance = options_distance(word, (*c)->name);
        if (!nearest || distance < best) nearest = (*c)->name, best = distance;
    }
    (void)fprintf(stderr, "scweave: there is no %s '%s'", *word == '-' ? "option" : "command",
                  word);
    if (nearest && options_close(word, best)) (void)fprintf(stderr, "; did you mean %s?", nearest);
    (void)fputs("\nTry 'scweave --help'.\n", stderr);
    return CLI_MISUSE;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (argc < 2) {
        help_overview(stderr);
        return CLI_MISUSE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        (void)printf("scweave %s\n", scw_version());
        return fflush(stdout) == 0 ? CLI_OK : CLI_FAILURE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help_overview(stdout);
        return fflush(stdout) == 0 ? CLI_OK : CLI_FAILURE;
    }
    const cli_command *command = help_find(word);
    if (!command) return unknown_command(word);
    return run_command(command, argc - 2, argv + 2, argc, argv);
}
