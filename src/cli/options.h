/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line, read through option tables (scweave/options.h). */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <scweave/scweave.h>

/* What the first argument of a command may name, with options of its own: a model, a picture. */
typedef struct cli_kind {
    const char *name, *summary;
    const scw_option *options;
    size_t options_size;
    const char *presets; /* names separated by |; NULL: none */
    scw_status (*preset)(void *options, const char *name);
    const char *asked; /* an option of the command that it asks for in its own way, "label"; NULL: none */
    scw_labels need;   /* how */
} cli_kind;

/* A table and the struct it describes. */
typedef struct options_table {
    const scw_option *rows;
    void *values;
} options_table;

enum { OPTIONS_TABLES = 5 };

typedef struct options_line {
    options_table tables[OPTIONS_TABLES];
    int n_tables;
    const cli_kind *kind; /* its presets are switches too; NULL: none */
    void *kind_options;
    char **arguments; /* what is not an option; room for argc entries, given by the caller */
    int n_arguments;
    /* The command as it is kept in results: what decides them, so without the output's name,
     * threads and talk. Equal work gives equal files wherever they are written. */
    char *record;
    char message[512]; /* what is wrong, when options_parse fails */
} options_line;

/* Read the words argv[0..argc-1]: --name value, --name=value, -n value, -nvalue; a boolean also
 * stands alone, is turned off by --no-name, and takes on/off, yes/no, true/false. `--` ends the
 * options. A preset of the kind, --name, applies before all options wherever it stands. Returns 0, or -1 with the message set. */
int options_parse(options_line *line, int argc, char **argv);

/* The value that the words give an option, NULL: none; for what must be known before they are read. */
const char *options_peek(int argc, char **argv, const char *name);

/* The k-th of names separated by |, in `out`; 0 when there is none. */
int options_nth(char *out, size_t size, const char *names, int k);

/* Add text to line->record, quoted for a shell. */
void options_record(options_line *line, const char *word);

/* The short name of an option, or 0. */
char options_letter(const char *name);

/* How many single-letter changes lead from a to b. */
int options_distance(const char *a, const char *b);
/* Is `candidate` at this distance worth suggesting for `word`? */
int options_close(const char *word, int distance);

#endif
