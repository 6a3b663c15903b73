/* SPDX-License-Identifier: BSD-3-Clause */
/* One run's talk on stderr. State is per process, as signals and the terminal are. */
#include "console.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static struct {
    int quiet, verbose;
    int terminal;      /* stderr is one that can redraw a line */
    int line_shown;    /* a progress line stands there */
    double started;    /* seconds */
    double last_drawn; /* seconds */
    int last_tenth;    /* without a terminal: tenths of the work reported so far */
} console;

static volatile sig_atomic_t interrupts;
static struct timespec interrupted_at; /* written before `interrupts` becomes 1 */

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The first asks for a clean stop, the second does not wait for it. timeout and job schedulers send one
 * wish twice, to the process and to its group: what comes within so many seconds is the same. */
#define SAME_WISH 0.2

static void on_signal(int number)
{
    struct timespec t;

    (void)number;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    if (interrupts == 0) {
        interrupted_at = t;
        interrupts = 1;
        return;
    }
    double since = (double)(t.tv_sec - interrupted_at.tv_sec) +
                   1e-9 * (double)(t.tv_nsec - interrupted_at.tv_nsec);
    if (since > SAME_WISH) _exit(CLI_INTERRUPTED);
}

int console_interrupted(void)
{
    return interrupts > 0;
}

void console_clear_line(void)
{
    if (!console.line_shown) return;
    (void)fputs("\r\033[K", stderr);
    console.line_shown = 0;
}

static void on_log(void *user, scw_log_level level, const char *message)
{
    (void)user;
    if (level != SCW_LOG_WARNING && console.quiet) return;
    if (level == SCW_LOG_DETAIL && !console.verbose) return;
    console_clear_line();
    (void)fprintf(stderr, "%s%s\n", level == SCW_LOG_WARNING ? "warning: " : "", message);
}

static int on_cancelled(void *user)
{
    (void)user;
    return interrupts > 0;
}

static void add(char *line, size_t size, const char *format, ...) SCW_PRINTF(3, 4);
static void add(char *line, size_t size, const char *format, ...)
{
    size_t used = strlen(line);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line + used, size - used, format, args);
    va_end(args);
}

static void add_duration(char *line, size_t size, double seconds)
{
    int64_t s = (int64_t)ceil(seconds);

    if (s < 100)
        add(line, size, "%d s", (int)s);
    else if (s < 6000)
        add(line, size, "%d min %02d s", (int)(s / 60), (int)(s % 60));
    else
        add(line, size, "%d h %02d min", (int)(s / 3600), (int)(s / 60 % 60));
}

/* Share of the work that is done, by steps or, where their number is open, by epochs; negative when
 * unknown. */
static double share(const scw_progress *p)
{
    if (p->n_steps > 0) return (double)p->step / (double)p->n_steps;
    return p->n_epochs > 0 ? (double)p->epoch / (double)p->n_epochs : -1.0;
}

static void describe(char *line, size_t size, const scw_progress *p)
{
    line[0] = '\0';
    if (share(p) >= 0) add(line, size, "%3.0f %%", 100.0 * share(p));
    if (p->phase) add(line, size, "  %s", p->phase);
    if (p->n_epochs > 0)
        add(line, size, "  epoch %lld/%lld", (long long)p->epoch, (long long)p->n_epochs);
    for (int k = 0; k < p->n_values; k++)
        if (isfinite(p->values[k])) add(line, size, "  %s %.4g", p->value_names[k], p->values[k]);
    if (p->seconds_left >= 0) {
        add(line, size, "  ");
        add_duration(line, size, p->seconds_left);
        add(line, size, " left");
    }
}

/* A redrawn line on a terminal, at most ten times a second; elsewhere, with -v, ten lines in all. */
static void on_progress(void *user, const scw_progress *p)
{
    char line[512];

    (void)user;
    if (console.terminal) {
        struct winsize window;
        int width = 80;
        double t = now();
        if (t - console.last_drawn < 0.1) return;
        console.last_drawn = t;
        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
            width = window.ws_col;
        describe(line, sizeof line, p);
        (void)fprintf(stderr, "\r%.*s\033[K", width - 1, line);
        console.line_shown = 1;
    } else if (console.verbose && share(p) >= 0) {
        int tenth = (int)(10.0 * share(p));
        if (tenth == console.last_tenth) return;
        console.last_tenth = tenth;
        describe(line, sizeof line, p);
        (void)fprintf(stderr, "%s\n", line);
    }
}

/* A program started with a signal ignored, as nohup does, leaves it ignored. */
static void catch(int number)
{
    struct sigaction old, action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    (void)sigaddset(&action.sa_mask, SIGINT);
    (void)sigaddset(&action.sa_mask, SIGTERM);
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        (void)sigaction(number, &action, NULL);
}

const scw_hooks *console_begin(int quiet, int verbose)
{
    static const scw_hooks hooks = {on_log, on_progress, on_cancelled, NULL};
    const char *kind = getenv("TERM");

    console.quiet = quiet;
    console.verbose = verbose;
    console.terminal =
        !quiet && isatty(STDERR_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
    console.started = now();
    catch(SIGINT);
    catch(SIGTERM);
    return &hooks;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

void console_end(int argc, char **argv)
{
    options_line line = {0};
    struct rusage use;

    console_clear_line();
    if (console.quiet) return;
    for (int i = 1; i < argc; i++) options_record(&line, argv[i]);
    (void)getrusage(RUSAGE_SELF, &use);
    (void)fprintf(stderr, "scweave %s: %s: %.1f s wall, %.1f s CPU, %.0f MB peak\n", scw_version(),
                  line.record ? line.record : "", now() - console.started,
                  seconds(use.ru_utime) + seconds(use.ru_stime),
                  (double)use.ru_maxrss / 1024.0);
    free(line.record);
}
