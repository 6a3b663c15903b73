# SPDX-License-Identifier: BSD-3-Clause
"""scweave convert: the same file for any memory and any number of threads, from every format; misuse and failure."""
import os
import sys
import tempfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import scipy.sparse as sp

from foreign import CELLS, GENES, counts, h5ad, loom, matrix_folder, tenx

sys.path.append(str(Path(__file__).resolve().parents[1]))
from harness import Checks  # noqa: E402 pylint: disable=wrong-import-position

scweave = os.path.abspath(sys.argv[1])
checks = Checks()
expect = checks.expect
LITTLE = ["--mem", "40k"]


def run(*words, threads=1, **expected):
    return checks.run(scweave, *words, threads=threads, **expected)


def same_x(path, x, group=""):
    with h5py.File(path) as f:
        g = f[group + "X"]
        got = sp.csr_matrix((g["data"][()], g["indices"][()], g["indptr"][()]), g.attrs["shape"]) if isinstance(g, h5py.Group) \
            else sp.csr_matrix(g[()])
        return got.shape == x.shape and (got != x).nnz == 0 and got.dtype == x.dtype


with tempfile.TemporaryDirectory() as folder:
    d = Path(folder)
    x = counts()
    tenx(d / "a.h5", x)
    tenx(d / "b.h5", counts(2, 500), "D")
    matrix_folder(d / "mtx", x)
    loom(d / "a.loom", x)
    dense = np.savetxt(d / "t.csv", x[:50].toarray(), delimiter=",", fmt="%d",
                       header=",".join(f"g{j}" for j in range(GENES)), comments="")
    h5ad(d / "one.h5ad", x.astype(np.float32), "C")
    h5ad(d / "two.h5ad", sp.csc_matrix(counts(3, 400).astype(np.float32)), "D", shift=100)
    h5ad(d / "dense.h5ad", x.toarray().astype(np.int16), "C")
    ways = {"tenx": ["a.h5", "tenx.h5mu"], "batches": ["a.h5", "b.h5", "batches.h5mu"], "mtx": ["mtx", "mtx.h5ad"],
            "loom": ["a.loom", "loom.h5ad"], "table": ["t.csv", "table.h5ad"],
            "inner": ["one.h5ad", "two.h5ad", "inner.h5ad"], "outer": ["one.h5ad", "two.h5ad", "outer.h5ad", "--join", "outer"],
            "dense": ["dense.h5ad", "dense_out.h5ad", "--var-names", "gene"], "folder": ["one.h5ad", "folder/"]}
    with h5py.File(d / "dense.h5ad", "r+") as f:
        f.create_dataset("var/gene", data=[f"n{j}" for j in range(GENES)], dtype=h5py.string_dtype()).attrs.update(
            {"encoding-type": "string-array", "encoding-version": "0.2.0"})
        f["var"].attrs["column-order"] = np.array(["gene"], dtype=h5py.string_dtype())
    os.chdir(d)
    for name, words in ways.items():
        whole = [w for w in words if not w.startswith("-")]
        out = next(w for w in reversed(words) if w.endswith(("/", "h5ad", "h5mu")))
        run("convert", *words)
        little = "little_" + out
        said = run("convert", *[little if w == out else w for w in words], *LITTLE, "--tmp", d, threads=3)
        if name != "table":
            expect("read in blocks" in said, f"{name}: nothing was left in the file: {said}")
        if out.endswith("/"):
            pairs = [(Path(out, n), Path(little, n)) for n in ("matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz")]
        else:
            pairs = [(Path(out), Path(little))]
        for a, b in pairs:
            expect(a.read_bytes() == b.read_bytes(), f"{name}: {a} is another file with little memory")
    expect(same_x("tenx.h5mu", x[:, :GENES - 40].tocsr(), "mod/rna/"), "10x: the genes")
    expect(same_x("tenx.h5mu", x[:, GENES - 40:].tocsr(), "mod/adt/"), "10x: the proteins")
    both = sp.vstack([x, counts(2, 500)]).tocsr()
    expect(same_x("batches.h5mu", both[:, GENES - 40:].tocsr(), "mod/adt/"), "10x: two batches")
    expect(same_x("mtx.h5ad", x) and same_x("loom.h5ad", x.astype(np.float32)), "mtx, loom")
    expect(same_x("dense_out.h5ad", x.astype(np.int16)), "dense")
    with h5py.File("dense_out.h5ad") as f:
        expect(f["X"].attrs["encoding-type"] == "array", "a dense matrix stays dense")
    joined = anndata.read_h5ad("inner.h5ad")
    expect("uns" not in run("convert", "one.h5ad", "two.h5ad", "again.h5ad"), "nothing is left out")
    with h5py.File("two.h5ad", "r+") as f:
        f.create_dataset("obsm/X_other", data=np.ones((400, 2)))
        f["uns/note"] = 5
    run("convert", "one.h5ad", "two.h5ad", "again.h5ad", says="left out, as 2 files cannot be joined there: obsm/X_other, uns/note")
    expect(joined.shape == (CELLS + 400, GENES - 100), f"inner: {joined.shape}")
    expect(np.array_equal(joined.obsm["X_pca"][:CELLS], np.arange(CELLS * 3).reshape(-1, 3)), "obsm of the first file")
    # Trouble.
    run("convert", "a.h5", code=2)
    run("convert", "absent.h5", "x.h5ad", code=1, says="absent.h5")
    run("convert", "a.h5", "x.h5ad", code=2, says="--modality")
    run("convert", "a.h5", "x.h5ad", "--merge", *LITTLE, code=1, says="--mem")
    run("convert", "two.h5ad", "one.h5ad", "x.h5ad", *LITTLE, "--tmp", "absent", code=1, says="absent")
    with h5py.File("a.h5", "r+") as f:
        f["matrix/indices"][7] = 5 * GENES
    run("convert", "a.h5", "x.h5mu", *LITTLE, code=1, says="column index 1500")
    expect(not list(d.glob("x.h5*")) and not list(d.glob("*.tmp-*")) and not list(d.glob("scweave*")), "something was left")
checks.end("convert")
