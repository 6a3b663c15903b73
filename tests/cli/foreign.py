# SPDX-License-Identifier: BSD-3-Clause
"""Small files of formats that are not this program's own."""
import gzip

import anndata
import h5py
import numpy as np
import scipy.io
import scipy.sparse as sp

CELLS, GENES = 700, 300


def counts(seed=1, cells=CELLS, dtype=np.int32):
    rng = np.random.default_rng(seed)
    x = rng.poisson(0.3, (cells, GENES)) * rng.integers(1, 1000, (cells, GENES))
    return sp.csr_matrix(x.astype(dtype))


def tenx(path, x, cells="C"):
    types = ["Gene Expression"] * (GENES - 40) + ["Antibody Capture"] * 40
    with h5py.File(path, "w") as f:
        g = f.create_group("matrix")
        g["shape"] = np.array([GENES, x.shape[0]])
        for name in ("data", "indices", "indptr"):
            g.create_dataset(name, data=getattr(x, name), compression="gzip")
        g["barcodes"] = np.array([f"{cells}{i}" for i in range(x.shape[0])], "S")
        g["features/name"] = g["features/id"] = np.array([f"g{j}" for j in range(GENES)], "S")
        g["features/feature_type"] = np.array(types, "S")


def matrix_folder(path, x):
    path.mkdir()
    with gzip.open(path / "matrix.mtx.gz", "wb") as f:
        scipy.io.mmwrite(f, x.T.tocoo(), field="integer")
    (path / "features.tsv.gz").write_bytes(gzip.compress("".join(f"g{j}\tg{j}\tGene Expression\n" for j in range(GENES)).encode()))
    (path / "barcodes.tsv.gz").write_bytes(gzip.compress("".join(f"C{i}\n" for i in range(x.shape[0])).encode()))


def loom(path, x):
    with h5py.File(path, "w") as f:
        f.create_dataset("matrix", data=x.T.toarray().astype(np.float32), chunks=(64, 64), compression="gzip")
        f["row_attrs/Gene"] = np.array([f"g{j}" for j in range(GENES)], "S")
        f["col_attrs/CellID"] = np.array([f"C{i}" for i in range(x.shape[0])], "S")


def h5ad(path, x, prefix, shift=0):
    a = anndata.AnnData(x, dtype=x.dtype)
    a.obs_names = [f"{prefix}{i}" for i in range(x.shape[0])]
    a.var_names = [f"g{j + shift}" for j in range(GENES)]
    a.obsm["X_pca"] = np.arange(x.shape[0] * 3, dtype=np.float32).reshape(-1, 3)
    a.write_h5ad(path, compression="gzip")
