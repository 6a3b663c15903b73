/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static scw_status reserve(textbuf *t, int64_t more)
{
    scw_status st = SCW_OK;
    int64_t need = t->length + more + 1;

    if (need > t->capacity) {
        int64_t capacity = need + need / 2 + 64;
        TRY(mem_resize(&t->data, capacity));
        t->capacity = capacity;
    }
done:
    return st;
}

scw_status text_add_bytes(textbuf *t, const char *bytes, int64_t n)
{
    scw_status st = SCW_OK;

    TRY(reserve(t, n));
    if (n > 0) memcpy(t->data + t->length, bytes, (size_t)n);
    t->length += n;
    t->data[t->length] = '\0';
done:
    return st;
}

scw_status text_add_list(textbuf *t, const char *format, va_list args)
{
    scw_status st = SCW_OK;
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0) FAIL(SCW_EINTERNAL, "text_add: bad format");
    TRY(reserve(t, n));
    (void)vsnprintf(t->data + t->length, (size_t)n + 1, format, again);
    t->length += n;
done:
    va_end(again);
    return st;
}

scw_status text_add(textbuf *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    scw_status st = text_add_list(t, format, args);
    va_end(args);
    return st;
}

static bool is_utf8(const unsigned char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        unsigned char c = s[i++];
        if (c < 0x80) continue;
        int more = c >= 0xc2 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2
                 : c >= 0xf0 && c <= 0xf4 ? 3 : -1;
        if (more < 0 || (size_t)more > n - i) return false;
        unsigned char lowest = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char highest = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (s[i] < lowest || s[i] > highest) return false;
        for (int k = 1; k < more; k++)
            if ((s[i + (size_t)k] & 0xc0) != 0x80) return false;
        i += (size_t)more;
    }
    return true;
}

scw_status text_add_utf8(textbuf *t, const char *bytes, int64_t n, bool *repaired)
{
    scw_status st = SCW_OK;

    *repaired = !is_utf8((const unsigned char *)bytes, (size_t)n);
    if (!*repaired) return text_add_bytes(t, bytes, n);
    for (int64_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        TRY(c < 0x80 ? text_add_bytes(t, bytes + i, 1) : text_add_bytes(t, two, 2));
    }
done:
    return st;
}

const char *text_get(const textbuf *t)
{
    return t->data ? t->data : "";
}

char *text_take(textbuf *t)
{
    char *data = t->data;
    *t = (textbuf){0};
    return data;
}

void text_clear(textbuf *t)
{
    mem_free(t->data);
    *t = (textbuf){0};
}

int text_character(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    int n = *s < 0x80                  ? 1
            : *s >= 0xc2 && *s <= 0xdf ? 2
            : *s >= 0xe0 && *s <= 0xef ? 3
            : *s >= 0xf0 && *s <= 0xf4 ? 4
                                       : 0;

    for (int k = 1; k < n; k++)
        if ((s[k] & 0xc0) != 0x80) return 0;
    if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f)) return 0;
    if ((*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f)) return 0;
    return n;
}

scw_status strings_add(strings *s, const char *item)
{
    scw_status st = SCW_OK;

    if (s->n == s->capacity) {
        int64_t capacity = s->capacity ? 2 * s->capacity : 16;
        TRY(mem_resize(&s->at, capacity));
        s->capacity = capacity;
    }
    TRY(mem_strdup(&s->at[s->n], item));
    s->n++;
done:
    return st;
}

scw_status strings_copy(strings *out, const strings *from)
{
    scw_status st = SCW_OK;

    *out = (strings){0};
    for (int64_t i = 0; i < from->n; i++) TRY(strings_add(out, from->at[i]));
done:
    if (st != SCW_OK) strings_clear(out);
    return st;
}

void strings_clear(strings *s)
{
    for (int64_t i = 0; i < s->n; i++) mem_free(s->at[i]);
    mem_free(s->at);
    *s = (strings){0};
}

static uint64_t hash(const char *s)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ h >> 29;
}

/* A slot has 44 bits for the position and 20 of the hash: names are compared where those agree, and
 * a search seldom leaves the table for the wrong name. */
#define SLOT_BITS 44
#define SLOT_POSITION ((UINT64_C(1) << SLOT_BITS) - 1)

/* The slot of the name, or the free one where it belongs. */
static int64_t find_slot(const name_index *index, const char *name, uint64_t h)
{
    int64_t s = (int64_t)(h & (uint64_t)(index->n_slots - 1));

    for (uint64_t slot; (slot = index->slots[s]); s = (s + 1) & (index->n_slots - 1))
        if ((slot ^ h) >> SLOT_BITS == 0 &&
            strcmp(index->names[(slot & SLOT_POSITION) - 1], name) == 0)
            break;
    return s;
}

scw_status name_index_build(name_index *out, const char *const *names, int64_t n,
                            int64_t *duplicate)
{
    scw_status st = SCW_OK;

    *out = (name_index){names, NULL, 16};
    if (duplicate) *duplicate = -1;
    while (out->n_slots < 2 * n) out->n_slots *= 2;
    TRY(mem_new(&out->slots, out->n_slots));
    for (int64_t i = 0; i < n; i++) {
        uint64_t h = hash(names[i]);
        int64_t s = find_slot(out, names[i], h);
        if (!out->slots[s])
            out->slots[s] = (h & ~SLOT_POSITION) | (uint64_t)(i + 1);
        else if (duplicate && *duplicate < 0)
            *duplicate = i;
    }
done:
    return st;
}

scw_status strings_make_unique(strings *s, int64_t *n_changed)
{
    scw_status st = SCW_OK;
    name_index known = {0};
    strings given = {0};
    int64_t *times = NULL, duplicate;
    textbuf name = {0};

    *n_changed = 0;
    TRY(name_index_build(&known, (const char *const *)s->at, s->n, &duplicate));
    if (duplicate < 0) goto done;
    TRY(mem_new(&times, s->n));
    for (int64_t i = duplicate; i < s->n; i++) {
        int64_t first = name_index_find(&known, s->at[i]);
        if (first == i) continue;
        /* What stands before the last '-' tells two new names apart, so only old ones can be in the way. */
        do {
            text_clear(&name);
            TRY(text_add(&name, "%s-%lld", s->at[i], (long long)++times[first]));
        } while (name_index_find(&known, text_get(&name)) >= 0);
        TRY(strings_add(&given, text_get(&name)));
        times[i] = -1; /* renamed below: until then the index looks at the old names */
    }
    for (int64_t i = 0, k = 0; i < s->n; i++) {
        if (times[i] >= 0) continue;
        mem_free(s->at[i]);
        s->at[i] = given.at[k];
        given.at[k++] = NULL;
        ++*n_changed;
    }
done:
    text_clear(&name);
    mem_free(times);
    strings_clear(&given);
    name_index_clear(&known);
    return st;
}

int64_t name_index_find(const name_index *index, const char *name)
{
    if (!index->slots) return -1;
    return (int64_t)(index->slots[find_slot(index, name, hash(name))] & SLOT_POSITION) - 1;
}

void name_index_clear(name_index *index)
{
    mem_free(index->slots);
    *index = (name_index){0};
}

char *text_unquote(char *field)
{
    char *to = field, *from = field + 1;

    for (; *from; from++) {
        if (*from == '"') {
            if (from[1] != '"') break;
            from++;
        }
        *to++ = *from;
    }
    char *rest = *from ? from + 1 : from;
    *to = '\0';
    return rest;
}

scw_status text_add_field(textbuf *t, const char *field, char separator)
{
    scw_status st = SCW_OK;
    bool quoted = separator == ',' && strpbrk(field, ",\"\n\r") != NULL;

    if (quoted) TRY(text_add_bytes(t, "\"", 1));
    for (const char *c = field; *c; c++) {
        bool ends = separator == '\t' && (*c == '\t' || *c == '\n' || *c == '\r');
        if (quoted && *c == '"') TRY(text_add_bytes(t, "\"", 1));
        TRY(text_add_bytes(t, ends ? " " : c, 1));
    }
    if (quoted) TRY(text_add_bytes(t, "\"", 1));
done:
    return st;
}

bool text_to_int(int64_t *out, const char *s)
{
    char *end;

    if (!s || !*s || isspace((unsigned char)*s)) return false;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end) return false;
    *out = v;
    return true;
}

bool text_to_real(double *out, const char *s)
{
    char *end;

    if (!s || !*s || isspace((unsigned char)*s)) return false;
    errno = 0;
    double v = strtod(s, &end);
    if ((errno && !isfinite(v)) || *end) return false;
    *out = v;
    return true;
}
