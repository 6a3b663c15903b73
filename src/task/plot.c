/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_plot: the kinds of pictures, their options, and the file that is written.
 *
 * How to add a kind: a table and a row here, its struct and drawing in src/plot, a function from
 * files to that struct in plot_<what>.c with its row in plot_render.c, a section in docs/plots.md.
 */
#include <string.h>

#include "base/atomic_file.h"
#include "task/picture.h"

#define AT(field_) offsetof(scw_plot_options, field_)
#define COMMON                                                                                     \
    {"title",   SCW_OPTION_TEXT,                                                                   \
     AT(title), NULL,                                                                              \
     0,         0,                                                                                 \
     NULL,      "TEXT",                                                                            \
     "Picture", "written above the picture"},                                                      \
        {"width",   SCW_OPTION_REAL,                                                               \
         AT(width), "0",                                                                           \
         0,         100,                                                                           \
         NULL,      "INCHES",                                                                      \
         "Picture", "0: as wide as the content needs"},                                            \
        {"height",   SCW_OPTION_REAL,                                                              \
         AT(height), "0",                                                                          \
         0,          100,                                                                          \
         NULL,       "INCHES",                                                                     \
         "Picture",  "0: as high as the content needs"},                                           \
    {                                                                                              \
        "dpi", SCW_OPTION_INT, AT(dpi), "200", 36, 1200, NULL, "N", "Picture",                     \
            "dots an inch of PNG, and of the points inside SVG and PDF"                            \
    }
#define END                                                                                        \
    {                                                                                              \
        .type = SCW_OPTION_END                                                                     \
    }

static const scw_option umap_table[] = {
    {"basis", SCW_OPTION_TEXT, AT(basis), NULL, 0, 0, NULL, "KEY", "Cells",
     "obsm array with the positions, or MODALITY:KEY; X_umap unless said. Of an array of more than "
     "two columns the first two principal components are shown"},
    {"color", SCW_OPTION_TEXT, AT(color), NULL, 0, 0, NULL, "COLUMN", "Cells",
     "obs column, classes or numbers; one colour unless said"},
    {"label", SCW_OPTION_TEXT, AT(label), NULL, 0, 0, NULL, "COLUMN", "Cells",
     "obs column whose classes decide the colours, so that pictures of labels and of predictions "
     "agree; that of --color unless said"},
    {"legend", SCW_OPTION_CHOICE, AT(legend), "auto", 0, 0, "auto|side|data|none", NULL, "Cells",
     "where the classes are named: beside the points (auto: with numbers on the points where there "
     "are many classes), or on them"},
    {"point-size", SCW_OPTION_REAL, AT(point_size), "0", 0, 72, NULL, "POINTS", "Cells",
     "diameter in 1/72 inch; 0: by the number of cells"},
    COMMON,
    END,
};

static const scw_option confusion_table[] = {
    {"label", SCW_OPTION_TEXT, AT(label), NULL, 0, 0, NULL, "COLUMN", "Cells",
     "obs column with the true labels; cells without one are left out"},
    {"prediction", SCW_OPTION_TEXT, AT(prediction), NULL, 0, 0, NULL, "COLUMN", "Cells",
     "obs column with predicted labels, such as matilda_label"},
    {"values", SCW_OPTION_CHOICE, AT(values), "percent", 0, 0, "percent|count|none", NULL, "Cells",
     "numbers in the cells of the matrix: percent of the row, counts, or none"},
    COMMON,
    END,
};

static const scw_option training_table[] = {COMMON, END};

static const scw_option markers_table[] = {
    {"top", SCW_OPTION_INT, AT(top), "10", 1, 100, NULL, "K", "Markers", "features of each class"},
    {"method", SCW_OPTION_TEXT, AT(method), NULL, 0, 0, NULL, "NAME", "Markers",
     "which rows of a table that holds several methods; the first unless said"},
    COMMON,
    END,
};

static const scw_option composition_table[] = {
    {"group", SCW_OPTION_TEXT, AT(group), NULL, 0, 0, NULL, "COLUMN", "Cells",
     "obs column that divides the cells: a bar each"},
    {"label", SCW_OPTION_TEXT, AT(label), NULL, 0, 0, NULL, "COLUMN", "Cells",
     "obs column with the classes whose shares are shown"},
    COMMON,
    END,
};

static const scw_option simulation_table[] = {COMMON, END};

static const scw_plot_kind kinds[] = {
    {"umap", "cells in two dimensions, coloured by a column of obs", umap_table,
     sizeof(scw_plot_options), 1, "FILE"},
    {"confusion", "true against predicted labels, in percent of each label", confusion_table,
     sizeof(scw_plot_options), 1, "FILE"},
    {"training", "losses and validation score of a model over its epochs", training_table,
     sizeof(scw_plot_options), 1, "MODEL.safetensors"},
    {"markers", "leading features of each class, with their standard errors", markers_table,
     sizeof(scw_plot_options), 1, "MARKERS.tsv"},
    {"composition", "shares of classes in groups of cells", composition_table,
     sizeof(scw_plot_options), 1, "FILE"},
    {"simulation", "simulated against real cells: means, zeros, principal components",
     simulation_table, sizeof(scw_plot_options), 2, "REAL SIMULATED"},
};

const scw_plot_kind *scw_plot_kind_at(int k)
{
    return k >= 0 && k < (int)(sizeof kinds / sizeof *kinds) ? &kinds[k] : NULL;
}

const scw_plot_kind *scw_plot_kind_find(const char *name)
{
    for (int k = 0; scw_plot_kind_at(k); k++)
        if (strcmp(kinds[k].name, name) == 0) return &kinds[k];
    return NULL;
}

scw_status scw_plot(const char *output, const scw_plot_kind *kind, const char *const *paths,
                    int n_paths, const scw_plot_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    textbuf bytes = {0};

    if (!output || !kind || !options)
        FAIL(SCW_EINVAL, "a picture needs an output, a kind, options");
    if (n_paths != kind->n_files)
        FAIL(SCW_EINVAL, "a picture of the kind %s is made from %d file%s (%s), not from %d",
             kind->name, kind->n_files, kind->n_files == 1 ? "" : "s", kind->files, n_paths);
    TRY(picture_check(output));
    TRY(atomic_file_probe(output));
    TRY(picture_render(&bytes, output, kind, paths, options, hooks));
    TRY(atomic_file_write(output, text_get(&bytes), bytes.length));
done:
    text_clear(&bytes);
    return st;
}
