# SPDX-License-Identifier: BSD-3-Clause
"""Each row of the op table is whole, and the gradient test has run it: the test says which."""
import glob
import os
import re
import subprocess

import common

NAME = "ops"
TABLE = "tests/tools/op_rows"
GRADIENT_TESTS = "tests/grad/test_*"


def problems(table, tested):
    """table: op_rows' output; tested: what the gradient tests printed, `NAME N variants` an op."""
    for line in table.splitlines():
        name, *parts = line.split()
        lacking = [part.split("=")[0] for part in parts if part.endswith("=0")]
        if lacking:
            yield f"op {name}: its row in the op table has no {' and no '.join(lacking)}"
        elif not re.search(rf"^\s*{re.escape(name)}\s+[1-9]\d* variants", tested, re.M):
            yield f"op {name}: no gradient test has run it"


def check(root, build):
    del root
    program = os.path.join(build, TABLE)
    if not os.path.exists(program):
        yield f"{program} is not built; configure with -Dtests=true"
        return 0
    table = common.output(program)
    tested = ""
    for test in sorted(glob.glob(os.path.join(build, GRADIENT_TESTS))):
        if os.path.isfile(test):
            tested += subprocess.run([test], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     text=True, check=False).stdout
    yield from problems(table, tested)
    return len(table.splitlines())
