/* SPDX-License-Identifier: BSD-3-Clause */
/* Members of a tar archive (ustar with pax and GNU long names), read in order. Nothing is ever
 * unpacked, so what the names of members say has no consequence; links and devices are passed over. */
#ifndef IO_TAR_H
#define IO_TAR_H

#include "io/bytes.h"

/* Does a stream that begins with these bytes hold an archive? */
bool tar_recognise(const uint8_t *head, int64_t n);
/* Names of the regular files. Takes the stream over. */
SCW_CHECKED scw_status tar_list(strings *out, byte_stream *archive);
/* The first regular file of that name. Takes the stream over. */
SCW_CHECKED scw_status tar_open(byte_stream **out, byte_stream *archive, const char *name);

#endif
