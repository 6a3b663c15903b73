/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of an HTML page that needs no other file. Text from files goes through html_text and
 * nothing else: it is escaped there, and what is not UTF-8 becomes '?'. */
#ifndef TASK_REPORT_PAGE_H
#define TASK_REPORT_PAGE_H

#include "base/text.h"

SCW_CHECKED scw_status html_begin(textbuf *page, const char *title);
SCW_CHECKED scw_status html_end(textbuf *page);

SCW_CHECKED scw_status html_text(textbuf *page, const char *text);
/* <tag>text</tag> */
SCW_CHECKED scw_status html_element(textbuf *page, const char *tag, const char *text);
SCW_CHECKED scw_status html_section(textbuf *page, const char *heading);
SCW_CHECKED scw_status html_section_end(textbuf *page);
/* A paragraph; format as in printf. */
SCW_CHECKED scw_status html_note(textbuf *page, const char *format, ...) SCW_PRINTF(2, 3);
/* What is not there, and the command that makes it. */
SCW_CHECKED scw_status html_missing(textbuf *page, const char *what, const char *command);

/* Tables: begin, rows of cells, end. `align` has a letter for each column: l, or r for numbers. */
SCW_CHECKED scw_status html_table(textbuf *page, const char *align, const char *const *headings);
SCW_CHECKED scw_status html_row(textbuf *page, const char *align, const char *const *cells);
SCW_CHECKED scw_status html_table_end(textbuf *page);

/* Dots an inch of the pictures of a page: two to a pixel of CSS, sharp on paper too. */
#define HTML_PICTURE_DPI 192
/* A PNG with the bytes in it, shown at its real size where the page is wide enough. */
SCW_CHECKED scw_status html_picture(textbuf *page, const char *caption, const textbuf *png);

#endif
