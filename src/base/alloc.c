/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "scweave/options.h"

static _Atomic int64_t calls;
static _Atomic int64_t fail_at;
static _Atomic size_t most = SIZE_MAX;

int64_t mem_fail_at(int64_t n)
{
    atomic_store(&fail_at, n);
    return atomic_exchange(&calls, 0);
}

void mem_cap(int64_t bytes)
{
    atomic_store(&most, bytes > 0 ? (size_t)bytes : SIZE_MAX);
}

static int refused(size_t bytes)
{
    int64_t call = atomic_fetch_add(&calls, 1) + 1;
    return call == atomic_load(&fail_at) || bytes > atomic_load(&most);
}

static scw_status no_memory(int64_t count, size_t size)
{
    return status_fail(SCW_ENOMEM, "out of memory: cannot allocate %lld elements of %zu bytes",
                       (long long)count, size);
}

scw_status mem_new_raw(void **out, int64_t count, size_t size)
{
    size_t bytes;

    *out = NULL;
    if (!checked_bytes(&bytes, count, size) || refused(bytes)) return no_memory(count, size);
    *out = calloc(bytes ? bytes : 1, 1);
    return *out ? SCW_OK : no_memory(count, size);
}

scw_status mem_resize_raw(void **block, int64_t count, size_t size)
{
    size_t bytes;

    if (!checked_bytes(&bytes, count, size) || refused(bytes)) return no_memory(count, size);
    void *moved = realloc(*block, bytes ? bytes : 1);
    if (!moved) return no_memory(count, size);
    *block = moved;
    return SCW_OK;
}

scw_status mem_copy_raw(void **out, const void *from, int64_t count, size_t size)
{
    scw_status st = SCW_OK;

    *out = NULL;
    if (!from) goto done;
    TRY(mem_new_raw(out, count, size));
    memcpy(*out, from, (size_t)count * size);
done:
    return st;
}

void mem_free(void *block)
{
    free(block);
}

void scw_free(void *memory)
{
    mem_free(memory);
}

scw_status mem_strdup(char **out, const char *text)
{
    scw_status st = SCW_OK;

    *out = NULL;
    if (!text) return SCW_OK;
    size_t size = strlen(text) + 1;
    TRY(mem_new(out, (int64_t)size));
    memcpy(*out, text, size);
done:
    return st;
}
