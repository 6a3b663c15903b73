/* SPDX-License-Identifier: BSD-3-Clause */
/* Single precision: dnnl_sgemm is row-major, keeps no state and, inside a parallel loop, runs on one
 * thread.
 *
 * Some of its kernels point the stack pointer into their buffer. A signal that arrives then has its
 * frame, some kilobytes, written over the heap, whoever handles it; so signals wait for the product. */
#include <dnnl.h>
#include <pthread.h>
#include <signal.h>

#include "kernel/dnnl/dnnl.h"
#include "kernel/split.h"

static void serial(const gemm_part *p)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    dnnl_status_t done =
        dnnl_sgemm(p->trans_a ? 'T' : 'N', p->trans_b ? 'T' : 'N', p->m, p->n, p->k, 1.0f, p->a,
                   p->lda, p->b, p->ldb, p->beta, p->c, p->ldc);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (done != dnnl_success) gemm_plain(p); /* it had no memory for its copies */
}

bool onednn_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c)
{
    gemm_part whole = gemm_whole(trans_a, trans_b, m, n, k, a, b, beta, c);

#ifdef HAVE_CBLAS
    /* Measured on the forward products of training: OpenBLAS needs two thirds of the time. */
    if (trans_b) return false;
#endif
    gemm_split(serial, &whole);
    return true;
}
