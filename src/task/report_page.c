/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/report_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1d2125;--soft:#5d666e;--line:#d5dade;--ground:#fff;"
    "--band:#f4f6f7}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9eb;--soft:#9aa4ab;--line:#3a4248;"
    "--ground:#15181a;--band:#1e2326}}\n"
    "body{margin:2rem auto;max-width:62rem;padding:0 1.2rem;background:var(--ground);"
    "color:var(--ink);font:15px/1.5 system-ui,'Liberation Sans',Arial,sans-serif}\n"
    "h1{font-size:1.7rem;margin:0 0 .2rem}\n"
    "h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line)}\n"
    "p{margin:.5rem 0}.soft{color:var(--soft)}\n"
    "table{border-collapse:collapse;margin:.6rem 0;font-size:.92em;font-variant-numeric:"
    "tabular-nums}\n"
    "th,td{padding:.18rem .7rem;text-align:left;border-bottom:1px solid var(--line);"
    "overflow-wrap:anywhere;vertical-align:top}\n"
    "th{color:var(--soft);font-weight:600}.n{text-align:right;white-space:nowrap}\n"
    "code{background:var(--band);padding:.1rem .3rem;border-radius:3px;overflow-wrap:anywhere}\n"
    ".missing{background:var(--band);border-left:3px solid var(--soft);padding:.5rem .8rem}\n"
    "figure{margin:1rem 0;background:#fff;padding:.5rem;border:1px solid var(--line);"
    "border-radius:4px;width:fit-content;max-width:100%;box-sizing:border-box}\n"
    "figure img{display:block;max-width:100%;height:auto}\n"
    "figcaption{color:#444;font-size:.88em;padding:.3rem .2rem 0;overflow-wrap:anywhere}\n"
    "@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--ground:#fff;--band:#f4f4f4}"
    "body{margin:0;max-width:none;font-size:10.5pt}figure,tr,.missing{break-inside:avoid}"
    "h2{break-after:avoid}}\n";

scw_status html_text(textbuf *page, const char *text)
{
    scw_status st = SCW_OK;

    while (*text) {
        int n = text_character(text);
        const char *as = *text == '<'                            ? "&lt;"
                         : *text == '>'                          ? "&gt;"
                         : *text == '&'                          ? "&amp;"
                         : *text == '"'                          ? "&quot;"
                         : *text == '\''                         ? "&#39;"
                         : n == 0                                ? "?"
                         : n == 1 && (unsigned char)*text < 0x20 ? " "
                                                                 : NULL;
        if (as)
            TRY(text_add(page, "%s", as));
        else
            TRY(text_add_bytes(page, text, n));
        text += n ? n : 1;
    }
done:
    return st;
}

scw_status html_element(textbuf *page, const char *tag, const char *text)
{
    scw_status st = SCW_OK;

    TRY(text_add(page, "<%s>", tag));
    TRY(html_text(page, text));
    TRY(text_add(page, "</%.*s>", (int)strcspn(tag, " "), tag));
done:
    return st;
}

scw_status html_begin(textbuf *page, const char *title)
{
    scw_status st = SCW_OK;

    TRY(text_add(page,
                 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"));
    TRY(html_element(page, "title", title));
    TRY(text_add(page, "\n<style>\n%s</style>\n</head>\n<body>\n", style));
    TRY(html_element(page, "h1", title));
    TRY(text_add(page, "\n"));
done:
    return st;
}

scw_status html_end(textbuf *page)
{
    return text_add(page, "</body>\n</html>\n");
}

scw_status html_section(textbuf *page, const char *heading)
{
    scw_status st = SCW_OK;

    TRY(text_add(page, "<section>\n"));
    TRY(html_element(page, "h2", heading));
    TRY(text_add(page, "\n"));
done:
    return st;
}

scw_status html_section_end(textbuf *page)
{
    return text_add(page, "</section>\n");
}

scw_status html_note(textbuf *page, const char *format, ...)
{
    scw_status st = SCW_OK;
    char text[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    TRY(html_element(page, "p", text));
    TRY(text_add(page, "\n"));
done:
    return st;
}

scw_status html_missing(textbuf *page, const char *what, const char *command)
{
    scw_status st = SCW_OK;

    TRY(text_add(page, "<p class=\"missing\">"));
    TRY(html_text(page, what));
    if (command) {
        TRY(text_add(page, "<br>"));
        TRY(html_element(page, "code", command));
    }
    TRY(text_add(page, "</p>\n"));
done:
    return st;
}

static scw_status write_cells(textbuf *page, const char *tag, const char *align,
                              const char *const *texts)
{
    scw_status st = SCW_OK;
    char opened[32];

    TRY(text_add(page, "<tr>"));
    for (int k = 0; align[k]; k++) {
        (void)snprintf(opened, sizeof opened, "%s%s", tag, align[k] == 'r' ? " class=\"n\"" : "");
        TRY(html_element(page, opened, texts[k] ? texts[k] : ""));
    }
    TRY(text_add(page, "</tr>\n"));
done:
    return st;
}

scw_status html_table(textbuf *page, const char *align, const char *const *headings)
{
    scw_status st = SCW_OK;

    TRY(text_add(page, "<table>\n<thead>"));
    TRY(write_cells(page, "th", align, headings));
    TRY(text_add(page, "</thead>\n<tbody>\n"));
done:
    return st;
}

scw_status html_row(textbuf *page, const char *align, const char *const *cells)
{
    return write_cells(page, "td", align, cells);
}

scw_status html_table_end(textbuf *page)
{
    return text_add(page, "</tbody>\n</table>\n");
}

/* RFC 4648. */
static scw_status base64(textbuf *page, const textbuf *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    scw_status st = SCW_OK;
    const unsigned char *b = (const unsigned char *)text_get(bytes);
    char block[4];

    for (int64_t i = 0; i < bytes->length; i += 3) {
        int64_t left = bytes->length - i;
        uint32_t v = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
                     (left > 2 ? b[i + 2] : 0);
        for (int k = 0; k < 4; k++)
            block[k] = digits[v >> (18 - 6 * k) & 63];
        if (left < 3) block[3] = '=';
        if (left < 2) block[2] = '=';
        TRY(text_add_bytes(page, block, 4));
    }
done:
    return st;
}

/* Pixels across: bytes 16 to 19 of a PNG, the most significant first. */
static int png_width(const textbuf *png)
{
    const unsigned char *b = (const unsigned char *)text_get(png) + 16;
    return png->length < 24 ? 0 : b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

scw_status html_picture(textbuf *page, const char *caption, const textbuf *png)
{
    scw_status st = SCW_OK;

    TRY(text_add(page, "<figure><img width=\"%d\" alt=\"", png_width(png) * 96 / HTML_PICTURE_DPI));
    TRY(html_text(page, caption));
    TRY(text_add(page, "\" src=\"data:image/png;base64,"));
    TRY(base64(page, png));
    TRY(text_add(page, "\"><figcaption>"));
    TRY(html_text(page, caption));
    TRY(text_add(page, "</figcaption></figure>\n"));
done:
    return st;
}
