/* SPDX-License-Identifier: BSD-3-Clause */
#undef _FILE_OFFSET_BITS /* both names of each function are defined here */
#include "cut.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST 64

static int64_t changes, last;
static bool counting;
static ino_t dirty[MOST]; /* files and folders with changes that are not synced */
static int64_t n_lost; /* renamed while dirty */

void cut_at(int64_t n)
{
    last = n;
    changes = n_lost = 0;
    memset(dirty, 0, sizeof dirty);
    counting = true;
}

int64_t cut_changes(void)
{
    return changes;
}

int64_t cut_unsynced(void)
{
    int64_t n = n_lost;

    for (int k = 0; k < MOST; k++) n += dirty[k] != 0;
    return n;
}

/* Is this the last moment? */
static bool is_end(void)
{
    return counting && ++changes == last;
}

static void end(void)
{
    (void)kill(getpid(), SIGKILL);
}

static void mark(ino_t inode, bool is_dirty)
{
    int room = -1;

    for (int k = 0; k < MOST; k++) {
        if (dirty[k] == inode) dirty[k] = 0;
        if (!dirty[k]) room = k;
    }
    if (is_dirty && room >= 0) dirty[room] = inode;
}

static void mark_fd(int fd, bool is_dirty)
{
    struct stat info;
    if (counting && fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)))
        mark(info.st_ino, is_dirty);
}

static void mark_path(const char *path, bool is_dirty)
{
    struct stat info;
    if (counting && stat(path, &info) == 0) mark(info.st_ino, is_dirty);
}

static bool is_file(int fd)
{
    struct stat info;
    return counting && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

/* ------------------------------------------------------------------ in place of the C library's */

ssize_t write(int fd, const void *bytes, size_t n)
{
    if (is_file(fd) && is_end()) {
        (void)syscall(SYS_write, fd, bytes, n / 2);
        end();
    }
    mark_fd(fd, true);
    return syscall(SYS_write, fd, bytes, n);
}

static ssize_t write_there(int fd, const void *bytes, size_t n, off_t at)
{
    if (is_file(fd) && is_end()) {
        (void)syscall(SYS_pwrite64, fd, bytes, n / 2, at);
        end();
    }
    mark_fd(fd, true);
    return syscall(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return write_there(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return write_there(fd, bytes, n, at);
}

int ftruncate(int fd, off_t n)
{
    if (is_end()) end();
    mark_fd(fd, true);
    return (int)syscall(SYS_ftruncate, fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    return ftruncate(fd, n);
}

int truncate(const char *path, off_t n)
{
    if (is_end()) end();
    mark_path(path, true);
    return (int)syscall(SYS_truncate, path, n);
}

int unlink(const char *path)
{
    if (is_end()) end();
    return (int)syscall(SYS_unlink, path);
}

int fsync(int fd)
{
    if (is_end()) end();
    mark_fd(fd, false);
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    struct stat info;
    char folder[4096];

    if (is_end()) end();
    if (counting && stat(from, &info) == 0)
        for (int k = 0; k < MOST; k++) n_lost += dirty[k] == info.st_ino;
    (void)snprintf(folder, sizeof folder, "%s", to);
    int rc = (int)syscall(SYS_rename, from, to);
    mark_path(dirname(folder), true);
    return rc;
}

/* Buffered files write inside the C library, where nothing can step in: the call itself is the moment. */
size_t fwrite(const void *bytes, size_t size, size_t n, FILE *f)
{
    static size_t (*real)(const void *, size_t, size_t, FILE *);

    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fwrite");
    if (is_file(fileno(f)) && is_end()) {
        (void)real(bytes, size, n / 2, f);
        (void)fflush(f);
        end();
    }
    mark_fd(fileno(f), true);
    return real(bytes, size, n, f);
}

int fclose(FILE *f)
{
    static int (*real)(FILE *);

    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fclose");
    if (is_file(fileno(f)) && is_end()) end();
    return real(f);
}
