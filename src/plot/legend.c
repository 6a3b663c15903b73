/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/legend.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "plot/axes.h"
#include "plot/palette.h"

#define SIZE_LARGEST 8.0
#define SIZE_SMALLEST 5.5
#define SIZE_WIDE 6.5   /* smallest where the legend may become higher instead */
#define LINE_HEIGHT 1.4 /* of the size of the letters, as are the next */
#define SWATCH 0.85
#define SWATCH_SPACE 1.35 /* from the left of the swatch to the name */
#define COLUMN_SPACE 1.4
#define SIZE_BAR_TITLE 7.5 /* of the bar of colours */
#define BAR_NARROWEST 50.0 /* the bar and its numbers */
#define BAR_WIDEST 140.0
#define NAME_WIDEST 24.0
#define NAME_NARROWEST 7.0

bool rects_overlap(rect a, rect b)
{
    return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

void legend_layout_clear(legend_layout *l)
{
    mem_free(l->boxes);
    strings_clear(&l->texts);
    *l = (legend_layout){0};
}

/* ---------------------------------------------------------------------------------- columns */

/* One way to set the legend. */
typedef struct setting {
    double size, name_widest; /* in sizes of the letters */
    int64_t n_columns, n_rows, n_lines;
    double *column_width; /* [n_columns] */
    double number_width, width;
} setting;

static double title_height(const legend *l, double size)
{
    return l->title ? 1.7 * size : 0.0;
}

static double detail_width(canvas *c, const legend_entry *e, double size)
{
    return *e->detail ? canvas_text_width(c, e->detail, size, false) + 0.5 * size : 0.0;
}

/* Width of name and detail of an entry, the name cut. */
static double entry_width(canvas *c, const legend_entry *e, const setting *s)
{
    double name = canvas_text_width(c, e->name, s->size, false);
    return fmin(name, s->name_widest * s->size) + detail_width(c, e, s->size);
}

/* Columns and their widths for the lines that are shown. */
static void measure(setting *s, canvas *c, const legend *l, double max_height)
{
    double room = floor((max_height - title_height(l, s->size)) / (LINE_HEIGHT * s->size));
    int64_t rows = room < 1.0 ? 1 : room < (double)s->n_lines ? (int64_t)room : s->n_lines;

    s->n_columns = rows ? (s->n_lines + rows - 1) / rows : 0;
    s->n_rows = s->n_columns ? (s->n_lines + s->n_columns - 1) / s->n_columns : 0;
    if (s->n_rows) s->n_columns = (s->n_lines + s->n_rows - 1) / s->n_rows;
    s->number_width =
        l->n && l->entries[0].number
            ? canvas_text_width(c, l->n > 99 ? "888" : "88", s->size, true) + 0.5 * s->size
            : 0.0;
    s->width = 0.0;
    for (int64_t k = 0; k < s->n_columns; k++) {
        double widest = 0.0;
        for (int64_t i = k * s->n_rows; i < (k + 1) * s->n_rows && i < s->n_lines; i++)
            widest = fmax(widest, entry_width(c, &l->entries[i], s));
        s->column_width[k] = SWATCH_SPACE * s->size + s->number_width + widest;
        s->width += s->column_width[k] + (k ? COLUMN_SPACE * s->size : 0.0);
    }
}

/* Largest letters first; then shorter names; then fewer entries. */
static void choose(setting *s, canvas *c, const legend *l, double max_width, double max_height)
{
    s->n_lines = l->n;
    s->name_widest = NAME_WIDEST;
    for (s->size = SIZE_LARGEST; s->size >= SIZE_SMALLEST; s->size -= 0.5) {
        measure(s, c, l, max_height);
        if (s->width <= max_width) return;
    }
    s->size = SIZE_SMALLEST;
    for (; s->name_widest >= NAME_NARROWEST; s->name_widest -= 1.0) {
        measure(s, c, l, max_height);
        if (s->width <= max_width) return;
    }
    s->name_widest = NAME_NARROWEST;
    while (s->width > max_width && s->n_lines > 2) {
        s->n_lines -= (s->n_lines + 19) / 20;
        measure(s, c, l, max_height);
    }
}

static scw_status fill(legend_layout *out, canvas *c, const legend *l, const setting *s)
{
    scw_status st = SCW_OK;
    textbuf name = {0};
    double x = 0.0;

    for (int64_t i = 0; i < s->n_lines; i++) {
        int64_t column = i / s->n_rows, row = i % s->n_rows;
        if (column && row == 0) x += s->column_width[column - 1] + COLUMN_SPACE * s->size;
        out->boxes[i] = (rect){x, title_height(l, s->size) + LINE_HEIGHT * s->size * (double)row,
                               s->column_width[column], LINE_HEIGHT * s->size};
        double room = s->column_width[column] - SWATCH_SPACE * s->size - s->number_width -
                      detail_width(c, &l->entries[i], s->size);
        bool last = i + 1 == s->n_lines && s->n_lines < l->n;
        if (last) {
            text_clear(&name);
            TRY(text_add(&name, "and %lld more", (long long)(l->n - i)));
        } else {
            TRY(canvas_text_fit(&name, c, l->entries[i].name, s->size, false, room + 0.01));
        }
        TRY(strings_add(&out->texts, text_get(&name)));
    }
done:
    text_clear(&name);
    return st;
}

/* What both ways share: measure by `choose_setting`, then write everything down. */
static scw_status arrange(legend_layout *out, canvas *c, const legend *l, double max_width,
                          double max_height,
                          void (*choose_setting)(setting *s, canvas *c, const legend *l,
                                                 double max_width, double max_height))
{
    scw_status st = SCW_OK;
    setting s = {0};

    *out = (legend_layout){0};
    TRY(mem_new(&s.column_width, l->n));
    TRY(mem_new(&out->boxes, l->n));
    choose_setting(&s, c, l, max_width, max_height);
    out->size = s.size;
    out->n_columns = s.n_columns;
    out->n_rows = s.n_rows;
    out->n_shown = s.n_lines;
    out->number_width = s.number_width;
    TRY(fill(out, c, l, &s));
    double title = l->title ? canvas_text_width(c, l->title, s.size, true) : 0.0;
    out->width = fmax(s.width, fmin(title, max_width));
    out->height = title_height(l, s.size) + LINE_HEIGHT * s.size * (double)s.n_rows;
done:
    mem_free(s.column_width);
    if (st != SCW_OK) legend_layout_clear(out);
    return st;
}

scw_status legend_arrange(legend_layout *out, canvas *c, const legend *l, double max_width,
                          double max_height)
{
    return arrange(out, c, l, max_width, max_height, choose);
}

static void choose_wide(setting *s, canvas *c, const legend *l, double max_width, double max_height)
{
    s->n_lines = l->n;
    s->name_widest = NAME_WIDEST;
    for (int64_t rows = 1; rows <= l->n; rows++)
        for (s->size = SIZE_LARGEST; s->size >= SIZE_WIDE; s->size -= 0.5) {
            double line = LINE_HEIGHT * s->size + 1e-6;
            measure(s, c, l, title_height(l, s->size) + line * (double)rows);
            if (s->width <= max_width) return;
        }
    choose(s, c, l, max_width, max_height); /* a single name is too wide */
}

scw_status legend_arrange_wide(legend_layout *out, canvas *c, const legend *l, double width)
{
    return arrange(out, c, l, width, INFINITY, choose_wide);
}

/* One line; the last one that stands for all the rest has words only. */
static void draw_entry(canvas *c, const legend_entry *e, const legend_layout *at, int64_t i,
                       rect box, bool rest)
{
    text_style style = {.size = at->size, .color = palette_text};
    double middle = box.y + box.h / 2.0, side = SWATCH * at->size;
    double x = box.x + SWATCH_SPACE * at->size + at->number_width;
    char number[16];

    if (rest) {
        style.color = palette_soft;
        canvas_text(c, x, middle, ALIGN_LEFT, &style, at->texts.at[i]);
        return;
    }
    canvas_dot(c, box.x + side / 2.0, middle, side, e->color);
    canvas_text(c, x, middle, ALIGN_LEFT, &style, at->texts.at[i]);
    if (*e->detail) {
        double name = canvas_text_width(c, at->texts.at[i], at->size, false);
        style.color = palette_soft;
        canvas_text(c, x + name + 0.5 * at->size, middle, ALIGN_LEFT, &style, e->detail);
        style.color = palette_text;
    }
    if (!e->number) return;
    (void)snprintf(number, sizeof number, "%d", e->number);
    style.bold = true;
    canvas_text(c, x - 0.5 * at->size, middle, ALIGN_RIGHT, &style, number);
}

scw_status legend_draw(canvas *c, const legend *l, const legend_layout *at, double x, double y)
{
    scw_status st = SCW_OK;
    const text_style title = {.size = at->size, .bold = true, .color = palette_text};

    if (l->title)
        TRY(draw_fitted(c, x, y + 0.5 * at->size, ALIGN_LEFT, &title, l->title, at->width + 0.01));
    for (int64_t i = 0; i < at->n_shown; i++) {
        rect box = at->boxes[i];
        box.x += x;
        box.y += y;
        draw_entry(c, &l->entries[i], at, i, box, i + 1 == at->n_shown && at->n_shown < l->n);
    }
done:
    return st;
}

/* ------------------------------------------------------------------------------------ classes */

void count_text(char *out, size_t size, int64_t n)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    size_t at = 0;

    for (int k = 0; k < length && at + 2 < size; k++) {
        if (k > 0 && (length - k) % 3 == 0) out[at++] = ',';
        out[at++] = digits[k];
    }
    out[at] = '\0';
}

scw_status class_key_make(class_key *out, const char *title, const strings *classes,
                          const int64_t *counts, int64_t n_without)
{
    scw_status st = SCW_OK;
    const int64_t n = classes->n;
    int64_t n_entries = 0;

    *out = (class_key){.numbered = n >= KEY_NUMBERED};
    TRY(mem_new(&out->entries, n + 1));
    for (int64_t k = 0; k <= n; k++) {
        if ((k < n ? counts[k] : n_without) == 0) continue;
        legend_entry *e = &out->entries[n_entries++];
        e->name = k < n ? classes->at[k] : "without a value";
        e->color = k < n ? palette_class(k) : palette_missing;
        e->number = out->numbered && k < n ? (int)k + 1 : 0;
        count_text(e->detail, sizeof e->detail, k < n ? counts[k] : n_without);
    }
    out->legend = (legend){title, n_entries, out->entries};
done:
    return st;
}

void class_key_clear(class_key *k)
{
    mem_free(k->entries);
    *k = (class_key){0};
}

/* ---------------------------------------------------------------------------- bar of colours */

double colorbar_width(canvas *c, const char *title)
{
    double width = title ? canvas_text_width(c, title, SIZE_BAR_TITLE, true) : 0.0;
    return fmin(fmax(width, BAR_NARROWEST), BAR_WIDEST);
}

scw_status colorbar_draw(canvas *c, rect at, const char *title, double low, double high,
                         color_scale color)
{
    enum { STEPS = 64 };
    const text_style style = {.size = SIZE_TICK, .color = palette_text};
    const text_style bold = {.size = SIZE_BAR_TITLE, .bold = true, .color = palette_text};
    double ticks[AXES_MAX_TICKS], step = at.h / STEPS;
    const axis a = {low, high, false};
    const rect bar = {at.x, at.y, 10.0, at.h};
    char text[32];

    for (int k = 0; k < STEPS; k++) { /* each reaches under the next: no gaps between them */
        double y = bar.y + bar.h - step * (double)(k + 1);
        canvas_fill(c, (rect){bar.x, y, bar.w, k ? step + 0.5 : step},
                    color(((double)k + 0.5) / STEPS));
    }
    canvas_frame(c, bar, palette_line, 0.5);
    int n = axis_ticks(ticks, a, 4);
    for (int k = 0; k < n; k++) {
        double y = bar.y + bar.h * (1.0 - axis_place(a, ticks[k]));
        canvas_line(c, bar.x + bar.w, y, bar.x + bar.w + 2.5, y, palette_line, 0.6);
        axis_text(text, sizeof text, a, ticks, n, k);
        canvas_text(c, bar.x + bar.w + 5.0, y, ALIGN_LEFT, &style, text);
    }
    if (!title) return SCW_OK;
    return draw_fitted(c, bar.x, bar.y - 9.0, ALIGN_LEFT, &bold, title, at.w + 0.01);
}

/* ------------------------------------------------------------------------------------ labels */

static rect within(rect r, rect bounds)
{
    r.x = fmax(bounds.x, fmin(r.x, bounds.x + bounds.w - r.w));
    r.y = fmax(bounds.y, fmin(r.y, bounds.y + bounds.h - r.h));
    return r;
}

static bool is_free(rect r, const rect *taken, const bool *shown, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if ((!shown || shown[k]) && rects_overlap(r, taken[k])) return false;
    return true;
}

/* Rings of growing radius around the wanted place of label k; those before it are placed. */
static bool search(rect *out, const bool *shown, const labels *l, int64_t k, bool heed_obstacles)
{
    const double reach = fmin(l->bounds.w, l->bounds.h) / 3.0;
    const rect wanted = l->wanted[k];

    if (wanted.w > l->bounds.w || wanted.h > l->bounds.h) return false;
    for (double radius = 0.0; radius <= reach; radius += 1.5) {
        int n_angles = radius > 0.0 ? 16 : 1;
        for (int q = 0; q < n_angles; q++) {
            double angle = 2.0 * M_PI * (double)q / (double)n_angles;
            rect r = wanted;
            r.x += radius * cos(angle) * 1.5; /* labels are wider than high */
            r.y += radius * sin(angle);
            r = within(r, l->bounds);
            if (!is_free(r, out, shown, k)) continue;
            if (heed_obstacles && !is_free(r, l->obstacles, NULL, l->n_obstacles)) continue;
            out[k] = r;
            return true;
        }
    }
    return false;
}

void labels_place(rect *out, bool *shown, const labels *l)
{
    for (int64_t k = 0; k < l->n; k++) {
        out[k] = l->wanted[k];
        shown[k] = search(out, shown, l, k, true) || search(out, shown, l, k, false);
    }
}
