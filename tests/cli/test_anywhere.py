# SPDX-License-Identifier: BSD-3-Clause
"""qc, filter, preprocess and activity on other formats and several files: as on the one file they convert to."""
import gzip
import os
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from foreign import GENES, counts, h5ad, loom, matrix_folder, tenx

sys.path.append(str(Path(__file__).resolve().parents[1]))
from harness import Checks  # noqa: E402 pylint: disable=wrong-import-position

scweave = os.path.abspath(sys.argv[1])
checks = Checks()
expect = checks.expect


def run(*words, **expected):
    return checks.run(scweave, *words, **expected)


def differences(a, b):
    """Names that two files do not share, or whose content is not the same; the record of the command aside."""
    with h5py.File(a) as f, h5py.File(b) as g:
        names = [{}, {}]
        for file, found in zip((f, g), names):
            file.visititems(lambda name, one, found=found: found.update({name: one}))
        out = sorted(set(names[0]) ^ set(names[1]))
        for name in sorted(set(names[0]) & set(names[1])):
            x, y = names[0][name], names[1][name]
            if isinstance(x, h5py.Dataset) and not name.endswith("command"):
                x, y = x[()], y[()]
                if not np.array_equal(x, y, equal_nan=getattr(x, "dtype", np.dtype("O")).kind == "f"):
                    out.append(name)
        return out


def peaks(path, x):
    with h5py.File(path, "w") as f:
        g = f.create_group("matrix")
        g["shape"] = np.array([GENES, x.shape[0]])
        for name in ("data", "indices", "indptr"):
            g[name] = getattr(x, name)
        g["barcodes"] = np.array([f"C{i}" for i in range(x.shape[0])], "S")
        g["features/name"] = g["features/id"] = np.array([f"chr1:{1000 * j}-{1000 * j + 500}" for j in range(GENES)], "S")
        g["features/feature_type"] = np.array(["Peaks"] * GENES, "S")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    x = counts()
    tenx("a.h5", x)
    tenx("b.h5", counts(2, 300), "D")
    loom("a.loom", x)
    matrix_folder(Path("mtx"), x)
    h5ad("one.h5ad", x.astype(np.float32), "C")
    h5ad("two.h5ad", counts(3, 200).astype(np.float32), "D", shift=50)
    h5ad("adt.h5ad", counts(5).astype(np.float32), "C", shift=1000)
    peaks("atac.h5", x)
    line = "chr1\tx\tgene\t{}\t{}\t.\t+\t.\tgene_id \"E{}\"; gene_name \"G{}\";\n"
    table = "".join(line.format(5000 * j + 1, 5000 * j + 4000, j, j) for j in range(50))
    Path("genes.gtf").write_text(table)
    Path("genes.gtf.gz").write_bytes(gzip.compress(table.encode()))
    sets = {"tenx": (["a.h5"], "h5mu"), "batches": (["a.h5", "b.h5"], "h5mu"), "loom": (["a.loom"], "h5ad"),
            "mtx": (["mtx"], "h5ad"), "stack": (["one.h5ad", "two.h5ad"], "h5ad"),
            "modalities": (["--rna", "one.h5ad", "--adt", "adt.h5ad"], "h5mu")}
    tasks = {"qc": ["qc"], "filter": ["filter", "--min-genes", 75, "--max-cells", 250],
             "prep": ["preprocess", "--modality", "rna", "--steps", "normalize,log1p,pca:k=5"]}
    for name, (words, kind) in sets.items():
        run("convert", *words, f"{name}.{kind}")
        for task in tasks if name in ("tenx", "stack") else ("filter",):
            little = ["--mem", "100k"] if task == "filter" else []
            run(*tasks[task], *words, "-o", f"{name}_{task}.{kind}", *little)
            run(*tasks[task], f"{name}.{kind}", "-o", f"{name}_{task}_2.{kind}")
            got = differences(f"{name}_{task}.{kind}", f"{name}_{task}_2.{kind}")
            expect(not got, f"{name}, {task}: {got}")
    run("convert", "atac.h5", "atac.h5mu")
    run("activity", "atac.h5", "--genes", "genes.gtf.gz", "-o", "act.h5mu")
    run("activity", "atac.h5mu", "--genes", "genes.gtf", "-o", "act_2.h5mu")
    expect(not differences("act.h5mu", "act_2.h5mu"), f"activity: {differences('act.h5mu', 'act_2.h5mu')}")
    # Trouble.
    run("filter", "a.h5", "-o", "x.h5ad", "--min-genes", 75, code=2, says="h5mu")
    run("filter", "-o", "x.h5ad", "--min-genes", 75, code=2)
    run("activity", "atac.h5", "--genes", "genes.gtf", "-o", "x.h5ad", code=2, says="h5mu")
    expect(not list(Path(".").glob("x.h5*")) and not list(Path(".").glob("*.tmp-*")), "something was left")
checks.end("other formats and several files")
