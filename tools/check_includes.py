# SPDX-License-Identifier: BSD-3-Clause
"""Includes go along the allowed arrows between folders, and nowhere else. ARROWS is the one place
where they are written for a machine; ARCHITECTURE.md draws the same, and is compared with it."""
import os
import re

import common

NAME = "includes"

# folder: the folders it may include beside itself, directly or through them.
ARROWS = {
    "base": [],
    "kernel": ["base"],
    "engine": ["kernel"],
    "nn": ["engine"],
    "data": ["base"],
    "io": ["data"],
    "prep": ["data", "kernel"],
    "embed": ["data"],
    "metric": ["embed"],
    "models": ["nn", "prep"],
    "train": ["models", "metric"],
    "plot": ["data"],
    "task": ["train", "io", "plot"],
    "cli": [],
}
# Of the public headers a layer sees all; the program sees nothing else.
PUBLIC = "scweave"


def reachable(folder):
    found = set()
    waiting = [folder]
    while waiting:
        for other in ARROWS[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def problem(path, included):
    """Why may `path` not include "included"? None if it may."""
    folder = path.split(os.sep)[1]
    target = included.split("/")[0] if "/" in included else folder
    if folder not in ARROWS:
        return f"folder {folder} is not in the table of arrows"
    if target in (folder, PUBLIC) or target in reachable(folder):
        return None
    allowed = ", ".join(sorted(reachable(folder) | {PUBLIC}))
    return f"{folder} may include only {allowed}"


def documented(root):
    """The arrows as ARCHITECTURE.md has them: lines `| src/folder | may include | ...`."""
    arrows = {}
    with open(os.path.join(root, "ARCHITECTURE.md"), encoding="utf-8") as lines:
        for line in lines:
            row = re.match(r"\|\s*`src/(\w+)`\s*\|([^|]*)\|", line)
            if row:
                arrows[row[1]] = re.findall(r"`(\w+)`", row[2])
    return arrows


def check(root, build):
    del build
    looked_at = 0
    for path in common.sources(root, "src"):
        with open(os.path.join(root, path), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                include = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<(scweave/[^>]+)>)', line)
                if not include:
                    continue
                looked_at += 1
                included = include[1] or include[2]
                why = problem(path, included)
                if why:
                    yield f"{path}:{number}: includes {included}: {why}"
    written = documented(root)
    for folder in sorted(ARROWS.keys() | written.keys()):
        if written.get(folder) != ARROWS.get(folder):
            yield (f"ARCHITECTURE.md has {written.get(folder)} for {folder}, "
                   f"tools/check_includes.py has {ARROWS.get(folder)}")
    return looked_at
