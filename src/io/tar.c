/* SPDX-License-Identifier: BSD-3-Clause */
/* A header of 512 bytes, the content padded to a multiple of 512, the next header, ...; an empty header
 * ends the archive. POSIX.1-2017 pax(1), and the "L" members of GNU tar. */
#include "io/tar.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "data/rules.h"

#define BLOCK 512
#define MOST_TEXT (1 << 20) /* an extended header or long name above this is refused */

typedef struct member {
    char type;
    int64_t size;
    textbuf name;
} member;

static int64_t octal(const uint8_t *field, int n)
{
    int64_t value = 0;

    if (field[0] & 0x80) { /* GNU: base 256 */
        value = field[0] & 0x3f;
        for (int i = 1; i < n; i++) {
            if (value >> 54) return -1;
            value = value << 8 | field[i];
        }
        return value;
    }
    int i = 0;
    while (i < n && field[i] == ' ') i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++) value = value << 3 | (field[i] - '0');
    return i < n && field[i] != 0 && field[i] != ' ' ? -1 : value;
}

static bool header_holds(const uint8_t *h)
{
    int64_t sum = 0;

    for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : h[i];
    return octal(h + 148, 8) == sum;
}

bool tar_recognise(const uint8_t *head, int64_t n)
{
    return n >= BLOCK && head[0] && header_holds(head);
}

static scw_status read_text(textbuf *out, byte_stream *s, int64_t n)
{
    scw_status st = SCW_OK;
    char *text = NULL;
    int64_t got;

    if (n > MOST_TEXT) FAIL(SCW_EFORMAT, "%s: an extended header is too long", bytes_name(s));
    TRY(mem_new(&text, n + 1));
    TRY(bytes_read(s, text, n, &got));
    if (got < n) BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the archive ends too early", bytes_name(s));
    out->length = 0;
    TRY(text_add_bytes(out, text, n));
done:
    mem_free(text);
    return st;
}

/* Records "<length> <key>=<value>\n" of a pax header: path and size matter. */
static void take_pax(const textbuf *text, textbuf *name, int64_t *size, scw_status *st)
{
    const char *at = text->data, *end = at + text->length;

    while (at < end && *st == SCW_OK) {
        char *key;
        long long length = strtoll(at, &key, 10);
        if (length <= 0 || length > end - at || *key != ' ' || key >= at + length) return;
        key++;
        const char *stop = at + length - 1;
        if (stop - key > 5 && strncmp(key, "path=", 5) == 0) {
            name->length = 0;
            *st = text_add_bytes(name, key + 5, stop - key - 5);
        } else if (stop - key > 5 && strncmp(key, "size=", 5) == 0) {
            *size = strtoll(key + 5, NULL, 10);
        }
        at += length;
    }
}

static scw_status plain_name(textbuf *out, const uint8_t *h)
{
    scw_status st = SCW_OK;

    if (memcmp(h + 257, "ustar", 6) == 0 && h[345]) { /* the prefix */
        TRY(text_add_bytes(out, (const char *)h + 345, (int64_t)strnlen((const char *)h + 345, 155)));
        TRY(text_add_bytes(out, "/", 1));
    }
    TRY(text_add_bytes(out, (const char *)h, (int64_t)strnlen((const char *)h, 100)));
done:
    return st;
}

/* The next regular file, with the stream at its content; *more is false at the end. */
static scw_status next_member(member *m, byte_stream *s, bool *more)
{
    scw_status st = SCW_OK;
    uint8_t h[BLOCK];
    textbuf text = {0};
    int64_t got, size, long_size = -1;

    m->name.length = 0;
    *more = false;
    for (;;) {
        TRY(bytes_read(s, h, BLOCK, &got));
        if (got == 0 || (got == BLOCK && h[0] == 0)) goto done;
        if (got < BLOCK) BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the archive ends too early", bytes_name(s));
        size = octal(h + 124, 12);
        if (!header_holds(h) || size < 0 || size > INT64_MAX - BLOCK)
            BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the archive is damaged", bytes_name(s));
        char type = (char)h[156];
        bool extends = type == 'x' || type == 'L', regular = type == '0' || type == 0 || type == '7';
        if (regular && long_size >= 0) size = long_size;
        if (regular) {
            if (!m->name.length) TRY(plain_name(&m->name, h));
            m->size = size;
            *more = true;
            goto done;
        }
        if (extends) {
            TRY(read_text(&text, s, size));
            if (type == 'x') take_pax(&text, &m->name, &long_size, &st);
            else st = text_add_bytes(&m->name, text.data, (int64_t)strnlen(text.data, (size_t)size));
            TRY(st);
        } else {
            m->name.length = 0;
            long_size = -1;
        }
        if (long_size < -1) BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the archive is damaged", bytes_name(s));
        TRY(bytes_skip(s, (BLOCK - size % BLOCK) % BLOCK + (extends ? 0 : size)));
    }
done:
    text_clear(&text);
    return st;
}

scw_status tar_list(strings *out, byte_stream *archive)
{
    scw_status st = SCW_OK;
    member m = {0};
    bool more;

    *out = (strings){0};
    for (;;) {
        TRY(next_member(&m, archive, &more));
        if (!more) break;
        TRY(strings_add(out, text_get(&m.name)));
        int64_t padded;
        if (!checked_add(&padded, m.size, (BLOCK - m.size % BLOCK) % BLOCK))
            BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the archive is damaged", bytes_name(archive));
        TRY(bytes_skip(archive, padded));
    }
done:
    if (st != SCW_OK) strings_clear(out);
    text_clear(&m.name);
    bytes_free(archive);
    return st;
}

scw_status tar_open(byte_stream **out, byte_stream *archive, const char *name)
{
    scw_status st = SCW_OK;
    member m = {0};
    textbuf label = {0};
    bool more;

    *out = NULL;
    for (;;) {
        TRY(next_member(&m, archive, &more));
        if (!more) FAIL(SCW_ENOTFOUND, "%s: has no member '%s'", bytes_name(archive), name);
        if (strcmp(text_get(&m.name), name) == 0) break;
        TRY(bytes_skip(archive, m.size + (BLOCK - m.size % BLOCK) % BLOCK));
    }
    TRY(text_add(&label, "%s: %s", bytes_name(archive), name));
    byte_stream *inner = archive;
    archive = NULL;
    TRY(bytes_window(out, inner, m.size, text_get(&label)));
done:
    text_clear(&label);
    text_clear(&m.name);
    bytes_free(archive);
    return st;
}
