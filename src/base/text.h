/* SPDX-License-Identifier: BSD-3-Clause */
/* Text: a growing buffer, lists of strings, and an index from names to positions. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Growing text. `data` is always terminated once anything was added; "" otherwise through
 * text_get. */
typedef struct textbuf {
    char *data;
    int64_t length, capacity;
} textbuf;

SCW_CHECKED scw_status text_add(textbuf *t, const char *format, ...) SCW_PRINTF(2, 3);
SCW_CHECKED scw_status text_add_list(textbuf *t, const char *format, va_list args) SCW_PRINTF(2, 0);
SCW_CHECKED scw_status text_add_bytes(textbuf *t, const char *bytes, int64_t n);
/* Bytes as UTF-8; what is not UTF-8 is taken as Latin-1, which no bytes contradict: *repaired. */
SCW_CHECKED scw_status text_add_utf8(textbuf *t, const char *bytes, int64_t n, bool *repaired);
const char *text_get(const textbuf *t);
char *text_take(textbuf *t); /* ownership moves out; NULL only if memory ran out before */
void text_clear(textbuf *t);

/* Bytes of the UTF-8 character at s, 1 to 4; 0: what stands there is none (RFC 3629: shortest form, no
 * surrogates). The end of the text is a character of one byte. */
int text_character(const char *s);

/* Take the quotes off a field that begins with a double quote, in place; a quote doubled inside is one
 * (RFC 4180). Returns what follows the closing quote, "" when there is none. */
char *text_unquote(char *field);
/* Append a field of a table whose fields are separated by `separator`: with commas quoted where it must be
 * (RFC 4180); with tabs, what would end the field becomes a space. */
SCW_CHECKED scw_status text_add_field(textbuf *t, const char *field, char separator);

/* Owned list of strings. */
typedef struct strings {
    char **at; /* [n], each owned */
    int64_t n, capacity;
} strings;

SCW_CHECKED scw_status strings_add(strings *s, const char *item); /* copies */
SCW_CHECKED scw_status strings_copy(strings *out, const strings *from);
void strings_clear(strings *s);
/* Give each name that was there before a number: a, a, a becomes a, a-1, a-2, as anndata does, with
 * numbers that are taken left out. *n_changed: how many. */
SCW_CHECKED scw_status strings_make_unique(strings *s, int64_t *n_changed);

/* Hash index: name -> position in a borrowed array of names. */
typedef struct name_index {
    const char *const *names;
    uint64_t *slots; /* position + 1 below, a mark of the name's hash above; 0: free */
    int64_t n_slots;
} name_index;

/* Index names[0..n-1] (borrowed, must outlive the index). *duplicate, if not NULL, receives the
 * position of the first name seen before, or -1; lookups then find the first of equal names. */
SCW_CHECKED scw_status name_index_build(name_index *out, const char *const *names, int64_t n,
                                        int64_t *duplicate);
int64_t name_index_find(const name_index *index, const char *name); /* -1: absent */
void name_index_clear(name_index *index);

/* Strict numbers: the whole text must be one number. */
bool text_to_int(int64_t *out, const char *s);
bool text_to_real(double *out, const char *s);

#endif
