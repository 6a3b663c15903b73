/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of bf16: by oneDNN where the processor has instructions for them. Elsewhere both matrices are
 * rounded in place of oneDNN's emulation, which takes longer, and multiplied as floats. */
#include "base/alloc.h"
#include "kernel/table.h"

#ifdef HAVE_ONEDNN
#include "kernel/dnnl/dnnl.h"
#endif

struct kernel_bf16 {
    real *rounded[2]; /* A and B, as floats or as bf16; [room] */
    int64_t room[2];
    int64_t n_onednn;
#ifdef HAVE_ONEDNN
    onednn_bf16 *onednn; /* NULL: not used */
#endif
};

bool kernel_bf16_is_native(void)
{
#ifdef HAVE_ONEDNN
    return onednn_bf16_is_native();
#else
    return false;
#endif
}

scw_status kernel_bf16_new(kernel_bf16 **out)
{
    return kernel_bf16_is_native() ? kernel_bf16_new_onednn(out) : mem_new(out, 1);
}

scw_status kernel_bf16_new_onednn(kernel_bf16 **out)
{
    scw_status st = SCW_OK;
    kernel_bf16 *w = NULL;

    *out = NULL;
    TRY(mem_new(&w, 1));
#ifdef HAVE_ONEDNN
    TRY(onednn_bf16_new(&w->onednn));
#endif
    *out = w;
    w = NULL;
done:
    kernel_bf16_free(w);
    return st;
}

void kernel_bf16_free(kernel_bf16 *w)
{
    if (!w) return;
#ifdef HAVE_ONEDNN
    onednn_bf16_free(w->onednn);
#endif
    for (int k = 0; k < 2; k++)
        mem_free(w->rounded[k]);
    mem_free(w);
}

int64_t kernel_bf16_n_onednn(const kernel_bf16 *w)
{
    return w->n_onednn;
}

/* Room for n floats, kept for the next call. */
static scw_status make_room(kernel_bf16 *w, int k, int64_t n)
{
    if (w->room[k] >= n) return SCW_OK;
    mem_free(w->rounded[k]);
    w->rounded[k] = NULL;
    w->room[k] = 0;
    scw_status st = mem_new(&w->rounded[k], n);
    if (st == SCW_OK) w->room[k] = n;
    return st;
}

#ifdef HAVE_ONEDNN
static scw_status by_onednn(bool *done, kernel_bf16 *w, bool trans_a, bool trans_b, int64_t m,
                            int64_t n, int64_t k, const real *a, const real *b, real beta, real *c)
{
    uint16_t *const short_a = (uint16_t *)(void *)w->rounded[0];
    uint16_t *const short_b = (uint16_t *)(void *)w->rounded[1];

    kernel_to_bf16(m * k, a, short_a);
    kernel_to_bf16(k * n, b, short_b);
    return onednn_gemm_bf16(done, w->onednn, trans_a, trans_b, m, n, k, short_a, short_b, beta, c);
}
#endif

scw_status kernel_gemm_bf16(kernel_bf16 *w, bool trans_a, bool trans_b, int64_t m, int64_t n,
                            int64_t k, const real *a, const real *b, real beta, real *c)
{
    scw_status st = SCW_OK;

    if (m <= 0 || n <= 0 || k <= 0 || m * n < KERNEL_BF16_LEAST / k) {
        kernel_gemm(trans_a, trans_b, m, n, k, a, b, beta, c);
        return SCW_OK;
    }
    TRY(make_room(w, 0, m * k));
    TRY(make_room(w, 1, k * n));
#ifdef HAVE_ONEDNN
    bool by_library = false;
    if (w->onednn) TRY(by_onednn(&by_library, w, trans_a, trans_b, m, n, k, a, b, beta, c));
    w->n_onednn += by_library;
    if (by_library) goto done;
#endif
    kernel_round_bf16(m * k, a, w->rounded[0]);
    kernel_round_bf16(k * n, b, w->rounded[1]);
    kernel_gemm(trans_a, trans_b, m, n, k, w->rounded[0], w->rounded[1], beta, c);
done:
    return st;
}
