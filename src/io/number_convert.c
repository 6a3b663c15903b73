/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops that convert numbers of one type in a file to another. */
#include <string.h>

#include "io/h5_array.h"

size_t number_size(number_type type)
{
    static const uint8_t size[] = {
        [NUMBER_F32] = 4, [NUMBER_F64] = 8, [NUMBER_I8] = 1, [NUMBER_I16] = 2, [NUMBER_I32] = 4,
        [NUMBER_I64] = 8, [NUMBER_U8] = 1,  [NUMBER_U16] = 2, [NUMBER_U32] = 4, [NUMBER_U64] = 8};
    return size[type];
}

static int32_t fit_i32(int64_t v)
{
    return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

/* One source type to each target; U64_FIT keeps what int64 cannot hold from turning negative. */
#define U64_FIT(v_) ((v_) > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)(v_))
#define PLAIN(v_) ((int64_t)(v_))
#define CONVERT(type_, as_int_)                                                                    \
    do {                                                                                           \
        const type_ *x = in;                                                                       \
        if (to == NUMBER_F32)                                                                      \
            for (int64_t k = 0; k < n; k++) ((float *)out)[k] = (float)x[k];                       \
        else if (to == NUMBER_F64)                                                                 \
            for (int64_t k = 0; k < n; k++) ((double *)out)[k] = (double)x[k];                     \
        else if (to == NUMBER_I32)                                                                 \
            for (int64_t k = 0; k < n; k++) ((int32_t *)out)[k] = fit_i32(as_int_(x[k]));          \
        else                                                                                       \
            for (int64_t k = 0; k < n; k++) ((int64_t *)out)[k] = as_int_(x[k]);                   \
    } while (0)

void number_convert(void *out, number_type to, const void *in, number_type from, int64_t n)
{
    if (n == 0) return; /* of no values there may be no address */
    if (to == from) {
        memcpy(out, in, (size_t)n * number_size(to));
        return;
    }
    switch (from) {
    case NUMBER_I8: CONVERT(int8_t, PLAIN); break;
    case NUMBER_U8: CONVERT(uint8_t, PLAIN); break;
    case NUMBER_I16: CONVERT(int16_t, PLAIN); break;
    case NUMBER_U16: CONVERT(uint16_t, PLAIN); break;
    case NUMBER_I32: CONVERT(int32_t, PLAIN); break;
    case NUMBER_U32: CONVERT(uint32_t, PLAIN); break;
    case NUMBER_I64: CONVERT(int64_t, PLAIN); break;
    case NUMBER_U64: CONVERT(uint64_t, U64_FIT); break;
    case NUMBER_F32: /* to F64: integers are never asked of floats */
        for (int64_t k = 0; k < n; k++) ((double *)out)[k] = (double)((const float *)in)[k];
        break;
    case NUMBER_F64:
        for (int64_t k = 0; k < n; k++) ((float *)out)[k] = (float)((const double *)in)[k];
        break;
    }
}
