/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/hash.h"

#include <string.h>

/* Exclusive or, product with an odd number, shift: each can be undone, so two contents that differ in
 * one word never meet again through the words that follow alike. */
static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio, odd */
    return h ^ (h >> 32);
}

uint64_t hash_bytes(uint64_t h, const void *data, int64_t n)
{
    const unsigned char *from = data;
    uint64_t word;
    int64_t i = 0;

    h = mix(h, (uint64_t)n);
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, from + i, 8);
        h = mix(h, word);
    }
    if (i < n) {
        word = 0;
        memcpy(&word, from + i, (size_t)(n - i));
        h = mix(h, word);
    }
    return h;
}

uint64_t hash_text(uint64_t h, const char *text)
{
    return hash_bytes(h, text ? text : "", text ? (int64_t)strlen(text) : 0);
}
