/* SPDX-License-Identifier: BSD-3-Clause */
#include "plot/canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

/* Metric-compatible with the Arial and Helvetica that journals ask for. Where it is not installed
 * fontconfig takes the nearest it has, on Debian DejaVu Sans. */
#define FONT "Liberation Sans"
#define CAP_HEIGHT 0.72   /* of the size of the letters */
#define MAX_TEXT 512      /* bytes of one text that are looked at */
#define MAX_PIXELS 100e6  /* of a picture */
#define MAX_SIDE 32000.0  /* pixels; cairo's images end at 32767 */
#define VECTOR_MARKS 1000 /* a layer of more marks becomes an image in SVG and PDF */
#define LAYER_DPI 300.0   /* of such images at least */

struct canvas {
    canvas_format format;
    double dpi, width, height;
    textbuf bytes;         /* what cairo has written */
    scw_status write;      /* of the writing */
    cairo_t *meter;        /* a page of one pixel, for measuring */
    cairo_t *page, *front; /* front: the page, or the layer in front of it */
    rect layer;
};

scw_status canvas_format_of(canvas_format *out, const char *path)
{
    static const char *const endings[] = {".png", ".svg", ".pdf"};
    size_t n = strlen(path);

    for (int k = 0; k < 3; k++) {
        if (n <= 4 || strcasecmp(path + n - 4, endings[k]) != 0) continue;
        *out = (canvas_format)k;
        return SCW_OK;
    }
    return status_fail(SCW_EINVAL, "%s: the name of a picture ends in .png, .svg or .pdf", path);
}

static cairo_status_t keep_bytes(void *self, const unsigned char *data, unsigned int n)
{
    canvas *c = self;

    if (c->write == SCW_OK) c->write = text_add_bytes(&c->bytes, (const char *)data, n);
    return c->write == SCW_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* Letters are placed by their exact widths, so that all formats have the same layout. */
static void set_font_options(cairo_t *cr)
{
    cairo_font_options_t *o = cairo_font_options_create();

    cairo_font_options_set_hint_style(o, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(o, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(o, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cr, o);
    cairo_font_options_destroy(o);
}

static scw_status check(cairo_t *cr)
{
    cairo_status_t s = cairo_status(cr);

    if (s == CAIRO_STATUS_SUCCESS) return SCW_OK;
    return status_fail(s == CAIRO_STATUS_NO_MEMORY ? SCW_ENOMEM : SCW_EINTERNAL,
                       "the picture cannot be drawn: %s", cairo_status_to_string(s));
}

scw_status canvas_new(canvas **out, canvas_format format, double dpi)
{
    scw_status st = SCW_OK;
    canvas *c = NULL;

    *out = NULL;
    TRY(mem_new(&c, 1));
    c->format = format;
    c->dpi = dpi;
    cairo_surface_t *dot = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    c->meter = cairo_create(dot);
    cairo_surface_destroy(dot);
    TRY(check(c->meter));
    set_font_options(c->meter);
    *out = c;
    c = NULL;
done:
    canvas_free(c);
    return st;
}

void canvas_free(canvas *c)
{
    if (!c) return;
    if (c->front != c->page) cairo_destroy(c->front);
    cairo_destroy(c->page);
    cairo_destroy(c->meter);
    text_clear(&c->bytes);
    mem_free(c);
}

static cairo_surface_t *new_surface(canvas *c)
{
    double scale = c->dpi / 72.0;
    cairo_surface_t *s = NULL;

    switch (c->format) {
    case CANVAS_PNG:
        s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(c->width * scale - 1e-6),
                                       (int)ceil(c->height * scale - 1e-6));
        cairo_surface_set_device_scale(s, scale, scale);
        break;
    case CANVAS_SVG:
        s = cairo_svg_surface_create_for_stream(keep_bytes, c, c->width, c->height);
        cairo_svg_surface_set_document_unit(s, CAIRO_SVG_UNIT_PT);
        break;
    case CANVAS_PDF:
        s = cairo_pdf_surface_create_for_stream(keep_bytes, c, c->width, c->height);
        cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATE_DATE, "");
        break;
    }
    return s;
}

scw_status canvas_size(canvas *c, double width, double height)
{
    scw_status st = SCW_OK;
    double dpi = c->format == CANVAS_PNG ? c->dpi : fmax(c->dpi, LAYER_DPI);
    double w = width / 72.0 * dpi, h = height / 72.0 * dpi;

    if (!(w >= 1.0 && h >= 1.0) || w > MAX_SIDE || h > MAX_SIDE || w * h > MAX_PIXELS)
        FAIL(SCW_EINVAL,
             "a picture of %.1f x %.1f inches at %.0f dpi is too large; make it smaller "
             "(--width, --height, --dpi)",
             width / 72.0, height / 72.0, dpi);
    c->width = width;
    c->height = height;
    cairo_surface_t *s = new_surface(c);
    c->page = c->front = cairo_create(s);
    cairo_surface_destroy(s);
    set_font_options(c->page);
    cairo_set_source_rgb(c->page, 1.0, 1.0, 1.0);
    cairo_paint(c->page); /* to the edge of the last pixel, which a rectangle may share */
    TRY(check(c->page));
done:
    return st;
}

scw_status canvas_finish(canvas *c, textbuf *out)
{
    scw_status st = SCW_OK;
    cairo_surface_t *s = cairo_get_target(c->page);

    TRY(check(c->page));
    if (c->format == CANVAS_PNG) {
        cairo_surface_flush(s);
        if (cairo_surface_write_to_png_stream(s, keep_bytes, c) == CAIRO_STATUS_NO_MEMORY)
            FAIL(SCW_ENOMEM, "out of memory while a picture was packed");
    } else {
        cairo_surface_finish(s);
        cairo_status_t end = cairo_surface_status(s);
        if (end != CAIRO_STATUS_SUCCESS && c->write == SCW_OK)
            FAIL(SCW_EINTERNAL, "the picture cannot be drawn: %s", cairo_status_to_string(end));
    }
    TRY(c->write);
    TRY(text_add_bytes(out, c->bytes.data, c->bytes.length));
done:
    return st;
}

/* ------------------------------------------------------------------------------------- text */

/* Text that cairo accepts: cut at MAX_TEXT, valid, without control characters. */
static void clean(char out[MAX_TEXT + 8], const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    char *o = out;

    while (*s && o - out < MAX_TEXT) {
        int n = text_character((const char *)s);
        if (n == 0 || (n == 1 && (*s < 0x20 || *s == 0x7f)))
            *o++ = n ? ' ' : '?';
        else
            memcpy(o, s, (size_t)n), o += n;
        s += n ? n : 1;
    }
    *o = '\0';
}

static void set_font(cairo_t *cr, double size, bool bold)
{
    cairo_select_font_face(cr, FONT, CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static double advance(canvas *c, const char *cleaned)
{
    cairo_text_extents_t e = {0};

    cairo_text_extents(c->meter, cleaned, &e);
    return e.x_advance;
}

double canvas_text_width(canvas *c, const char *text, double size, bool bold)
{
    char cleaned[MAX_TEXT + 8];

    clean(cleaned, text);
    set_font(c->meter, size, bold);
    return advance(c, cleaned);
}

scw_status canvas_text_fit(textbuf *out, canvas *c, const char *text, double size, bool bold,
                           double width)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    char whole[MAX_TEXT + 8], part[MAX_TEXT + 8 + sizeof ellipsis];
    size_t ends[MAX_TEXT + 8]; /* of the first k characters */
    int n = 0, low = 0;

    text_clear(out);
    clean(whole, text);
    set_font(c->meter, size, bold);
    if (strlen(text) <= MAX_TEXT && advance(c, whole) <= width) return text_add(out, "%s", whole);
    ends[0] = 0;
    for (const char *s = whole; *s; n++) {
        s += text_character(s);
        ends[n + 1] = (size_t)(s - whole);
    }
    for (int high = n; low < high;) { /* the first `low` characters fit */
        int middle = (low + high + 1) / 2;
        memcpy(part, whole, ends[middle]);
        memcpy(part + ends[middle], ellipsis, sizeof ellipsis);
        if (advance(c, part) <= width)
            low = middle;
        else
            high = middle - 1;
    }
    while (low > 0 && whole[ends[low] - 1] == ' ')
        low--;
    return text_add(out, "%.*s%s", (int)ends[low], whole, ellipsis);
}

static void set_color(cairo_t *cr, rgb color)
{
    cairo_set_source_rgb(cr, color.r / 255.0, color.g / 255.0, color.b / 255.0);
}

void canvas_text(canvas *c, double x, double y, text_align align, const text_style *style,
                 const char *text)
{
    char cleaned[MAX_TEXT + 8];
    cairo_t *cr = c->front;

    clean(cleaned, text);
    if (!*cleaned) return;
    double width = canvas_text_width(c, cleaned, style->size, style->bold);
    double left = align == ALIGN_LEFT ? 0.0 : align == ALIGN_RIGHT ? -width : -width / 2.0;
    cairo_save(cr);
    cairo_translate(cr, x, y);
    if (style->angle != 0.0) cairo_rotate(cr, -style->angle * M_PI / 180.0);
    set_font(cr, style->size, style->bold);
    cairo_move_to(cr, left, CAP_HEIGHT * style->size / 2.0);
    if (style->halo > 0.0) {
        cairo_text_path(cr, cleaned);
        set_color(cr, (rgb){255, 255, 255});
        cairo_set_line_width(cr, 2.0 * style->halo);
        cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
        cairo_stroke(cr);
        cairo_move_to(cr, left, CAP_HEIGHT * style->size / 2.0);
    }
    set_color(cr, style->color);
    cairo_show_text(cr, cleaned);
    cairo_restore(cr);
}

/* ------------------------------------------------------------------------------------ shapes */

void canvas_fill(canvas *c, rect r, rgb color)
{
    set_color(c->front, color);
    cairo_rectangle(c->front, r.x, r.y, r.w, r.h);
    cairo_fill(c->front);
}

void canvas_frame(canvas *c, rect r, rgb color, double width)
{
    set_color(c->front, color);
    cairo_set_line_width(c->front, width);
    cairo_rectangle(c->front, r.x, r.y, r.w, r.h);
    cairo_stroke(c->front);
}

void canvas_line(canvas *c, double x1, double y1, double x2, double y2, rgb color, double width)
{
    set_color(c->front, color);
    cairo_set_line_width(c->front, width);
    cairo_set_line_cap(c->front, CAIRO_LINE_CAP_SQUARE);
    cairo_move_to(c->front, x1, y1);
    cairo_line_to(c->front, x2, y2);
    cairo_stroke(c->front);
}

void canvas_dashes(canvas *c, double x1, double y1, double x2, double y2, rgb color, double width)
{
    const double dashes[] = {3.0, 2.0};

    cairo_set_dash(c->front, dashes, 2, 0.0);
    set_color(c->front, color);
    cairo_set_line_width(c->front, width);
    cairo_set_line_cap(c->front, CAIRO_LINE_CAP_BUTT);
    cairo_move_to(c->front, x1, y1);
    cairo_line_to(c->front, x2, y2);
    cairo_stroke(c->front);
    cairo_set_dash(c->front, NULL, 0, 0.0);
}

void canvas_path(canvas *c, const double *x, const double *y, int64_t n, rgb color, double width)
{
    set_color(c->front, color);
    cairo_set_line_width(c->front, width);
    cairo_set_line_join(c->front, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(c->front, CAIRO_LINE_CAP_ROUND);
    cairo_new_path(c->front); /* text leaves a current point behind */
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i]))
            cairo_new_sub_path(c->front);
        else
            cairo_line_to(c->front, x[i], y[i]);
    }
    cairo_stroke(c->front);
}

void canvas_dot(canvas *c, double x, double y, double diameter, rgb color)
{
    set_color(c->front, color);
    cairo_set_line_width(c->front, diameter);
    cairo_set_line_cap(c->front, CAIRO_LINE_CAP_ROUND);
    cairo_move_to(c->front, x, y);
    cairo_close_path(c->front);
    cairo_stroke(c->front);
}

/* ------------------------------------------------------------------------------------ layers */

void canvas_layer_begin(canvas *c, rect box, int64_t n_marks)
{
    double scale = fmax(c->dpi, LAYER_DPI) / 72.0;

    c->layer = box;
    cairo_save(c->page);
    cairo_rectangle(c->page, box.x, box.y, box.w, box.h);
    cairo_clip(c->page);
    if (c->format == CANVAS_PNG || n_marks <= VECTOR_MARKS) return;
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)ceil(box.w * scale),
                                                    (int)ceil(box.h * scale));
    cairo_surface_set_device_scale(s, scale, scale);
    c->front = cairo_create(s);
    cairo_surface_destroy(s);
    set_font_options(c->front);
    cairo_translate(c->front, -box.x, -box.y);
}

void canvas_layer_end(canvas *c)
{
    if (c->front != c->page) {
        cairo_surface_t *s = cairo_get_target(c->front);
        cairo_surface_flush(s);
        cairo_set_source_surface(c->page, s, c->layer.x, c->layer.y);
        cairo_paint(c->page);
        cairo_destroy(c->front);
        c->front = c->page;
    }
    cairo_restore(c->page);
}
