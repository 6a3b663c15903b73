# SPDX-License-Identifier: BSD-3-Clause
"""Each crafted file is judged, refused or read as its case says and as docs/formats.md says: without a
crash, in bounded memory and time, and without a look at any other file."""
import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "io"))
import common
import make_crafted
from make_crafted import CASES, NOT_COPIED, REFUSED

tool, program = sys.argv[1:3]
checks = common.Checks()
expect = checks.expect
DOCS = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
MEMORY = 3 << 30  # address space of the one process that takes all files
FAILED = (12, 13, 14)  # out of memory, system, an internal error: no answer to a bad file


class Watch:
    """Was one of the files opened? Asked of the kernel, so that no path goes unseen."""

    def __init__(self, *paths):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        for path in paths:
            added = libc.inotify_add_watch(self.fd, str(path).encode(), 0x21)  # IN_ACCESS | IN_OPEN
            assert added > 0, os.strerror(ctypes.get_errno())

    def seen(self):
        try:
            return len(os.read(self.fd, 4096)) > 0
        except BlockingIOError:
            return False


def limits():
    if not common.is_sanitized(tool):  # its shadow memory is terabytes of address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (200, 200))


def run_all(folder, out, paths):
    done = subprocess.run([tool, out, *paths], capture_output=True, text=True, timeout=220,
                          preexec_fn=limits, env={**common.SANITIZED, "OMP_NUM_THREADS": "2"})
    lines = done.stdout.splitlines()
    expect(done.returncode == 0, f"exit {done.returncode} at {lines[-1][:200] if lines else '?'}: "
           f"{done.stderr[-3000:]}")
    expect(len(lines) == len(paths), f"{len(lines)} answers for {len(paths)} files")
    return [json.loads(line) for line in lines]


def check_case(answer):
    name = Path(answer["path"]).name
    _, outcome, rules = CASES[name]
    verbs = answer["verbs"]
    for verb, got in verbs.items():
        words = got["message"]
        expect(got["status"] in (0, 1, 2, 3, 4, 5, 6, 9) and
               (got["status"] == 0) == (words == ""), f"{name}: {verb}: {got}")
    if "report" not in verbs["validate"]:
        expect(False, f"{name}: no report: {verbs['validate']}")
        return
    report = verbs["validate"]["report"]
    found = {f["rule"] for f in report["findings"]}
    expect(found == set(rules), f"{name}: found {sorted(found)}, expected {sorted(rules)}: "
           f"{[(f['element'], f['found']) for f in report['findings']]}")
    errors = sum(f["severity"] == "error" for f in report["findings"])
    expect(report["n_errors"] == errors and report["valid"] == (errors == 0), f"{name}: {report}")
    computed = verbs["compute"]
    expect((computed["status"] != 0) == (outcome == REFUSED), f"{name}: {outcome}, but {computed}")
    # What is refused by what computes must be an error; what is no error must be read.
    if outcome == REFUSED:
        expect(errors > 0, f"{name}: refused, but valid")
        expect(name in computed["message"] or "values-finite" in rules,
               f"{name}: {computed['message']}")
    if outcome == NOT_COPIED:
        expect(verbs["copy"]["status"] and verbs["compress"]["status"], f"{name}: copied")


def check_secrets(out):
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        expect(make_crafted.SECRET not in path.read_bytes(), f"{path.name}: holds the canary")


def check_rules():
    """The table in docs/formats.md is that of the program, and the crafted files break nearly all."""
    listed = subprocess.run([program, "validate", "--rules", "-q"], capture_output=True, text=True,
                            check=True).stdout.splitlines()[1:]
    rules = {re.split(r" {2,}", line.strip())[0]: re.split(r" {2,}", line.strip())
             for line in listed}
    rows = [line.strip("| \n").split(" | ") for line in DOCS.read_text().splitlines()
            if re.match(r"\| `[a-z0-9-]+` \| (error|warning) \|", line)]
    table = {row[0].strip("`"): [row[0].strip("`"), *row[1:]] for row in rows}
    expect(list(table) == list(rules), f"docs/formats.md: rules differ: "
           f"{sorted(set(table) ^ set(rules)) or 'in their order'}")
    for name, row in rules.items():
        expect(table.get(name) == row, f"docs/formats.md: {name}: {table.get(name)}, expected {row}")
    broken = {rule for _, _, each in CASES.values() for rule in each}
    expect(broken <= set(rules), f"unknown rules: {broken - set(rules)}")
    expect(set(rules) - broken <= {"matrix-present", "shape-in-range"},
           f"no crafted file breaks {sorted(set(rules) - broken)}")
    # What the table of crafted files says of rules must be rules.
    section = DOCS.read_text().split("## Crafted and damaged files")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", section))
    expect(named <= set(rules) and broken <= named | {"readable"},
           f"docs/formats.md: {sorted(named - set(rules))}, {sorted(broken - named)}")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = Path(temporary) / "in", Path(temporary) / "out"
        out.mkdir()
        make_crafted.make(folder)
        watch = Watch(folder / "canary.bin", folder / "canary.h5")
        answers = run_all(folder, out, [folder / name for name in CASES])
        for answer in answers:
            check_case(answer)
        expect(not watch.seen(), "a file was opened that nobody named")
        check_secrets(out)
        (folder / "canary.bin").read_bytes()
        expect(watch.seen(), "the watch does not see")
    check_rules()
    checks.end(f"{len(CASES)} crafted files")


main()
