# SPDX-License-Identifier: BSD-3-Clause
"""Formats beside .h5ad and .h5mu: files made here, read through `scweave convert`, and compared with
what anndata, scipy and numpy say of them. Damaged ones are refused with one line that says where."""
import gzip
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

import common
import make_inputs
from compare_h5 import compare_files

program = sys.argv[1]
rng = np.random.default_rng(5)
checks = common.Checks()
expect = checks.expect


def run(*args):
    return subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=120,
                          env=common.SANITIZED)


def convert(*args):
    done = run("convert", *args)
    expect(done.returncode == 0, f"convert {args}: {done.stderr[-600:]}")
    return done.stderr


def load(path, modality=None):
    if modality is None:
        return anndata.read_h5ad(path)
    with h5py.File(path) as f:
        x = common.read_elem(f[f"mod/{modality}/X"])
        a = anndata.AnnData(x, dtype=x.dtype)
        a.obs_names = f[f"mod/{modality}/obs/_index"].asstr()[:]
        var = common.read_elem(f[f"mod/{modality}/var"])
        a.var = var
        return a


def same(a, x, cells, genes, what):
    """Values with their type, and names."""
    got = a.X.toarray() if sp.issparse(a.X) else np.asarray(a.X)
    want = x.toarray() if sp.issparse(x) else np.asarray(x)
    expect(got.shape == want.shape and np.array_equal(got, want.astype(got.dtype)) and
           np.array_equal(got.astype(want.dtype), want), f"{what}: values")
    expect(list(a.obs_names) == list(cells), f"{what}: cells {list(a.obs_names)[:3]}")
    expect(list(a.var_names) == list(genes), f"{what}: features {list(a.var_names)[:3]}")


# ------------------------------------------------------------------ material

N, P = 37, 23
COUNTS = sp.csr_matrix(rng.poisson(0.4, (N, P)).astype(np.int32))
CELLS = ["".join(rng.choice(list("ACGT"), 16)) + "-1" for _ in range(N)]
IDS = [f"ENSG{i:011d}" for i in range(P)]
GENES = [f"G{i}" for i in range(P)]
TYPES = ["Gene Expression"] * 15 + ["Antibody Capture"] * 5 + ["CRISPR Guide Capture"] * 3


def write_tenx(path, x=COUNTS, types=TYPES, index="int64", extra=True):
    with h5py.File(path, "w") as f:
        g = f.create_group("matrix")
        c = sp.csr_matrix(x)
        g["data"], g["indices"] = c.data, c.indices.astype(index)
        g["indptr"], g["shape"] = c.indptr.astype(index), np.array(c.shape[::-1], "i4")
        g["barcodes"] = np.array(CELLS[:c.shape[0]], "S18")
        t = g.create_group("features")
        t["id"], t["name"] = np.array(IDS, "S"), np.array(GENES, "S")
        t["feature_type"], t["genome"] = np.array(types, "S"), np.array(["GRCh38"] * P, "S")
        if extra:
            t["_all_tag_keys"] = np.array([b"genome"])
            t["probe_region"] = np.array(["spliced"] * P, "S")
            t.create_group("target_sets")["panel"] = np.arange(3)


def write_old(path, genomes):
    with h5py.File(path, "w") as f:
        for name, (x, cells, ids, names) in genomes.items():
            g, c = f.create_group(name), sp.csr_matrix(x)
            g["data"], g["indices"], g["indptr"] = c.data, c.indices, c.indptr
            g["shape"] = np.array(c.shape[::-1], "i4")
            g["barcodes"], g["genes"] = np.array(cells, "S"), np.array(ids, "S")
            g["gene_names"] = np.array(names, "S")


def mtx_bytes(x, field="integer"):
    out = io.BytesIO()
    scipy.io.mmwrite(out, sp.coo_matrix(x), field=field, precision=17)
    return out.getvalue()


def triplet(version=3, types=TYPES):
    gz = gzip.compress if version == 3 else bytes
    end = ".gz" if version == 3 else ""
    rows = [[i, g] + ([t] if version == 3 else []) for i, g, t in zip(IDS, GENES, types)]
    names = "".join("\t".join(r) + "\n" for r in rows).encode()
    return {"matrix.mtx" + end: gz(mtx_bytes(COUNTS.T)),
            ("features.tsv" if version == 3 else "genes.tsv") + end: gz(names),
            "barcodes.tsv" + end: gz("".join(c + "\n" for c in CELLS).encode())}


def write_files(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def write_tar(path, files, prefix="filtered/", stray=True, compressed=True):
    with tarfile.open(path, "w:gz" if compressed else "w") as t:
        def add(name, content, **kind):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for k, v in kind.items():
                setattr(info, k, v)
            t.addfile(info, io.BytesIO(content))
        if stray:
            add("filtered/", b"", type=tarfile.DIRTYPE)
            add("filtered/._matrix.mtx.gz", b"\0\5\26\7" * 30)
            add("filtered/.DS_Store", b"junk" * 600)
            add("/etc/passwd", b"x" * 700)
            add("../../evil", b"y")
            add("filtered/link.mtx", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        for name, content in files.items():
            add(prefix + name, content)


# ------------------------------------------------------------------ reading

def check_tenx(d):
    write_tenx(d / "v3.h5")
    convert(d / "v3.h5", d / "v3.h5mu")
    for name, kind in (("rna", "Gene Expression"), ("adt", "Antibody Capture"),
                       ("crispr_guide_capture", "CRISPR Guide Capture")):
        at = [i for i, t in enumerate(TYPES) if t == kind]
        a = load(d / "v3.h5mu", name)
        same(a, COUNTS[:, at], CELLS, [GENES[i] for i in at], f"10x v3 {name}")
        expect(a.X.dtype == np.int32, f"10x v3: {a.X.dtype}")
        expect(list(a.var["gene_ids"]) == [IDS[i] for i in at], "10x v3: gene_ids")
        expect(set(a.var.columns) == {"gene_ids", "feature_types", "genome", "probe_region"},
               f"10x v3: {list(a.var.columns)}")
    convert(d / "v3.h5", d / "merged.h5ad", "--merge")
    same(load(d / "merged.h5ad"), COUNTS, CELLS, GENES, "10x v3 merged")
    convert("adt=" + str(d / "v3.h5"), d / "adt.h5ad")
    same(load(d / "adt.h5ad"), COUNTS[:, 15:20], CELLS, GENES[15:20], "10x v3, adt chosen")
    convert(d / "v3.h5", d / "ids.h5ad", "--modality", "rna", "--var-names", "gene_ids")
    same(load(d / "ids.h5ad"), COUNTS[:, :15], CELLS, IDS[:15], "10x v3 by id")
    write_tenx(d / "f32.h5", COUNTS.astype(np.float32) * np.float32(0.1), ["Gene Expression"] * P)
    convert(d / "f32.h5", d / "f32.h5ad")
    a = load(d / "f32.h5ad")
    same(a, COUNTS.astype(np.float32) * np.float32(0.1), CELLS, GENES, "10x float")
    expect(a.X.dtype == np.float32, "10x float: type")

    one, two = COUNTS[:20, :10], COUNTS[10:, 10:]
    write_old(d / "v2.h5", {"hg19": (one, CELLS[:20], IDS[:10], GENES[:10]),
                            "mm10": (two, CELLS[10:], IDS[10:], GENES[10:])})
    convert(d / "v2.h5", d / "v2.h5ad")
    want = np.zeros((N, P), np.int32)
    want[:20, :10], want[10:, 10:] = one.toarray(), two.toarray()
    a = load(d / "v2.h5ad")
    same(a, want, CELLS, GENES, "10x v2, two genomes")
    expect(list(a.var["genome"]) == ["hg19"] * 10 + ["mm10"] * 13, "10x v2: genome")

    with h5py.File(d / "molecule_info.h5", "w") as f:
        f["barcode_idx"] = f["gem_group"] = f["count"] = np.arange(3)
    done = run("convert", d / "molecule_info.h5", d / "no.h5ad")
    expect(done.returncode == 1 and "lists molecules" in done.stderr, f"molecules: {done.stderr}")
    for head in ("", "# id=run\n# a comment\n"):
        (d / "fragments.tsv").write_text(head + "chr1\t1000\t1200\tACGT-1\t1\nchr1\t1001\t1300\tACGA-1\t2\n")
        done = run("convert", d / "fragments.tsv", d / "no.h5ad")
        expect(done.returncode == 1 and "lists places" in done.stderr, f"fragments: {done.stderr}")


def check_triplets(d):
    for version in (2, 3):
        types = TYPES if version == 3 else ["Gene Expression"] * P
        folder = d / f"v{version}"
        write_files(folder, triplet(version))
        write_tar(d / f"v{version}.tar.gz", triplet(version))
        write_tar(d / f"v{version}.tar", triplet(version), prefix="a/" * 60, compressed=False)
        write_files(d / f"outer{version}" / "GRCh38", triplet(version))
        prefixed = {"GSM1_sample_" + k: v for k, v in triplet(version).items()}
        write_files(d / f"geo{version}", prefixed)
        end = ".gz" if version == 3 else ""
        for source in (folder, f"{folder}/", d / f"v{version}.tar.gz", d / f"v{version}.tar",
                       d / f"outer{version}", d / f"geo{version}", folder / f"matrix.mtx{end}",
                       d / f"geo{version}" / f"GSM1_sample_matrix.mtx{end}"):
            convert(source, d / "t.h5ad", "--merge")
            a = load(d / "t.h5ad")
            same(a, COUNTS, CELLS, GENES, f"triplet {source}")
            expect(list(a.var["gene_ids"]) == IDS, f"triplet {source}: ids")
            if version == 3:
                expect(list(a.var["feature_types"]) == types, f"triplet {source}: types")
    two = d / "two"
    write_files(two / "a", triplet(3))
    write_files(two / "b", triplet(3))
    done = run("convert", two, d / "no.h5ad")
    expect(done.returncode != 0 and "several matrices" in done.stderr, f"two: {done.stderr}")
    peaks = d / "peaks"
    bed = "# comment\n" + "".join(f"chr1\t{i * 100}\t{i * 100 + 50}\n" for i in range(P))
    write_files(peaks, {"matrix.mtx": mtx_bytes(COUNTS.T), "peaks.bed": bed.encode(),
                        "barcodes.tsv": "".join(c + "\n" for c in CELLS).encode()})
    convert(peaks, d / "peaks.h5mu")
    same(load(d / "peaks.h5mu", "atac"), COUNTS, CELLS,
         [f"chr1:{i * 100}-{i * 100 + 50}" for i in range(P)], "peaks")


def check_mtx(d):
    real = sp.random(11, 11, 0.3, random_state=1)
    cases = {"real": (mtx_bytes(real, "real"), real.toarray(), np.float64),
             "integer": (mtx_bytes((real * 1000).astype(np.int64)),
                         (real * 1000).astype(np.int64).toarray(), np.int32),
             "big": (b"%%MatrixMarket matrix coordinate integer general\n1 2 1\n1 1 3000000000\n",
                     np.array([[3000000000, 0]]), np.int64),
             "pattern": (b"%%MatrixMarket matrix coordinate pattern general\n% c\n\n2 3 2\n1 3\n2 1\n",
                         np.array([[0, 0, 1], [1, 0, 0]]), np.int32),
             "symmetric": (b"%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n1 1 2.5\n2 1 -1e-3\n",
                           np.array([[2.5, -1e-3], [-1e-3, 0]]), np.float64),
             "skew": (b"%%MatrixMarket matrix coordinate integer skew-symmetric\n2 2 1\n2 1 4\n",
                      np.array([[0, -4], [4, 0]]), np.int32),
             "array": (b"%%MatrixMarket matrix array real general\n2 2\n1\n0\n0.5\n2\n",
                       np.array([[1, 0.5], [0, 2]]), np.float32),
             "twice": (b"%%MatrixMarket matrix coordinate integer general\r\n2 2 3\r\n1 1 1\r\n2 2 1\r\n1 1 4\r\n",
                       np.array([[5, 0], [0, 1]]), np.int32)}
    for name, (content, want, dtype) in cases.items():
        path = d / f"{name}.mtx"
        path.write_bytes(content)
        convert(path, d / "m.h5ad")
        a = load(d / "m.h5ad")
        same(a, want.T, [f"cell_{i}" for i in range(want.shape[1])],
             [f"feature_{i}" for i in range(want.shape[0])], f"mtx {name}")
        expect(a.X.dtype == dtype, f"mtx {name}: {a.X.dtype}")
        convert(path, d / "m.h5ad", "--rows", "cells")
        expect(np.array_equal(load(d / "m.h5ad").X.toarray(), want), f"mtx {name} by cells")


def check_loom(d):
    with h5py.File(d / "l.loom", "w") as f:
        f.attrs["LOOM_SPEC_VERSION"] = "3.0.0"
        x = COUNTS.toarray().T
        f.create_dataset("matrix", data=x, chunks=(7, 8), compression="gzip")
        f["layers/spliced"] = x.astype(np.float32) / 3
        f["row_attrs/Gene"], f["row_attrs/Accession"] = np.array(GENES, "S"), np.array(IDS, "S")
        f["col_attrs/CellID"] = np.array(CELLS, "S")
        f["col_attrs/Age"] = np.arange(N)
        f["col_attrs/Batch"] = np.linspace(0, 1, N).reshape(-1, 1)
        f["col_attrs/PCA"] = rng.random((N, 3))
        f["col_graphs/KNN/a"], f["col_graphs/KNN/b"] = np.arange(5), np.arange(5) + 1
        f["col_graphs/KNN/w"] = np.linspace(0.1, 0.5, 5)
    convert(d / "l.loom", d / "l.h5ad")
    a = load(d / "l.h5ad")
    same(a, COUNTS, CELLS, GENES, "loom")
    with h5py.File(d / "l.loom") as f:
        expect(a.X.dtype == f["matrix"].dtype, "loom: type")
        expect(np.array_equal(a.layers["spliced"].toarray(), f["layers/spliced"][:].T), "loom: layer")
        expect(np.array_equal(a.obsm["PCA"], f["col_attrs/PCA"][:]), "loom: obsm")
    expect(list(a.obs["Age"]) == list(range(N)) and a.obs["Batch"].iloc[-1] == 1, "loom: obs")
    expect(list(a.var["Accession"]) == IDS, "loom: var")
    expect(a.obsp["KNN"][3, 4] == 0.4 and a.obsp["KNN"].nnz == 5, "loom: obsp")
    convert(d / "l.loom", d / "l.h5ad", "--layer", "spliced")
    expect(load(d / "l.h5ad").X.dtype == np.float32, "loom: chosen layer")
    for turned in (False, True):
        with h5py.File(d / "m.h5", "w") as f:
            x = COUNTS.toarray()
            f["matrix/data"] = x if turned else x.T
            f["matrix/features"], f["matrix/barcodes"] = np.array(GENES, "S"), np.array(CELLS, "S")
        convert("adt=" + str(d / "m.h5"), d / "m.h5mu")
        same(load(d / "m.h5mu", "adt"), COUNTS, CELLS, GENES, "Matilda")


def check_tables(d):
    x = COUNTS.toarray()
    by_cell = pd.DataFrame(x, CELLS, IDS)
    by_gene = by_cell.T
    texts = {
        "cells.csv": (by_cell.to_csv(), CELLS, IDS, []),
        "genes.csv": (by_gene.to_csv(), CELLS, IDS, []),
        "named.csv": (by_cell.rename_axis("barcode").to_csv(), CELLS, IDS, []),
        "genes.tsv": (by_gene.to_csv(sep="\t"), CELLS, IDS, []),
        "genes.txt": ("\n".join([" ".join(CELLS)] + [g + " " + " ".join(map(str, r))
                      for g, r in zip(IDS, by_gene.values)]), CELLS, IDS, []),
        "quoted.csv": (by_gene.to_csv(quoting=2).replace("\n", "\r\n"), CELLS, IDS, []),
        "semicolon.csv": (by_cell.to_csv(sep=";"), CELLS, IDS, []),
        "bom.csv": ("\ufeff" + by_cell.to_csv(), CELLS, IDS, []),
        "odd.csv": (pd.DataFrame(x, [f"x,\n\"{i}" for i in range(N)], GENES).to_csv(),
                    [f"x,\n\"{i}" for i in range(N)], GENES, []),
        "told.csv": (pd.DataFrame(x.T, GENES, [f"s{i}" for i in range(N)]).to_csv(),
                     [f"s{i}" for i in range(N)], GENES, ["--rows", "features"]),
        "numbers.csv": ("\n".join(",".join(map(str, r)) for r in x), map(str, range(N)),
                        map(str, range(P)), []),
    }
    for name, (text, cells, genes, options) in texts.items():
        for compressed in (False, True):
            path = d / (name + ".gz" * compressed)
            content = text.encode()
            path.write_bytes(gzip.compress(content) if compressed else content)
            cells, genes = list(cells), list(genes)
            convert(path, d / "c.h5ad", *options)
            same(load(d / "c.h5ad"), COUNTS, cells, genes, f"table {path.name}")
    values = np.array([[0.1, 1e-300], [-2.5, 3e20]])
    pd.DataFrame(values, ["cell1", "cell2"], ["a", "b"]).to_csv(d / "real.csv")
    convert(d / "real.csv", d / "r.h5ad")
    a = load(d / "r.h5ad")
    expect(a.X.dtype == np.float64 and np.array_equal(a.X.toarray(), values), "table: doubles")


# ------------------------------------------------------------------ batches

def check_batches(d):
    genes = [GENES[:15], GENES[5:]]
    for k, name in enumerate(("day1", "day2")):
        at = [GENES.index(g) for g in genes[k]]
        a = anndata.AnnData(COUNTS[:, at].astype(np.float32), dtype=np.float32)
        a.obs_names, a.var_names = CELLS, genes[k]
        a.var["gene_ids"] = [IDS[i] for i in at]
        a.obs["kind"] = pd.Categorical(["B", "T"][k] if i % 2 else "NK" for i in range(N))
        a.obs[name] = np.arange(N) if k else np.arange(N) / 2
        a.layers["half"] = COUNTS[:, at] / 2
        a.write_h5ad(d / f"{name}.h5ad")
    cells = [f"{c}-{b}" for b in ("day1", "day2") for c in CELLS]
    for join, want in (("inner", GENES[5:15]), ("outer", GENES), ("reference", GENES[:15])):
        convert(d / "day1.h5ad", d / "day2.h5ad", d / "b.h5ad", "--join", join)
        a = load(d / "b.h5ad")
        both = sp.vstack([COUNTS, COUNTS]).toarray().copy()
        both[:N, 15:], both[N:, :5] = 0, 0
        at = [GENES.index(g) for g in want]
        same(a, both[:, at], cells, want, f"join {join}")
        expect(list(a.obs["batch"]) == ["day1"] * N + ["day2"] * N, f"join {join}: batch")
        expect(np.array_equal(a.layers["half"].toarray(), both[:, at] / 2), f"join {join}: layer")
        expect(list(a.obs["kind"].cat.categories) == ["B", "NK", "T"] and
               a.obs["kind"].iloc[-2] == "T", f"join {join}: kind")
        expect(a.obs["day2"].isna().sum() == N, f"join {join}: missing values")
    convert(f"@x={d / 'day1.h5ad'}", f"@y={d / 'day2.h5ad'}", d / "b.h5ad", "--batch-column", "day")
    expect(list(load(d / "b.h5ad").obs["day"].cat.categories) == ["x", "y"], "named batches")
    # A file with obs over the whole beside one without: cells in the order of the files.
    convert(d / "day1.h5ad", d / "day1.h5mu")
    for order in (("day1.h5mu", "day2.h5ad"), ("day2.h5ad", "day1.h5mu")):
        convert(*(d / f for f in order), d / "b.h5ad")
        a = load(d / "b.h5ad")
        batches = [f[:4] for f in order for _ in range(N)]
        expect(list(a.obs["batch"]) == batches, f"{order}: {list(a.obs['batch'])[:3]}")
        expect([n.rsplit("-", 1)[1] for n in a.obs_names] == batches and
               not a.obs["kind"].isna().any(), f"{order}: obs")
    # Ids on one side, symbols on the other.
    a = anndata.read_h5ad(d / "day2.h5ad")
    a.var_names = [i + ".4" for i in a.var["gene_ids"]]
    a.obs_names = [f"other{i}" for i in range(N)]
    del a.var["gene_ids"]
    a.write_h5ad(d / "ids.h5ad")
    convert(d / "day1.h5ad", d / "ids.h5ad", d / "b.h5ad")
    b = load(d / "b.h5ad")
    expect(list(b.var_names) == GENES[5:15] and b.obs_names[0] == CELLS[0], "joined by id")
    a.var_names = [f"zz{i}" for i in range(a.n_vars)]
    a.write_h5ad(d / "none.h5ad")
    done = run("convert", d / "day1.h5ad", d / "none.h5ad", d / "b.h5ad")
    expect(done.returncode == 1 and "no feature in common" in done.stderr, f"none: {done.stderr}")
    # Features of one name get numbers.
    a.var_names = ["g"] * a.n_vars
    a.write_h5ad(d / "twice.h5ad")
    convert(d / "twice.h5ad", d / "twice.mtx", "--to", "mtx")
    names = gzip.open(d / "twice.mtx" / "features.tsv.gz", "rt").read().split("\n")
    expect([r.split("\t")[1] for r in names[:3]] == ["g", "g-1", "g-2"], "features made unique")


def check_shared_features(d):
    """An h5mu of axis 1: batches of one modality."""
    with h5py.File(d / "axis1.h5mu", "w") as f:
        f.attrs["encoding-type"], f.attrs["axis"] = "MuData", 1
        for k, name in enumerate(("first", "second")):
            a = anndata.AnnData(COUNTS.astype(np.float32) * (k + 1), dtype=np.float32)
            a.obs_names, a.var_names = CELLS, GENES
            a.write_h5ad(d / "one.h5ad")
            with h5py.File(d / "one.h5ad") as g:
                g.copy("/", f.require_group("mod"), name)
    convert(d / "axis1.h5mu", d / "a.h5ad", "--merge")
    a = load(d / "a.h5ad")
    same(a, sp.vstack([COUNTS, COUNTS * 2]), [f"{c}-{b}" for b in ("first", "second") for c in CELLS],
         GENES, "axis 1")
    expect(list(a.obs["batch"]) == ["first"] * N + ["second"] * N, "axis 1: batch")
    done = run("inspect", d / "axis1.h5mu")
    expect(done.returncode == 0 and "share features" in done.stdout, f"axis 1: {done.stdout}")


# ------------------------------------------------------------------ round trips

def every_encoding(path):
    x = sp.random(N, P, 0.3, "csr", dtype=np.float64, random_state=3)
    a = anndata.AnnData(x, dtype=x.dtype)
    a.obs_names, a.var_names = CELLS, GENES
    a.obs["int8"] = rng.integers(-5, 5, N).astype(np.int8)
    a.obs["float32"] = rng.random(N).astype(np.float32)
    a.obs["bool"] = rng.random(N) < 0.5
    a.obs["text"] = [f"\u03b1 {i}" for i in range(N)]
    a.obs["ordered"] = pd.Categorical(rng.choice(["lo", "hi"], N), ["lo", "hi"], ordered=True)
    a.obs["gaps"] = pd.Categorical([None if i % 3 else "x" for i in range(N)])
    a.obs["numbers"] = pd.Categorical(rng.integers(0, 3, N))
    a.obs["maybe_int"] = pd.array([None if i % 4 else i for i in range(N)], dtype="Int64")
    a.obs["maybe_bool"] = pd.array([None if i % 5 else True for i in range(N)], dtype="boolean")
    a.layers["csc"], a.layers["dense"] = sp.csc_matrix(x), x.toarray()
    a.layers["ints"] = (x * 10).astype(np.int16)
    a.obsm["pca"] = rng.random((N, 4)).astype(np.float32)
    a.obsm["frame"] = pd.DataFrame({"a": rng.random(N), "b": list("xy" * N)[:N]}, index=CELLS)
    a.obsm["sparse"] = sp.random(N, 6, 0.5, "csr", random_state=1)
    a.varm["w"], a.varp["c"] = rng.random((P, 2)), sp.eye(P, format="csr")
    a.obsp["knn"] = sp.random(N, N, 0.2, "csr", random_state=2)
    a.uns["nested"] = {"a": {"b": np.arange(3), "s": "text", "f": 1.5, "flag": True},
                       "strings": np.array(["x", "yy"]), "empty": {}}
    a.uns["frame"] = pd.DataFrame({"k": [1, 2], "c": pd.Categorical(["p", "q"])})
    a.uns["records"] = np.rec.fromarrays([np.arange(2), np.array([0.5, 1])], names=["i", "f"])
    a.raw = a.copy()
    a.write_h5ad(path, compression="gzip")


def check_round_trips(d):
    every_encoding(d / "every.h5ad")
    for options in ([], ["--compression", "gzip"], ["--compression", "lzf"],
                    ["--compression", "none"]):
        convert(d / "every.h5ad", d / "copy.h5ad", *options)
        for p in compare_files(d / "every.h5ad", d / "copy.h5ad"):
            expect(False, f"{options}: {p}")
    make_inputs.legacy(d)
    with h5py.File(d / "legacy.h5ad", "r+") as f: # as anndata 0.5 wrote raw
        f["raw.X"], f["raw.var"] = np.arange(make_inputs.N * 3.0).reshape(-1, 3), np.array([(b"r1",), (b"r2",), (b"r3",)], [("index", "S4")])
    convert(d / "legacy.h5ad", d / "legacy_copy.h5ad", "--compression", "gzip")
    convert(d / "legacy.h5ad", d / "legacy.h5mu")
    convert(d / "legacy.h5mu", d / "legacy_back.h5ad")
    for name in ("legacy_copy", "legacy_back"):
        for p in compare_files(d / "legacy.h5ad", d / f"{name}.h5ad"):
            expect(False, f"records, {name}: {p}")
    filters = {"gzip": "gzip", "lzf": "lzf", "none": None}
    rows = np.arange(5000 * 20).reshape(5000, 20) % 7
    flat = anndata.AnnData(rows.astype(np.float32), dtype=np.float32)
    flat.write_h5ad(d / "flat.h5ad")
    size = {}
    for name, kind in filters.items():
        convert(d / "flat.h5ad", d / "f.h5ad", "--compression", name)
        with h5py.File(d / "f.h5ad") as f:
            expect(f["X"].compression == kind, f"compression {name}: {f['X'].compression}")
            expect(np.array_equal(f["X"][:], rows), f"compression {name}: values")
            size[name] = f["X"].id.get_storage_size()
    expect(size["gzip"] < size["none"] / 4 and size["lzf"] < size["none"] / 4, f"sizes {size}")
    convert(d / "every.h5ad", d / "w.h5mu")
    convert(d / "w.h5mu", d / "back.h5ad")
    for p in compare_files(d / "every.h5ad", d / "back.h5ad"):
        expect(False, f"h5mu and back: {p}")
    anndata.read_h5ad(d / "back.h5ad")
    write_tenx(d / "x.h5")
    convert(d / "x.h5", d / "x.h5mu")
    convert(d / "x.h5mu", f"{d / 'x'}/")
    convert(d / "x", d / "y.h5mu")
    for name in ("rna", "adt", "crispr_guide_capture"):
        a, b = load(d / "x.h5mu", name), load(d / "y.h5mu", name)
        same(b, a.X, a.obs_names, a.var_names, f"folder and back, {name}")
        expect(list(a.var["gene_ids"]) == list(b.var["gene_ids"]), "folder and back: ids")
    reals = anndata.AnnData(sp.csr_matrix(rng.random((5, 4)) ** 20), dtype=np.float64)
    reals.write_h5ad(d / "reals.h5ad")
    convert(d / "reals.h5ad", f"{d / 'reals'}/")
    convert(d / "reals", d / "reals2.h5ad")
    expect(np.array_equal(load(d / "reals2.h5ad").X.toarray(), reals.X.toarray()),
           "doubles through text")
    done = run("convert", d / "x.h5mu", d / "no.h5ad")
    expect(done.returncode == 2 and "--modality" in done.stderr and not (d / "no.h5ad").exists(),
           f"several modalities: {done.stderr}")
    done = run("convert", d / "x.h5mu", d / "no.what")
    expect(done.returncode == 2 and ".h5ad, .h5mu" in done.stderr, f"ending: {done.stderr}")


# ------------------------------------------------------------------ real files

def check_real(d):
    for path in common.real_files(["loader/10x/1.2.0/*.h5", "loader/10x/3.0.0/*.h5", "loader/10x/3.0.0/*x",
                                   "loader/10x/*.tar.gz", "loader/loom/*.loom"]):
        done = run("inspect", "--json", path)
        errors = [p for p in json.loads(done.stdout)["problems"] if p["severity"] == "error"]
        expect(done.returncode == 0 and not errors, f"{path}: {errors}")
        convert(path, d / "real.h5mu")
    for path in common.real_files(["loader/anndata/*/*.h5ad", "loader/mudata/*/*.h5mu"]):
        convert(path, d / f"real{path.suffix}")
        for p in compare_files(path, d / f"real{path.suffix}"):
            expect(False, f"{path}: {p}")


# ------------------------------------------------------------------ refused

BAD = {
    "short.mtx": ("%%MatrixMarket matrix coordinate integer general\n2 2 3\n1 1 1\n", "1 of 3 entries"),
    "beyond.mtx": ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n3 1 1\n", "line 3"),
    "zero.mtx": ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n0 1 1\n", "line 3"),
    "word.mtx": ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 x\n", "line 3"),
    "half.mtx": ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 0.5\n", "line 3"),
    "more.mtx": ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 1\n1 2 1\n", "line 4"),
    "huge.mtx": ("%%MatrixMarket matrix coordinate integer general\n99999999999 2 1\n1 1 1\n", "line 2"),
    "nosize.mtx": ("%%MatrixMarket matrix coordinate integer general\n% only\n", "before its size"),
    "complex.mtx": ("%%MatrixMarket matrix coordinate complex general\n1 1 0\n", "line 1"),
    "vector.mtx": ("%%MatrixMarket vector coordinate real general\n1 1 0\n", "line 1"),
    "count.mtx": ("%%MatrixMarket matrix coordinate integer general\n2 2\n", "three numbers"),
    "array.mtx": ("%%MatrixMarket matrix array real general\n2 2\n1\n2\n", "before the last value"),
    "ragged.csv": (",a,b\nc1,1,2\nc2,3\n", "line 3: 2 fields, expected 3"),
    "word.csv": (",a,b\nc1,1,2\nc2,3,x\n", "line 3: 'x' in column 3 ('b')"),
    "empty.csv": (",a,b\nc1,1,2\nc2,,1\n", "line 3: '' in column 2"),
    "quote.csv": (",a,b\nc1,1,2\n\"c2,3,1\n", "line 3: a quote is not closed"),
    "heading.csv": (",a,b\nc1,1,2,3,4\n", "line 2: 5 fields, the heading has 3"),
    "nul.csv": (",a,b\n" + "c1,1,2\n" * 900 + "c\0,1,2\n", "line 902 is not text"),
    "twice.csv": (",a,b\nc1,1,2\nc1,1,2\n", "cell name 'c1' occurs twice"),
}


def check_refused(d):
    for name, (text, words) in BAD.items():
        for compressed in (False, True):
            path = d / (name + ".gz" * compressed)
            path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
            done = run("convert", "-q", path, d / "no.h5ad")
            expect(done.returncode == 1 and words in done.stderr and path.name in done.stderr and
                   len(done.stderr.strip().splitlines()) == 1, f"{path.name}: {done.stderr}")
            expect(not (d / "no.h5ad").exists(), f"{path.name}: something was written")
            seen = run("inspect", path)
            expect(seen.returncode in (0, 1) and "ERROR: " not in seen.stderr, f"{path.name}: inspect")
    files = triplet(3)
    damaged = {
        "cut": ({**files, "matrix.mtx.gz": files["matrix.mtx.gz"][:-40]}, "ends too early"),
        "broken": ({**files, "matrix.mtx.gz": files["matrix.mtx.gz"][:60] + b"\xff" * 30 +
                    files["matrix.mtx.gz"][90:]}, "matrix.mtx.gz"),
        "fewer": ({**files, "barcodes.tsv.gz": gzip.compress(b"a\nb\n")}, "names 2 cells, the matrix has 37"),
        "ragged": ({**files, "features.tsv.gz": gzip.compress(b"a\tb\tc\nd\n" + b"e\tf\tg\n" * 21)},
                   "line 2: 1 fields, expected 3"),
        "alone": ({"matrix.mtx.gz": files["matrix.mtx.gz"]}, "not both"),
    }
    for name, (content, words) in damaged.items():
        write_files(d / name, content)
        write_tar(d / f"{name}.tar.gz", content)
        for source in (d / name, d / f"{name}.tar.gz"):
            done = run("convert", "-q", source, d / "no.h5ad")
            expect(done.returncode == 1 and words in done.stderr, f"{source.name}: {done.stderr}")
    whole = (d / "fewer.tar.gz").read_bytes()
    plain = gzip.decompress(whole)
    for name, content in {"cut1.tar.gz": whole[:-100], "cut2.tar": plain[:5000],
                          "size.tar": plain[:124] + b"77777777777\0" + plain[136:],
                          "sum.tar": plain[:1024] + b"\1" + plain[1025:]}.items():
        (d / name).write_bytes(content)
        done = run("convert", "-q", d / name, d / "no.h5ad")
        expect(done.returncode == 1 and name in done.stderr and "ERROR: " not in done.stderr,
               f"{name}: {done.stderr}")


for check in (check_tenx, check_triplets, check_mtx, check_loom, check_tables, check_batches, check_shared_features,
              check_round_trips, check_real, check_refused):
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder))
checks.end("formats")
