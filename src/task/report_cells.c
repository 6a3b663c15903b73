/* SPDX-License-Identifier: BSD-3-Clause */
/* Of the page about a run: the cells, as numbers and as pictures. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "task/embedding.h"
#include "task/obs.h"
#include "task/picture.h"
#include "task/report.h"

scw_status report_picture(report *r, const char *kind_name, const char *path,
                          const scw_plot_options *given, const char *caption)
{
    scw_status st = SCW_OK;
    const scw_plot_kind *kind = scw_plot_kind_find(kind_name);
    scw_plot_options options = {0};
    textbuf png = {0};

    TRY(scw_options_init(kind->options, &options));
    options.dpi = HTML_PICTURE_DPI;
    if (given) { /* borrowed texts: options is not cleared */
        options.color = given->color;
        options.label = given->label;
        options.prediction = given->prediction;
        options.group = given->group;
    }
    st = picture_render(&png, "page.png", kind, &path, &options, r->hooks);
    if (st == SCW_OK) {
        TRY(html_picture(&r->page, caption, &png));
    } else if (st != SCW_ENOMEM && st != SCW_ECANCELLED) {
        char why[1024];
        (void)snprintf(why, sizeof why, "No picture \"%s\": %s", caption, scw_error_message());
        st = html_missing(&r->page, why, NULL);
    }
done:
    text_clear(&png);
    return st;
}

/* ------------------------------------------------------------------------------------- data */

/* Entries that are not zero; the matrix streams by. */
static scw_status count_filled(double *out, const modality *m)
{
    scw_status st = SCW_OK;
    block_reader *rows = NULL;
    row_block b = {0};
    bool more = true;

    *out = 0.0;
    TRY(modality_rows(&rows, m));
    for (;;) {
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
        for (int64_t e = 0; e < b.x.indptr[b.x.n_rows]; e++) *out += b.x.values[e] != 0.0f;
    }
done:
    row_block_clear(&b);
    block_reader_free(rows);
    return st;
}

static scw_status write_modalities(report *r)
{
    scw_status st = SCW_OK;
    static const char *const headings[] = {"modality", "cells", "features", "filled"};
    char texts[3][32];

    TRY(html_table(&r->page, "lrrr", headings));
    for (int k = 0; k < r->cells->n_modalities; k++) {
        const modality *m = &r->cells->modalities[k];
        double room = (double)m->x.n_rows * (double)m->x.n_cols, filled = 0.0;
        TRY(count_filled(&filled, m));
        (void)snprintf(texts[0], sizeof texts[0], "%lld", (long long)m->n_present);
        (void)snprintf(texts[1], sizeof texts[1], "%lld", (long long)m->x.n_cols);
        (void)snprintf(texts[2], sizeof texts[2], "%.1f %%",
                       room > 0.0 ? 100.0 * filled / room : 0.0);
        TRY(html_row(&r->page, "lrrr", (const char *[]){m->name, texts[0], texts[1], texts[2]}));
    }
    TRY(html_table_end(&r->page));
done:
    return st;
}

/* Cells of each class. Where there are labels and predictions the scores say it too, and more. */
static scw_status write_classes(report *r)
{
    scw_status st = SCW_OK;
    const char *key = r->label ? r->label : r->prediction;
    strings names = {0};
    int32_t *codes = NULL;
    int64_t *counts = NULL;
    char text[32];

    if (!key || (r->label && r->prediction)) return SCW_OK;
    TRY(obs_classes(&codes, &names, r->cells, r->files.cells, key));
    TRY(mem_new(&counts, names.n));
    for (int64_t i = 0; i < r->cells->n_obs; i++)
        if (codes[i] >= 0) counts[codes[i]]++;
    TRY(html_table(&r->page, "lr", (const char *[]){key, "cells"}));
    for (int64_t k = 0; k < names.n; k++) {
        (void)snprintf(text, sizeof text, "%lld", (long long)counts[k]);
        TRY(html_row(&r->page, "lr", (const char *[]){names.at[k], text}));
    }
    TRY(html_table_end(&r->page));
done:
    strings_clear(&names);
    mem_free(codes);
    mem_free(counts);
    return st;
}

scw_status report_data(report *r)
{
    scw_status st = SCW_OK;

    TRY(html_section(&r->page, "Data"));
    if (r->cells) {
        TRY(html_note(&r->page, "%s: %lld cells.", strrchr(r->files.cells, '/') + 1,
                      (long long)r->cells->n_obs));
        TRY(write_modalities(r));
        TRY(write_classes(r));
    } else {
        TRY(html_missing(
            &r->page, "There is no file with annotated cells in the folder.",
            "scweave annotate -m model.safetensors QUERY.h5mu --embed -o annotated.h5mu"));
    }
    TRY(html_section_end(&r->page));
done:
    return st;
}

/* --------------------------------------------------------------------------------- pictures */

static scw_status write_positions(report *r)
{
    scw_status st = SCW_OK;
    char confidence[160], caption[512];
    char *colors[3] = {(char *)(uintptr_t)r->label, r->prediction, NULL};
    float *positions = NULL;
    int64_t width;

    st = embedding_read(&positions, &width, r->cells, "X_umap");
    if (st == SCW_ENOTFOUND) {
        TRY(html_missing(&r->page, "The cells have no positions in two dimensions (obsm X_umap).",
                         "scweave umap annotated.h5mu --use X_matilda -o annotated.h5mu"));
        goto done;
    }
    if (r->model) {
        (void)snprintf(confidence, sizeof confidence, "%s_confidence", r->model->kind->name);
        if (frame_find(&r->cells->obs, confidence)) colors[2] = confidence;
    }
    TRY(colors[0] || colors[1] || colors[2]
            ? SCW_OK
            : report_picture(r, "umap", r->files.cells, NULL, "Cells."));
    for (int k = 0; k < 3; k++) {
        if (!colors[k]) continue;
        (void)snprintf(caption, sizeof caption, "Cells, coloured by %s.", colors[k]);
        TRY(report_picture(r, "umap", r->files.cells,
                           &(scw_plot_options){.color = colors[k], .label = colors[0]}, caption));
    }
done:
    mem_free(positions);
    return st;
}

static scw_status write_cells(report *r)
{
    scw_status st = SCW_OK;
    char *label = (char *)(uintptr_t)r->label, *group = (char *)(uintptr_t)r->group;
    char *shares = r->prediction ? r->prediction : label, caption[512];

    if (label && r->prediction)
        TRY(report_picture(r, "confusion", r->files.cells,
                           &(scw_plot_options){.label = label, .prediction = r->prediction},
                           "Labels against predictions, in percent of each label; at the right the "
                           "number of cells."));
    else
        TRY(html_missing(&r->page,
                         "A confusion matrix needs true and predicted labels of the same "
                         "cells: --label and --prediction name the columns.",
                         NULL));
    TRY(write_positions(r));
    if (group && shares) {
        (void)snprintf(caption, sizeof caption, "Shares of %s in each %s.", shares, group);
        TRY(report_picture(r, "composition", r->files.cells,
                           &(scw_plot_options){.label = shares, .group = group}, caption));
    } else {
        TRY(html_missing(&r->page, "No column divides the cells into groups: --group names one.",
                         NULL));
    }
done:
    return st;
}

scw_status report_pictures(report *r)
{
    scw_status st = SCW_OK;

    if (r->cells) {
        TRY(html_section(&r->page, "Cells"));
        TRY(write_cells(r));
        TRY(html_section_end(&r->page));
    }
    TRY(html_section(&r->page, "Markers"));
    if (r->files.markers)
        TRY(report_picture(r, "markers", r->files.markers, NULL,
                           "Leading features of each class."));
    else
        TRY(html_missing(&r->page, "There is no table of markers.",
                         "scweave markers -m model.safetensors REF.h5mu -o markers.tsv"));
    TRY(html_section_end(&r->page));
done:
    return st;
}
