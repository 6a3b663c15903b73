# SPDX-License-Identifier: BSD-3-Clause
"""The shared and the static library export exactly the functions that the public headers declare."""
import os
import re

import common

NAME = "symbols"
LIBRARIES = {"src/lib/libscweave.so": ["-D"], "src/lib/libscweave.a": []}


def declared(root):
    """Names declared SCW_API in include/scweave."""
    names = set()
    for path in common.sources(root, "include", (".h",)):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        names.update(re.findall(r"SCW_API\b[^;({]*?\b(\w+)\s*\(", text))
    return names


def exported(path, options):
    lines = common.output("nm", "-g", "--defined-only", *options, path).splitlines()
    rows = [line.split() for line in lines]
    # What the sanitizers and the linker add of their own does not count.
    return {row[2] for row in rows if len(row) == 3 and not re.match(r"__|_init$|_fini$|_end$|"
                                                                     r"_edata$", row[2])}


def check(root, build):
    looked_at = 0
    names = declared(root)
    for library, options in LIBRARIES.items():
        found = exported(os.path.join(build, library), options)
        looked_at += len(found)
        for name in sorted(found - names):
            yield f"{library} exports {name}, which no public header declares"
        for name in sorted(names - found):
            yield f"{library} lacks {name}, which a public header declares"
    for name in sorted(names):
        if not name.startswith("scw_"):
            yield f"public function {name} does not begin with scw_"
    return looked_at
