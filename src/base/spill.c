/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"

scw_status spill_init(spill *s, const char *folder)
{
    *s = (spill){0};
    return mem_strdup(&s->folder, folder ? folder : SPILL_DEFAULT_FOLDER);
}

static scw_status create(spill *s)
{
    scw_status st = SCW_OK;
    textbuf path = {0};

#ifdef O_TMPFILE
    s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd > 0) goto done;
#endif
    /* Not every file system has files without names. */
    TRY(text_add(&path, "%s/scweave-XXXXXX", s->folder));
    s->fd = mkostemp(path.data, O_CLOEXEC);
    if (s->fd <= 0) {
        int why = errno;
        s->fd = 0;
        FAIL(SCW_EIO, "%s: cannot make a temporary file there: %s", s->folder, strerror(why));
    }
    (void)unlink(path.data);
done:
    text_clear(&path);
    return st;
}

scw_status spill_append(int64_t *at, spill *s, const void *bytes, int64_t n)
{
    scw_status st = SCW_OK;
    const char *from = bytes;

    *at = s->size;
    if (s->fd <= 0) TRY(create(s));
    while (n > 0) {
        ssize_t done = pwrite(s->fd, from, (size_t)n, (off_t)s->size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0)
            FAIL(SCW_EIO, "%s: cannot write a temporary file beyond %lld MB: %s; name a folder with "
                 "more room, or give more memory", s->folder, (long long)(s->size >> 20),
                 strerror(done < 0 ? errno : ENOSPC));
        from += done;
        n -= done;
        s->size += done;
    }
done:
    return st;
}

scw_status spill_read(void *out, const spill *s, int64_t at, int64_t n)
{
    scw_status st = SCW_OK;
    char *to = out;

    while (n > 0) {
        ssize_t done = pread(s->fd, to, (size_t)n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0)
            FAIL(SCW_EIO, "%s: cannot read the temporary file again: %s", s->folder,
                 done < 0 ? strerror(errno) : "it ends too early");
        to += done;
        n -= done;
        at += done;
    }
done:
    return st;
}

void spill_ahead(const spill *s, int64_t at, int64_t n)
{
    if (s->fd > 0 && n > 0) (void)posix_fadvise(s->fd, (off_t)at, (off_t)n, POSIX_FADV_WILLNEED);
}

void spill_clear(spill *s)
{
    if (s->fd > 0) (void)close(s->fd);
    mem_free(s->folder);
    *s = (spill){0};
}
