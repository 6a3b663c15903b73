/* SPDX-License-Identifier: BSD-3-Clause */
/* The number type of the numeric layers (kernel, engine, nn, models).
 *
 * The library is built with float. The tests build the same sources once more with SCW_REAL_DOUBLE,
 * where finite differences and published vectors can be checked to many digits. */
#ifndef BASE_REAL_H
#define BASE_REAL_H

#include <math.h>

#ifdef SCW_REAL_DOUBLE
typedef double real;
#define real_exp exp
#define real_log log
#define real_log1p log1p
#define real_sqrt sqrt
#define real_fabs fabs
#else
typedef float real;
#define real_exp expf
#define real_log logf
#define real_log1p log1pf
#define real_sqrt sqrtf
#define real_fabs fabsf
#endif

#endif
