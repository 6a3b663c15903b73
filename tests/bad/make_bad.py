# SPDX-License-Identifier: BSD-3-Clause
"""Damaged and unsuitable files, each with the status and the words that must answer it."""
import sys
from pathlib import Path

import h5py
import numpy as np

EIO, EFORMAT, ENOTFOUND, EDATA, EUNSUPPORTED = 13, 14, 15, 16, 19
N, M = 6, 4
CASES = []  # (name, function, status, words in the message)


def case(status, *words, suffix=".h5ad"):
    def add(function):
        CASES.append((function.__name__ + suffix, function, status, words))
        return function
    return add


def frame(parent, name, index, **columns):
    g = parent.create_group(name)
    g.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    g.attrs["column-order"] = list(columns) if columns else np.array([], float)
    g["_index"] = np.array(index, dtype=h5py.string_dtype())
    for key, value in columns.items():
        g[key] = value
    return g


def sparse(parent, name, indptr, indices, data, shape, kind="csr_matrix"):
    g = parent.create_group(name)
    g.attrs.update({"encoding-type": kind, "encoding-version": "0.1.0"})
    g.attrs["shape"] = shape
    g["indptr"], g["indices"], g["data"] = indptr, indices, data
    return g


def good(f, cells=None, genes=None):
    f.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    cells = [f"c{i}" for i in range(N)] if cells is None else cells
    genes = [f"g{j}" for j in range(M)] if genes is None else genes
    frame(f, "obs", cells)
    frame(f, "var", genes)
    n = len(cells)
    sparse(f, "X", np.arange(n + 1), np.zeros(n, np.int32), np.ones(n, np.float32),
           [n, len(genes)])
    return f


def edit(path, change):
    with h5py.File(path, "w") as f:
        good(f)
        change(f)


def replace(f, name, value):
    del f[name]
    f[name] = value


# ---------------------------------------------------------------- not HDF5 at all
@case(EIO, "No such file")
def missing(path):
    pass


@case(EFORMAT, "a folder without data", "what can be read: .h5mu")
def directory(path):
    path.mkdir()


@case(EFORMAT, "is empty")
def empty(path):
    path.write_bytes(b"")


@case(EFORMAT, "text, but no matrix", "what can be read: .h5mu")
def text(path):
    path.write_text("Dear reader,\n" * 100)


@case(EFORMAT, "not a file of a known format", "what can be read: .h5mu")
def junk(path):
    path.write_bytes(bytes(range(256)) * 30)


@case(EFORMAT, "truncated")
def truncated(path):
    edit(path, lambda f: f.create_dataset("obsm/X", data=np.random.default_rng(0).random((999, 9))))
    path.write_bytes(path.read_bytes()[:-4000])


@case(EFORMAT)
def headonly(path):
    edit(path, lambda f: None)
    path.write_bytes(path.read_bytes()[:64])


@case(EFORMAT, "an HDF5 file of an unknown layout")
def other_hdf5(path):
    with h5py.File(path, "w") as f:
        f["numbers"] = np.arange(4)


@case(EFORMAT, "unknown layout")
def tenx(path):
    with h5py.File(path, "w") as f:
        f["matrix/barcodes"] = np.array([b"AAAC-1"])


# ---------------------------------------------------------------- absent parts
@case(EFORMAT, "has no 'obs'")
def no_obs(path):
    edit(path, lambda f: f.__delitem__("obs"))


@case(EFORMAT, "has no 'var'")
def no_var(path):
    edit(path, lambda f: f.__delitem__("var"))


@case(ENOTFOUND, "no matrix 'X'", "there is: twice")
def no_x(path):
    edit(path, lambda f: f.move("X", "layers/twice"))


@case(EFORMAT, "_index")
def no_index(path):
    def change(f):
        del f["obs"].attrs["_index"]
        f["obs"].move("_index", "names")
    edit(path, change)


@case(ENOTFOUND, "has no 'gone'")
def index_gone(path):
    edit(path, lambda f: f["obs"].attrs.__setitem__("_index", "gone"))


@case(ENOTFOUND, "has no 'lost'")
def column_gone(path):
    edit(path, lambda f: f["obs"].attrs.__setitem__("column-order", ["lost"]))


@case(ENOTFOUND, "indices")
def no_indices(path):
    edit(path, lambda f: f.__delitem__("X/indices"))


@case(EFORMAT, "shape")
def no_shape(path):
    edit(path, lambda f: f["X"].attrs.__delitem__("shape"))


# ---------------------------------------------------------------- wrong types and sizes
@case(EFORMAT, "holds string values, expected numbers")
def x_of_text(path):
    edit(path, lambda f: replace(f, "X", np.full((N, M), b"a")))


@case(EFORMAT, "expected integers")
def nan_indptr(path):
    edit(path, lambda f: replace(f, "X/indptr", np.full(N + 1, np.nan)))


@case(EFORMAT, "expected numbers")
def text_data(path):
    edit(path, lambda f: replace(f, "X/data", np.full(N, b"x")))


@case(EFORMAT, "3 dimensions")
def x_of_three(path):
    edit(path, lambda f: replace(f, "X", np.zeros((N, M, 2))))


@case(EFORMAT, "expected 6 cells x 4 features")
def x_of_other_shape(path):
    edit(path, lambda f: replace(f, "X", np.zeros((N, M + 1))))


@case(EFORMAT, "expected 6 cells x 4 features")
def shape_differs(path):
    edit(path, lambda f: f["X"].attrs.__setitem__("shape", [N, M + 1]))


@case(EFORMAT, "expected 6 cells x 4 features")
def shape_negative(path):
    edit(path, lambda f: f["X"].attrs.__setitem__("shape", [-1, -1]))


@case(EFORMAT, "expected 2")
def shape_of_three(path):
    edit(path, lambda f: f["X"].attrs.__setitem__("shape", [N, M, 2]))


@case(EFORMAT, "column index 4")
def index_too_large(path):
    edit(path, lambda f: f["X/indices"].__setitem__(2, M))


@case(EFORMAT, "column index -1")
def index_negative(path):
    edit(path, lambda f: f["X/indices"].__setitem__(2, -1))


@case(EFORMAT, "column index")
def index_wide(path):
    edit(path, lambda f: replace(f, "X/indices", np.full(N, 2**40)))


@case(EFORMAT, "column index")
def csc_index(path):
    def change(f):
        del f["X"]
        sparse(f, "X", np.arange(M + 1), np.full(M, N), np.ones(M), [N, M], "csc_matrix")
    edit(path, change)


@case(EFORMAT, "decreases")
def indptr_decreases(path):
    edit(path, lambda f: f["X/indptr"].__setitem__(2, 0))


@case(EFORMAT, "starts at 1")
def indptr_starts(path):
    edit(path, lambda f: f["X/indptr"].__setitem__(0, 1))


@case(EFORMAT, "reaches 99")
def indptr_beyond(path):
    edit(path, lambda f: f["X/indptr"].__setitem__(N, 99))


@case(EFORMAT, "has 5 values, expected 7")
def indptr_short(path):
    edit(path, lambda f: replace(f, "X/indptr", np.arange(5)))


@case(EFORMAT, "must be equal")
def data_short(path):
    edit(path, lambda f: replace(f, "X/data", np.ones(2)))


@case(EFORMAT, "is out of range")
def codes_out_of_range(path):
    def change(f):
        g = f["obs"].create_group("label")
        g.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0",
                        "ordered": False})
        g["codes"] = np.full(N, 3, np.int8)
        g["categories"] = np.array(["a", "b"], dtype=object)
        f["obs"].attrs["column-order"] = ["label"]
    edit(path, change)


@case(EFORMAT, "the index has 6")
def column_short(path):
    def change(f):
        f["obs/n"] = np.arange(3)
        f["obs"].attrs["column-order"] = ["n"]
    edit(path, change)


@case(EUNSUPPORTED, "csr_matrix", "9.9.9")
def future_encoding(path):
    edit(path, lambda f: f["X"].attrs.__setitem__("encoding-version", "9.9.9"))


@case(EFORMAT, "expected a matrix")
def x_is_frame(path):
    def change(f):
        del f["X"]
        frame(f, "X", ["a"])
    edit(path, change)


@case(EUNSUPPORTED, "scale-offset", "compression='gzip'")
def scale_offset(path):
    edit(path, lambda f: (f.__delitem__("X"), f.create_dataset(
        "X", data=np.ones((N, M), "i4"), scaleoffset=0)))


# ---------------------------------------------------------------- hostile sizes and links
@case(EFORMAT, "line 2", "far more than the", suffix=".mtx")
def empty_features(path):
    path.write_text("%%MatrixMarket matrix array real general\n0 525555555\n5\n")


@case(EFORMAT, "line 2", "far more than the", suffix=".mtx")
def empty_cells(path):
    path.write_text("%%MatrixMarket matrix coordinate real general\n2 2000000000 1\n1 1 5\n")


@case(EFORMAT, "declares")
def huge_dense(path):
    edit(path, lambda f: (f.__delitem__("X"), f.create_dataset(
        "X", (N, 2**38), "f4", chunks=(1, 1024), compression="gzip")))


@case(EFORMAT, "declares")
def huge_index(path):
    edit(path, lambda f: (f.__delitem__("obs/_index"), f["obs"].create_dataset(
        "_index", (2**40,), "S20", chunks=(1024,))))


@case(EFORMAT, "declares")
def huge_indptr(path):
    edit(path, lambda f: (f.__delitem__("X/indptr"), f["X"].create_dataset(
        "indptr", (2**40,), "i8", chunks=(1024,))))


@case(EFORMAT, "link to another file")
def external_link(path):
    def change(f):
        del f["X"]
        f["X"] = h5py.ExternalLink("/etc/passwd", "/X")
    edit(path, change)


@case(EFORMAT)
def soft_to_external(path):
    def change(f):
        del f["X"]
        f["away"] = h5py.ExternalLink("/etc/passwd", "/")
        f["X"] = h5py.SoftLink("/away/X")
    edit(path, change)


@case(EFORMAT)
def soft_circle(path):
    def change(f):
        del f["X"]
        f["X"] = h5py.SoftLink("/Y")
        f["Y"] = h5py.SoftLink("/X")
    edit(path, change)


@case(EFORMAT, "other files")
def virtual_values(path):
    def change(f):
        del f["X"]
        layout = h5py.VirtualLayout((N, M), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "X", (N, M))
        f.create_virtual_dataset("X", layout)
    edit(path, change)


@case(EFORMAT, "other files")
def external_values(path):
    edit(path, lambda f: (f.__delitem__("X"), f.create_dataset(
        "X", (N, M), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])))


@case(EFORMAT)
def group_circle(path):
    """A group that holds itself where a column should be."""
    def change(f):
        f["obs/loop"] = f["obs"]
        f["obs"].attrs["column-order"] = ["loop"]
        f["obs"].attrs["encoding-type"] = "dataframe"
        del f["X"]
        f["X"] = f["obs"]
    edit(path, change)


# ---------------------------------------------------------------- unusable contents
@case(EDATA, "cell name 'c1' occurs twice (rows 2 and 4)", "obs_names_make_unique")
def duplicate_cells(path):
    with h5py.File(path, "w") as f:
        good(f, cells=["c0", "c1", "c2", "c1", "c4", "c5"])


@case(EDATA, "has no cells")
def no_cells(path):
    with h5py.File(path, "w") as f:
        good(f, cells=[])


@case(EDATA, "has no features")
def no_features(path):
    with h5py.File(path, "w") as f:
        good(f, genes=[])


def h5mu(path, change):
    with h5py.File(path, "w") as f:
        f.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0})
        for name in ("rna", "adt"):
            good(f.create_group(f"mod/{name}"))
        frame(f, "obs", [f"c{i}" for i in range(N)])
        f["obsmap/rna"] = np.arange(1, N + 1)
        change(f)


@case(EFORMAT, "along axis 2", suffix=".h5mu")
def strange_axis(path):
    h5mu(path, lambda f: f.attrs.__setitem__("axis", 2))


@case(EDATA, "no modalities", suffix=".h5mu")
def no_modalities(path):
    h5mu(path, lambda f: (f.__delitem__("mod"), f.create_group("mod")))


@case(EDATA, "has no cells", suffix=".h5mu")
def empty_modality(path):
    h5mu(path, lambda f: (f.__delitem__("mod/adt"), good(f.create_group("mod/adt"), cells=[])))


@case(EFORMAT, "row 99", suffix=".h5mu")
def obsmap_beyond(path):
    h5mu(path, lambda f: f["obsmap/rna"].__setitem__(1, 99))


@case(EFORMAT, "share row", suffix=".h5mu")
def obsmap_twice(path):
    h5mu(path, lambda f: f["obsmap/rna"].__setitem__(1, 1))


@case(EFORMAT, "expected 6 row numbers", suffix=".h5mu")
def obsmap_short(path):
    h5mu(path, lambda f: replace(f, "obsmap/rna", np.arange(3)))


@case(EDATA, "no cell of modality 'adt'", suffix=".h5mu")
def strangers(path):
    h5mu(path, lambda f: (f.__delitem__("mod/adt"),
                          good(f.create_group("mod/adt"), cells=["x", "y"])))


@case(EDATA, "cell name 'c0' occurs twice", suffix=".h5mu")
def duplicate_global(path):
    h5mu(path, lambda f: (f.__delitem__("obs"), f.__delitem__("obsmap"),
                          frame(f, "obs", ["c0", "c1", "c0"])))


@case(EFORMAT, "is a dataset, expected a group", suffix=".h5mu")
def mod_is_dataset(path):
    h5mu(path, lambda f: (f.__delitem__("mod/adt"), f.__setitem__("mod/adt", np.arange(3))))


def make(out):
    out.mkdir(parents=True, exist_ok=True)
    for name, function, _, _ in CASES:
        function(out / name)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
