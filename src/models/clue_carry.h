/* SPDX-License-Identifier: BSD-3-Clause */
/* A fitted CLUE as the start of another (specs 4.6, fine-tuning). */
#ifndef MODELS_CLUE_CARRY_H
#define MODELS_CLUE_CARRY_H

#include "models/clue.h"

/* Both sets of parameters. The first batches and classes of `to` are those of `from`, in its order; new
 * ones start as models/carry.h says. SCW_EINVAL as there. */
SCW_CHECKED scw_status clue_net_carry(clue_net *to, const clue_net *from);

#endif
