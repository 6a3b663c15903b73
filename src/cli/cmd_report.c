/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave report: one page about a run. */
#include "cli.h"

typedef struct options {
    char *output, *label, *prediction, *group, *title;
} options;

static const scw_option table[] = {
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Report",
     "the page to write (.html)"},
    {"label", SCW_OPTION_TEXT, offsetof(options, label), NULL, 0, 0, NULL, "COLUMN", "Report",
     "obs column with the true labels; the one the model was trained on unless said"},
    {"prediction", SCW_OPTION_TEXT, offsetof(options, prediction), NULL, 0, 0, NULL, "COLUMN",
     "Report", "obs column with predicted labels; <model>_label unless said"},
    {"group", SCW_OPTION_TEXT, offsetof(options, group), NULL, 0, 0, NULL, "COLUMN", "Report",
     "obs column whose groups are compared; a batch, donor or sample column unless said"},
    {"title", SCW_OPTION_TEXT, offsetof(options, title), NULL, 0, 0, NULL, "TEXT", "Report",
     "heading of the page; the name of the folder unless said"},
    {.type = SCW_OPTION_END},
};

static int run(cli_run *r)
{
    const options *o = r->options;

    if (r->n_arguments != 1) return cli_misuse(r, "name one folder");
    if (!o->output) return cli_misuse(r, "--output is missing: the page to write");
    const scw_report_request request = {r->arguments[0], o->label, o->prediction, o->group,
                                        o->title};
    return cli_finish(r, scw_report(o->output, &request, r->hooks));
}

const cli_command cli_cmd_report = {
    "report",
    run,
    "write one page about a run: settings, data, losses, scores, pictures",
    "DIR -o REPORT.html [options]",
    "Looks into a folder for a model file, annotated cells, the JSON of fit --cv and of evaluate, "
    "and a "
    "table of markers; what each file is, its content says. Writes a single HTML file that needs "
    "no "
    "other, and names what was not there and the command that makes it.",
    "scweave report run1 -o run1/report.html",
    table,
    sizeof(options),
    0,
};
