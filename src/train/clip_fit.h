/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAIN_CLIP_FIT_H
#define TRAIN_CLIP_FIT_H

#include "train/paired_fit.h"

SCW_CHECKED scw_status clip_fit(scw_model **out, const paired_fit *f);

#endif
