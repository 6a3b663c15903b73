# SPDX-License-Identifier: BSD-3-Clause
"""Crafted files: made to mislead, to exhaust, or to reach out. Each with the rules that `validate` must name
and what becomes of it: REFUSED by what computes with it, READ (as it is, or repaired), NOT_COPIED:
read, but refused by what copies it."""
import gzip
import io
import sys
import tarfile
import zlib
from pathlib import Path

import h5py
import numpy as np

from make_bad import M, N, edit, frame, good, h5mu, replace, sparse

READ, REFUSED, NOT_COPIED = "read", "refused", "not copied"
CASES = {}  # file name: (function, what becomes of it, rules)
SECRET = b"the canary sings 4242"  # what lies in files that must not be read


def case(outcome, *rules, name=None, suffix=".h5ad"):
    def add(function):
        CASES[(name or function.__name__) + suffix] = (function, outcome, rules)
        return function
    return add


def craft(outcome, *rules, suffix=".h5ad"):
    """A change to a good file."""
    def add(change):
        whole = h5mu if suffix == ".h5mu" else edit
        CASES[change.__name__ + suffix] = (lambda path: whole(path, change), outcome, rules)
        return change
    return add


def column(f, name, value=None, order=True, **attrs):
    """A column of obs; without a value a group."""
    element = f["obs"].create_group(name) if value is None else f["obs"].create_dataset(name, data=value)
    element.attrs.update(attrs)
    if order:
        f["obs"].attrs["column-order"] = [*f["obs"].attrs["column-order"], name]
    return element


def categorical(f, codes, categories):
    g = column(f, "label", **{"encoding-type": "categorical", "encoding-version": "0.2.0",
                              "ordered": False})
    if codes is not None:
        g["codes"] = np.array(codes)
    if categories is not None:
        g["categories"] = np.array(categories, dtype=h5py.string_dtype())
    return g


def text(values, **kind):
    return np.array(values, dtype=h5py.string_dtype(**kind))


# ---------------------------------------------------------------- nothing wrong
@craft(READ)
def sound(f):
    categorical(f, np.array([0, 1, -1, 0, 1, 1], np.int8), ["a", "b"])
    f["uns/nested/more"] = 1.0


@craft(READ, suffix=".h5mu")
def sound_multimodal(f):
    pass


@craft(READ)
def named_types(f):
    """Committed types, and a column that uses one."""
    f["type"] = np.dtype("i4")
    f["obs"].create_dataset("n", data=np.arange(N), dtype=f["type"])
    f["obs"].attrs["column-order"] = ["n"]


# ---------------------------------------------------------------- shapes
@craft(REFUSED, "shape-agrees", "indices-in-range")
def shape_vast(f):
    f["X"].attrs["shape"] = [2**62, 2**62]
    f["X/indices"][0] = 2**30


@craft(REFUSED, "shape-agrees")
def shape_attribute_differs(f):
    f["X"].attrs["shape"] = [N, M + 1]


@craft(REFUSED, "shape-agrees")
def shape_dense_differs(f):
    replace(f, "X", np.ones((M, N), "f4"))


@craft(REFUSED, "shape-declared")
def shape_absent(f):
    del f["X"].attrs["shape"]


@craft(READ, "shape-agrees")
def layer_of_other_shape(f):
    f["layers/counts"] = np.ones((N, M + 2), "f4")


@craft(READ, "shape-agrees")
def arrays_of_other_shape(f):
    f["obsm/X_pca"] = np.zeros((N + 1, 2))
    f["obsp/near"] = np.zeros((N, N - 1))


# ---------------------------------------------------------------- sparse vectors
@craft(REFUSED, "indices-in-range")
def indices_beyond(f):
    f["X/indices"][2] = M


@craft(REFUSED, "indices-in-range")
def indices_negative(f):
    f["X/indices"][2] = -1


@craft(REFUSED, "indices-in-range")
def indices_of_64_bits(f):
    replace(f, "X/indices", np.full(N, 2**40))


@craft(REFUSED, "vectors-complete")
def indices_of_floats(f):
    replace(f, "X/indices", np.zeros(N))


def two_a_row(f, indices):
    del f["X"]
    sparse(f, "X", np.arange(0, 2 * N + 1, 2), np.tile(np.array(indices, np.int32), N),
           np.ones(2 * N, "f4"), [N, M])


@craft(READ, "indices-sorted")
def indices_unsorted(f):
    two_a_row(f, [2, 0])


@craft(READ, "indices-unique")
def indices_twice(f):
    two_a_row(f, [1, 1])


@craft(REFUSED, "indptr-monotone")
def indptr_falls(f):
    f["X/indptr"][2] = 0


@craft(REFUSED, "indptr-start")
def indptr_starts_late(f):
    f["X/indptr"][0] = 1


@craft(REFUSED, "indptr-end")
def indptr_beyond(f):
    f["X/indptr"][N] = 99


@craft(REFUSED, "indptr-end", "indptr-monotone")
def indptr_vast(f):
    f["X/indptr"][3] = 2**62


@craft(REFUSED, "indptr-length")
def indptr_short(f):
    replace(f, "X/indptr", np.arange(N))


@craft(READ, "entries-covered")
def indptr_ends_early(f):
    f["X/indptr"][N] = N - 1
    f["X/indptr"][N - 1] = N - 1


@craft(REFUSED, "vectors-complete")
def indptr_nan(f):
    replace(f, "X/indptr", np.full(N + 1, np.nan))


@craft(REFUSED, "vectors-equal")
def data_short(f):
    replace(f, "X/data", np.ones(2, "f4"))


@craft(REFUSED, "vectors-complete")
def data_absent(f):
    del f["X/data"]


# ---------------------------------------------------------------- links and nesting
@craft(READ, "link-cycle")
def cycle_of_groups(f):
    f["uns/a/b"] = 1
    f["uns/a/up"] = f["uns"]
    f["obsm/x"] = np.zeros((N, 2))
    f["obsm/one"], f["obsm/two"] = f["obsm"], f["obsm"]


@craft(READ)
def groups_shared(f):
    """Each group holds the next twice: 2^30 paths."""
    g = f.create_group("obsm")
    for _ in range(30):
        below = g.create_group("a")
        g["b"] = below
        g = below


@craft(REFUSED, "link-cycle", "readable")
def cycle_in_obs(f):
    column(f, "x", **{"encoding-type": "categorical", "encoding-version": "0.2.0"})
    f["obs/x/codes"], f["obs/x/categories"] = f["obs/x"], f["obs/x"]


@craft(READ)
def soft_links_upwards(f):
    """Whoever follows them has 2^64 paths before the depth is too great."""
    f["obsm/x"] = np.zeros((N, 2))
    f["obsm/one"], f["obsm/two"] = h5py.SoftLink("/obsm"), h5py.SoftLink("/obsm")
    f["uns/all"] = h5py.SoftLink("/")


@craft(REFUSED, "link-target")
def cycle_of_soft_links(f):
    del f["X"]
    f["X"], f["Y"] = h5py.SoftLink("/Y"), h5py.SoftLink("/X")


@craft(READ, "link-target")
def dangling(f):
    f["uns/gone"] = h5py.SoftLink("/nowhere")


@craft(REFUSED, "link-target")
def dangling_column(f):
    f["obs/gone"] = h5py.SoftLink("/nowhere")
    f["obs"].attrs["column-order"] = ["gone"]


@craft(NOT_COPIED, "nesting-depth")
def nested_deep(f):
    g = f.create_group("uns").id
    for _ in range(10000):
        g = h5py.h5g.create(g, b"a")


# ---------------------------------------------------------------- other files
@craft(REFUSED, "link-inside")
def external_link(f):
    del f["X"]
    f["X"] = h5py.ExternalLink("canary.h5", "/X")


@craft(REFUSED, "link-inside", "link-target")
def external_by_soft_link(f):
    del f["X"]
    f["away"] = h5py.ExternalLink("canary.h5", "/")
    f["X"] = h5py.SoftLink("/away/X")


@craft(READ, "link-inside")
def external_in_uns(f):
    f["uns/away"] = h5py.ExternalLink("canary.h5", "/")


@craft(REFUSED, "link-inside")
def external_column(f):
    f["obs/away"] = h5py.ExternalLink("canary.h5", "/X")
    f["obs"].attrs["column-order"] = ["away"]


@craft(REFUSED, "storage-inside")
def external_values(f):
    del f["X"]
    f.create_dataset("X", (N, M), "u1", external=[("canary.bin", 0, N * M)])


@craft(REFUSED, "storage-inside")
def external_index(f):
    del f["obs/_index"]
    f["obs"].create_dataset("_index", (N,), "S3", external=[("canary.bin", 0, 3 * N)])


@craft(READ, "storage-inside")
def external_graph(f):
    f.create_group("obsp").create_dataset("g", (N, N), "u1", external=[("canary.bin", 0, N * N)])


def elsewhere(f, name, shape):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("canary.h5", "X", shape)
    f.create_virtual_dataset(name, layout)


@craft(REFUSED, "storage-inside")
def virtual_values(f):
    del f["X"]
    elsewhere(f, "X", (N, M))


@craft(REFUSED, "storage-inside")
def virtual_column(f):
    elsewhere(f, "obs/n", (N,))
    f["obs"].attrs["column-order"] = ["n"]


@craft(READ, "storage-inside")
def virtual_graph(f):
    elsewhere(f, "obsp/n", (N, N))


# ---------------------------------------------------------------- sizes
@case(REFUSED, "attribute-size", "attribute-storage")
def attribute_huge(path):
    with h5py.File(path, "w", libver="latest") as f:
        good(f)
        f["X"].attrs["encoding-type"] = np.bytes_(b"x" * (17 << 20))


@case(NOT_COPIED, "attribute-storage")
def attributes_outside(path):
    with h5py.File(path, "w", libver="latest") as f:
        good(f)
        g = f.create_group("uns/many")
        for k in range(20):
            g.attrs[f"note {k}"] = "text"


@craft(REFUSED, "attribute-size")
def attribute_long(f):
    """A text of variable length, which lies in the file's heap."""
    f["obs"].attrs["_index"] = "x" * (17 << 20)


@craft(REFUSED, "size-honest")
def dense_vast(f):
    del f["X"]
    f.create_dataset("X", (N, 2**38), "f4", chunks=(1, 1024), compression="gzip")


@craft(REFUSED, "size-honest")
def dense_overflows(f):
    del f["X"]
    f.create_dataset("X", (2**40, 2**40), "f4", chunks=(1, 1024))


@craft(REFUSED, "size-honest")
def dense_bomb(f):
    """16 MB of zeros in 16 KB stand for a terabyte."""
    del f["X"]
    x = f.create_dataset("X", (2**16, 2**22), "f4", chunks=(1, 2**22), compression="gzip")
    x.id.write_direct_chunk((0, 0), zlib.compress(bytes(4 << 22), 9))


@craft(REFUSED, "size-honest")
def names_vast(f):
    del f["obs/_index"]
    f["obs"].create_dataset("_index", (2**26,), "S1", chunks=(2**20,), compression="gzip")


@craft(REFUSED, "size-honest")
def column_vast(f):
    f["obs"].create_dataset("n", (2**44,), "i1", chunks=(2**20,))
    f["obs"].attrs["column-order"] = ["n"]


@case(REFUSED, "size-honest")
def strings_shared(path):
    """20,000 references to one text of 1 MB: 20 GB of text in 2 MB."""
    n = 20000
    with h5py.File(path, "w") as f:
        good(f)
        d = f["obs"].create_dataset("t", (n,), h5py.string_dtype())
        d[:] = text(["x" * (1 << 20)] + ["y"] * (n - 1))
        f["obs"].attrs["column-order"] = ["t"]
        at = d.id.get_offset()
    content = bytearray(path.read_bytes())
    for k in range(1, n):
        content[at + 16 * k:at + 16 * k + 16] = content[at:at + 16]
    path.write_bytes(content)


@case(REFUSED, "file-whole")
def string_too_long(path):
    """A reference that claims 4 GB."""
    with h5py.File(path, "w") as f:
        good(f)
        at = f["obs/_index"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[at:at + 4] = b"\xff" * 4
    path.write_bytes(content)


@craft(REFUSED, "filter-available")
def filter_unknown(f):
    del f["X"]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((N, M))
    plist.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, ())
    d = h5py.h5d.create(f.id, b"X", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((N, M)), plist)
    d.write_direct_chunk((0, 0), bytes(4 * N * M))


# ---------------------------------------------------------------- types
@craft(REFUSED, "values-numeric")
def values_of_text(f):
    replace(f, "X", np.full((N, M), b"a"))


@craft(REFUSED, "encoding-read")
def values_of_records(f):
    replace(f, "X", np.zeros((N, M), [("a", "i4"), ("b", "f4")]))


@craft(REFUSED, "values-numeric")
def values_of_references(f):
    del f["X"]
    f.create_dataset("X", (N, M), h5py.ref_dtype)[:] = f["obs"].ref


@craft(READ)
def values_of_an_enumeration(f):
    replace(f, "X", np.ones((N, M), h5py.enum_dtype({"a": 0, "b": 1, "c": 2}, "i1")))


@craft(REFUSED, "values-numeric")
def data_of_text(f):
    replace(f, "X/data", np.full(N, b"x"))


@craft(READ, "column-read")
def column_of_references(f):
    d = f["obs"].create_dataset("r", (N,), h5py.ref_dtype)
    d[:] = f["var"].ref
    f["obs"].attrs["column-order"] = ["r"]


@craft(READ, "column-read")
def column_of_records(f):
    column(f, "r", np.zeros(N, [("a", "i4"), ("b", "f4")]))


@craft(REFUSED, "encoding-fits")
def dataset_called_csr(f):
    replace(f, "X", np.ones((N, M), "f4"))
    f["X"].attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})


@craft(REFUSED, "encoding-read")
def encoding_of_the_future(f):
    f["X"].attrs["encoding-version"] = "9.9.9"


@craft(READ, "encoding-known")
def encoding_unheard_of(f):
    f.create_group("uns/new").attrs.update({"encoding-type": "quantum", "encoding-version": "1"})


# ---------------------------------------------------------------- frames
@craft(REFUSED, "codes-in-range")
def codes_beyond(f):
    categorical(f, np.full(N, 3, np.int8), ["a", "b"])


@craft(REFUSED, "codes-in-range")
def codes_of_floats(f):
    categorical(f, np.full(N, np.nan), ["a", "b"])


@craft(REFUSED, "categories-present")
def categories_absent(f):
    categorical(f, np.zeros(N, np.int8), None)


@craft(READ, "categories-unique")
def categories_twice(f):
    categorical(f, np.zeros(N, np.int8), ["a", "b", "a"])


@craft(REFUSED, "column-length")
def column_short(f):
    column(f, "n", np.arange(N - 2))


@craft(REFUSED, "columns-present")
def column_absent(f):
    f["obs"].attrs["column-order"] = ["lost"]


@craft(READ, "columns-listed")
def column_not_listed(f):
    column(f, "n", np.arange(N), order=False)


@craft(READ, "columns-unique")
def column_listed_twice(f):
    column(f, "n", np.arange(N))
    f["obs"].attrs["column-order"] = ["n", "n"]


@craft(REFUSED, "mask-agrees")
def mask_short(f):
    g = column(f, "n", **{"encoding-type": "nullable-integer", "encoding-version": "0.1.0"})
    g["values"], g["mask"] = np.arange(N), np.zeros(N - 1, bool)


@craft(REFUSED, "index-present")
def index_absent(f):
    f["obs"].move("_index", "names")
    del f["obs"].attrs["_index"]


@craft(READ, "index-text")
def index_of_numbers(f):
    replace(f, "obs/_index", np.arange(N))


@craft(REFUSED, "frame-present")
def var_absent(f):
    del f["var"]


@craft(REFUSED, "cell-names-unique")
def cells_twice(f):
    f["obs/_index"][3] = "c1"


@craft(READ, "feature-names-unique", "names-filled")
def features_twice(f):
    f["var/_index"][...] = text(["", "g", "g", "g"])


@craft(READ, "text-utf8")
def names_in_latin1(f):
    replace(f, "var/_index", np.array([b"\xe9", b"b", b"c", b"d"], "S1"))


@craft(READ, "text-nul")
def names_with_nul(f):
    replace(f, "var/_index", np.array([b"a\0z", b"b", b"c", b"d"], "S3"))


@case(REFUSED, "axis-not-empty")
def no_cells(path):
    with h5py.File(path, "w") as f:
        good(f, cells=[])


@case(REFUSED, "axis-not-empty")
def no_features(path):
    with h5py.File(path, "w") as f:
        good(f, genes=[])
        replace(f, "X", np.zeros((N, 0), "f4"))


# ---------------------------------------------------------------- values
@craft(REFUSED, "values-finite")
def values_nan(f):
    f["X/data"][1] = np.nan


@craft(REFUSED, "values-finite")
def values_infinite(f):
    replace(f, "X", np.full((N, M), np.inf))


@craft(READ, "layer-finite")
def layer_nan(f):
    f["layers/velocity"] = np.full((N, M), np.nan)


@craft(READ, "counts-integer")
def values_fractional(f):
    replace(f, "X", np.full((N, M), -0.5))


# ---------------------------------------------------------------- several modalities
@craft(REFUSED, "axis-known", suffix=".h5mu")
def axis_strange(f):
    f.attrs["axis"] = 2


@craft(REFUSED, "modalities-present", suffix=".h5mu")
def modalities_none(f):
    del f["mod"]
    f.create_group("mod")


@craft(REFUSED, "encoding-fits", suffix=".h5mu")
def modality_is_dataset(f):
    replace(f, "mod/adt", np.arange(3))


@craft(REFUSED, "obsmap-valid", suffix=".h5mu")
def obsmap_beyond(f):
    f["obsmap/rna"][1] = 99


@craft(REFUSED, "obsmap-valid", suffix=".h5mu")
def obsmap_twice(f):
    f["obsmap/rna"][1] = 1


@craft(READ, "obsmap-agrees", suffix=".h5mu")
def obsmap_stale(f):
    f["obsmap/rna"][...] = np.arange(N, 0, -1)


@craft(REFUSED, "cells-shared", suffix=".h5mu")
def strangers(f):
    del f["mod/adt"]
    good(f.create_group("mod/adt"), cells=["x", "y"])


@craft(READ, "cells-covered", suffix=".h5mu")
def some_strangers(f):
    del f["mod/adt"]
    good(f.create_group("mod/adt"), cells=["c1", "y"])


@craft(READ, "mod-order-agrees", suffix=".h5mu")
def order_incomplete(f):
    f["mod"].attrs["mod-order"] = ["rna", "gone"]


# ---------------------------------------------------------------- files
@case(REFUSED, "file-whole")
def empty(path):
    path.write_bytes(b"")


@case(REFUSED, "file-whole")
def truncated(path):
    edit(path, lambda f: f.create_dataset("obsm/x", data=np.random.default_rng(0).random((999, 9))))
    path.write_bytes(path.read_bytes()[:-4000])


@case(REFUSED, "file-known")
def junk(path):
    path.write_bytes(bytes(range(256)) * 30)


# ---------------------------------------------------------------- text
@case(REFUSED, "field-count", "field-number", suffix=".csv")
def ragged(path):
    path.write_text("cell,g1,g2\na,1,2\nb,1\nc,x,2\nd,3,4,5\n")


@case(READ, "text-utf8", suffix=".csv")
def latin1(path):
    path.write_bytes(b"cell,g1,g\xe9\na,1,2\nb,1,3\n")


@case(REFUSED, "values-finite", suffix=".csv")
def not_finite(path):
    path.write_text("cell,g1,g2\na,1,nan\nb,inf,3\n")


@case(REFUSED, "cell-names-unique", suffix=".csv")
def same_cell(path):
    path.write_text("cell,g1,g2\ncell_a,1,2\ncell_a,1,3\n")


@case(REFUSED, "header-valid", suffix=".csv.gz")
def zeros_in_one_line(path):
    """8 MB in 8 KB, all one line."""
    with gzip.open(path, "wb") as f:
        f.write(b"a,b\n" + b"0," * (4 << 20))


@case(REFUSED, "file-whole", suffix=".csv.gz")
def cut_short(path):
    whole = gzip.compress(b"cell,g1\n" + b"".join(b"c%d,%d\n" % (i, i * i) for i in range(9999)))
    path.write_bytes(whole[:len(whole) // 2])


MTX = "%%MatrixMarket matrix coordinate integer general\n"


@case(REFUSED, "entry-in-range", "entry-count", suffix=".mtx")
def entries_outside(path):
    path.write_text(MTX + "3 3 9\n1 1 1\n4 1 1\n0 2 1\n")


@case(REFUSED, "header-valid", suffix=".mtx")
def size_vast(path):
    path.write_text(MTX + f"{2**62} {2**62} {2**62}\n1 1 1\n")


@case(REFUSED, "entry-count", suffix=".mtx.gz")
def promises(path):
    """A small file that promises 2^31 rows, columns and entries."""
    path.write_bytes(gzip.compress((MTX + f"{2**20} {2**31 - 1} {2**50}\n1 1 1\n").encode()))


@case(REFUSED, "size-honest", suffix=".mtx")
def mostly_nothing(path):
    path.write_text(MTX + f"{2**31 - 1} {2**31 - 1} 1\n1 1 1\n")


def triplet(path, files, mode="w:gz", change=None):
    with tarfile.open(path, mode) as t:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change:
                change(info)
            t.addfile(info, io.BytesIO(content))


THREE = {"m/matrix.mtx": (MTX + "2 3 2\n1 1 5\n2 3 7\n").encode(),
         "m/features.tsv": b"E1\tA\nE2\tB\n", "m/barcodes.tsv": b"AC-1\nAG-1\nAT-1\n"}


@case(READ, suffix=".tar.gz")
def paths_upwards(path):
    """Names that lead out of the archive mean nothing: nothing is unpacked."""
    triplet(path, {"../../../" + k: v for k, v in THREE.items()})


@case(REFUSED, "members-complete", suffix=".tar.gz")
def links_outwards(path):
    """The matrix is there; its features are a link."""
    def link(info):
        if "features" in info.name:
            info.type, info.linkname, info.size = tarfile.SYMTYPE, "canary.bin", 0
    triplet(path, THREE, change=link)


@case(REFUSED, "file-whole", suffix=".tar")
def member_vast(path):
    triplet(path, THREE, "w")
    content = bytearray(path.read_bytes())
    content[124:136] = b"77777777777\0"
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)


@case(REFUSED, "names-agree", suffix=".tar.gz")
def names_too_few(path):
    triplet(path, {**THREE, "m/barcodes.tsv": b"AC-1\n"})


# ---------------------------------------------------------------- other HDF5 files
def tenx(f, indices=(0, 1, 1), barcodes=("AC-1", "AG-1", "AT-1")):
    g = f.create_group("matrix")
    g["barcodes"] = np.array(barcodes, "S")
    g["features/id"], g["features/name"] = np.array([b"E1", b"E2"]), np.array([b"A", b"B"])
    g["features/feature_type"] = np.array([b"Gene Expression"] * 2)
    g["data"], g["indices"] = np.array([1, 2, 3]), np.array(indices)
    g["indptr"], g["shape"] = np.array([0, 1, 2, 3]), np.array([2, 3])


@case(READ, suffix=".h5")
def tenx_sound(path):
    with h5py.File(path, "w") as f:
        tenx(f)


@case(REFUSED, "indices-in-range", "cell-names-unique", suffix=".h5")
def tenx_broken(path):
    with h5py.File(path, "w") as f:
        tenx(f, (0, 5, -1), ("AC-1", "AC-1", "AT-1"))


@case(REFUSED, "column-length", suffix=".loom")
def loom_broken(path):
    with h5py.File(path, "w") as f:
        f["matrix"] = np.ones((2, 3))
        f["row_attrs/Gene"] = np.array([b"A", b"B"])
        f["col_attrs/CellID"] = np.array([b"AC", b"AG"])


@case(REFUSED, "shape-agrees", suffix=".h5")
def matilda_broken(path):
    with h5py.File(path, "w") as f:
        f["matrix/data"] = np.ones((2, 3))
        f["matrix/features"], f["matrix/barcodes"] = np.array([b"A", b"B"]), np.array([b"x", b"y"])


def make(out):
    """The files, and the canaries beside them."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "canary.bin").write_bytes(SECRET * 100)
    with h5py.File(out / "canary.h5", "w") as f:
        f["X"] = np.frombuffer((SECRET * 9)[:4 * N * M], "f4").reshape(N, M)
    for name, (function, _, _) in CASES.items():
        function(out / name)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
