/* SPDX-License-Identifier: BSD-3-Clause */
/* What this machine can do, measured; each call takes about a third of a second. The benchmark puts
 * our numbers beside these. */
#ifndef KERNEL_PEAK_H
#define KERNEL_PEAK_H

double peak_gemm_gflops(void);   /* products in single precision, through kernel_gemm */
double peak_bf16_gflops(void);   /* with bf16 inputs; 0 where the CPU has none */
double peak_bandwidth_gbs(void); /* memory: a = b + s c over arrays far larger than the caches */

#endif
