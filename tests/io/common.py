# SPDX-License-Identifier: BSD-3-Clause
"""Reading files a second time, independently of the library."""
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

sys.path.append(str(Path(__file__).resolve().parents[1]))
from elements import read_elem  # noqa: E402, F401 pylint: disable=wrong-import-position
from harness import Checks  # noqa: E402, F401 pylint: disable=wrong-import-position

warnings.simplefilter("ignore")
DATA = Path(os.environ.get("SCW_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
FIXTURES = ["loader/anndata/v0.7.8/adata.h5ad", "loader/h5ad_tiledbsoma/*.h5ad",
            "loader/mudata/*/*.h5mu", "loader/muon/*.h5mu"]
MAIN = ["bmmc_cite/*.h5mu", "bmmc_multiome/*_A.h5mu", "teaseq_matilda/*.h5*", "cbmc_cite/*.h5mu",
        "symphony_pbmc/*.h5ad", "adtnorm/*.h5ad", "papalexi_perturb/*.h5mu"]


def real_files(patterns):
    if not DATA.is_dir():
        print(f"note: no real data at {DATA} (set SCW_DATA); generated files only")
    return [p for pattern in patterns for p in sorted(DATA.glob(pattern))]


# For builds with sanitizers: a refused allocation is an error to report, not the end, and what
# libhdf5 itself loses when it meets a damaged file is not ours.
SANITIZED = {**os.environ,
             "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":allocator_may_return_null=1",
             "LSAN_OPTIONS": "print_suppressions=0:suppressions=" +
                             str(Path(__file__).resolve().with_name("lsan.supp"))}


def is_sanitized(tool):
    return b"__asan_init" in Path(tool).read_bytes()


def run(tool, *args, check=True):
    done = subprocess.run([tool, *map(str, args)], capture_output=True, text=True, timeout=240,
                          env=SANITIZED)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, args))}: exit {done.returncode}: {done.stderr}")
    return done


def as_csr(x):
    """float32 CSR as the library holds it: sorted, duplicates added, stored zeros kept if sparse."""
    if not sp.issparse(x):
        return sp.csr_matrix(np.asarray(x, dtype=np.float32))
    x = sp.csr_matrix(x)
    x = sp.csr_matrix((x.data.astype(np.float32), x.indices.copy(), x.indptr.copy()), x.shape)
    x.sum_duplicates()
    return x


def modalities(path):
    """[(name or None, AnnData)], global obs or None."""
    if path.name == "legacy.h5ad": # anndata 0.8 does not read Latin-1 strings
        return [(None, read_records(path))], None
    if path.suffix == ".h5ad":
        return [(None, anndata.read_h5ad(path))], None
    out = []
    with h5py.File(path) as f:
        order = f["mod"].attrs.get("mod-order")
        for name in (f["mod"] if order is None else order):
            g = f["mod"][name]
            a = anndata.AnnData(read_elem(g["X"]),
                                obs=read_frame(g["obs"]), var=read_frame(g["var"]))
            out.append((name, a))
        return out, read_frame(f["obs"])


def read_records(path):
    with h5py.File(path) as f:
        x = sp.csr_matrix((f["X/data"][()], f["X/indices"][()], f["X/indptr"][()]),
                          f["X"].attrs["h5sparse_shape"])
        frames = []
        for axis in ("obs", "var"):
            records = f[axis][()]
            frames.append(pd.DataFrame({k: records[k] for k in records.dtype.names if k != "index"},
                                       index=[v.decode() for v in records["index"]]))
        frames[0]["type"] = pd.Categorical.from_codes(
            frames[0]["type"], [c.decode() for c in f["uns/type_categories"][()]])
        return anndata.AnnData(x, obs=frames[0], var=frames[1], dtype=x.dtype)


def read_column(element):
    """One column; anndata 0.8 does not know the masked strings of later versions."""
    if element.attrs.get("encoding-type") == "nullable-string-array":
        values = [v.decode() for v in element["values"][()]]
        return [None if m else v for v, m in zip(values, element["mask"][()])]
    if element.attrs.get("encoding-type") == "categorical" and isinstance(
            element["categories"], h5py.Group):
        return pd.Categorical.from_codes(element["codes"][()], read_column(element["categories"]),
                                         bool(element.attrs["ordered"]))
    return read_elem(element)


def read_frame(group):
    if group.attrs.get("encoding-version") != "0.2.0":
        return anndata._io.h5ad.read_dataframe(group)
    columns = {k: read_column(group[k]) for k in group.attrs["column-order"]}
    return pd.DataFrame(columns, index=read_column(group[group.attrs["_index"]]))


def column_values(s):
    """A pandas column as the tool prints it: missing is None, categories are text."""
    if isinstance(s.dtype, pd.CategoricalDtype):
        def text(v):
            if isinstance(v, bytes):
                return v.decode()
            return str(int(v)) if isinstance(v, float) and v == int(v) else str(v)
        names = [text(v) for v in s.cat.categories]
        return [None if c < 0 else names[c] for c in s.cat.codes]
    return [None if v is pd.NA or (isinstance(v, (float, np.floating)) and np.isnan(v))
            else v.decode("latin-1") if isinstance(v, bytes) else v for v in s.tolist()]
