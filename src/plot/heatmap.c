/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/heatmap.h"

#include <math.h>
#include <stdio.h>

#include "plot/legend.h"
#include "plot/palette.h"

#define MARGIN 12.0
#define NAME_WIDEST 150.0
#define SIDE_WIDTH 84.0 /* at the right: counts of the rows and the bar of colours */
#define AXIS_NAME 20.0  /* height of the names of the columns of obs */
#define SMALLEST_CELL 2.0
#define SMALLEST_TEXT 4.6

typedef struct plan {
    double cell, size, left, above, names; /* names: width of the longest, as cut */
} plan;

/* Cells as large as their numbers need; smaller where there are many. */
static double cell_size(const figure *f, int64_t n, double around_w, double around_h)
{
    double free = n <= 10 ? 28.0 : n <= 20 ? 20.0 : n <= 60 ? 13.5 : 9.0;
    double by_width = f->width > 0.0 ? (72.0 * f->width - around_w) / (double)n : INFINITY;
    double by_height = f->height > 0.0 ? (72.0 * f->height - around_h) / (double)n : INFINITY;
    double cell = fmin(by_width, by_height);

    return isfinite(cell) ? cell : free;
}

static double longest_name(canvas *c, const confusion *m, double size)
{
    double longest = 0.0;

    for (int64_t k = 0; k < m->n; k++)
        longest = fmax(longest, canvas_text_width(c, m->classes->at[k], size, false));
    return fmin(longest, NAME_WIDEST);
}

static scw_status make_plan(plan *p, canvas *c, const figure *f, const confusion *m)
{
    scw_status st = SCW_OK;

    double around_w = 0.0, around_h = 0.0;

    p->size = m->n <= 20 ? 8.0 : 7.0;
    p->above = MARGIN + figure_title_height(f);
    for (int pass = 0; pass < 4;
         pass++) { /* letters no higher than rows; smaller ones leave room */
        p->names = longest_name(c, m, p->size);
        p->left = MARGIN + AXIS_NAME + p->names + 6.0;
        around_w = p->left + SIDE_WIDTH + MARGIN;
        around_h = p->above + p->names + 6.0 + AXIS_NAME + MARGIN;
        p->cell = cell_size(f, m->n, around_w, around_h);
        p->size = fmin(p->size, fmax(p->cell, 3.0));
    }
    if (p->cell < SMALLEST_CELL)
        FAIL(SCW_EINVAL,
             "%lld classes do not fit in %.1f x %.1f inches (0: as needed); make the "
             "picture larger",
             (long long)m->n, f->width, f->height);
    double side = p->cell * (double)m->n;
    double height = fmax(around_h + side, p->above + 140.0);
    TRY(canvas_size(c, f->width > 0.0 ? 72.0 * f->width : around_w + side,
                    f->height > 0.0 ? 72.0 * f->height : height));
done:
    return st;
}

static int64_t row_sum(const confusion *m, int64_t i)
{
    int64_t sum = m->rest[i];
    for (int64_t j = 0; j < m->n; j++)
        sum += m->counts[i * m->n + j];
    return sum;
}

/* Number of one cell, with the largest letters that fit, if any do. */
static void draw_value(canvas *c, const confusion *m, rect cell, int64_t count, double share,
                       rgb ground)
{
    char text[32];

    if (m->values == CONFUSION_NONE || count == 0) return;
    if (m->values == CONFUSION_COUNT)
        (void)snprintf(text, sizeof text, "%lld", (long long)count);
    else if (share < 0.005)
        (void)snprintf(text, sizeof text, "<1");
    else
        (void)snprintf(text, sizeof text, "%.0f", 100.0 * share);
    double unit = canvas_text_width(c, text, 1.0, false);
    double size = fmin(fmin(0.62 * cell.h, 0.9 * cell.w / unit), 8.0);
    if (size < SMALLEST_TEXT) return;
    const text_style style = {.size = size, .color = palette_ink(ground)};
    canvas_text(c, cell.x + cell.w / 2.0, cell.y + cell.h / 2.0, ALIGN_CENTER, &style, text);
}

static void draw_cells(canvas *c, const confusion *m, const plan *p)
{
    const double side = p->cell * (double)m->n;
    const rect all = {p->left, p->above, side, side};

    for (int64_t i = 0; i < m->n; i++) {
        double sum = (double)row_sum(m, i);
        for (int64_t j = 0; j < m->n; j++) {
            int64_t count = m->counts[i * m->n + j];
            double share = sum > 0.0 ? (double)count / sum : 0.0;
            rgb ground = share > 0.0 ? palette_sequential(share) : (rgb){255, 255, 255};
            rect cell = {all.x + p->cell * (double)j, all.y + p->cell * (double)i, p->cell,
                         p->cell};
            if (share > 0.0) canvas_fill(c, cell, ground);
            draw_value(c, m, cell, count, share, ground);
        }
    }
    for (int64_t k = 1; k < m->n; k++) {
        double at = p->cell * (double)k;
        canvas_line(c, all.x, all.y + at, all.x + side, all.y + at, palette_grid, 0.35);
        canvas_line(c, all.x + at, all.y, all.x + at, all.y + side, palette_grid, 0.35);
    }
    canvas_frame(c, all, palette_line, 0.8);
}

static scw_status draw_names(canvas *c, const confusion *m, const plan *p)
{
    scw_status st = SCW_OK;
    const double side = p->cell * (double)m->n, bottom = p->above + side;
    text_style row = {.size = p->size, .color = palette_text};
    text_style column = row, soft = row;
    text_style heading = {.size = SIZE_LABEL, .bold = true, .color = palette_text};
    char count[32];

    column.angle = 90.0;
    soft.color = palette_soft;
    soft.size = fmin(p->size, 6.5);
    for (int64_t k = 0; k < m->n; k++) {
        double middle = p->cell * ((double)k + 0.5);
        const char *name = m->classes->at[k];
        TRY(draw_fitted(c, p->left - 4.0, p->above + middle, ALIGN_RIGHT, &row, name,
                        p->names + 0.01));
        TRY(draw_fitted(c, p->left + middle, bottom + 4.0, ALIGN_RIGHT, &column, name,
                        p->names + 0.01));
        count_text(count, sizeof count, row_sum(m, k));
        canvas_text(c, p->left + side + 4.0, p->above + middle, ALIGN_LEFT, &soft, count);
    }
    TRY(draw_fitted(c, p->left + side / 2.0, bottom + p->names + 6.0 + AXIS_NAME / 2.0,
                    ALIGN_CENTER, &heading, m->column_name, fmax(side, 60.0)));
    heading.angle = 90.0;
    TRY(draw_fitted(c, MARGIN + AXIS_NAME / 2.0, p->above + side / 2.0, ALIGN_CENTER, &heading,
                    m->row_name, fmax(side, 60.0)));
done:
    return st;
}

scw_status confusion_draw(canvas *c, const figure *f, const confusion *m)
{
    scw_status st = SCW_OK;
    plan p = {0};

    TRY(make_plan(&p, c, f, m));
    const double side = p.cell * (double)m->n;
    TRY(figure_draw_title(c, f, MARGIN, p.left + side));
    draw_cells(c, m, &p);
    TRY(draw_names(c, m, &p));
    const rect bar = {p.left + side + 32.0, p.above + 14.0, colorbar_width(c, "% of row"),
                      fmin(110.0, fmax(side - 14.0, 40.0))};
    TRY(colorbar_draw(c, bar, "% of row", 0.0, 100.0, palette_sequential));
done:
    return st;
}
