/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/compare.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "plot/palette.h"
#include "plot/scatter.h"

#define MARGIN 12.0
#define PANEL_WIDTH 218.0
#define PANEL_HEIGHT 214.0
#define BOX_LEFT 46.0
#define BOX_ABOVE 20.0
#define BOX_BELOW 34.0
#define COLUMNS 3

static const char *const kinds[2] = {"real", "simulated"};

static rect box_of(rect panel)
{
    return (rect){panel.x + BOX_LEFT, panel.y + BOX_ABOVE, panel.w - BOX_LEFT - MARGIN,
                  panel.h - BOX_ABOVE - BOX_BELOW};
}

/* Pearson correlation of finite pairs; NaN where one of them does not vary. */
static double correlation(const double *x, const double *y, int64_t n)
{
    double m = 0.0, mx = 0.0, my = 0.0, xx = 0.0, yy = 0.0, xy = 0.0;

    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i])) continue;
        m += 1.0;
        double dx = x[i] - mx, dy = y[i] - my; /* Welford's update */
        mx += dx / m;
        my += dy / m;
        xx += dx * (x[i] - mx);
        yy += dy * (y[i] - my);
        xy += dx * (y[i] - my);
    }
    return xx > 0.0 && yy > 0.0 ? xy / sqrt(xx * yy) : (double)NAN;
}

/* One range for both axes: equal is on the diagonal. */
static axis joint_axis(const double *const v[2], int64_t n, bool log)
{
    axis a = {INFINITY, -INFINITY, log};

    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < n; i++) {
            if (!isfinite(v[k][i]) || (log && v[k][i] <= 0.0)) continue;
            a.low = fmin(a.low, v[k][i]);
            a.high = fmax(a.high, v[k][i]);
        }
    if (a.low > a.high) return (axis){0.1, 10.0, log};
    return log ? (axis){a.low / 1.6, a.high * 1.6, true} : a;
}

/* A dot a feature, real across, simulated up. On a logarithmic scale, what is zero on one side lies
 * on the edge. */
static scw_status draw_features(canvas *c, const comparison *m, const double *const v[2],
                                const char *what, bool log, rect panel)
{
    scw_status st = SCW_OK;
    const text_style title = {.size = SIZE_LABEL, .bold = true, .color = palette_text};
    axes a = {.box = box_of(panel), .x_label = kinds[0], .y_label = kinds[1], .grid = true};
    double *t[2] = {NULL, NULL};
    char text[128];

    a.x = a.y = log ? joint_axis(v, m->n_features, true) : (axis){0.0, 1.0, false};
    for (int k = 0; k < 2; k++) {
        TRY(mem_new(&t[k], m->n_features));
        for (int64_t i = 0; i < m->n_features; i++)
            t[k][i] = log ? log1p(v[k][i]) : v[k][i];
    }
    (void)snprintf(text, sizeof text, "%s %s, r = %.3f", m->name, what,
                   correlation(t[0], t[1], m->n_features));
    TRY(draw_fitted(c, a.box.x, panel.y + BOX_ABOVE / 2.0, ALIGN_LEFT, &title, text, a.box.w));
    axes_draw(c, &a);
    canvas_dashes(c, a.box.x, a.box.y + a.box.h, a.box.x + a.box.w, a.box.y, palette_soft, 0.7);
    const rect wide = {a.box.x - 2.0, a.box.y - 2.0, a.box.w + 4.0, a.box.h + 4.0};
    canvas_layer_begin(c, wide, m->n_features);
    for (int64_t i = 0; i < m->n_features; i++) {
        double x = fmax(v[0][i], a.x.low), y = fmax(v[1][i], a.y.low);
        if (isfinite(v[0][i]) && isfinite(v[1][i]))
            canvas_dot(c, axes_x(&a, x), axes_y(&a, y), 2.2, palette_class(0));
    }
    canvas_layer_end(c);
done:
    mem_free(t[0]);
    mem_free(t[1]);
    return st;
}

static scw_status draw_components(canvas *c, const comparison *m, rect panel)
{
    scw_status st = SCW_OK;
    const text_style title = {.size = SIZE_LABEL, .bold = true, .color = palette_text};
    text_style key = {.size = SIZE_TICK + 0.5, .color = palette_text};
    const int64_t n = m->n_cells[0] + m->n_cells[1];
    axes a = {.box = box_of(panel), .x_label = "PC 1", .y_label = "PC 2", .bare = true};
    strings names = {0};
    int32_t *codes = NULL;
    double *v = NULL, x = a.box.x + a.box.w;

    TRY(strings_add(&names, kinds[0]));
    TRY(strings_add(&names, kinds[1]));
    TRY(mem_new(&codes, n));
    TRY(mem_new(&v, n));
    for (int64_t i = 0; i < n; i++)
        codes[i] = i >= m->n_cells[0];
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n; i++)
            v[i] = (double)m->components[2 * i + k];
        *(k ? &a.y : &a.x) = axis_fit(v, n, 0.04);
    }
    const scatter s = {.n = n,
                       .x = m->components,
                       .y = m->components + 1,
                       .stride = 2,
                       .codes = codes,
                       .classes = &names};
    TRY(scatter_points(c, &a, &s));
    axes_draw(c, &a);
    canvas_text(c, a.box.x, panel.y + BOX_ABOVE / 2.0, ALIGN_LEFT, &title, m->name);
    for (int k = 1; k >= 0; k--) {
        canvas_text(c, x, panel.y + BOX_ABOVE / 2.0, ALIGN_RIGHT, &key, kinds[k]);
        x -= canvas_text_width(c, kinds[k], key.size, false) + 6.0;
        canvas_dot(c, x, panel.y + BOX_ABOVE / 2.0, 5.0, palette_class(k));
        x -= 8.0;
    }
done:
    mem_free(codes);
    mem_free(v);
    strings_clear(&names);
    return st;
}

scw_status comparison_draw(canvas *c, const figure *f, const comparison *m, int64_t n)
{
    scw_status st = SCW_OK;
    const double above = MARGIN / 2.0 + figure_title_height(f);
    double width = f->width > 0.0 ? 72.0 * f->width : COLUMNS * PANEL_WIDTH;
    double height = f->height > 0.0 ? 72.0 * f->height : above + PANEL_HEIGHT * (double)n;
    rect panel = {0, 0, width / COLUMNS, (height - above) / (double)n};

    if (panel.w < 120.0 || panel.h < 120.0)
        FAIL(SCW_EINVAL,
             "%lld modalities do not fit in %.1f x %.1f inches (0: as needed); make the "
             "picture larger",
             (long long)n, f->width, f->height);
    TRY(canvas_size(c, width, height));
    TRY(figure_draw_title(c, f, MARGIN, width - 2.0 * MARGIN));
    for (int64_t k = 0; k < n; k++) {
        panel.y = above + panel.h * (double)k;
        panel.x = 0.0;
        TRY(draw_features(c, &m[k], m[k].mean, "mean", true, panel));
        panel.x = panel.w;
        TRY(draw_features(c, &m[k], m[k].zeros, "share of zeros", false, panel));
        panel.x = 2.0 * panel.w;
        if (m[k].components) TRY(draw_components(c, &m[k], panel));
    }
done:
    return st;
}
