# SPDX-License-Identifier: BSD-3-Clause
"""Is everything of one HDF5 file in another? Every element below a path of the first must be in the
second with the same type, shape, bytes and attributes; filters and chunks may differ.

    compare_h5.py A.h5ad B.h5ad           compare two files, whole
    compare_h5.py A.h5ad:/ B.h5mu:/mod/rna   or parts of them
    compare_h5.py --all PROGRAM [SCRATCH]  convert every .h5ad and .h5mu below SCW_DATA there and back, in a
                                          temporary folder below SCRATCH
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np


def same_value(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
        return False
    if a.dtype.names:
        return a.dtype == b.dtype and all(same_value(a[n], b[n]) for n in a.dtype.names)
    if a.dtype.kind == "O":
        return all(same_leaf(x, y) for x, y in zip(a.ravel(), b.ravel()))
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


def same_leaf(x, y):
    if isinstance(x, h5py.Reference):  # what it points to is compared by its own path
        return isinstance(y, h5py.Reference)
    if isinstance(x, np.ndarray):
        return same_value(x, y)
    if isinstance(x, bytes):
        x = x.decode("utf-8", "surrogateescape")
    if isinstance(y, bytes):
        y = y.decode("utf-8", "surrogateescape")
    return x == y


def attributes(a, b, where, skip):
    for name in a.attrs:
        if name in skip:
            continue
        if name not in b.attrs:
            yield f"{where}: attribute '{name}' is missing"
            continue
        x, y = a.attrs[name], b.attrs[name]
        if isinstance(x, h5py.Empty) or isinstance(y, h5py.Empty):
            if type(x) is not type(y):
                yield f"{where}: attribute '{name}' is {y!r}, expected {x!r}"
        elif isinstance(x, h5py.Reference):
            if a.file[x].name.rsplit("/", 1)[1] != b.file[y].name.rsplit("/", 1)[1]:
                yield f"{where}: attribute '{name}' points to {b.file[y].name}"
        elif np.asarray(x).dtype.kind in "OSU":
            if not same_value(np.asarray(x, dtype=object), np.asarray(y, dtype=object)):
                yield f"{where}: attribute '{name}' is {y!r}, expected {x!r}"
        elif not same_value(x, y):
            yield f"{where}: attribute '{name}' is {y!r}, expected {x!r}"


def compare(a, b, where="", skip=()):
    """Sentences on what of `a` is not, or is different, in `b`."""
    yield from attributes(a, b, where or "/", skip)
    if isinstance(a, h5py.Dataset):
        if a.dtype != b.dtype or a.shape != b.shape:
            yield f"{where}: {b.dtype} {b.shape}, expected {a.dtype} {a.shape}"
        elif a.shape is not None and not same_value(a[()], b[()]):
            yield f"{where}: other values"
        return
    for name in a:
        kind = a.get(name, getlink=True)
        if isinstance(kind, (h5py.SoftLink, h5py.ExternalLink)):
            continue
        if name not in b:
            yield f"{where}/{name}: is missing"
        elif type(a[name]) is not type(b[name]):
            yield f"{where}/{name}: is another kind of element"
        else:
            yield from compare(a[name], b[name], f"{where}/{name}")


def compare_files(a, b, path_a="/", path_b="/", skip=()):
    with h5py.File(a, "r") as x, h5py.File(b, "r") as y:
        return list(compare(x[path_a], y[path_b], skip=skip))


# ------------------------------------------------------------------ every file of a folder

def convert(program, *args):
    done = subprocess.run([program, "convert", "--quiet", *map(str, args)], capture_output=True,
                          text=True)
    return None if done.returncode == 0 else done.stderr.strip()


def round_trips(program, path, out):
    """Problems of one file: to itself, into the other format and back, with other compression."""
    found = []

    def step(target, *args):
        why = convert(program, *args, target)
        if why:
            found.append(why)
        return not why

    copy = out / f"copy{path.suffix}"
    for compression in ("keep", "lzf", "none"):
        if step(copy, path, "--compression", compression):
            found += [f"{compression}: {p}" for p in compare_files(path, copy)]
    if path.suffix == ".h5ad":
        both, back = out / "wrapped.h5mu", out / "back.h5ad"
        if step(both, path):
            with h5py.File(both) as f:
                names = list(f["mod"])
            if len(names) == 1 and step(back, both):
                found += [f"h5mu and back: {p}" for p in compare_files(path, back)]
    else:
        with h5py.File(path) as f:
            names = list(f["mod"])
        for name in names:
            one = out / "one.h5ad"
            if step(one, path, "--modality", name):
                # columns of the whole set's obs come in addition
                found += [f"{name}: {p}" for p in compare_files(path, one, f"/mod/{name}", "/")
                          if "column-order" not in p]
    return found


def main():
    if sys.argv[1:2] == ["--all"]:
        data = Path(os.environ.get("SCW_DATA") or
                    Path(__file__).resolve().parents[3] / "shared" / "data")
        files = sorted(p for p in data.rglob("*") if p.suffix in (".h5ad", ".h5mu"))
        if not files:
            print(f"SKIP: no .h5ad or .h5mu below {data}")
            return 77
        bad = 0
        for path in files:
            with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as out:
                problems = round_trips(sys.argv[2], path, Path(out))
            print("FAIL" if problems else "ok  ", path.relative_to(data))
            for p in problems[:5]:
                print("      ", p)
            bad += bool(problems)
        print(f"{len(files)} files, {bad} with losses")
        return bad > 0
    (a, _, at), (b, _, to) = (arg.partition(":") for arg in sys.argv[1:3])
    problems = compare_files(a, b, at or "/", to or "/")
    print("\n".join(problems) or "the same")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
