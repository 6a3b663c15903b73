/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "task/drawing.h"
#include "task/picture.h"

static const struct {
    const char *kind;
    scw_status (*draw)(const drawing *d);
} drawings[] = {
    {"umap", draw_umap},       {"confusion", draw_confusion},     {"training", draw_training},
    {"markers", draw_markers}, {"composition", draw_composition}, {"simulation", draw_simulation},
};

scw_status picture_check(const char *name)
{
    canvas_format format;
    return canvas_format_of(&format, name);
}

scw_status picture_render(textbuf *out, const char *name, const scw_plot_kind *kind,
                          const char *const *paths, const scw_plot_options *options,
                          const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    canvas_format format;
    drawing d = {.figure = {options->width, options->height, options->title},
                 .paths = paths,
                 .options = options,
                 .hooks = hooks};
    size_t k = 0;

    TRY(canvas_format_of(&format, name));
    while (k < sizeof drawings / sizeof *drawings && strcmp(drawings[k].kind, kind->name) != 0)
        k++;
    if (k == sizeof drawings / sizeof *drawings)
        FAIL(SCW_EINTERNAL, "no drawing of the kind %s", kind->name);
    TRY(canvas_new(&d.c, format, (double)options->dpi));
    TRY(drawings[k].draw(&d));
    TRY(log_check_cancel(hooks));
    TRY(canvas_finish(d.c, out));
done:
    canvas_free(d.c);
    return st;
}
