# SPDX-License-Identifier: BSD-3-Clause
"""Each bad file is refused with its status and one clear message, and inspected without a crash."""
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "io"))
import common
import make_bad

tool = sys.argv[1]
checks = common.Checks()
expect = checks.expect


def run(*args):
    return common.run(tool, *args, check=False)


def check_case(path, status, words):
    done = run("dump", path.parent, path)
    lines = [l for l in done.stderr.splitlines() if not l.startswith("log: ")]
    expect(done.returncode == status, f"{path.name}: exit {done.returncode}, expected {status}: "
           f"{done.stderr[-600:]}")
    expect(len(lines) == 1 and path.name in lines[0], f"{path.name}: message {lines}")
    for word in words:
        expect(word in done.stderr, f"{path.name}: '{word}' is not in {lines}")
    seen = run("inspect", path)
    expect(seen.returncode in (0, 13, 14), f"{path.name}: inspect: {seen.returncode} {seen.stderr}")
    if seen.returncode == 0:
        problems = [p for p in json.loads(seen.stdout)["problems"] if p["severity"] != "note"]
        expect(problems, f"{path.name}: inspect sees no problem")


def check_damage(directory):
    """Bytes changed at random: any answer but a crash. Fixed seed; fuzz/ changes values."""
    rng = random.Random(7)
    base = directory / "base.h5mu"
    make_bad.h5mu(base, lambda f: None)
    bytes_ = base.read_bytes()
    target = directory / "damaged.h5mu"
    for _ in range(30):
        copy = bytearray(bytes_)
        for _ in range(rng.randint(1, 6)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
        target.write_bytes(copy)
        for command in ("dump", "inspect"):
            done = run(*((command, directory, target) if command == "dump" else (command, target)))
            wrong = "ERROR: " in done.stderr or "runtime error" in done.stderr
            expect(0 <= done.returncode < 30 and not wrong,
                   f"damaged: {command}: {done.returncode} {done.stderr[-900:]}")


def check_output(directory):
    """Places that cannot be written."""
    good = directory / "good.h5ad"
    make_bad.edit(good, lambda f: None)
    for where in (directory / "absent" / "out.h5ad", directory):
        done = run("write", where, good)
        expect(done.returncode == 13 and len(done.stderr.splitlines()) == 1, f"{where}: {done}")
    # Without an obs group that fits, the target must stay as it was.
    target = directory / "kept.h5ad"
    target.write_text("precious")
    broken = directory / "huge_dense.h5ad"
    expect(run("write", target, broken).returncode == 14, "write of a bad file")
    expect(target.read_text() == "precious", "the target was touched")


def check_full_disk(directory):
    """A small file system that fills up; needs the right to mount."""
    mount = directory / "small"
    mount.mkdir()
    big = directory / "big.h5ad"
    make_bad.edit(big, lambda f: f.create_dataset(
        "obsm/X", data=make_bad.np.random.default_rng(0).random((40000, 6))))
    for size in ("1m", "1900k", "3m"):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", mount],
                          capture_output=True).returncode:
            print("note: cannot mount a small file system; the full-disk check is skipped")
            return
        try:
            target = mount / "out.h5ad"
            target.write_text("precious")
            done = run("write", target, big)
            expect(done.returncode == 13 and "No space left" in done.stderr,
                   f"full disk ({size}): {done.returncode} {done.stderr}")
            expect(target.read_text() == "precious", "full disk: the target was touched")
            left = [p.name for p in mount.iterdir()]
            expect(left == ["out.h5ad"], f"full disk: left behind {left}")
            new = run("h5mu", mount / "new.h5mu", big)
            expect(new.returncode in (0, 13), f"full disk: {new.returncode} {new.stderr}")
        finally:
            subprocess.run(["umount", mount], check=True)


with tempfile.TemporaryDirectory() as scratch:
    directory = Path(scratch)
    make_bad.make(directory)
    for name, _, status, words in make_bad.CASES:
        check_case(directory / name, status, words)
    check_output(directory)
    check_full_disk(directory)
    check_damage(directory)
checks.end(f"{len(make_bad.CASES)} files")
