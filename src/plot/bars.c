/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/bars.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "plot/legend.h"
#include "plot/palette.h"

#define MARGIN 12.0

/* ------------------------------------------------------------------------------- composition */

#define BAR_WIDTH 380.0
#define GROUP_WIDEST 130.0
#define COUNT_WIDTH 42.0
#define LEGEND_SPACE 8.0
#define AXIS_HEIGHT 34.0

typedef struct stack {
    const composition *m;
    class_key key;
    legend_layout layout;
    rect box; /* of the bars */
    double row, names;
} stack;

static void stack_clear(stack *s)
{
    class_key_clear(&s->key);
    legend_layout_clear(&s->layout);
}

static scw_status plan_stack(stack *s, canvas *c, const figure *f)
{
    scw_status st = SCW_OK;
    const composition *m = s->m;
    const int64_t n = m->groups->n;
    const double above = MARGIN + figure_title_height(f);
    int64_t *totals = NULL;

    TRY(mem_new(&totals, m->classes->n));
    for (int64_t g = 0; g < n; g++) {
        for (int64_t k = 0; k < m->classes->n; k++)
            totals[k] += m->counts[g * m->classes->n + k];
        s->names = fmax(s->names, canvas_text_width(c, m->groups->at[g], SIZE_LABEL, false));
    }
    s->names = fmin(s->names, GROUP_WIDEST);
    TRY(class_key_make(&s->key, m->class_name, m->classes, totals, 0));
    double left = MARGIN + s->names + 6.0, right = COUNT_WIDTH + MARGIN;
    double width = f->width > 0.0 ? 72.0 * f->width : left + BAR_WIDTH + right;
    TRY(legend_arrange_wide(&s->layout, c, &s->key.legend, width - 2.0 * MARGIN));
    double around = above + AXIS_HEIGHT + LEGEND_SPACE + s->layout.height + MARGIN;
    double bars = (double)n * (n <= 6 ? 28.0 : n <= 20 ? 20.0 : 12.0);
    double height = f->height > 0.0 ? 72.0 * f->height : around + bars;
    s->box = (rect){left, above, width - left - right, height - around};
    s->row = s->box.h / (double)n;
    if (s->box.w < 60.0 || s->row < 4.0)
        FAIL(SCW_EINVAL,
             "%lld groups and the legend do not fit in %.1f x %.1f inches (0: as needed); "
             "make the picture larger",
             (long long)n, f->width, f->height);
    TRY(canvas_size(c, width, height));
done:
    mem_free(totals);
    return st;
}

static int64_t group_total(const composition *m, int64_t g)
{
    int64_t sum = 0;
    for (int64_t k = 0; k < m->classes->n; k++)
        sum += m->counts[g * m->classes->n + k];
    return sum;
}

static void draw_bar(canvas *c, const stack *s, int64_t g, rect bar)
{
    const composition *m = s->m;
    const double total = (double)group_total(m, g);
    double x = bar.x;
    char number[16];

    for (int64_t k = 0; k < m->classes->n && total > 0.0; k++) {
        double w = bar.w * (double)m->counts[g * m->classes->n + k] / total;
        rgb color = palette_class(k);
        if (w <= 0.0) continue;
        canvas_fill(c, (rect){x, bar.y, w, bar.h}, color);
        if (x > bar.x) canvas_line(c, x, bar.y, x, bar.y + bar.h, (rgb){255, 255, 255}, 0.4);
        x += w;
        if (!s->key.numbered) continue;
        const text_style style = {.size = fmin(7.0, 0.8 * bar.h), .color = palette_ink(color)};
        (void)snprintf(number, sizeof number, "%d", (int)k + 1);
        if (canvas_text_width(c, number, style.size, false) + 2.0 < w)
            canvas_text(c, x - w / 2.0, bar.y + bar.h / 2.0, ALIGN_CENTER, &style, number);
    }
}

scw_status composition_draw(canvas *c, const figure *f, const composition *m)
{
    scw_status st = SCW_OK;
    stack s = {.m = m};
    text_style name = {.size = SIZE_LABEL, .color = palette_text}, soft = name;
    char count[32];

    TRY(plan_stack(&s, c, f));
    name.size = fmin(SIZE_LABEL, fmax(0.85 * s.row, 4.0));
    soft.size = fmin(SIZE_TICK, name.size);
    soft.color = palette_soft;
    axes a = {.box = s.box, .x = {0.0, 100.0, false}, .y = {0.0, 1.0, false}};
    double ticks[AXES_MAX_TICKS];
    int n = axis_ticks(ticks, a.x, 5);
    for (int k = 0; k < n; k++) {
        double x = axes_x(&a, ticks[k]), y = s.box.y + s.box.h;
        canvas_line(c, x, y + 1.0, x, y + 4.0, palette_line, 0.6);
        (void)snprintf(count, sizeof count, "%.0f", ticks[k]);
        canvas_text(c, x, y + 10.0, ALIGN_CENTER, &soft, count);
    }
    const text_style axis_style = {.size = SIZE_LABEL, .color = palette_text};
    canvas_text(c, s.box.x + s.box.w / 2.0, s.box.y + s.box.h + 22.0, ALIGN_CENTER, &axis_style,
                "% of cells");
    for (int64_t g = 0; g < m->groups->n; g++) {
        rect bar = {s.box.x, s.box.y + s.row * ((double)g + 0.1), s.box.w, 0.8 * s.row};
        draw_bar(c, &s, g, bar);
        TRY(draw_fitted(c, bar.x - 5.0, bar.y + bar.h / 2.0, ALIGN_RIGHT, &name, m->groups->at[g],
                        s.names + 0.01));
        count_text(count, sizeof count, group_total(m, g));
        canvas_text(c, bar.x + bar.w + 5.0, bar.y + bar.h / 2.0, ALIGN_LEFT, &soft, count);
    }
    TRY(figure_draw_title(c, f, MARGIN, s.box.x + s.box.w));
    TRY(legend_draw(c, &s.key.legend, &s.layout, MARGIN,
                    s.box.y + s.box.h + AXIS_HEIGHT + LEGEND_SPACE));
done:
    stack_clear(&s);
    return st;
}

/* ----------------------------------------------------------------------------------- markers */

#define FEATURE_WIDEST 78.0
#define SCORE_WIDTH 78.0
#define SCORE_GIVES 24.0
#define LINE 10.0
#define PANEL_HEAD 15.0
#define PANEL_FOOT 16.0
#define PANEL_SPACE 14.0

typedef struct panels {
    const markers *m;
    int64_t n_columns, n_rows, longest; /* longest: most markers of a class */
    int64_t *first;                     /* [classes + 1] */
    double names, width, height, line;
} panels;

static scw_status plan_panels(panels *p, canvas *c, const figure *f)
{
    scw_status st = SCW_OK;
    const markers *m = p->m;
    const int64_t n = m->classes->n;
    double above = MARGIN + figure_title_height(f) + 14.0;

    TRY(mem_new(&p->first, n + 1));
    for (int64_t i = 0; i < m->n; i++) {
        p->first[m->at[i].class + 1]++;
        p->names = fmax(p->names, canvas_text_width(c, m->at[i].feature, SIZE_TICK, false));
    }
    for (int64_t k = 0; k < n; k++) {
        if (p->first[k + 1] > p->longest) p->longest = p->first[k + 1];
        p->first[k + 1] += p->first[k];
    }
    p->names = fmin(p->names, FEATURE_WIDEST);
    p->n_columns = n <= 4 ? n : n <= 9 ? 3 : n <= 20 ? 4 : 6;
    p->width = p->names + 4.0 + SCORE_WIDTH + PANEL_SPACE;
    if (f->width > 0.0) { /* as many as fit beside each other, a little narrower if need be */
        double fit = floor((72.0 * f->width - 2.0 * MARGIN) / (p->width - SCORE_GIVES));
        p->n_columns = fit < 1.0 ? 1 : fit < (double)n ? (int64_t)fit : n;
    }
    p->n_rows = (n + p->n_columns - 1) / p->n_columns;
    p->height = PANEL_HEAD + LINE * (double)p->longest + PANEL_FOOT + PANEL_SPACE;
    if (f->width > 0.0) p->width = (72.0 * f->width - 2.0 * MARGIN) / (double)p->n_columns;
    if (f->height > 0.0) p->height = (72.0 * f->height - above - MARGIN) / (double)p->n_rows;
    p->line = (p->height - PANEL_HEAD - PANEL_FOOT - PANEL_SPACE) / (double)p->longest;
    if (p->width < p->names + PANEL_SPACE + 24.0 || p->line < 4.0)
        FAIL(SCW_EINVAL,
             "markers of %lld classes do not fit in %.1f x %.1f inches (0: as needed); "
             "make the picture larger or --top smaller",
             (long long)n, f->width, f->height);
    TRY(canvas_size(c, p->width * (double)p->n_columns + 2.0 * MARGIN,
                    p->height * (double)p->n_rows + above + MARGIN));
done:
    return st;
}

/* Scores begin at zero, where bars must begin, and whiskers are within. */
static axis score_axis(const marker *at, int64_t n)
{
    axis a = {0.0, 0.0, false};

    for (int64_t k = 0; k < n; k++) {
        double se = isfinite(at[k].se) ? fabs(at[k].se) : 0.0;
        if (!isfinite(at[k].score)) continue;
        a.high = fmax(a.high, at[k].score + se);
        a.low = fmin(a.low, at[k].score - se);
    }
    if (a.low == a.high) a.high = 1.0;
    a.high += a.high > 0.0 ? 0.04 * (a.high - a.low) : 0.0;
    return a;
}

static void draw_marker(canvas *c, const marker *m, const axes *a, double y, double thick)
{
    double from = axes_x(a, 0.0), to = axes_x(a, m->score);

    if (!isfinite(m->score)) return;
    canvas_fill(c, (rect){fmin(from, to), y - thick / 2.0, fabs(to - from), thick},
                palette_class(m->modality));
    if (!isfinite(m->se)) return;
    double low = axes_x(a, m->score - fabs(m->se)), high = axes_x(a, m->score + fabs(m->se));
    canvas_line(c, low, y, high, y, palette_text, 0.7);
    canvas_line(c, low, y - 1.5, low, y + 1.5, palette_text, 0.7);
    canvas_line(c, high, y - 1.5, high, y + 1.5, palette_text, 0.7);
}

static scw_status draw_class(canvas *c, const panels *p, int64_t k, double x, double y)
{
    scw_status st = SCW_OK;
    const marker *at = p->m->at + p->first[k];
    const int64_t n = p->first[k + 1] - p->first[k];
    const text_style title = {.size = SIZE_TICK + 1.0, .bold = true, .color = palette_text};
    const text_style name = {.size = fmin(SIZE_TICK, 0.9 * p->line), .color = palette_text};
    const text_style soft = {.size = SIZE_TICK - 1.0, .color = palette_soft};
    axes a = {.x = score_axis(at, n), .y = {0.0, 1.0, false}};
    double ticks[AXES_MAX_TICKS];
    char text[32];

    a.box = (rect){x + p->names + 4.0, y + PANEL_HEAD, p->width - p->names - 4.0 - PANEL_SPACE,
                   p->line * (double)n};
    TRY(draw_fitted(c, x, y + PANEL_HEAD / 2.0, ALIGN_LEFT, &title, p->m->classes->at[k],
                    p->width - PANEL_SPACE));
    int n_ticks = axis_ticks(ticks, a.x, 2);
    double bottom = a.box.y + a.box.h;
    for (int t = 0; t < n_ticks; t++) {
        double at_x = axes_x(&a, ticks[t]);
        canvas_line(c, at_x, a.box.y, at_x, bottom, palette_grid, 0.5);
        axis_text(text, sizeof text, a.x, ticks, n_ticks, t);
        canvas_text(c, at_x, bottom + 7.0, ALIGN_CENTER, &soft, text);
    }
    for (int64_t i = 0; i < n; i++) {
        double middle = a.box.y + p->line * ((double)i + 0.5);
        draw_marker(c, &at[i], &a, middle, 0.66 * p->line);
        TRY(draw_fitted(c, a.box.x - 3.0, middle, ALIGN_RIGHT, &name, at[i].feature,
                        p->names + 0.01));
    }
    canvas_line(c, axes_x(&a, 0.0), a.box.y, axes_x(&a, 0.0), bottom, palette_line, 0.7);
done:
    return st;
}

scw_status markers_draw(canvas *c, const figure *f, const markers *m)
{
    scw_status st = SCW_OK;
    panels p = {.m = m};
    const text_style style = {.size = SIZE_TICK + 0.5, .color = palette_text};
    double x = MARGIN, y = MARGIN + figure_title_height(f);

    TRY(plan_panels(&p, c, f));
    const double right = MARGIN + p.width * (double)p.n_columns;
    TRY(figure_draw_title(c, f, MARGIN, right - MARGIN));
    for (int64_t k = 0; k < m->modalities->n; k++) {
        double width = canvas_text_width(c, m->modalities->at[k], style.size, false);
        if (x + 11.0 + width > right) break;
        canvas_fill(c, (rect){x, y - 1.0, 8.0, 6.0}, palette_class(k));
        canvas_text(c, x + 11.0, y + 2.0, ALIGN_LEFT, &style, m->modalities->at[k]);
        x += 11.0 + width + 14.0;
    }
    if (x + canvas_text_width(c, m->score_name, style.size, false) < right)
        canvas_text(c, x, y + 2.0, ALIGN_LEFT,
                    &(text_style){.size = style.size, .color = palette_soft}, m->score_name);
    for (int64_t k = 0; k < m->classes->n; k++)
        TRY(draw_class(c, &p, k, MARGIN + p.width * (double)(k % p.n_columns),
                       y + 14.0 + p.height * (double)(k / p.n_columns)));
done:
    mem_free(p.first);
    return st;
}
