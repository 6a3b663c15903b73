/* SPDX-License-Identifier: BSD-3-Clause */
/* What cannot be seen from outside: rectangles of legends and labels, ticks, colours, and that
 * drawing survives every failure of memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "plot/bars.h"
#include "plot/compare.h"
#include "plot/heatmap.h"
#include "plot/legend.h"
#include "plot/lines.h"
#include "plot/palette.h"
#include "plot/scatter.h"

#define OK(expr_) assert_int_equal((expr_), SCW_OK)
#define MOST 400

static canvas *sheet(canvas_format format)
{
    canvas *c;
    OK(canvas_new(&c, format, 72.0));
    return c;
}

/* Names of growing length, the longest of about 300 letters. */
static void make_names(char names[MOST][320], int n)
{
    for (int k = 0; k < n; k++) {
        int at = snprintf(names[k], 320, "class %d", k);
        int length = k % 7 == 3 ? 300 : 8 + k * 11 % 40;
        for (; at < length; at++)
            names[k][at] = "abc defg"[at % 8];
        names[k][at] = '\0';
    }
}

/* --------------------------------------------------------------------------------- legends */

static void check_layout(const legend_layout *at, double width, double height)
{
    assert_true(at->size >= 5.0);
    assert_true(at->width <= width + 0.01);
    assert_true(at->height <= height + 0.01);
    for (int64_t i = 0; i < at->n_shown; i++) {
        const rect r = at->boxes[i];
        assert_true(r.x >= 0.0 && r.x + r.w <= at->width + 0.01);
        assert_true(r.y >= 0.0 && r.y + r.h <= at->height + 0.01);
        assert_true(r.h >= at->size); /* lines do not touch */
        for (int64_t j = 0; j < i; j++) {
            rect other = at->boxes[j]; /* that rounding makes neighbours touch is no overlap */
            other.y += 1e-6, other.h -= 2e-6;
            assert_false(rects_overlap(r, other));
        }
    }
}

/* What is written in a box is within it. */
static void check_texts(canvas *c, const legend *l, const legend_layout *at)
{
    for (int64_t i = 0; i < at->n_shown; i++) {
        double detail = *l->entries[i].detail
                            ? canvas_text_width(c, l->entries[i].detail, at->size, false)
                            : 0.0;
        double text = canvas_text_width(c, at->texts.at[i], at->size, false);
        assert_true(at->number_width + text + detail <= at->boxes[i].w);
    }
}

static void legends_never_overlap(void **state)
{
    static const int numbers[] = {0, 1, 5, 12, 13, 40, 80, 400};
    static const double sizes[][2] = {{430, 350}, {200, 350}, {90, 300}, {900, 60}, {430, 2000}};
    static char names[MOST][320];
    static legend_entry entries[MOST];
    canvas *c = sheet(CANVAS_PNG);
    (void)state;

    make_names(names, MOST);
    for (size_t q = 0; q < sizeof numbers / sizeof *numbers; q++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int n = numbers[q];
            for (int k = 0; k < n; k++) {
                entries[k] = (legend_entry){.name = names[k], .number = n >= 13 ? k + 1 : 0};
                count_text(entries[k].detail, sizeof entries[k].detail, 37 * k);
            }
            const legend l = {"a title that says what the classes are", n, entries};
            legend_layout at;
            OK(legend_arrange(&at, c, &l, sizes[s][0], sizes[s][1]));
            assert_true(at.n_shown == n || (n >= 40 && at.n_shown >= 2));
            check_layout(&at, sizes[s][0], sizes[s][1]);
            check_texts(c, &l, &at);
            if (at.n_shown < n) assert_non_null(strstr(at.texts.at[at.n_shown - 1], "more"));
            legend_layout_clear(&at);
        }
    canvas_free(c);
}

static void wide_legends_fill_rows(void **state)
{
    static char names[MOST][320];
    static legend_entry entries[MOST];
    canvas *c = sheet(CANVAS_PNG);
    (void)state;

    make_names(names, MOST);
    for (int n = 1; n <= 80; n += 13) {
        for (int k = 0; k < n; k++)
            entries[k] = (legend_entry){.name = names[k]};
        const legend l = {NULL, n, entries};
        legend_layout at;
        OK(legend_arrange_wide(&at, c, &l, 430.0));
        assert_int_equal(at.n_shown, n);
        check_layout(&at, 430.0, INFINITY);
        check_texts(c, &l, &at);
        legend_layout_clear(&at);
    }
    canvas_free(c);
}

static void classes_without_cells_are_left_out(void **state)
{
    char *at[] = {(char[]){"a"}, (char[]){"b"}, (char[]){"c"}};
    const strings classes = {at, 3, 3};
    const int64_t counts[] = {12345, 0, 7};
    class_key k;
    (void)state;

    OK(class_key_make(&k, NULL, &classes, counts, 2));
    assert_int_equal(k.legend.n, 3);
    assert_string_equal(k.entries[0].detail, "12,345");
    assert_string_equal(k.entries[1].name, "c");
    const rgb third = palette_class(2);
    assert_memory_equal(&k.entries[1].color, &third, sizeof third);
    assert_string_equal(k.entries[2].detail, "2");
    class_key_clear(&k);
}

static void labels_keep_apart(void **state)
{
    enum { N = 80 };
    const rect bounds = {10, 10, 300, 300}, dot = {148, 148, 4, 4};
    rect wanted[N], placed[N];
    bool shown[N];
    (void)state;

    for (int k = 0; k < N; k++)
        wanted[k] = (rect){140 + k % 3, 140 + k % 5, 20, 8};
    const labels l = {N, wanted, bounds, 1, &dot};
    labels_place(placed, shown, &l);
    for (int k = 0; k < N; k++) {
        assert_true(shown[k]);
        assert_true(placed[k].x >= bounds.x && placed[k].x + placed[k].w <= bounds.x + bounds.w);
        assert_false(rects_overlap(placed[k], dot));
        for (int j = 0; j < k; j++)
            assert_false(rects_overlap(placed[k], placed[j]));
    }
    const rect wide = {0, 0, 400, 8};
    const labels too_wide = {1, &wide, bounds, 0, NULL};
    labels_place(placed, shown, &too_wide);
    assert_false(shown[0]);
}

/* ------------------------------------------------------------------------------- text, axes */

static void text_is_cut_to_fit(void **state)
{
    static const char *const texts[] = {"short",
                                        "a name that is much too long to fit here",
                                        "",
                                        "\xce\xb3\xce\xb4 T \xce\xb3\xce\xb4 T \xce\xb3\xce\xb4 T",
                                        "bad \xff\xfe bytes \xc3",
                                        "tab\tand\nline",
                                        "<script>"};
    canvas *c = sheet(CANVAS_PNG);
    textbuf out = {0};
    (void)state;

    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        for (double width = 8.0; width < 260.0; width += 7.0) {
            OK(canvas_text_fit(&out, c, texts[k], 8.0, false, width));
            assert_true(canvas_text_width(c, text_get(&out), 8.0, false) <= width);
            for (const char *s = text_get(&out); *s; s += text_character(s))
                assert_int_not_equal(text_character(s), 0);
        }
    OK(canvas_text_fit(&out, c, "short", 8.0, false, 500.0));
    assert_string_equal(text_get(&out), "short");
    text_clear(&out);
    canvas_free(c);
}

static void characters_of_utf8(void **state)
{
    (void)state;
    assert_int_equal(text_character("a"), 1);
    assert_int_equal(text_character(""), 1);
    assert_int_equal(text_character("\xc3\xa9"), 2);
    assert_int_equal(text_character("\xe2\x82\xac"), 3);
    assert_int_equal(text_character("\xf0\x9f\xa7\xac"), 4);
    assert_int_equal(text_character("\xc0\x80"), 0); /* not the shortest form */
    assert_int_equal(text_character("\xe0\x80\x80"), 0);
    assert_int_equal(text_character("\xed\xa0\x80"), 0);     /* a surrogate */
    assert_int_equal(text_character("\xf4\x90\x80\x80"), 0); /* beyond Unicode */
    assert_int_equal(text_character("\xe2\x82"), 0);         /* cut off */
    assert_int_equal(text_character("\x80"), 0);
}

static void ticks_are_round_and_within(void **state)
{
    static const axis all[] = {
        {0, 1, false},       {-0.1203, -0.118, false},   {1, 56, false},
        {0, 1e-9, false},    {-3e8, 5e8, false},         {4e-4, 130, true},
        {1e-12, 1e12, true}, {999.999, 1000.001, false}, {1e7, 1e7 + 12, false}};
    double ticks[AXES_MAX_TICKS];
    char text[32], before[32];
    (void)state;

    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        int n = axis_ticks(ticks, all[k], 5);
        assert_true(n >= 2 && n <= AXES_MAX_TICKS);
        *before = '\0';
        for (int i = 0; i < n; i++) {
            double at = axis_place(all[k], ticks[i]);
            assert_true(at > -1e-6 && at < 1.0 + 1e-6);
            axis_text(text, sizeof text, all[k], ticks, n, i);
            assert_string_not_equal(text, before); /* the digits tell neighbours apart */
            (void)snprintf(before, sizeof before, "%s", text);
        }
    }
    const double nothing[] = {(double)NAN, (double)INFINITY}, same[] = {5.0, 5.0};
    axis a = axis_fit(nothing, 2, 0.1);
    assert_true(a.low < a.high);
    a = axis_fit(same, 2, 0.1);
    assert_true(a.low < 5.0 && a.high > 5.0);
}

/* ---------------------------------------------------------------------------------- colours */

static double linear(uint8_t v)
{
    double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

static double luminance(rgb c)
{
    return 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b);
}

/* Of relative luminances (WCAG 2). */
static double contrast(rgb a, rgb b)
{
    double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

static void colours_differ(void **state)
{
    (void)state;
    for (int i = 0; i < PALETTE_CLASSES; i++) {
        const rgb a = palette_class(i);
        for (int j = 0; j < i; j++) {
            const rgb b = palette_class(j);
            int apart = abs(a.r - b.r) + abs(a.g - b.g) + abs(a.b - b.b);
            assert_true(apart >= 30);
        }
        assert_true(contrast(a, palette_ink(a)) > 4.0); /* numbers on bars are read */
    }
    const rgb first = palette_class(0), again = palette_class(PALETTE_CLASSES);
    assert_memory_equal(&first, &again, sizeof first);
    for (int k = 0; k < 100; k++) {
        assert_true(luminance(palette_sequential(k / 100.0)) >
                    luminance(palette_sequential((k + 1) / 100.0)));
        assert_true(contrast(palette_sequential(k / 100.0),
                             palette_ink(palette_sequential(k / 100.0))) > 4.0);
    }
    assert_true(luminance(palette_diverging(0.0)) > luminance(palette_diverging(0.5)));
    assert_true(luminance(palette_diverging(0.0)) > luminance(palette_diverging(-0.5)));
}

/* -------------------------------------------------------------------------- pictures, memory */

static char *class_names[] = {(char[]){"B"}, (char[]){"<T> & \"NK\""},
                              (char[]){"\xce\xb3\xce\xb4"}};
static const strings three = {class_names, 3, 3};

static scw_status draw_points(canvas *c)
{
    static const float xy[] = {0, 0, 1, 1, 2, 1, NAN, 3, 4, 4};
    static const int32_t codes[] = {0, 1, 2, 1, -1};
    const figure f = {.title = "title"};
    const scatter s = {.n = 5,
                       .x = xy,
                       .y = xy + 1,
                       .stride = 2,
                       .x_label = "x",
                       .y_label = "y",
                       .color_name = "type",
                       .codes = codes,
                       .classes = &three,
                       .legend = LEGEND_DATA};
    int64_t n_left_out = 0;
    scw_status st = scatter_draw(c, &f, &s, &n_left_out);
    if (st == SCW_OK) assert_int_equal(n_left_out, 1);
    return st;
}

static scw_status draw_confusion(canvas *c)
{
    static const int64_t counts[] = {5, 1, 0, 0, 0, 0, 2, 0, 900}, rest[] = {1, 0, 0};
    const confusion m = {3, &three, counts, rest, "label", "prediction", CONFUSION_PERCENT};
    return confusion_draw(c, &(figure){.width = 4}, &m);
}

static scw_status draw_curves(canvas *c)
{
    static const double values[] = {3, 2, 1, (double)NAN, 5, 6, 1, 1, 1};
    static const int32_t phase[] = {0, 0, 1};
    const training t = {3, &three, values, &three, phase, 1};
    return training_draw(c, &(figure){0}, &t);
}

static scw_status draw_shares(canvas *c)
{
    static const int64_t counts[] = {5, 1, 0, 0, 0, 0, 2, 0, 900};
    const composition m = {&three, &three, counts, "group", "class"};
    return composition_draw(c, &(figure){0}, &m);
}

static scw_status draw_markers(canvas *c)
{
    static const marker all[] = {{0, 0, "CD3D", 3, 0.1},
                                 {0, 1, "CD3E", 2, (double)NAN},
                                 {2, 0, "MS4A1", -1, 0.5},
                                 {2, 0, "", (double)NAN, 0}};
    const markers m = {&three, &three, 4, all, "score"};
    return markers_draw(c, &(figure){0}, &m);
}

static scw_status draw_comparison(canvas *c)
{
    static const double mean[] = {0, 0.5, 3}, zeros[] = {1, 0.5, 0};
    static const float components[] = {0, 0, 1, 1, 2, 0};
    const comparison m = {"rna", 3, {mean, mean}, {zeros, zeros}, {2, 1}, components};
    return comparison_draw(c, &(figure){0}, &m, 1);
}

static scw_status (*const drawings[])(canvas *c) = {draw_points, draw_confusion, draw_curves,
                                                    draw_shares, draw_markers,   draw_comparison};

static scw_status render(textbuf *out, canvas_format format, scw_status (*draw)(canvas *c))
{
    canvas *c;
    scw_status st = canvas_new(&c, format, 72.0);

    if (st == SCW_OK) st = draw(c);
    if (st == SCW_OK) st = canvas_finish(c, out);
    canvas_free(c);
    return st;
}

static void every_format_is_drawn_twice_the_same(void **state)
{
    static const char *const starts[] = {"\x89PNG", "<?xml", "%PDF"};
    (void)state;

    for (size_t k = 0; k < sizeof drawings / sizeof *drawings; k++)
        for (int format = CANVAS_PNG; format <= CANVAS_PDF; format++) {
            textbuf once = {0}, again = {0};
            OK(render(&once, (canvas_format)format, drawings[k]));
            OK(render(&again, (canvas_format)format, drawings[k]));
            assert_memory_equal(once.data, starts[format], strlen(starts[format]));
            if (format != CANVAS_SVG) { /* cairo numbers surfaces through the life of a process */
                assert_int_equal(once.length, again.length);
                assert_memory_equal(once.data, again.data, (size_t)once.length);
            }
            text_clear(&once);
            text_clear(&again);
        }
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof drawings / sizeof *drawings; k++) {
        scw_status st = SCW_ENOMEM;
        for (int64_t n = 1; st != SCW_OK; n++) {
            textbuf out = {0};
            (void)mem_fail_at(n);
            st = render(&out, CANVAS_PNG, drawings[k]);
            (void)mem_fail_at(0);
            assert_true(st == SCW_OK || st == SCW_ENOMEM);
            assert_true(n < 5000);
            text_clear(&out);
        }
    }
}

static void sizes_that_leave_no_room_are_refused(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, rest[] = {0, 0, 0};
    const confusion m = {3, &three, counts, rest, "label", "prediction", CONFUSION_NONE};
    canvas *c = sheet(CANVAS_PNG);

    assert_int_equal(confusion_draw(c, &(figure){.width = 0.5, .height = 0.5}, &m), SCW_EINVAL);
    assert_int_equal(canvas_size(c, 72.0 * 1000, 72.0 * 1000), SCW_EINVAL);
    canvas_format format;
    assert_int_equal(canvas_format_of(&format, "x.jpg"), SCW_EINVAL);
    assert_int_equal(canvas_format_of(&format, ".png"), SCW_EINVAL);
    OK(canvas_format_of(&format, "a.b/X.PDF"));
    assert_int_equal(format, CANVAS_PDF);
    canvas_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legends_never_overlap),
        cmocka_unit_test(wide_legends_fill_rows),
        cmocka_unit_test(classes_without_cells_are_left_out),
        cmocka_unit_test(labels_keep_apart),
        cmocka_unit_test(text_is_cut_to_fit),
        cmocka_unit_test(characters_of_utf8),
        cmocka_unit_test(ticks_are_round_and_within),
        cmocka_unit_test(colours_differ),
        cmocka_unit_test(every_format_is_drawn_twice_the_same),
        cmocka_unit_test(lack_of_memory_is_reported),
        cmocka_unit_test(sizes_that_leave_no_room_are_refused),
    };
    return cmocka_run_group_tests_name("plot", tests, NULL, NULL);
}
