/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading the command line. Strict: every word is understood or refused, with the nearest name. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* One letter means the same in every command. */
static const struct {
    char letter;
    const char *name;
} letters[] = {{'h', "help"}, {'m', "model"}, {'o', "output"}, {'q', "quiet"}, {'v', "verbose"}};

/* Options that do not change a result. */
static const char *const unrecorded[] = {"output", "threads", "quiet", "verbose", "json",
                                         "checkpoint", "checkpoint-minutes", "checkpoint-epochs",
                                         "resume"};

char options_letter(const char *name)
{
    for (size_t k = 0; k < sizeof letters / sizeof *letters; k++)
        if (strcmp(letters[k].name, name) == 0) return letters[k].letter;
    return 0;
}

static const char *letter_name(char letter)
{
    for (size_t k = 0; k < sizeof letters / sizeof *letters; k++)
        if (letters[k].letter == letter) return letters[k].name;
    return NULL;
}

int options_distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    int *row = cli_new(n + 1, sizeof *row);

    for (size_t j = 0; j <= n; j++) row[j] = (int)j;
    for (; *a; a++) {
        int diagonal = row[0]++;
        for (size_t j = 1; j <= n; j++) {
            int change = diagonal + (*a != b[j - 1]);
            int gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < gap ? change : gap;
        }
    }
    int distance = row[n];
    free(row);
    return distance;
}

int options_close(const char *word, int distance)
{
    int length = (int)strlen(word); /* two letters exchanged are two changes */
    return distance <= (length < 4 ? 1 : length < 9 ? 2 : length / 3);
}

int options_nth(char *out, size_t size, const char *names, int k)
{
    for (; names && k > 0; k--) {
        names = strchr(names, '|');
        if (names) names++;
    }
    if (!names || !*names) return 0;
    size_t n = strcspn(names, "|");
    (void)snprintf(out, size, "%.*s", (int)n, names);
    return 1;
}

static int is_preset(const options_line *line, const char *name)
{
    char preset[64];

    for (int k = 0; line->kind && options_nth(preset, sizeof preset, line->kind->presets, k); k++)
        if (strcmp(preset, name) == 0) return 1;
    return 0;
}

/* Never the value of the option before it. */
static int is_long(const char *word)
{
    return strncmp(word, "--", 2) == 0 && word[2];
}

const char *options_peek(int argc, char **argv, const char *name)
{
    const size_t n = strlen(name);
    const char *value = NULL;

    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || strncmp(argv[i] + 2, name, n) != 0) continue;
        if (argv[i][2 + n] == '=') value = argv[i] + 3 + n;
        if (argv[i][2 + n] == '\0') value = i + 1 < argc && !is_long(argv[i + 1]) ? argv[i + 1] : NULL;
    }
    return value;
}

/* A word that begins with -- is never a value, so the presets can be seen before the line is read. */
static int apply_presets(options_line *line, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || !is_preset(line, argv[i] + 2)) continue;
        if (line->kind->preset(line->kind_options, argv[i] + 2) != SCW_OK) {
            (void)snprintf(line->message, sizeof line->message, "%s", scw_error_message());
            return -1;
        }
    }
    return 0;
}

static const options_table *find(const options_line *line, const char *name)
{
    for (int t = 0; t < line->n_tables; t++)
        if (scw_options_find(line->tables[t].rows, name)) return &line->tables[t];
    return NULL;
}

static int unknown(options_line *line, const char *name)
{
    const char *nearest = NULL;
    int best = 0;

    for (int t = 0; t < line->n_tables; t++)
        for (const scw_option *o = line->tables[t].rows; o->type != SCW_OPTION_END; o++) {
            int distance = options_distance(name, o->name);
            if (!nearest || distance < best) nearest = o->name, best = distance;
        }
    int known = snprintf(line->message, sizeof line->message, "there is no option --%s", name);
    if (nearest && options_close(name, best) && known > 0 && known < (int)sizeof line->message)
        (void)snprintf(line->message + known, sizeof line->message - (size_t)known,
                       "; did you mean --%s?", nearest);
    return -1;
}

static int is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:=,+@%";
    return *word && word[strspn(word, plain)] == '\0';
}

void options_record(options_line *line, const char *word)
{
    size_t old = line->record ? strlen(line->record) : 0;
    char *text = cli_new(old + 4 * strlen(word) + 4, 1); /* a quote becomes four characters */
    char *out = text + old;

    if (old) {
        memcpy(text, line->record, old);
        *out++ = ' ';
    }
    if (is_plain(word)) {
        memcpy(out, word, strlen(word));
    } else {
        *out++ = '\'';
        for (; *word; word++) {
            if (*word == '\'')
                memcpy(out, "'\\''", 4), out += 4;
            else
                *out++ = *word;
        }
        *out = '\'';
    }
    free(line->record);
    line->record = text;
}

static int set(options_line *line, const options_table *table, const char *name, const char *value)
{
    char word[128];

    if (scw_options_set(table->rows, table->values, name, value) != SCW_OK) {
        (void)snprintf(line->message, sizeof line->message, "%s", scw_error_message());
        return -1;
    }
    for (size_t k = 0; k < sizeof unrecorded / sizeof *unrecorded; k++)
        if (strcmp(name, unrecorded[k]) == 0) return 0;
    (void)snprintf(word, sizeof word, "--%s", name);
    options_record(line, word);
    options_record(line, value);
    return 0;
}

/* Words that a boolean takes from the next place; 0 and 1 could be files. */
static int is_switch_word(const char *word)
{
    static const char *const words[] = {"on", "off", "yes", "no", "true", "false"};

    for (size_t k = 0; word && k < sizeof words / sizeof *words; k++)
        if (strcmp(word, words[k]) == 0) return 1;
    return 0;
}

/* Set option `name`; `value` as written behind = or in the same word, or NULL; `next` is the word
 * after it, or NULL. Returns the number of further words used, or -1. */
static int take(options_line *line, const char *name, const char *value, const char *next)
{
    const options_table *table = find(line, name);

    if (!table && !value && is_preset(line, name)) {
        char word[128];
        (void)snprintf(word, sizeof word, "--%s", name);
        options_record(line, word);
        return 0;
    }
    if (!table && strncmp(name, "no-", 3) == 0) {
        const options_table *t = find(line, name + 3);
        if (t && scw_options_find(t->rows, name + 3)->type == SCW_OPTION_BOOL) {
            if (!value) return set(line, t, name + 3, "off");
            (void)snprintf(line->message, sizeof line->message, "--%s takes no value", name);
            return -1;
        }
    }
    if (!table) return unknown(line, name);
    if (value) return set(line, table, name, value);
    if (scw_options_find(table->rows, name)->type == SCW_OPTION_BOOL) {
        if (!is_switch_word(next)) return set(line, table, name, "on");
    } else if (!next || is_long(next)) {
        (void)snprintf(line->message, sizeof line->message, "--%s needs a value", name);
        return -1;
    }
    return set(line, table, name, next) == 0 ? 1 : -1;
}

static int take_long(options_line *line, const char *word, const char *next)
{
    char name[128];
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);

    if (n >= sizeof name) n = sizeof name - 1; /* longer than any option: unknown either way */
    memcpy(name, word, n);
    name[n] = '\0';
    return take(line, name, equals ? equals + 1 : NULL, next);
}

/* -q, -v and the like may stand together; the rest of a word behind a letter with a value is it. */
static int take_short(options_line *line, const char *word, const char *next)
{
    for (;; word++) {
        const char *name = letter_name(*word);
        const options_table *table = name ? find(line, name) : NULL;
        if (!table) {
            (void)snprintf(line->message, sizeof line->message, "there is no option -%c", *word);
            return -1;
        }
        int is_switch = scw_options_find(table->rows, name)->type == SCW_OPTION_BOOL;
        if (!is_switch) return take(line, name, word[1] ? word + 1 : NULL, next);
        if (set(line, table, name, "on") != 0) return -1;
        if (!word[1]) return 0;
    }
}

int options_parse(options_line *line, int argc, char **argv)
{
    int only_arguments = 0;

    if (apply_presets(line, argc, argv) != 0) return -1;
    for (int i = 0; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        int used = 0;
        if (only_arguments || argv[i][0] != '-' || argv[i][1] == '\0') {
            line->arguments[line->n_arguments++] = argv[i];
            options_record(line, argv[i]);
        } else if (strcmp(argv[i], "--") == 0) {
            only_arguments = 1;
        } else if (argv[i][1] == '-') {
            used = take_long(line, argv[i] + 2, next);
        } else {
            used = take_short(line, argv[i] + 1, next);
        }
        if (used < 0) return -1;
        i += used;
    }
    return 0;
}
