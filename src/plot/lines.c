/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/lines.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "plot/legend.h"
#include "plot/palette.h"

#define MARGIN 12.0
#define BOX_LEFT 46.0 /* of a panel: room for numbers */
#define BOX_ABOVE 18.0
#define BOX_BELOW 30.0
#define PANEL_WIDTH 206.0
#define PANEL_HEIGHT 150.0
#define KEY_HEIGHT 16.0
#define MAX_COLUMNS 3

/* Phases are named above the panels, in the colours of their lines. */
static void draw_phases(canvas *c, const training *t, double x, double y, double right)
{
    const text_style style = {.size = SIZE_TICK + 0.5, .color = palette_text};

    for (int64_t k = 0; k < t->phases->n; k++) {
        double width = canvas_text_width(c, t->phases->at[k], style.size, false);
        if (x + 14.0 + width > right) return;
        canvas_line(c, x, y, x + 10.0, y, palette_class(k), 1.6);
        canvas_text(c, x + 14.0, y, ALIGN_LEFT, &style, t->phases->at[k]);
        x += 14.0 + width + 14.0;
    }
}

/* A phase of a single epoch is a dot: a line needs two. */
static void draw_curve(canvas *c, const axes *a, const training *t, const double *values, double *x,
                       double *y)
{
    for (int64_t i = 0; i < t->n; i++) {
        x[i] = axes_x(a, (double)i + 1.0);
        y[i] = isfinite(values[i]) ? axes_y(a, values[i]) : (double)NAN;
    }
    for (int64_t from = 0, to; from < t->n; from = to) {
        for (to = from + 1; to < t->n && t->phase[to] == t->phase[from]; to++)
            continue;
        rgb color = palette_class(t->phase[from]);
        canvas_path(c, x + from, y + from, to - from, color, 1.2);
        if (to - from == 1 && isfinite(y[from])) canvas_dot(c, x[from], y[from], 3.0, color);
        if (to < t->n) {
            double between = (x[to - 1] + x[to]) / 2.0;
            canvas_dashes(c, between, a->box.y, between, a->box.y + a->box.h, palette_soft, 0.5);
        }
    }
    if (t->best >= 0 && t->best < t->n && isfinite(y[t->best]))
        canvas_dot(c, x[t->best], y[t->best], 4.5, palette_text);
}

static scw_status draw_panel(canvas *c, const training *t, int64_t k, rect panel)
{
    scw_status st = SCW_OK;
    const double *values = t->values + k * t->n;
    const text_style title = {.size = SIZE_LABEL, .bold = true, .color = palette_text};
    axes a = {.x_label = "epoch", .grid = true};
    double *x = NULL, *y = NULL;

    TRY(mem_new(&x, t->n));
    TRY(mem_new(&y, t->n));
    a.box = (rect){panel.x + BOX_LEFT, panel.y + BOX_ABOVE, panel.w - BOX_LEFT - MARGIN,
                   panel.h - BOX_ABOVE - BOX_BELOW};
    a.x = t->n > 1 ? (axis){1.0, (double)t->n, false} : (axis){0.0, 2.0, false};
    a.y = axis_fit(values, t->n, 0.05);
    axes_draw(c, &a);
    draw_curve(c, &a, t, values, x, y);
    TRY(draw_fitted(c, a.box.x, panel.y + BOX_ABOVE / 2.0 - 1.0, ALIGN_LEFT, &title,
                    t->series->at[k], a.box.w));
done:
    mem_free(x);
    mem_free(y);
    return st;
}

scw_status training_draw(canvas *c, const figure *f, const training *t)
{
    scw_status st = SCW_OK;
    const text_style soft = {.size = SIZE_TICK, .color = palette_soft};
    int64_t n = t->series->n, columns = n < MAX_COLUMNS ? n : MAX_COLUMNS;
    if (n == 4) columns = 2;
    int64_t rows = (n + columns - 1) / columns;
    double above = MARGIN / 2.0 + figure_title_height(f) + KEY_HEIGHT;
    double width = f->width > 0.0 ? 72.0 * f->width : (double)columns * PANEL_WIDTH + MARGIN;
    double height =
        f->height > 0.0 ? 72.0 * f->height : (double)rows * PANEL_HEIGHT + above + MARGIN;
    char best[64];

    rect panel = {0, 0, (width - MARGIN) / (double)columns,
                  (height - above - MARGIN) / (double)rows};
    if (panel.w < 110.0 || panel.h < 80.0)
        FAIL(SCW_EINVAL,
             "%lld curves do not fit in %.1f x %.1f inches (0: as needed); make the "
             "picture larger",
             (long long)n, f->width, f->height);
    TRY(canvas_size(c, width, height));
    TRY(figure_draw_title(c, f, MARGIN, width - 2.0 * MARGIN));
    draw_phases(c, t, BOX_LEFT, above - KEY_HEIGHT / 2.0, width - 150.0);
    if (t->best >= 0) {
        (void)snprintf(best, sizeof best, "kept: epoch %lld", (long long)t->best + 1);
        canvas_text(c, width - MARGIN, above - KEY_HEIGHT / 2.0, ALIGN_RIGHT, &soft, best);
        canvas_dot(c, width - MARGIN - 5.0 - canvas_text_width(c, best, SIZE_TICK, false),
                   above - KEY_HEIGHT / 2.0, 4.5, palette_text);
    }
    for (int64_t k = 0; k < n; k++) {
        panel.x = panel.w * (double)(k % columns);
        panel.y = above + panel.h * (double)(k / columns);
        TRY(draw_panel(c, t, k, panel));
    }
done:
    return st;
}
