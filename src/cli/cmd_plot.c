/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave plot: a picture of a file. */
#include "cli.h"

typedef struct options {
    char *output;
} options;

static const scw_option table[] = {
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Output",
     "the picture to write: .png, .svg or .pdf"},
    {.type = SCW_OPTION_END},
};

static int run(cli_run *r)
{
    const options *o = r->options;

    if (!r->kind) return cli_unknown_kind(r, NULL);
    const scw_plot_kind *kind = scw_plot_kind_find(r->kind->name);
    if (r->n_arguments != kind->n_files)
        return cli_misuse(r, "name %s: %s", kind->n_files == 1 ? "one file" : "two files",
                          kind->files);
    if (!o->output) return cli_misuse(r, "--output is missing: a .png, .svg or .pdf to write");
    if (cli_writes_over_input(r, o->output))
        return cli_misuse(r, "--output %s is one of the files it is made from", o->output);
    return cli_finish(r, scw_plot(o->output, kind, (const char *const *)r->arguments,
                                  r->n_arguments, r->kind_options, r->hooks));
}

const cli_command cli_cmd_plot = {
    "plot",
    run,
    "draw cells, confusion, training, markers, composition or simulation",
    "KIND FILE... -o PICTURE.png|.svg|.pdf [options]",
    "Draws a picture from a file that other commands wrote, in colours that are told apart with "
    "deficient colour sight too. The ending of the output's name decides the format; in SVG and "
    "PDF "
    "letters and lines are vectors and large clouds of points an image. Equal files give equal "
    "pictures.",
    "scweave plot umap annotated.h5mu --color cell_type -o cells.png\n"
    "scweave plot confusion annotated.h5mu --label cell_type --prediction matilda_label -o c.pdf\n"
    "scweave plot training model.safetensors -o training.svg\n"
    "scweave plot markers markers.tsv --top 8 -o markers.pdf\n"
    "scweave plot composition annotated.h5mu --group batch --label matilda_label -o shares.png\n"
    "scweave plot simulation reference.h5mu simulated.h5mu -o simulation.png",
    table,
    sizeof(options),
    CLI_TAKES_PLOT,
};
