/* SPDX-License-Identifier: BSD-3-Clause */
/* One run's talk on stderr: messages, the progress line, interruption, and the closing line. */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <scweave/scweave.h>

/* Start the clock, catch SIGINT and SIGTERM. The hooks live until the program ends. */
const scw_hooks *console_begin(int quiet, int verbose);

/* Take the progress line away, so that other text can be printed. */
void console_clear_line(void);

/* Did the user ask to stop? */
int console_interrupted(void);

/* The closing line: version, command, wall and CPU seconds, largest memory. */
void console_end(int argc, char **argv);

#endif
