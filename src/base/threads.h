/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenMP, in one place. Loops write disjoint outputs, so a result never depends on the number of
 * threads; a sum over threads is forbidden (sum fixed blocks, then add the blocks in order). */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include <stdint.h>

/* Number of threads kernels use from now on, process-wide; 0 or less: all cores. */
void threads_set(int n);
int threads_get(void);
/* Seconds of a monotonic clock; CPU seconds of the process; peak resident bytes of the process. */
double clock_wall(void);
double clock_cpu(void);
int64_t peak_rss_bytes(void);
/* Bytes that could be taken now without pushing others out, as far as the system and the limit of
 * the control group say; 1 GiB when they say nothing. */
int64_t memory_available_bytes(void);

#define SCW_PRAGMA(x_) _Pragma(#x_)
#ifdef _OPENMP
#define PARALLEL_FOR SCW_PRAGMA(omp parallel for schedule(static))
#define PARALLEL_FOR_IF(condition_) SCW_PRAGMA(omp parallel for schedule(static) if (condition_))
#else
#define PARALLEL_FOR
#define PARALLEL_FOR_IF(condition_)
#endif

#endif
