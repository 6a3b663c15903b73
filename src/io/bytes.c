/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "data/rules.h"

#define BUFFER_BYTES (64 * 1024)
#define PEEK_BYTES 4096
#define DEFLATE_MOST 1032 /* bytes that one compressed byte can become */

/* Where the bytes come from is `fill`: up to `room` more bytes into `out`, *got 0 only at the end. */
struct byte_stream {
    scw_status (*fill)(byte_stream *s, uint8_t *out, int64_t room, int64_t *got);
    char *name;
    uint8_t *buffer; /* [BUFFER_BYTES]; what is read and not yet taken is [at, end) */
    int64_t at, end;
    bool ended;
    int file;           /* or -1 */
    const uint8_t *memory;
    int64_t size, left; /* bytes of memory or of the window */
    byte_stream *inner; /* owned */
    z_stream inflater;
    bool inflating;
};

static scw_status stream_new(byte_stream **out, const char *name)
{
    scw_status st = SCW_OK;
    byte_stream *s = NULL;

    *out = NULL;
    TRY(mem_new(&s, 1));
    s->file = -1;
    TRY(mem_new(&s->buffer, BUFFER_BYTES));
    TRY(mem_strdup(&s->name, name));
    *out = s;
    s = NULL;
done:
    bytes_free(s);
    return st;
}

void bytes_free(byte_stream *s)
{
    if (!s) return;
    if (s->file >= 0) (void)close(s->file);
    if (s->inflating) (void)inflateEnd(&s->inflater);
    bytes_free(s->inner);
    mem_free(s->buffer);
    mem_free(s->name);
    mem_free(s);
}

const char *bytes_name(const byte_stream *s)
{
    return s->name;
}

int64_t bytes_at_most(const byte_stream *s)
{
    struct stat info;

    if (s->inner) {
        int64_t n = bytes_at_most(s->inner);
        if (s->inflating) return n < INT64_MAX / DEFLATE_MOST ? n * DEFLATE_MOST : INT64_MAX;
        return n < s->size ? n : s->size;
    }
    if (s->memory) return s->size;
    return fstat(s->file, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : INT64_MAX;
}

/* ------------------------------------------------------------------ sources */

static scw_status fill_from_file(byte_stream *s, uint8_t *out, int64_t room, int64_t *got)
{
    ssize_t n;

    do n = read(s->file, out, (size_t)room);
    while (n < 0 && errno == EINTR);
    if (n < 0) return status_fail(SCW_EIO, "%s: cannot read: %s", s->name, strerror(errno));
    *got = n;
    return SCW_OK;
}

scw_status bytes_of_file(byte_stream **out, const char *path, const char *name)
{
    scw_status st = SCW_OK;

    TRY(stream_new(out, name));
    (*out)->fill = fill_from_file;
    (*out)->file = open(path, O_RDONLY | O_CLOEXEC);
    if ((*out)->file < 0) FAIL(SCW_EIO, "%s: cannot open: %s", name, strerror(errno));
done:
    if (st != SCW_OK) {
        bytes_free(*out);
        *out = NULL;
    }
    return st;
}

static scw_status fill_from_memory(byte_stream *s, uint8_t *out, int64_t room, int64_t *got)
{
    *got = room < s->left ? room : s->left;
    if (*got) memcpy(out, s->memory, (size_t)*got);
    s->memory += *got;
    s->left -= *got;
    return SCW_OK;
}

scw_status bytes_of_memory(byte_stream **out, const void *bytes, int64_t n, const char *name)
{
    scw_status st = SCW_OK;

    TRY(stream_new(out, name));
    (*out)->fill = fill_from_memory;
    (*out)->memory = bytes;
    (*out)->left = (*out)->size = n;
done:
    return st;
}

static scw_status fill_from_window(byte_stream *s, uint8_t *out, int64_t room, int64_t *got)
{
    scw_status st = SCW_OK;

    TRY(bytes_read(s->inner, out, room < s->left ? room : s->left, got));
    s->left -= *got;
    if (*got == 0 && s->left) BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the archive ends too early", s->name);
done:
    return st;
}

scw_status bytes_window(byte_stream **out, byte_stream *inner, int64_t n, const char *name)
{
    scw_status st = stream_new(out, name);

    if (st != SCW_OK) {
        bytes_free(inner);
        return st;
    }
    (*out)->fill = fill_from_window;
    (*out)->inner = inner;
    (*out)->left = (*out)->size = n;
    return SCW_OK;
}

/* ------------------------------------------------------------------ gzip */

static voidpf zlib_new(voidpf user, uInt count, uInt size)
{
    void *block = NULL;
    (void)user;
    return mem_new_raw(&block, count, size) == SCW_OK ? block : Z_NULL;
}

static void zlib_free(voidpf user, voidpf block)
{
    (void)user;
    mem_free(block);
}

/* The next compressed bytes. At a boundary of members: is there another? */
static scw_status feed(byte_stream *s, bool *more)
{
    scw_status st = SCW_OK;
    byte_stream *in = s->inner;
    const uint8_t *head;
    int64_t n;

    TRY(bytes_peek(&head, &n, in));
    *more = n > 0;
    s->inflater.next_in = in->buffer + in->at;
    s->inflater.avail_in = (uInt)(in->end - in->at);
done:
    return st;
}

static scw_status fill_inflated(byte_stream *s, uint8_t *out, int64_t room, int64_t *got)
{
    scw_status st = SCW_OK;
    z_stream *z = &s->inflater;

    z->next_out = out;
    z->avail_out = (uInt)room;
    while (z->avail_out == (uInt)room) {
        bool more;
        TRY(feed(s, &more));
        if (!s->left) { /* a member has ended: zeros or nothing may follow it, or another member */
            if (!more || z->next_in[0] != 0x1f) break;
            if (inflateReset(z) != Z_OK) FAIL(SCW_EINTERNAL, "zlib");
            s->left = 1;
        }
        if (!more) BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the gzip data ends too early", s->name);
        uInt before = z->avail_in;
        int rc = inflate(z, Z_NO_FLUSH);
        s->inner->at += before - z->avail_in;
        if (rc == Z_STREAM_END) s->left = 0;
        else if (rc == Z_MEM_ERROR) FAIL(SCW_ENOMEM, "%s: out of memory", s->name);
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: the gzip data is damaged (%s)", s->name,
                  z->msg ? z->msg : "?");
    }
    *got = room - z->avail_out;
done:
    return st;
}

scw_status bytes_decompress(byte_stream **stream)
{
    scw_status st = SCW_OK;
    byte_stream *s = NULL;
    const uint8_t *head;
    int64_t n;

    TRY(bytes_peek(&head, &n, *stream));
    if (n < 3 || head[0] != 0x1f || head[1] != 0x8b || head[2] != 8) return SCW_OK;
    TRY(stream_new(&s, (*stream)->name));
    s->fill = fill_inflated;
    s->inner = *stream;
    *stream = NULL;
    s->left = 1; /* inside a member */
    s->inflater.zalloc = zlib_new;
    s->inflater.zfree = zlib_free;
    int rc = inflateInit2(&s->inflater, 15 + 16); /* the largest window, the gzip header */
    if (rc != Z_OK)
        FAIL(rc == Z_MEM_ERROR ? SCW_ENOMEM : SCW_EINTERNAL, "%s: cannot decompress", s->name);
    s->inflating = true;
    *stream = s;
    s = NULL;
done:
    if (st != SCW_OK) {
        bytes_free(*stream);
        *stream = NULL;
    }
    bytes_free(s);
    return st;
}

/* ------------------------------------------------------------------ taking bytes */

/* More bytes behind those that are there; what was taken makes room. */
static scw_status refill(byte_stream *s)
{
    scw_status st = SCW_OK;
    int64_t got = 0;

    if (s->ended) return SCW_OK;
    if (s->at) {
        memmove(s->buffer, s->buffer + s->at, (size_t)(s->end - s->at));
        s->end -= s->at;
        s->at = 0;
    }
    if (s->end == BUFFER_BYTES) return SCW_OK;
    TRY(s->fill(s, s->buffer + s->end, BUFFER_BYTES - s->end, &got));
    s->end += got;
    s->ended = got == 0;
done:
    return st;
}

scw_status bytes_peek(const uint8_t **out, int64_t *n, byte_stream *s)
{
    scw_status st = SCW_OK;

    while (s->end - s->at < PEEK_BYTES && !s->ended) TRY(refill(s));
    *out = s->buffer + s->at;
    *n = s->end - s->at < PEEK_BYTES ? s->end - s->at : PEEK_BYTES;
done:
    return st;
}

scw_status bytes_read(byte_stream *s, void *out, int64_t n, int64_t *got)
{
    scw_status st = SCW_OK;
    uint8_t *to = out;

    *got = 0;
    while (*got < n) {
        if (s->at == s->end) TRY(refill(s));
        int64_t there = s->end - s->at, take = there < n - *got ? there : n - *got;
        if (take == 0) break;
        if (to) memcpy(to + *got, s->buffer + s->at, (size_t)take);
        s->at += take;
        *got += take;
    }
done:
    return st;
}

scw_status bytes_skip(byte_stream *s, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t got;

    TRY(bytes_read(s, NULL, n, &got));
    if (got < n) BREAK(RULE_FILE_WHOLE, SCW_EFORMAT, "%s: ends too early", s->name);
done:
    return st;
}

/* ------------------------------------------------------------------ lines */

void lines_clear(line_reader *r)
{
    text_clear(&r->line);
    text_clear(&r->repaired);
}

static bool is_ascii(const textbuf *line)
{
    unsigned char any = 0;
    for (int64_t i = 0; i < line->length; i++) any |= (unsigned char)line->data[i];
    return any < 0x80;
}

scw_status lines_next(char **line, line_reader *r)
{
    scw_status st = SCW_OK;
    byte_stream *s = r->from;
    bool any = false;

    *line = NULL;
    r->line.length = 0;
    for (;;) {
        if (s->at == s->end) TRY(refill(s));
        int64_t n = s->end - s->at;
        if (n == 0) break;
        any = true;
        const uint8_t *from = s->buffer + s->at, *end = memchr(from, '\n', (size_t)n);
        if (end) n = end - from;
        if (r->line.length + n > LINE_BYTES || memchr(from, 0, (size_t)n))
            FAIL(SCW_EFORMAT, "%s: line %lld is not text", s->name, (long long)r->number + 1);
        TRY(text_add_bytes(&r->line, (const char *)from, n));
        s->at += n + (end != NULL);
        if (end) break;
    }
    if (!any) goto done;
    r->number++;
    if (r->line.length && r->line.data[r->line.length - 1] == '\r')
        r->line.data[--r->line.length] = '\0';
    *line = r->line.data;
    if (is_ascii(&r->line)) goto done;
    bool repaired;
    r->repaired.length = 0;
    TRY(text_add_utf8(&r->repaired, r->line.data, r->line.length, &repaired));
    r->n_latin1 += repaired;
    if (repaired) *line = r->repaired.data;
done:
    return st;
}
