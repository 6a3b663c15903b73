/* SPDX-License-Identifier: BSD-3-Clause */
/* Pictures as bytes: what scw_plot writes to a file and the report puts on its page. */
#ifndef TASK_PICTURE_H
#define TASK_PICTURE_H

#include "base/text.h"
#include "scweave/plot.h"

/* Append the picture to *out, as the format that the ending of `name` says. */
SCW_CHECKED scw_status picture_render(textbuf *out, const char *name, const scw_plot_kind *kind,
                                      const char *const *paths, const scw_plot_options *options,
                                      const scw_hooks *hooks);

/* Can this build draw, and to a file of this name? SCW_EUNSUPPORTED, SCW_EINVAL. */
SCW_CHECKED scw_status picture_check(const char *name);

#endif
