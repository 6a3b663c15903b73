# SPDX-License-Identifier: BSD-3-Clause
"""Each public header compiles alone, as strict C11 and as C++17, and is installed."""
import os
import re
import subprocess
import tempfile

import common

NAME = "headers"
LANGUAGES = {
    "C11": ("c", ["-std=c11", "-Wstrict-prototypes"]),
    "C++17": ("c++", ["-std=c++17"]),
}
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-pedantic-errors", "-Werror", "-fsyntax-only"]


def compiler(language):
    # g++ is a package of its own; clang does both.
    for name in (["cc", "gcc", "clang"] if language == "c" else ["c++", "g++", "clang++"]):
        if any(os.access(os.path.join(p, name), os.X_OK) for p in os.get_exec_path()):
            return name
    return None


def check(root, build):
    del build
    looked_at = 0
    headers = common.sources(root, "include", (".h",))
    with open(os.path.join(root, "src/lib/meson.build"), encoding="utf-8") as file:
        installed = set(re.findall(r"include/scweave/\w+\.h", file.read()))
    for language, (name, flags) in LANGUAGES.items():
        program = compiler(name)
        if not program:
            yield f"no {language} compiler"
            continue
        for header in headers:
            with tempfile.NamedTemporaryFile("w", suffix=".c" if name == "c" else ".cc") as file:
                relative = header.split(os.sep, 1)[1]
                # Twice: a header must guard itself. The last line: no empty unit in C.
                file.write(f"#include <{relative}>\n#include <{relative}>\nextern int used;\n")
                file.flush()
                result = subprocess.run(
                    [program, "-x", name, *flags, *FLAGS, "-I", os.path.join(root, "include"),
                     file.name], stderr=subprocess.PIPE, text=True, check=False)
            looked_at += 1
            if result.returncode:
                yield f"{header} does not compile alone as {language}:\n{result.stderr}"
    for header in headers:
        if header not in installed:
            yield f"{header} is not installed (src/lib/meson.build)"
    return looked_at
