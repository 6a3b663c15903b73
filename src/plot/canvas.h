/* SPDX-License-Identifier: BSD-3-Clause */
/* The sheet that pictures are drawn on: cairo behind a few calls, the only file that includes it.
 *
 * Lengths are in points (1/72 inch), y grows downwards. A sheet is made first, so that text can be
 * measured before the size of the picture is known; canvas_size opens the page. The result is kept
 * in memory and handed over as bytes: equal calls give equal bytes (no dates, no random
 * identifiers). The first failure of cairo stays and is reported by canvas_finish. */
#ifndef PLOT_CANVAS_H
#define PLOT_CANVAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct canvas canvas;

typedef enum canvas_format { CANVAS_PNG = 0, CANVAS_SVG, CANVAS_PDF } canvas_format;

typedef struct rgb {
    uint8_t r, g, b;
} rgb;

typedef struct rect {
    double x, y, w, h;
} rect;

typedef struct text_style {
    double size; /* of the letters */
    bool bold;
    rgb color;
    double halo;  /* width of a white rim, 0: none */
    double angle; /* degrees, counter-clockwise */
} text_style;

typedef enum text_align { ALIGN_LEFT = 0, ALIGN_CENTER, ALIGN_RIGHT } text_align;

/* By the ending of the file's name, .png, .svg or .pdf in any case. SCW_EINVAL: another. */
SCW_CHECKED scw_status canvas_format_of(canvas_format *out, const char *path);

/* dpi: of PNG, and of the point layers that SVG and PDF carry as images. */
SCW_CHECKED scw_status canvas_new(canvas **out, canvas_format format, double dpi);
/* Open the page, white. SCW_EINVAL: larger than can be drawn. */
SCW_CHECKED scw_status canvas_size(canvas *c, double width, double height);
/* Close the page and append its bytes to *out. */
SCW_CHECKED scw_status canvas_finish(canvas *c, textbuf *out);
void canvas_free(canvas *c);

double canvas_text_width(canvas *c, const char *text, double size, bool bold);
/* `text`, or as much of it as fits in `width`, ended by an ellipsis. */
SCW_CHECKED scw_status canvas_text_fit(textbuf *out, canvas *c, const char *text, double size,
                                       bool bold, double width);

/* (x, y): the aligned end of the line, at half the height of its capitals. Bytes that are not UTF-8
 * are drawn as '?', control characters as spaces. */
void canvas_text(canvas *c, double x, double y, text_align align, const text_style *style,
                 const char *text);
void canvas_fill(canvas *c, rect r, rgb color);
void canvas_frame(canvas *c, rect r, rgb color, double width);
void canvas_line(canvas *c, double x1, double y1, double x2, double y2, rgb color, double width);
void canvas_dashes(canvas *c, double x1, double y1, double x2, double y2, rgb color, double width);
/* Line through n points; a point that is not finite breaks it. */
void canvas_path(canvas *c, const double *x, const double *y, int64_t n, rgb color, double width);
void canvas_dot(canvas *c, double x, double y, double diameter, rgb color);

/* Between the two calls drawing is cut to `box`. In SVG and PDF a layer of many marks is drawn as
 * an image, so that the file stays small; text and lines outside of layers stay vectors. */
void canvas_layer_begin(canvas *c, rect box, int64_t n_marks);
void canvas_layer_end(canvas *c);

#endif
