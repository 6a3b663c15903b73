# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of preprocessing share: running the program, making and reading files."""
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

try:
    import anndata
    import h5py
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

warnings.simplefilter("ignore")
SCWEAVE = os.path.abspath(sys.argv.pop(1))
DATA = Path(os.environ.get("SCW_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def scweave(*words):
    """Status, standard output, standard error."""
    done = subprocess.run([SCWEAVE, *map(str, words)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def must(*words):
    status, out, err = scweave(*words, "--quiet")
    if status:
        raise AssertionError(f"{words}: {err}")
    return out


def report(*words):
    return json.loads(must(*words, "--json"))


def counts(n, p, seed, density=0.15):
    """Counts with programmes, an empty cell (1) and an empty gene (2)."""
    rng = np.random.default_rng(seed)
    depth = rng.lognormal(0, 0.5, n)[:, None]
    mean = rng.lognormal(-1, 1.2, p)[None, :] * density * 4
    group = rng.integers(0, 4, n)
    lift = np.where(np.arange(p)[None, :] % 11 == group[:, None], 4.0, 1.0)
    x = rng.poisson(rng.gamma(2.0, 0.5, (n, p)) * depth * mean * lift).astype(np.float32)
    x[1] = 0
    x[:, 2] = 0
    return x, group


def make_adata(x, group, stored="csr"):
    n, p = x.shape
    names = [f"MT-{j}" if j < 5 else f"RPS{j}" if j < 12 else f"GENE{j}" for j in range(p)]
    matrix = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[stored](x)
    obs = pd.DataFrame({"batch": pd.Categorical([f"b{i % 3}" for i in range(n)]),
                        "group": pd.Categorical([f"g{g}" for g in group])},
                       index=[f"cell{i}" for i in range(n)])
    return anndata.AnnData(matrix, obs=obs, var=pd.DataFrame(index=names), dtype=np.float32)


def dense(x):
    return np.asarray(x.todense() if sp.issparse(x) else x)


def close(test, a, b, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=tolerance,
                               atol=tolerance, equal_nan=True)
    test.assertEqual(np.shape(a), np.shape(b))


def element(group):
    """A matrix of an HDF5 file, dense."""
    if isinstance(group, h5py.Dataset):
        return group[:]
    parts = group["data"][:], group["indices"][:], group["indptr"][:]
    kind = sp.csc_matrix if group.attrs["encoding-type"] == "csc_matrix" else sp.csr_matrix
    return dense(kind(parts, shape=tuple(group.attrs["shape"])))
