# SPDX-License-Identifier: BSD-3-Clause
"""Small annotated-data files of every encoding the reader knows, old and new."""
import sys
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

sys.path.append(str(Path(__file__).resolve().parents[1]))
from elements import write_elem  # noqa: E402 pylint: disable=wrong-import-position

N, M = 23, 11


def counts(rng):
    return rng.poisson(0.6, (N, M)).astype(np.float32)


def frame(rng, n, prefix):
    f = pd.DataFrame(index=[f"{prefix}{i}" for i in range(n)])
    f["text"] = [f"größe {i % 5}" for i in range(n)]
    f["cat"] = pd.Categorical.from_codes(rng.integers(-1, 3, n), ["z", "a b", "µ"])
    f["ordered"] = pd.Categorical.from_codes(rng.integers(0, 2, n), ["low", "high"], ordered=True)
    f["cat_int"] = pd.Categorical(rng.integers(0, 4, n) * 10)
    f["real"] = rng.normal(size=n)
    f.loc[f.index[2], "real"] = np.nan
    f["whole"] = rng.integers(-9, 9, n)
    f["small"] = rng.integers(0, 200, n).astype(np.uint8)
    f["flag"] = rng.integers(0, 2, n).astype(bool)
    f["int_na"] = pd.array([None if i % 6 == 1 else i for i in range(n)], dtype="Int64")
    f["flag_na"] = pd.array([None if i % 7 == 1 else i % 2 == 0 for i in range(n)], dtype="boolean")
    return f


def current(out):
    rng = np.random.default_rng(1)
    x = counts(rng)
    for name, matrix in {"dense": x, "csr": sp.csr_matrix(x), "csc": sp.csc_matrix(x),
                         "dense64": x.astype(np.float64), "ints": x.astype(np.int32)}.items():
        a = anndata.AnnData(matrix, obs=frame(rng, N, "cell"), var=frame(rng, M, "gene"),
                            dtype=matrix.dtype)
        a.layers["twice"] = sp.csr_matrix(x * 2)
        a.raw = anndata.AnnData(sp.csr_matrix(x), var=a.var, dtype=np.float32)
        a.obsm["X_pca"] = rng.normal(size=(N, 3))
        a.uns["note"] = {"deep": {"er": np.arange(4)}}
        a.write_h5ad(out / f"{name}.h5ad", compression="lzf" if name == "csr" else "gzip")


def untidy(out):
    """Unsorted indices with duplicates, a data array longer than indptr says, wide integers."""
    rng = np.random.default_rng(2)
    with h5py.File(out / "untidy.h5ad", "w") as f:
        indptr, indices, data = [0], [], []
        for _ in range(N):
            k = rng.integers(0, 6)
            indices += list(rng.integers(0, M, k))
            data += list(rng.integers(1, 9, k))
            indptr.append(len(indices))
        g = f.create_group("X")
        g["data"] = np.array(data + [7, 7], dtype=np.int64)
        g["indices"] = np.array(indices + [0, 1], dtype=np.int64)
        g["indptr"] = np.array(indptr, dtype=np.uint32)
        g.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        g.attrs["shape"] = np.array([N, M])
        for axis, n in (("obs", N), ("var", M)):
            d = f.create_group(axis)
            d.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0",
                            "_index": "names"})
            d.attrs["column-order"] = np.array([], dtype=float)
            d["names"] = np.array([f"{axis}{i}".encode() for i in range(n)], dtype="S12")


def legacy(out):
    """anndata 0.6: records, h5sparse, categories in uns; fixed-length strings in Latin-1."""
    rng = np.random.default_rng(3)
    x = sp.csr_matrix(counts(rng))
    with h5py.File(out / "legacy.h5ad", "w") as f:
        g = f.create_group("X")
        g.attrs["h5sparse_format"] = "csr"
        g.attrs["h5sparse_shape"] = np.array(x.shape)
        g["data"], g["indices"], g["indptr"] = x.data, x.indices, x.indptr
        obs = np.zeros(N, dtype=[("index", "S8"), ("n_genes", "<i8"), ("part", "<f4"),
                                 ("type", "i1"), ("name", "S9")])
        obs["index"] = [f"c{i}".encode() for i in range(N)]
        obs["n_genes"] = rng.integers(0, 99, N)
        obs["part"] = rng.random(N)
        obs["type"] = rng.integers(0, 2, N)
        obs["name"] = "größe".encode("latin-1")
        f["obs"] = obs
        var = np.zeros(M, dtype=[("index", "S8"), ("n", "<i4")])
        var["index"] = [f"g{i}".encode() for i in range(M)]
        f["var"] = var
        obsm = np.zeros(N, dtype=[("X_pca", "<f4", (4,)), ("X_umap", "<f8", (2,))])
        obsm["X_pca"] = rng.normal(size=(N, 4))
        obsm["X_umap"] = rng.normal(size=(N, 2))
        f["obsm"] = obsm
        f.create_group("uns")["type_categories"] = np.array([b"naive", b"memory"])


def many(out):
    """More strings than are read in one piece."""
    n = 70_001
    f = pd.DataFrame(index=[f"cell-{i}" for i in range(n)])
    f["text"] = [f"t{i % 977}" for i in range(n)]
    a = anndata.AnnData(sp.csr_matrix((np.ones(n, np.float32), (np.arange(n), np.zeros(n, int))),
                                      shape=(n, 2)), obs=f, dtype=np.float32)
    a.write_h5ad(out / "many.h5ad", compression="gzip")


def partial_h5mu(out):
    """Modalities that share some cells, rows in other orders, obsmap or names."""
    rng = np.random.default_rng(4)
    cells = [f"cell{i}" for i in range(N)]
    own = {"rna": rng.permutation(N)[:15], "adt": rng.permutation(N)[:17]}
    for name, with_map in (("mapped.h5mu", True), ("named.h5mu", False)):
        with h5py.File(out / name, "w") as f:
            f.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0})
            mod = f.create_group("mod")
            mod.attrs["mod-order"] = ["rna", "adt"]
            write_elem(f, "obs", pd.DataFrame(
                {"all": np.arange(N)}, index=cells))
            if with_map:
                maps = f.create_group("obsmap")
            for key, rows in own.items():
                a = anndata.AnnData(sp.csr_matrix(counts(rng)[: len(rows)]),
                                    obs=pd.DataFrame({"label": [f"L{r % 3}" for r in rows],
                                                      "own": rng.integers(0, 9, len(rows))},
                                                     index=[cells[r] for r in rows]),
                                    dtype=np.float32)
                a.obs["label"] = a.obs["label"].astype("category")
                write_elem(mod, key, a)
                if with_map:
                    m = np.zeros(N, np.uint32)
                    m[rows] = np.arange(len(rows)) + 1
                    maps[key] = m


def pair(out):
    rng = np.random.default_rng(5)
    for name, cells in (("one", range(0, 15)), ("two", range(22, 8, -1))):
        n = len(cells)
        a = anndata.AnnData(sp.csr_matrix(counts(rng)[:n]), dtype=np.float32,
                            obs=pd.DataFrame({"label": [f"L{c % 3}" for c in cells],
                                              "differs": rng.random(n)},
                                             index=[f"cell{c}" for c in cells]),
                            var=pd.DataFrame(index=[f"{name}{j}" for j in range(M)]))
        a.obs["label"] = a.obs["label"].astype("category")
        a.write_h5ad(out / f"{name}.h5ad")


def make(out):
    out.mkdir(parents=True, exist_ok=True)
    for step in (current, untidy, legacy, many, partial_h5mu, pair):
        step(out)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
