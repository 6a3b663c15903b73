/* SPDX-License-Identifier: BSD-3-Clause */
/* Help and the manual page, written from the command table and the option tables; values shown in
 * brackets are the ones that hold at that moment. */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { NAME_WIDTH = 26, LINE_WIDTH = 90 };

const cli_command *help_find(const char *name)
{
    for (const cli_command *const *c = cli_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0) return *c;
    return NULL;
}

/* `text` in lines of at most LINE_WIDTH columns; the first continues a line that is `column` long,
 * the others are indented. */
static void wrap(FILE *out, const char *text, int column, int indent)
{
    int first = 1;

    while (*text) {
        size_t word = strcspn(text, " ");
        if (!first && column + 1 + (int)word > LINE_WIDTH) {
            (void)fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fwrite(text, 1, word, out);
        column += (int)word;
        text += word;
        text += strspn(text, " ");
        first = 0;
    }
    (void)fputc('\n', out);
}

/* Paragraphs, one a line of `text`. */
static void paragraphs(FILE *out, const char *text, int indent)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        char *line = cli_new(n + 1, 1);
        memcpy(line, text, n);
        (void)fprintf(out, "%*s", indent, "");
        wrap(out, line, indent, indent);
        free(line);
        text += n;
        text += *text == '\n';
    }
}

static void add_range(char *text, size_t size, const scw_option *o)
{
    if ((o->type != SCW_OPTION_INT && o->type != SCW_OPTION_REAL) || o->minimum >= o->maximum)
        return;
    if (o->maximum < 1e9)
        (void)snprintf(text, size, " (%.10g to %.10g)", o->minimum, o->maximum);
    else if (o->minimum > -1e9)
        (void)snprintf(text, size, " (at least %.10g)", o->minimum);
}

/* "help text (range) [value]" */
static char *explain(const scw_option *o, const scw_option *table, const void *values)
{
    char range[64] = "";
    char *value = NULL;

    add_range(range, sizeof range, o);
    if (values && scw_options_get(&value, table, values, o->name) != SCW_OK) value = NULL;
    int show = value && !(o->type == SCW_OPTION_BOOL && strcmp(value, "off") == 0);
    size_t size = strlen(o->help) + sizeof range + (value ? strlen(value) : 0) + 4;
    char *text = cli_new(size, 1);
    (void)snprintf(text, size, "%s%s%s%s%s", o->help, range, show ? " [" : "", show ? value : "",
                   show ? "]" : "");
    scw_free(value);
    return text;
}

static const char *argument(const scw_option *o)
{
    return o->type == SCW_OPTION_CHOICE ? o->choices : o->argument ? o->argument : "";
}

static void option(FILE *out, const scw_option *o, const scw_option *table, const void *values)
{
    char name[128];
    char letter = options_letter(o->name);
    /* A switch that is on is shown by how to turn it off too. */
    int is_on = o->type == SCW_OPTION_BOOL && o->default_text && strcmp(o->default_text, "on") == 0;
    const char *value = o->type == SCW_OPTION_BOOL ? "" : argument(o);

    int n = snprintf(name, sizeof name, "  %c%c%c --%s%s%s%s", letter ? '-' : ' ',
                     letter ? letter : ' ', letter ? ',' : ' ', is_on ? "[no-]" : "", o->name,
                     *value ? " " : "", value);
    char *text = explain(o, table, values);
    (void)fputs(name, out);
    if (n > NAME_WIDTH)
        (void)fprintf(out, "\n%*s", NAME_WIDTH + 2, "");
    else
        (void)fprintf(out, "%*s", NAME_WIDTH + 2 - n, "");
    wrap(out, text, NAME_WIDTH + 2, NAME_WIDTH + 2);
    free(text);
}

/* Groups in the order in which they first appear. */
static void options_but(FILE *out, const scw_option *table, const void *values, const char *hidden)
{
    for (const scw_option *first = table; first->type != SCW_OPTION_END; first++) {
        const scw_option *seen = table;
        while (seen < first && strcmp(seen->group, first->group) != 0) seen++;
        if (seen < first) continue;
        (void)fprintf(out, "\n%s\n", first->group);
        for (const scw_option *o = first; o->type != SCW_OPTION_END; o++)
            if (strcmp(o->group, first->group) == 0 && !(hidden && strcmp(o->name, hidden) == 0))
                option(out, o, table, values);
    }
}

static void options(FILE *out, const scw_option *table, const void *values)
{
    options_but(out, table, values, NULL);
}

void help_kinds(FILE *out, const cli_kinds *kinds)
{
    cli_kind kind;

    (void)fprintf(out, "\n%s\n", kinds->heading);
    for (int k = 0; kinds->at(&kind, k); k++) {
        (void)fprintf(out, "  %-*s", NAME_WIDTH, kind.name);
        wrap(out, kind.summary, NAME_WIDTH + 2, NAME_WIDTH + 2);
    }
}

static void presets(FILE *out, const cli_kind *kind)
{
    char name[64];

    for (int k = 0; options_nth(name, sizeof name, kind->presets, k); k++) {
        if (k == 0) (void)fputs("\nPresets: applied first, single options override\n", out);
        (void)fprintf(out, "      --%-*s  docs/models/%s.md says what it changes\n", NAME_WIDTH - 8,
                      name, kind->name);
    }
}

/* The command's usage for one kind: by its name, and an option in brackets as that kind asks for it. */
static void usage(FILE *out, const cli_command *c, const cli_kinds *kinds, const cli_kind *kind)
{
    const char *rest = c->usage + strlen(kinds->argument), *open = NULL;
    char option[64];

    (void)snprintf(option, sizeof option, " [--%s ", kind->asked ? kind->asked : "");
    if (kind->asked) open = strstr(rest, option);
    (void)fprintf(out, "Usage: scweave %s %s", c->name, kind->name);
    if (!open || kind->need == SCW_LABELS_OPTIONAL) {
        (void)fprintf(out, "%s\n\n", rest);
        return;
    }
    const char *close = strchr(open, ']');
    (void)fprintf(out, "%.*s", (int)(open - rest), rest);
    if (kind->need == SCW_LABELS_NEEDED) (void)fprintf(out, " %.*s", (int)(close - open - 2), open + 2);
    (void)fprintf(out, "%s\n\n", close + 1);
}

/* Examples of one kind, where there are any; all without one. */
static void examples(FILE *out, const cli_command *c, const cli_kind *kind)
{
    char start[64], *line;
    int n = 0;

    (void)snprintf(start, sizeof start, "scweave %s %s ", c->name, kind ? kind->name : "");
    (void)fputs("\nExamples\n", out);
    for (const char *at = c->examples; kind && *at; at += strcspn(at, "\n"), at += *at == '\n') {
        if (strncmp(at, start, strlen(start)) != 0) continue;
        const size_t length = strcspn(at, "\n");
        line = cli_new(length + 1, 1);
        memcpy(line, at, length);
        paragraphs(out, line, 2);
        free(line);
        n++;
    }
    if (n == 0) paragraphs(out, c->examples, 2);
}

void help_command(FILE *out, const cli_run *run)
{
    const cli_command *c = run->command;
    size_t size;
    const cli_kinds *kinds = cli_kinds_of(c);

    if (run->kind)
        usage(out, c, kinds, run->kind);
    else
        (void)fprintf(out, "Usage: scweave %s %s\n\n", c->name, c->usage);
    paragraphs(out, c->about, 0);
    if (kinds && !run->kind) help_kinds(out, kinds);
    if (c->takes & CLI_TAKES_INPUT) options(out, cli_input_options, &run->input);
    const bool unasked = run->kind && run->kind->need == SCW_LABELS_NONE;
    if (c->options) options_but(out, c->options, run->options, unasked ? run->kind->asked : NULL);
    if (run->settings) options(out, cli_settings_table(c, &size), run->settings);
    if (run->kind) {
        (void)fprintf(out, "\nOptions of %s: %s\n", run->kind->name, run->kind->summary);
        presets(out, run->kind);
        options(out, run->kind->options, run->kind_options);
    } else if (kinds) {
        (void)fprintf(out, "\n'scweave %s %s --help' shows the %s's own options.\n", c->name,
                      kinds->argument, kinds->word);
    }
    options(out, cli_general_options, NULL);
    if (c->examples) examples(out, c, run->kind);
}

void help_overview(FILE *out)
{
    (void)fprintf(out, "scweave %s: deep learning on multimodal single-cell data\n\n"
                       "Usage: scweave COMMAND [arguments] [options]\n\nCommands\n",
                  scw_version());
    for (const cli_command *const *c = cli_commands; *c; c++) {
        (void)fprintf(out, "  %-12s", (*c)->name);
        wrap(out, (*c)->summary, 14, 14);
    }
    (void)fputs("\n'scweave COMMAND --help' explains one. A first run:\n\n"
                "  scweave example reference.h5mu --seed 1\n"
                "  scweave example query.h5mu --seed 2\n"
                "  scweave fit matilda reference.h5mu --label cell_type -o model.safetensors\n"
                "  scweave annotate -m model.safetensors query.h5mu --embed -o annotated.h5mu\n"
                "  scweave evaluate annotated.h5mu --label cell_type --prediction matilda_label "
                "--embedding X_matilda\n",
                out);
}

/* Text of a manual page: a backslash, a hyphen, and a leading dot or quote mean something to roff. */
static void roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'') (void)fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\' || *text == '-') (void)fputc('\\', out);
        (void)fputc(*text, out);
        if (*text == '\n' && (text[1] == '.' || text[1] == '\'')) (void)fputs("\\&", out);
    }
}

static void roff_paragraphs(FILE *out, const char *text)
{
    (void)fputs(".PP\n", out);
    for (; *text; text++) {
        char one[2] = {*text, '\0'};
        if (*text == '\n')
            (void)fputs("\n.PP\n", out);
        else
            roff(out, one);
    }
    (void)fputc('\n', out);
}

/* An option's values in the page are those of the table, so `values` is a struct freshly set. */
static void roff_options(FILE *out, const scw_option *table, size_t size)
{
    void *values = cli_new(1, size);
    int known = scw_options_init(table, values) == SCW_OK;

    for (const scw_option *o = table; o->type != SCW_OPTION_END; o++) {
        char letter = options_letter(o->name);
        char *text = explain(o, table, known ? values : NULL);
        (void)fputs(".TP\n.B ", out);
        if (letter) (void)fprintf(out, "\\-%c, ", letter);
        (void)fputs("\\-\\-", out);
        roff(out, o->name);
        if (o->type != SCW_OPTION_BOOL) {
            (void)fputs(" \\fI", out);
            roff(out, argument(o));
            (void)fputs("\\fR", out);
        }
        (void)fputc('\n', out);
        roff(out, text);
        (void)fputc('\n', out);
        free(text);
    }
    scw_options_clear(table, values);
    free(values);
}

static void roff_command(FILE *out, const cli_command *c)
{
    (void)fprintf(out, ".SS scweave %s ", c->name);
    roff(out, c->usage);
    (void)fputc('\n', out);
    roff_paragraphs(out, c->about);
    if (c->options) roff_options(out, c->options, c->options_size);
    size_t size;
    const scw_option *settings = cli_settings_table(c, &size);
    if (settings) roff_options(out, settings, size);
    if (c->examples) {
        (void)fputs(".PP\nExamples:\n.PP\n.nf\n", out);
        roff(out, c->examples);
        (void)fputs("\n.fi\n", out);
    }
}

void help_manual(FILE *out)
{
    (void)fprintf(out, ".TH SCWEAVE 1 \"\" \"scweave %s\" \"User Commands\"\n", scw_version());
    (void)fputs(".SH NAME\nscweave \\- deep learning on multimodal single\\-cell data\n"
                ".SH SYNOPSIS\n.B scweave\n.I COMMAND\n[arguments] [options]\n"
                ".SH COMMANDS\n",
                out);
    for (const cli_command *const *c = cli_commands; *c; c++) roff_command(out, *c);
    (void)fputs(".SH INPUT OPTIONS\nOf the commands that read data.\n", out);
    roff_options(out, cli_input_options, sizeof(cli_input));
    (void)fputs(".SH GENERAL OPTIONS\n", out);
    roff_options(out, cli_general_options, sizeof(cli_general));
    for (const cli_kinds *kinds = cli_all_kinds; kinds->takes; kinds++) {
        cli_kind kind;
        for (int k = 0; kinds->at(&kind, k); k++) {
            (void)fputs(".SH OPTIONS OF THE ", out);
            for (const char *w = kinds->word; *w; w++) (void)fputc(toupper((unsigned char)*w), out);
            (void)fputc(' ', out);
            roff(out, kind.name);
            (void)fputc('\n', out);
            roff(out, kind.summary);
            (void)fputc('\n', out);
            roff_options(out, kind.options, kind.options_size);
        }
    }
    (void)fputs(".SH EXIT STATUS\n0 success, 1 failure, 2 wrong use, 130 interrupted.\n"
                ".SH NOTES\nData goes to standard output, everything else to standard error. "
                "Interrupting once stops cleanly, twice at once.\n",
                out);
}
