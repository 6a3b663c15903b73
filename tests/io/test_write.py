# SPDX-License-Identifier: BSD-3-Clause
"""Written files hold all that the input held, bit by bit, and the results in the right encodings."""
import shutil
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

import common
import make_inputs

tool = sys.argv[1]
# Under a sanitizer the real files go through the program only: what it wrote is the same, and was looked
# at in the normal build.
sanitized = common.is_sanitized(tool)
checks = common.Checks()
expect = checks.expect
COLUMNS = ["test_label", "test_confidence", "test_note", "test_number", "test_flag",
           "test_nullable"]
OWN = {"uns/scweave", "obsm/X_test", "obsm/test_probabilities", *(f"obs/{c}" for c in COLUMNS),
       *(f"obs/__categories/{c}" for c in COLUMNS)}


def same_value(a, b):
    if isinstance(a, (h5py.Reference, h5py.h5r.Reference)):
        return isinstance(b, (h5py.Reference, h5py.h5r.Reference)) and bool(a) and bool(b)
    if isinstance(a, np.ndarray):
        if not isinstance(b, np.ndarray) or a.dtype != b.dtype or a.shape != b.shape:
            return False
        return a.tolist() == b.tolist() if a.dtype.hasobject else a.tobytes() == b.tobytes()
    return type(a) is type(b) and (a == b or a != a)


def differences(old, new, skip=(), ignore_attrs=()):
    """Paths under the group `old` that `new` lacks or holds otherwise."""
    out = []

    def attributes(name, a, b):
        for key in a.attrs:
            if (name, key) in ignore_attrs:
                continue
            if key not in b.attrs or not same_value(a.attrs[key], b.attrs[key]):
                out.append(f"{name}@{key}")

    def visit(name, a):
        if any(name == s or name.startswith(s + "/") for s in skip):
            return
        if name not in new:
            out.append(name)
            return
        b = new[name]
        if type(a) is not type(b):
            out.append(name)
        elif isinstance(a, h5py.Dataset) and not same_value(a[()], b[()]):
            out.append(name)
        attributes(name, a, b)

    attributes("", old, new)
    old.visititems(visit)
    return out


def check_results(obs, obsm, uns, where):
    n = len(obs)
    i = np.arange(n)
    label = [None, "B/x cell", "T α"]
    expect(list(obs.columns)[-6:] == COLUMNS, f"{where}: columns {list(obs.columns)}")
    expect(list(obs["test_label"].cat.categories) == label[1:], f"{where}: categories")
    expect(common.column_values(obs["test_label"]) == [label[k % 3] for k in i], f"{where}: label")
    expect(np.array_equal(obs["test_confidence"], i / 8), f"{where}: confidence")
    expect(list(obs["test_note"].astype(str)) == ["odd" if k % 2 else "even" for k in i],
           f"{where}: note")
    expect(np.array_equal(obs["test_number"], i - 5), f"{where}: number")
    expect(np.array_equal(obs["test_flag"].astype(bool), i % 2 == 1), f"{where}: flag")
    expect(common.column_values(obs["test_nullable"]) == [None if k % 4 == 0 else k for k in i],
           f"{where}: nullable")
    x = np.asarray(obsm["X_test"])
    expect(x.dtype == np.float32 and np.array_equal(x.ravel(), np.arange(n * 5) / 4),
           f"{where}: X_test")
    p = obsm["test_probabilities"]
    expect(list(p.columns) == ["B_x cell", "T α", "B_x cell_2"], f"{where}: {list(p.columns)}")
    expect(np.array_equal(p.to_numpy().ravel(), np.arange(n * 3)), f"{where}: probabilities")
    expect(list(p.index) == list(obs.index), f"{where}: index of probabilities")
    expect(uns["version"] == "0.1.0" and uns["seed"] == 7 and uns["share"] == 0.5 and
           uns["options"] == '{"epochs":3}', f"{where}: record {uns}")


def open_results(path, where):
    if path.suffix == ".h5ad" and path.name not in ("legacy.h5ad",):
        a = common.anndata.read_h5ad(path)
        check_results(a.obs, a.obsm, a.uns["scweave"], where)
        return
    with h5py.File(path) as f:
        obsm = {k: common.read_elem(f["obsm"][k]) for k in ("X_test", "test_probabilities")}
        check_results(common.read_frame(f["obs"]), obsm, common.read_elem(f["uns/scweave"]), where)
    if path.suffix == ".h5mu":
        common.modalities(path)


def check_copy(path, directory):
    out = directory / path.name
    common.run(tool, "write", out, path)
    if sanitized and common.DATA in path.parents:
        common.run(tool, "write", out, out)
        return
    with h5py.File(path) as old, h5py.File(out) as new:
        records = [k for k in ("obs", "obsm") if k in old and isinstance(old[k], h5py.Dataset)]
        lost = differences(old, new, skip=[*OWN, *records], ignore_attrs={("obs", "column-order")})
        expect(not lost, f"{path.name}: lost or changed: {lost}")
        for name in records: # rewritten as a group; the values stay
            for key in old[name].dtype.names:
                a, b = old[name][key], new[name]["_index" if key == "index" else key][()]
                if a.dtype.kind == "S":
                    a = np.array([v.decode("latin-1") for v in a])
                    b = np.array([v.decode() for v in b])
                expect(np.array_equal(a, b.reshape(a.shape), equal_nan=a.dtype.kind == "f"),
                       f"{path.name}: {name}/{key}")
        if "column-order" in getattr(old["obs"], "attrs", {}):
            order = list(old["obs"].attrs["column-order"])
            expect(list(new["obs"].attrs["column-order"]) ==
                   order + [c for c in COLUMNS if c not in order], f"{path.name}: column-order")
    open_results(out, path.name)
    again = directory / ("again" + path.suffix)
    common.run(tool, "write", again, path)
    expect(again.read_bytes() == out.read_bytes(), f"{path.name}: two runs differ")
    common.run(tool, "write", out, out) # in place, replacing
    open_results(out, path.name + " in place")


def check_joined(inputs, directory):
    out = directory / "joined.h5mu"
    for pair in (("one", "two"), ("csr", "legacy"), ("csc", "csr")):
        paths = [inputs / f"{name}.h5ad" for name in pair]
        if pair == ("csc", "csr"): # the same cells in both
            paths[0] = directory / "other.h5ad"
            shutil.copy(inputs / "csc.h5ad", paths[0])
        common.run(tool, "write", out, *paths)
        with h5py.File(out) as new:
            for name, path in zip(("first", "second"), paths):
                with h5py.File(path) as old:
                    lost = differences(old, new[f"mod/{name}"])
                    expect(not lost, f"joined {pair}: lost {lost}")
            expect(list(new["mod"].attrs["mod-order"]) == ["first", "second"], "mod-order")
            expect(new.attrs["encoding-type"] == "MuData" and new.attrs["axis"] == 0, "root")
            n = sum(len(new[f"varm/{m}"]) == len(new["var/_index"]) for m in ("first", "second"))
            expect(n == 2 and len(new["obsmap/first"]) == len(new["obs/_index"]), "maps")
        expect(out.read_bytes().startswith(b"MuData (format-version"), "user block")
        open_results_joined(out, str(pair))


def open_results_joined(path, where):
    with h5py.File(path) as f:
        obsm = {k: common.read_elem(f["obsm"][k]) for k in ("X_test", "test_probabilities")}
        check_results(common.read_frame(f["obs"]), obsm, common.read_elem(f["uns/scweave"]), where)


def check_new(path, directory):
    """A set written from memory reads back as the same set."""
    out, again = directory / "new.h5mu", directory / "new2.h5mu"
    common.run(tool, "h5mu", out, path)
    common.run(tool, "h5mu", again, out)
    expect(out.read_bytes()[:6] == b"MuData", f"{path.name}: user block")
    old, new = directory / "old", directory / "new"
    for d, p in ((old, path), (new, out)):
        d.mkdir(exist_ok=True)
        common.run(tool, "dump", d, p)
    a, b = (common.json.loads((d / "set.json").read_text()) for d in (old, new))
    for m in a["modalities"]:
        for what in ("indptr", "indices", "values"):
            expect((old / f"{m['name']}.{what}").read_bytes() ==
                   (new / f"{m['name']}.{what}").read_bytes(), f"{path.name}: {m['name']} {what}")
    expect(a["modalities"] == b["modalities"], f"{path.name}: modalities")
    expect(a["obs"]["index"] == b["obs"]["index"], f"{path.name}: cells")
    for name, column in a["obs"]["columns"].items():
        expect(b["obs"]["columns"].get(name) == column, f"{path.name}: obs {name}")


with tempfile.TemporaryDirectory() as scratch:
    inputs, directory = Path(scratch) / "in", Path(scratch) / "out"
    directory.mkdir()
    make_inputs.make(inputs)
    files = [*sorted(inputs.glob("*.h5*")), *common.real_files(
        common.FIXTURES + ["bmmc_cite/bmmc_cite_a.h5mu", "teaseq_matilda/*.h5*"])]
    for path in files:
        try:
            check_copy(path, directory)
            check_new(path, directory)
        except AssertionError as e:
            expect(False, f"{path}: {e}")
    check_joined(inputs, directory)
    # The comparison itself must notice one changed value and one changed attribute.
    shutil.copy(inputs / "csr.h5ad", directory / "changed.h5ad")
    with h5py.File(directory / "changed.h5ad", "r+") as f:
        f["uns/note/deep/er"][0] = 9
        f["X"].attrs["encoding-version"] = "9"
    with h5py.File(inputs / "csr.h5ad") as a, h5py.File(directory / "changed.h5ad") as b:
        expect(differences(a, b) == ["X@encoding-version", "uns/note/deep/er"],
               f"self-check: {differences(a, b)}")
    leftovers = [p.name for p in directory.iterdir() if ".tmp-" in p.name]
    expect(not leftovers, f"left behind: {leftovers}")
checks.end(f"{len(files)} files")
