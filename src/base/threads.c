/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/threads.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

void threads_set(int n)
{
#ifdef _OPENMP
    omp_set_num_threads(n > 0 ? n : omp_get_num_procs());
#else
    (void)n;
#endif
}

int threads_get(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

double clock_wall(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double clock_cpu(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

int64_t peak_rss_bytes(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (int64_t)use.ru_maxrss * 1024;
}

/* A number in a file of one, -1: there is none ("max"). */
static int64_t number_in(const char *path)
{
    long long value = -1;
    FILE *f = fopen(path, "r");

    if (f && fscanf(f, "%lld", &value) != 1) value = -1;
    if (f) (void)fclose(f);
    return value;
}

int64_t memory_available_bytes(void)
{
    char line[160];
    long long kb = -1;
    FILE *f = fopen("/proc/meminfo", "r");

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lld kB", &kb) == 1) break;
    if (f) (void)fclose(f);
    int64_t free_bytes = kb > 0 ? (int64_t)kb * 1024 : (int64_t)1 << 30;
    int64_t most = number_in("/sys/fs/cgroup/memory.max");
    int64_t used = number_in("/sys/fs/cgroup/memory.current");
    if (most > 0 && used >= 0 && most - used < free_bytes) free_bytes = most > used ? most - used : 0;
    return free_bytes;
}
