/* SPDX-License-Identifier: BSD-3-Clause */
/* What clue.c and clue_losses.c share. */
#ifndef MODELS_CLUE_PARTS_H
#define MODELS_CLUE_PARTS_H

#include "models/clue.h"

/* Given normals, or random ones at an address; NULL after a failure, which the tape remembers. */
tensor *clue_normals(const nn_pass *pass, const real *given, int64_t rows, int64_t cols,
                     uint32_t stream);
/* One-hot columns of the batch, or NULL where there are none. */
tensor *clue_batch_input(const clue_net *net, tape *t, const int32_t *batch, int64_t n);
/* x with these columns beside it, if there are any. */
tensor *clue_beside(tape *t, tensor *x, tensor *columns);
/* What the last layer of decoder k reads; arguments as clue_decode's. */
tensor *clue_decoder_input(const clue_net *net, const nn_pass *pass, int k, tensor *unit,
                           const int32_t *batch, int use);
/* Sum over the present rows of x and all features of -log p(x | clue_decode's result) without that being
 * written down; of a negative binomial without op_gamma_terms. */
tensor *clue_decoded_loss(const clue_net *net, const nn_pass *pass, int k, tensor *unit, tensor *library,
                          const affine_sparse *x, const int32_t *batch, int use);

#endif
