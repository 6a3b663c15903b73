/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool number_int(int64_t *out, const char *text, size_t n)
{
    size_t i = n && (text[0] == '-' || text[0] == '+');
    int64_t v = 0;

    if (i == n) return false;
    for (; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, text[i] - '0', &v))
            return false;
    }
    *out = text[0] == '-' ? -v : v;
    return true;
}

/* Up to 15 digits and a power of ten that is exact: one correctly rounded division or product
 * (W. D. Clinger, How to read floating point numbers accurately, PLDI 1990). */
static bool simple_real(double *out, const char *text, size_t n)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t i = n && (text[0] == '-' || text[0] == '+');
    int digits = 0, behind = -1;
    int64_t v = 0;

    for (; i < n; i++) {
        if (text[i] == '.' && behind < 0) {
            behind = 0;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || ++digits > 15) return false;
        v = 10 * v + (text[i] - '0');
        if (behind >= 0) behind++;
    }
    if (digits == 0) return false;
    double value = behind > 0 ? (double)v / powers[behind] : (double)v;
    *out = text[0] == '-' ? -value : value;
    return true;
}

bool number_real(double *out, const char *text, size_t n)
{
    char word[128];
    char *end;

    if (simple_real(out, text, n)) return true;
    if (n == 0 || n >= sizeof word) return false;
    for (size_t i = 0; i < n; i++) /* no hexadecimal numbers, no spaces */
        if (!strchr("0123456789+-.eE", text[i])) {
            bool sign = text[0] == '-' || text[0] == '+';
            const char *rest = text + sign;
            size_t left = n - sign;
            bool is_nan = left == 3 && strncasecmp(rest, "nan", 3) == 0;
            bool is_inf = (left == 3 && strncasecmp(rest, "inf", 3) == 0) ||
                          (left == 8 && strncasecmp(rest, "infinity", 8) == 0);
            if (!is_nan && !is_inf) return false;
            *out = is_nan ? (double)NAN : text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
            return true;
        }
    memcpy(word, text, n);
    word[n] = '\0';
    char *point = strchr(word, '.');
    const char *local = localeconv()->decimal_point;
    if (point && local[0] && !local[1]) *point = local[0];
    *out = strtod(word, &end);
    return *end == '\0';
}
