/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "scweave/dataset.h"

/* A temporary file that nobody has touched for so long, and whose process is gone, is a leftover. */
#define LEFTOVER_SECONDS 600

scw_status atomic_file_begin(atomic_file *f, const char *target)
{
    static _Atomic unsigned counter;
    scw_status st = SCW_OK;
    const char *slash = target ? strrchr(target, '/') : NULL;
    textbuf name = {0}, folder = {0};
    struct stat info;

    *f = (atomic_file){0};
    if (!target || !*target) FAIL(SCW_EINVAL, "no output path given");
    if (stat(target, &info) == 0 && S_ISDIR(info.st_mode))
        FAIL(SCW_EIO, "%s: is a directory, expected a file to write", target);
    /* The rename at the end would put a file in place of a device or a pipe. */
    if (stat(target, &info) == 0 && !S_ISREG(info.st_mode))
        FAIL(SCW_EIO, "%s: is a device or a pipe, expected a file to write", target);
    TRY(text_add(&name, "%s.tmp-%ld-%u", target, (long)getpid(), atomic_fetch_add(&counter, 1)));
    int fd = open(text_get(&name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) FAIL(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
    (void)close(fd);
    f->temporary = text_take(&name);
    TRY(mem_strdup(&f->target, target));
    TRY(text_add_bytes(&folder, slash ? target : ".", slash ? slash - target + 1 : 1));
    f->folder = text_take(&folder);
done:
    if (st != SCW_OK) atomic_file_clear(f);
    text_clear(&name);
    text_clear(&folder);
    return st;
}

/* The new name reaches the disk too, so that a power cut leaves the old file or the new one. A file system
 * that cannot do it is taken as it is: the file behind either name is whole. */
static void sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return;
    (void)fsync(fd);
    (void)close(fd);
}

scw_status atomic_file_sync(const atomic_file *f)
{
    scw_status st = SCW_OK;

    int fd = open(f->temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0) FAIL(SCW_EIO, "%s: cannot write: %s", f->target, strerror(errno));
    int failed = fsync(fd), why = errno;
    (void)close(fd);
    if (failed) FAIL(SCW_EIO, "%s: cannot write: %s", f->target, strerror(why));
done:
    return st;
}

scw_status atomic_file_commit(atomic_file *f)
{
    scw_status st = SCW_OK;

    TRY(atomic_file_sync(f));
    if (rename(f->temporary, f->target) != 0)
        FAIL(SCW_EIO, "%s: cannot write: %s", f->target, strerror(errno));
    mem_free(f->temporary);
    f->temporary = NULL;
    sync_folder(f->folder);
done:
    atomic_file_clear(f);
    return st;
}

void atomic_file_clear(atomic_file *f)
{
    if (f->temporary) (void)unlink(f->temporary);
    mem_free(f->temporary);
    mem_free(f->target);
    mem_free(f->folder);
    *f = (atomic_file){0};
}

scw_status atomic_file_write(const char *target, const void *bytes, int64_t n)
{
    scw_status st = SCW_OK;
    atomic_file f = {0};
    FILE *out = NULL;

    TRY(atomic_file_begin(&f, target));
    out = fopen(f.temporary, "wb");
    if (!out) FAIL(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
    bool whole = fwrite(bytes, 1, (size_t)n, out) == (size_t)n && fflush(out) == 0;
    if (!whole) FAIL(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
    int failed = fclose(out);
    out = NULL;
    if (failed) FAIL(SCW_EIO, "%s: cannot write: %s", target, strerror(errno));
    TRY(atomic_file_commit(&f));
done:
    if (out) (void)fclose(out);
    atomic_file_clear(&f);
    return st;
}

/* Is `name` "<base>.tmp-<pid>-<n>" of a process that this machine no longer has? */
static bool is_of_dead(const char *name, const char *base)
{
    const size_t n = strlen(base);
    char process[64];
    struct stat info;
    long pid;
    unsigned count;
    int end = 0;

    if (strncmp(name, base, n) != 0) return false;
    if (sscanf(name + n, ".tmp-%ld-%u%n", &pid, &count, &end) != 2 || name[n + (size_t)end])
        return false;
    (void)snprintf(process, sizeof process, "/proc/%ld", pid);
    return stat("/proc/self", &info) == 0 && stat(process, &info) != 0 && errno == ENOENT;
}

/* Remove what a process that was killed while it wrote `target` has left beside it. Whatever cannot be
 * looked at or removed stays. */
static scw_status sweep(const char *target)
{
    scw_status st = SCW_OK;
    const char *slash = strrchr(target, '/'), *base = slash ? slash + 1 : target;
    textbuf folder = {0};
    struct stat info;
    struct dirent *entry;
    DIR *list = NULL;

    TRY(text_add_bytes(&folder, target, base - target));
    list = opendir(slash ? text_get(&folder) : ".");
    while (list && (entry = readdir(list)) != NULL) {
        if (!is_of_dead(entry->d_name, base)) continue;
        if (fstatat(dirfd(list), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (S_ISREG(info.st_mode) && info.st_mtime < time(NULL) - LEFTOVER_SECONDS)
            (void)unlinkat(dirfd(list), entry->d_name, 0);
    }
done:
    if (list) (void)closedir(list);
    text_clear(&folder);
    return st;
}

scw_status atomic_file_probe(const char *path)
{
    scw_status st = SCW_OK;
    atomic_file f = {0};

    TRY(atomic_file_begin(&f, path));
    TRY(sweep(path));
done:
    atomic_file_clear(&f);
    return st;
}

scw_status scw_output_check(const char *path)
{
    return atomic_file_probe(path);
}
