/* SPDX-License-Identifier: BSD-3-Clause */
/* A 64-bit fingerprint: equal contents give equal ones, a changed or damaged one is noticed. It does
 * not protect against intent. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#define HASH_START 0x9ae16a3b2f90404fULL

/* Take n bytes, and their number, into the fingerprint `h`. */
uint64_t hash_bytes(uint64_t h, const void *data, int64_t n);
uint64_t hash_text(uint64_t h, const char *text);

#endif
