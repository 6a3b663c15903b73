# SPDX-License-Identifier: BSD-3-Clause
"""Every file: what the library read equals what anndata and h5py read."""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import common
import make_inputs

tool = sys.argv[1]
checks = common.Checks()
expect = checks.expect


def dump(directory, *args):
    common.run(tool, "dump", directory, *args)
    return json.loads((directory / "set.json").read_text())


def matrix(directory, m):
    part = lambda what, dtype: np.fromfile(directory / f"{m['name']}.{what}", dtype)
    return common.sp.csr_matrix((part("values", np.float32), part("indices", np.int32),
                                 part("indptr", np.int64)), (m["n_rows"], m["n_cols"]))


def same_matrix(got, want, where):
    expect(got.shape == want.shape, f"{where}: shape {got.shape} {want.shape}")
    for what in ("indptr", "indices", "data"):
        expect(np.array_equal(getattr(got, what), getattr(want, what), equal_nan=what == "data"),
               f"{where}: {what} differs")


def same_frame(got, want, where, prefix=""):
    expect(got["index"] == [str(v) for v in want.index], f"{where}: index differs")
    for name in want.columns:
        have = got["columns"].get(prefix + name)
        expect(have is not None, f"{where}: no column {prefix + name}")
        if have is None:
            continue
        values = common.column_values(want[name])
        expect(have["values"] == values,
               f"{where}: column {name}: {have['values'][:6]} but expected {values[:6]}")
        if hasattr(want[name], "cat"):
            expect(have["ordered"] == bool(want[name].cat.ordered), f"{where}: {name}: ordered")


def check_file(path, directory):
    got = dump(directory, path)
    parts, obs = common.modalities(path)
    expect(len(parts) == len(got["modalities"]), f"{path}: number of modalities")
    for (name, a), m in zip(parts, got["modalities"]):
        where = f"{path.name}:{m['name']}"
        expect(name in (None, m["name"]), f"{where}: expected {name}")
        expect(m["sparse"] == common.sp.issparse(a.X), f"{where}: sparse or dense")
        same_matrix(matrix(directory, m), common.as_csr(a.X), where)
        same_frame(m["var"], a.var, where + " var")
        if obs is None:
            same_frame(got["obs"], a.obs, where + " obs")
            continue
        row = {c: i for i, c in enumerate(a.obs_names)}
        expect(m["row_of_obs"] == [row.get(c, -1) for c in obs.index], f"{where}: presence")
    if obs is not None:
        same_frame(got["obs"], obs, path.name + " obs")
    expect(got["peak_rss"] < 150e6 or common.is_sanitized(tool), f"{path}: peak memory {got['peak_rss'] / 1e6:.0f} MB")


def check_layers(inputs, directory):
    a = common.anndata.read_h5ad(inputs / "csc.h5ad")
    for layer, want in (("twice", a.layers["twice"]), ("raw", a.raw.X)):
        got = dump(directory, "--layer", layer, inputs / "csc.h5ad")
        same_matrix(matrix(directory, got["modalities"][0]), common.as_csr(want), f"layer {layer}")
    missing = common.run(tool, "dump", directory, "--layer", "none", inputs / "csc.h5ad", check=False)
    expect(missing.returncode == 15 and "X, raw, twice" in missing.stderr, missing.stderr)


def check_merged(inputs, directory):
    """Labels that only the modalities have, where they agree; "own" differs between them."""
    for name in ("mapped.h5mu", "named.h5mu"):
        columns = dump(directory, inputs / name)["obs"]["columns"]
        want = {c: r for _, a in common.modalities(inputs / name)[0]
                for c, r in zip(a.obs_names, a.obs["label"])}
        got = dump(directory, inputs / name)["obs"]
        expect(got["columns"]["label"]["values"] == [want.get(c) for c in got["index"]],
               f"{name}: merged label")
        expect("own" not in columns and "rna:own" in columns and "adt:own" in columns,
               f"{name}: {list(columns)}")


def check_joined(inputs, directory):
    one, two = (common.anndata.read_h5ad(inputs / f"{n}.h5ad") for n in ("one", "two"))
    got = dump(directory, inputs / "one.h5ad", inputs / "two.h5ad")
    cells = list(dict.fromkeys([*one.obs_names, *two.obs_names]))
    expect(got["obs"]["index"] == cells, "joined: cells")
    for m, a in zip(got["modalities"], (one, two)):
        row = {c: i for i, c in enumerate(a.obs_names)}
        expect(m["row_of_obs"] == [row.get(c, -1) for c in cells], f"joined: {m['name']}")
        same_matrix(matrix(directory, m), common.as_csr(a.X), f"joined {m['name']}")
    labels = {**one.obs["label"].to_dict(), **two.obs["label"].to_dict()}
    expect(got["obs"]["columns"]["label"]["values"] == [labels[c] for c in cells], "joined: label")
    expect("differs" not in got["obs"]["columns"], "joined: columns that differ stay apart")


with tempfile.TemporaryDirectory() as scratch:
    inputs, directory = Path(scratch) / "in", Path(scratch) / "out"
    directory.mkdir()
    make_inputs.make(inputs)
    files = [*sorted(inputs.glob("*.h5*")), *common.real_files(common.FIXTURES + common.MAIN)]
    for path in files:
        try:
            check_file(path, directory)
        except AssertionError as e:
            expect(False, f"{path}: {e}")
    check_layers(inputs, directory)
    check_merged(inputs, directory)
    check_joined(inputs, directory)
    # The comparison itself must notice a difference.
    before = checks.failed
    bad = common.as_csr(common.anndata.read_h5ad(inputs / "csr.h5ad").X)
    good = bad.copy()
    bad.data[0] += 1
    same_matrix(good, bad, "(intended)")
    noticed = checks.failed > before
    checks.failed = before + (not noticed)
checks.end(f"{len(files)} files")
