/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/scatter.h"

#include <math.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "plot/legend.h"
#include "plot/palette.h"

#define SIDE 352.0 /* of the box of the points */
#define MARGIN_LEFT 30.0
#define MARGIN_BELOW 26.0
#define MARGIN 12.0
#define LEGEND_SPACE 14.0
#define LEGEND_WIDEST 430.0
#define SMALLEST_SIDE 60.0
#define VALUE_PALEST 0.10 /* the palest colours of the scale fade on white */

static bool is_placed(const scatter *s, int64_t i)
{
    return isfinite(s->x[i * s->stride]) && isfinite(s->y[i * s->stride]);
}

/* ------------------------------------------------------------------------------------ points */

static rgb value_color(double t)
{
    return palette_sequential(VALUE_PALEST + (1.0 - VALUE_PALEST) * t);
}

static rgb signed_color(double t)
{
    return palette_diverging(2.0 * t - 1.0);
}

/* Values on both sides of zero are shown around it. */
static color_scale scale_of(const scatter *s, double *low, double *high)
{
    axis a = axis_fit(s->values, s->n, 0.0);

    if (a.low < 0.0 && a.high > 0.0) {
        *high = fmax(-a.low, a.high);
        *low = -*high;
        return signed_color;
    }
    *low = a.low;
    *high = a.high;
    return value_color;
}

static double diameter(const scatter *s, rect box)
{
    if (s->point_size > 0.0) return s->point_size;
    double d = sqrt(0.2 * box.w * box.h / fmax((double)s->n, 1.0));
    return fmin(fmax(d, 0.8), 3.2);
}

static bool has_color(const scatter *s, int64_t i)
{
    if (s->codes) return s->codes[i] >= 0;
    return !s->values || isfinite(s->values[i]);
}

scw_status scatter_points(canvas *c, const axes *a, const scatter *s)
{
    scw_status st = SCW_OK;
    int64_t *order = NULL;
    double low = 0.0, high = 1.0, size = diameter(s, a->box);
    color_scale scale = s->values ? scale_of(s, &low, &high) : NULL;

    TRY(mem_new(&order, s->n));
    rng_permutation(order, s->n, rng_make_key(0, RNG_SHUFFLE, 0), 0);
    canvas_layer_begin(c, a->box, s->n);
    for (int pass = 0; pass < 2; pass++) /* cells without a colour lie below */
        for (int64_t k = 0; k < s->n; k++) {
            int64_t i = order[k];
            if (!is_placed(s, i) || has_color(s, i) != (pass == 1)) continue;
            rgb color = pass == 0   ? palette_missing
                        : s->codes  ? palette_class(s->codes[i])
                        : s->values ? scale((s->values[i] - low) / (high - low))
                                    : palette_class(0);
            canvas_dot(c, axes_x(a, (double)s->x[i * s->stride]),
                       axes_y(a, (double)s->y[i * s->stride]), size, color);
        }
    canvas_layer_end(c);
done:
    mem_free(order);
    return st;
}

static scw_status fit_axes(axes *a, const scatter *s, int64_t *n_left_out)
{
    scw_status st = SCW_OK;
    double *v = NULL;

    *n_left_out = 0;
    TRY(mem_new(&v, s->n));
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < s->n; i++) {
            double at = (double)(k ? s->y : s->x)[i * s->stride];
            v[i] = is_placed(s, i) ? at : (double)NAN;
            *n_left_out += k == 0 && !is_placed(s, i);
        }
        *(k ? &a->y : &a->x) = axis_fit(v, s->n, 0.03);
    }
done:
    mem_free(v);
    return st;
}

/* ------------------------------------------------------------------------------------ legend */

/* The legend and where it stands. */
typedef struct key {
    class_key classes;
    legend_layout layout;
    double width; /* with the space before it; 0: none */
} key;

static void key_clear(key *k)
{
    class_key_clear(&k->classes);
    legend_layout_clear(&k->layout);
}

static scw_status list_classes(key *k, const scatter *s)
{
    scw_status st = SCW_OK;
    int64_t *counts = NULL, n = s->classes->n;

    TRY(mem_new(&counts, n + 1)); /* the last: without a class */
    for (int64_t i = 0; i < s->n; i++)
        counts[s->codes[i] < 0 ? n : s->codes[i]]++;
    TRY(class_key_make(&k->classes, s->color_name, s->classes, counts, counts[n]));
done:
    mem_free(counts);
    return st;
}

static scw_status arrange_key(key *k, canvas *c, const figure *f, const scatter *s, double height)
{
    scw_status st = SCW_OK;

    if (s->legend == LEGEND_NONE) return SCW_OK;
    if (!s->codes) {
        k->width = s->values ? LEGEND_SPACE + colorbar_width(c, s->color_name) : 0.0;
        return SCW_OK;
    }
    TRY(list_classes(k, s));
    if (s->legend == LEGEND_DATA) return SCW_OK;
    double widest = f->width > 0.0 ? 0.55 * 72.0 * f->width : LEGEND_WIDEST;
    TRY(legend_arrange(&k->layout, c, &k->classes.legend, widest, height));
    k->width = LEGEND_SPACE + k->layout.width;
done:
    return st;
}

static scw_status draw_key(canvas *c, const key *k, const scatter *s, rect box)
{
    double x = box.x + box.w + LEGEND_SPACE, low, high;

    if (k->width <= 0.0) return SCW_OK;
    if (s->codes) return legend_draw(c, &k->classes.legend, &k->layout, x, box.y);
    color_scale scale = scale_of(s, &low, &high);
    const rect bar = {x, box.y + 16.0, k->width - LEGEND_SPACE, fmin(box.h - 16.0, 150.0)};
    return colorbar_draw(c, bar, s->color_name, low, high, scale);
}

/* ----------------------------------------------------------------------------- on-data labels */

enum { GRID = 48, SMALL_CLASS = 40, MAX_OBSTACLES = 1000 };

/* Where the class is densest: the centre of the points in and around the fullest cell of a grid. A
 * class in two islands is named on its larger one, not on the sea between. */
static bool densest_place(double *x, double *y, const axes *a, const scatter *s, int32_t code)
{
    int counts[GRID][GRID] = {{0}}, best = 0, at_x = 0, at_y = 0;
    double sum_x = 0.0, sum_y = 0.0, n = 0.0;

    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < s->n; i++) {
            if (s->codes[i] != code || !is_placed(s, i)) continue;
            double px = axis_place(a->x, (double)s->x[i * s->stride]);
            double py = axis_place(a->y, (double)s->y[i * s->stride]);
            int u = (int)fmin(px * GRID, GRID - 1), v = (int)fmin(py * GRID, GRID - 1);
            if (pass == 0)
                counts[u][v]++;
            else if (u >= at_x - 1 && u <= at_x + 1 && v >= at_y - 1 && v <= at_y + 1)
                sum_x += px, sum_y += py, n += 1.0;
        }
        for (int u = 0; u < GRID && pass == 0; u++)
            for (int v = 0; v < GRID; v++) {
                int around = 0;
                for (int p = u ? u - 1 : 0; p <= u + 1 && p < GRID; p++)
                    for (int q = v ? v - 1 : 0; q <= v + 1 && q < GRID; q++)
                        around += counts[p][q] * (p == u && q == v ? 2 : 1);
                if (around > best) best = around, at_x = u, at_y = v;
            }
    }
    if (n == 0.0) return false;
    *x = a->box.x + a->box.w * sum_x / n;
    *y = a->box.y + a->box.h * (1.0 - sum_y / n);
    return true;
}

static scw_status label_text(textbuf *out, canvas *c, const scatter *s, const key *k, int64_t q,
                             double size)
{
    if (k->classes.numbered && k->width > 0.0) {
        text_clear(out);
        return text_add(out, "%lld", (long long)q + 1);
    }
    return canvas_text_fit(out, c, s->classes->at[q], size, true, 110.0);
}

/* Points of small classes, which a label would hide. */
static scw_status list_obstacles(rect **out, int64_t *n, const axes *a, const scatter *s)
{
    scw_status st = SCW_OK;
    int64_t *counts = NULL;
    double d = diameter(s, a->box);

    *n = 0;
    TRY(mem_new(&counts, s->classes->n));
    TRY(mem_new(out, MAX_OBSTACLES));
    for (int64_t i = 0; i < s->n; i++)
        if (s->codes[i] >= 0 && is_placed(s, i)) counts[s->codes[i]]++;
    for (int64_t i = 0; i < s->n && *n < MAX_OBSTACLES; i++) {
        if (s->codes[i] < 0 || !is_placed(s, i) || counts[s->codes[i]] > SMALL_CLASS) continue;
        double x = axes_x(a, (double)s->x[i * s->stride]),
               y = axes_y(a, (double)s->y[i * s->stride]);
        (*out)[(*n)++] = (rect){x - d / 2.0, y - d / 2.0, d, d};
    }
done:
    mem_free(counts);
    return st;
}

/* Labels that were moved are tied to their place by a line. */
static void draw_placed(canvas *c, const labels *l, const rect *placed, const bool *shown,
                        const strings *texts, const text_style *style)
{
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < l->n; k++) {
            double x = placed[k].x + placed[k].w / 2.0, y = placed[k].y + placed[k].h / 2.0;
            double from_x = l->wanted[k].x + l->wanted[k].w / 2.0;
            double from_y = l->wanted[k].y + l->wanted[k].h / 2.0;
            if (!shown[k]) continue;
            if (pass == 0 && hypot(x - from_x, y - from_y) > 1.2 * style->size)
                canvas_line(c, x, y, from_x, from_y, palette_soft, 0.5);
            if (pass == 1) canvas_text(c, x, y, ALIGN_CENTER, style, texts->at[k]);
        }
}

static scw_status draw_labels(canvas *c, const axes *a, const scatter *s, const key *k)
{
    scw_status st = SCW_OK;
    const text_style style = {.size = 7.0, .bold = true, .color = {0x11, 0x11, 0x11}, .halo = 1.2};
    const int64_t n = s->classes->n;
    rect *wanted = NULL, *placed = NULL, *obstacles = NULL;
    bool *shown = NULL;
    strings texts = {0};
    textbuf text = {0};
    labels l = {.bounds = a->box};

    TRY(mem_new(&wanted, n));
    TRY(mem_new(&placed, n));
    TRY(mem_new(&shown, n));
    for (int64_t q = 0; q < n; q++) {
        double x, y;
        if (!densest_place(&x, &y, a, s, (int32_t)q)) continue;
        TRY(label_text(&text, c, s, k, q, style.size));
        TRY(strings_add(&texts, text_get(&text)));
        double w = canvas_text_width(c, text_get(&text), style.size, true) + 2.0;
        wanted[l.n++] = (rect){x - w / 2.0, y - 0.5 * style.size, w, style.size};
    }
    TRY(list_obstacles(&obstacles, &l.n_obstacles, a, s));
    l.wanted = wanted;
    l.obstacles = obstacles;
    labels_place(placed, shown, &l);
    draw_placed(c, &l, placed, shown, &texts, &style);
done:
    mem_free(wanted);
    mem_free(placed);
    mem_free(obstacles);
    mem_free(shown);
    strings_clear(&texts);
    text_clear(&text);
    return st;
}

/* ----------------------------------------------------------------------------------- picture */

scw_status scatter_draw(canvas *c, const figure *f, const scatter *s, int64_t *n_left_out)
{
    scw_status st = SCW_OK;
    const double above = MARGIN + figure_title_height(f);
    double height = f->height > 0.0 ? 72.0 * f->height : above + SIDE + MARGIN_BELOW;
    axes a = {.x_label = s->x_label, .y_label = s->y_label, .bare = true};
    key k = {0};

    a.box = (rect){MARGIN_LEFT, above, SIDE, height - above - MARGIN_BELOW};
    TRY(arrange_key(&k, c, f, s, a.box.h));
    if (f->width > 0.0) a.box.w = 72.0 * f->width - MARGIN_LEFT - k.width - MARGIN;
    if (a.box.w < SMALLEST_SIDE || a.box.h < SMALLEST_SIDE)
        FAIL(SCW_EINVAL,
             "a picture of %.1f x %.1f inches leaves no room for the points; make it "
             "larger or use --legend none",
             f->width, f->height);
    TRY(canvas_size(c, a.box.x + a.box.w + k.width + MARGIN, height));
    TRY(fit_axes(&a, s, n_left_out));
    TRY(figure_draw_title(c, f, MARGIN_LEFT, a.box.w + k.width));
    TRY(scatter_points(c, &a, s));
    axes_draw(c, &a);
    if (s->codes && (s->legend == LEGEND_DATA || (k.classes.numbered && k.width > 0.0)))
        TRY(draw_labels(c, &a, s, &k));
    TRY(draw_key(c, &k, s, a.box));
done:
    key_clear(&k);
    return st;
}
