/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of an HTML page that needs no other file. Text from files goes through html_text and nothing
 * else: it is escaped there, and what is not UTF-8 becomes '?'. */
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

/* Tables: begin, rows of cells, end. A cell of a number is set to the right. */
SCW_CHECKED scw_status html_table(textbuf *page, const char *const *headings, int n);
SCW_CHECKED scw_status html_row(textbuf *page, const char *const *cells, int n);
SCW_CHECKED scw_status html_table_end(textbuf *page);

/* A picture with the bytes in it. */
SCW_CHECKED scw_status html_picture(textbuf *page, const char *caption, const textbuf *svg);

#endif
