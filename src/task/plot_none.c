/* SPDX-License-Identifier: BSD-3-Clause */
/* In place of plot_render.c where the build has no cairo. */
#include "base/status.h"
#include "task/picture.h"

static scw_status no_pictures(void)
{
    return status_fail(SCW_EUNSUPPORTED,
                       "this build of scweave draws no pictures: it was made "
                       "without cairo (package libcairo2-dev; meson option plot)");
}

scw_status picture_check(const char *name)
{
    (void)name;
    return no_pictures();
}

scw_status picture_render(textbuf *out, const char *name, const scw_plot_kind *kind,
                          const char *const *paths, const scw_plot_options *options,
                          const scw_hooks *hooks)
{
    (void)out, (void)name, (void)kind, (void)paths, (void)options, (void)hooks;
    return no_pictures();
}
