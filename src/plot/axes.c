/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/axes.h"

#include <math.h>
#include <stdio.h>

#include "plot/palette.h"

#define TICK 3.0 /* length */

axis axis_fit(const double *values, int64_t n, double pad)
{
    axis a = {INFINITY, -INFINITY, false};

    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) continue;
        a.low = fmin(a.low, values[i]);
        a.high = fmax(a.high, values[i]);
    }
    if (a.low > a.high) return (axis){0.0, 1.0, false};
    double span = a.high - a.low;
    /* Equal, or so near that steps between them cannot be named. */
    if (!(span > 1e-9 * fmax(fabs(a.low), fabs(a.high)))) {
        double around = a.low == 0.0 ? 1.0 : 0.1 * fabs(a.low);
        return (axis){a.low - around, a.low + around, false};
    }
    a.low -= pad * span;
    a.high += pad * span;
    return a;
}

double axis_place(axis a, double value)
{
    if (a.log) return log(value / a.low) / log(a.high / a.low);
    return (value - a.low) / (a.high - a.low);
}

/* 1, 2 or 5 times a power of ten that gives about `wanted` steps. */
static double round_step(double span, int wanted)
{
    double raw = span / (double)wanted, power = pow(10.0, floor(log10(raw))), r = raw / power;
    return power * (r < 1.5 ? 1.0 : r < 3.5 ? 2.0 : r < 7.5 ? 5.0 : 10.0);
}

int axis_ticks(double out[AXES_MAX_TICKS], axis a, int wanted)
{
    int n = 0;

    if (a.log) {
        int first = (int)ceil(log10(a.low) - 1e-9), last = (int)floor(log10(a.high) + 1e-9);
        int every = 1 + (last - first) / AXES_MAX_TICKS;
        for (int e = first; e <= last && n < AXES_MAX_TICKS; e += every)
            out[n++] = pow(10.0, e);
        return n;
    }
    double step = round_step(a.high - a.low, wanted), first = ceil(a.low / step - 1e-9);
    for (int k = 0; n < AXES_MAX_TICKS && (first + k) * step <= a.high + 1e-9 * step; k++)
        out[n++] = (first + k) * step + 0.0; /* no -0 */
    return n;
}

void axis_text(char *out, size_t size, axis a, const double *ticks, int n, int k)
{
    double step = n > 1 ? fabs(ticks[1] - ticks[0]) : fabs(ticks[0]);
    double largest = fmax(fabs(ticks[0]), fabs(ticks[n - 1]));

    if (a.log) {
        /* Powers of ten: written out as far as they are read at a glance. */
        (void)snprintf(out, size, ticks[k] >= 1.0 && ticks[k] < 1e6 ? "%.0f" : "%.3g", ticks[k]);
    } else if (largest >= 1e6 || (largest > 0.0 && largest < 1e-3)) {
        int digits = (int)(floor(log10(largest)) - floor(log10(step))) + 1;
        (void)snprintf(out, size, "%.*g", digits < 1 ? 1 : digits > 15 ? 15 : digits, ticks[k]);
    } else {
        int digits = step > 0.0 ? (int)ceil(-log10(step) - 1e-9) : 0;
        (void)snprintf(out, size, "%.*f", digits < 0 ? 0 : digits > 12 ? 12 : digits, ticks[k]);
    }
}

double axes_x(const axes *a, double value)
{
    return a->box.x + a->box.w * axis_place(a->x, value);
}

double axes_y(const axes *a, double value)
{
    return a->box.y + a->box.h * (1.0 - axis_place(a->y, value));
}

static void draw_ticks(canvas *c, const axes *a)
{
    const text_style style = {.size = SIZE_TICK, .color = palette_text};
    const double left = a->box.x, right = left + a->box.w, top = a->box.y, bottom = top + a->box.h;
    double ticks[AXES_MAX_TICKS];
    char text[32];

    int n = axis_ticks(ticks, a->x, a->box.w > 150.0 ? 6 : 4);
    for (int k = 0; k < n; k++) {
        double x = axes_x(a, ticks[k]);
        if (a->grid) canvas_line(c, x, top, x, bottom, palette_grid, 0.5);
        canvas_line(c, x, bottom, x, bottom + TICK, palette_line, 0.6);
        axis_text(text, sizeof text, a->x, ticks, n, k);
        canvas_text(c, x, bottom + TICK + 2.0 + SIZE_TICK / 2.0, ALIGN_CENTER, &style, text);
    }
    n = axis_ticks(ticks, a->y, a->box.h > 150.0 ? 6 : 4);
    for (int k = 0; k < n; k++) {
        double y = axes_y(a, ticks[k]);
        if (a->grid) canvas_line(c, left, y, right, y, palette_grid, 0.5);
        canvas_line(c, left - TICK, y, left, y, palette_line, 0.6);
        axis_text(text, sizeof text, a->y, ticks, n, k);
        canvas_text(c, left - TICK - 2.0, y, ALIGN_RIGHT, &style, text);
    }
}

void axes_draw(canvas *c, const axes *a)
{
    const double left = a->box.x, top = a->box.y, bottom = top + a->box.h;
    const double x_space = a->bare ? 10.0 : 22.0, y_space = a->bare ? 10.0 : 34.0;
    text_style style = {.size = SIZE_LABEL, .color = palette_text};

    if (!a->bare) draw_ticks(c, a);
    canvas_line(c, left, bottom, left + a->box.w, bottom, palette_line, 0.8);
    canvas_line(c, left, top, left, bottom, palette_line, 0.8);
    if (a->x_label)
        canvas_text(c, left + a->box.w / 2.0, bottom + x_space, ALIGN_CENTER, &style, a->x_label);
    style.angle = 90.0;
    if (a->y_label)
        canvas_text(c, left - y_space, top + a->box.h / 2.0, ALIGN_CENTER, &style, a->y_label);
}

double figure_title_height(const figure *f)
{
    return f->title ? 2.2 * SIZE_TITLE : 0.0;
}

scw_status figure_draw_title(canvas *c, const figure *f, double x, double width)
{
    const text_style style = {.size = SIZE_TITLE, .bold = true, .color = palette_text};

    if (!f->title) return SCW_OK;
    return draw_fitted(c, x, 1.5 * SIZE_TITLE, ALIGN_LEFT, &style, f->title, width);
}

scw_status draw_fitted(canvas *c, double x, double y, text_align align, const text_style *style,
                       const char *text, double width)
{
    scw_status st = SCW_OK;
    textbuf fitted = {0};

    TRY(canvas_text_fit(&fitted, c, text, style->size, style->bold, width));
    canvas_text(c, x, y, align, style, text_get(&fitted));
done:
    text_clear(&fitted);
    return st;
}
