/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes in order, wherever they come from: a file, memory, a member of an archive, any of them
 * compressed with gzip. And lines of text over them. Readers of text formats see only this, so each
 * of them also reads from memory. */
#ifndef IO_BYTES_H
#define IO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct byte_stream byte_stream;

/* `name` stands in messages. */
SCW_CHECKED scw_status bytes_of_file(byte_stream **out, const char *path, const char *name);
/* The bytes are borrowed. */
SCW_CHECKED scw_status bytes_of_memory(byte_stream **out, const void *bytes, int64_t n,
                                       const char *name);
/* The next n bytes of another stream, which it takes over (also when it fails). */
SCW_CHECKED scw_status bytes_window(byte_stream **out, byte_stream *inner, int64_t n,
                                    const char *name);
/* What *s holds, decompressed if it is gzip; else *s stays as it is. On failure *s is freed. */
SCW_CHECKED scw_status bytes_decompress(byte_stream **s);
void bytes_free(byte_stream *s); /* NULL-safe */

const char *bytes_name(const byte_stream *s);
/* How many bytes the whole can hold at most, known before it is read: a promise that needs more is none. */
int64_t bytes_at_most(const byte_stream *s);
/* *got < n only at the end. */
SCW_CHECKED scw_status bytes_read(byte_stream *s, void *out, int64_t n, int64_t *got);
SCW_CHECKED scw_status bytes_skip(byte_stream *s, int64_t n);
/* The bytes that come next without taking them: at most 4096, fewer at the end. */
SCW_CHECKED scw_status bytes_peek(const uint8_t **out, int64_t *n, byte_stream *s);

/* ------------------------------------------------------------------------------- lines */

#define LINE_BYTES (1 << 30) /* a longer line is refused */

typedef struct line_reader {
    byte_stream *from; /* borrowed */
    textbuf line;
    int64_t number; /* of the line last read, from 1 */
    int64_t n_latin1; /* lines that were not UTF-8, and are taken as Latin-1 */
    textbuf repaired;
} line_reader;

/* The next line without its end (\n, \r\n), valid until the next call; *line NULL: there is none.
 * SCW_EFORMAT for a line with a NUL. */
SCW_CHECKED scw_status lines_next(char **line, line_reader *r);
void lines_clear(line_reader *r);

#endif
