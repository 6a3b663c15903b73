/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clue_carry.h"

#include "models/carry.h"

scw_status clue_net_carry(clue_net *to, const clue_net *from)
{
    scw_status st = SCW_OK;
    const int64_t B = from->config.n_batches;
    const int64_t columns = B > 1 ? B : 0, rows = B > 1 ? B : 1; /* one batch has no columns */
    const carry_rule rules[] = {{"decoder.", ".weight", 1, columns},
                                {"decoder.", ".batch_scale", 0, rows},
                                {"decoder.", ".batch_shift", 0, rows},
                                {"decoder.", ".log_shape", 0, rows},
                                {"discriminator.", ".weight", 1, columns},
                                {"label.", "", 0, from->config.n_classes}};
    const int n = sizeof rules / sizeof *rules;

    TRY(carry_params(&to->p, &from->p, rules, n));
    TRY(carry_params(&to->adversary, &from->adversary, rules, n));
done:
    return st;
}
