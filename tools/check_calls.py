# SPDX-License-Identifier: BSD-3-Clause
"""The library never ends the process, prints, reads the environment, or takes heap memory except
through its own allocator. Looked up in the undefined symbols of its objects."""
import os
import re

import common

NAME = "calls"

FORBIDDEN = {
    "ends the process": r"exit|_exit|_Exit|quick_exit|abort|raise|kill|err|errx",
    "prints": r"printf|vprintf|puts|putchar|putc|perror|stdout|stderr|stdin|warn|warnx|"
              r"__printf_chk|__vprintf_chk",
    "reads the environment": r"getenv|secure_getenv|setenv|putenv|environ",
    "runs a program": r"system|popen|execv\w*|execl\w*|fork|posix_spawn\w*",
    "draws unseeded numbers": r"rand|srand|random|srandom|drand48|lrand48|getrandom",
}
HEAP = r"malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|__asprintf_chk|" \
       r"__vasprintf_chk|aligned_alloc|posix_memalign|memalign"
# The one door to the heap.
ALLOCATOR = "alloc.c.o"


# free is allowed where these hand over memory of malloc.
HANDED_OVER = {"json_dumps"}


def undefined(archive):
    """{object: symbols that it takes from outside}."""
    taken = {}
    member = "?"
    for line in common.output("nm", "-u", archive).splitlines():
        if line.endswith(":"):
            member = os.path.basename(line[:-1])
        elif line.split():
            taken.setdefault(member, set()).add(line.split()[-1].split("@")[0])
    return taken


def why_not(member, symbol, symbols):
    for why, names in FORBIDDEN.items():
        if re.fullmatch(names, symbol):
            return why
    if symbol == "free" and symbols & HANDED_OVER:
        return None
    if re.fullmatch(HEAP, symbol) and not member.endswith(ALLOCATOR):
        return "takes heap memory past mem_new"
    return None


def check(root, build):
    del root
    looked_at = 0
    for member, symbols in undefined(os.path.join(build, "src/lib/libscweave_parts.a")).items():
        for symbol in sorted(symbols):
            looked_at += 1
            why = why_not(member, symbol, symbols)
            if why:
                yield f"{member} calls {symbol}: the library {why}"
    return looked_at
