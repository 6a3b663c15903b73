/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers in text files: exactly the n bytes given, whatever the host's locale. */
#ifndef IO_NUMBER_H
#define IO_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool number_int(int64_t *out, const char *text, size_t n);
/* Decimal numbers, correctly rounded; "nan", "inf" and "infinity" in any case. */
bool number_real(double *out, const char *text, size_t n);

#endif
