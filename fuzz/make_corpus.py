# SPDX-License-Identifier: BSD-3-Clause
"""make_corpus.py PROGRAM [FOLDER]: the files that fuzzing starts from, small ones of every format and
encoding, into corpus/{hdf5,text,model}. Equal bytes for equal versions of h5py and anndata. What fuzzing
has found stands beside them under names that begin with "found-" and is left alone."""
import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from elements import write_elem  # noqa: E402 pylint: disable=wrong-import-position

CELLS, GENES = [f"c{i}" for i in range(4)], [f"g{j}" for j in range(3)]
COUNTS = np.array([[1, 0, 2], [0, 0, 5], [3, 1, 0], [0, 4, 0]], np.float32)
TEXT = h5py.string_dtype()


# ------------------------------------------------------------------ h5ad, h5mu

def anndata_into(g, x, columns=False, old=False):
    g.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    for axis, names in (("obs", CELLS), ("var", GENES)):
        n = len(names)
        frame = pd.DataFrame(index=names)
        if columns and axis == "obs":
            frame["label"] = pd.Categorical.from_codes([0, 1, -1, 0], ["T", "B"], ordered=True)
            frame["real"] = [0.5, np.nan, 1, 2]
            frame["flag"] = [True, False, True, True]
            frame["note"] = ["a", "", "µ", "b"]
            frame["maybe"] = pd.array([1, None, 3, 4], dtype="Int64")
            frame["perhaps"] = pd.array([True, None, False, None], dtype="boolean")
        elif columns:
            frame["n"] = np.arange(n)
        write_elem(g, axis, frame)
    write_elem(g, "X", x)
    if old: # categories beside the codes, anndata 0.7
        g["obs/__categories/label"] = np.array(["T", "B"], dtype=TEXT)
        g["obs/__categories/label"].attrs["ordered"] = False
        del g["obs/label"]
        g["obs/label"] = np.array([0, 1, -1, 0], np.int8)
        g["obs/label"].attrs["categories"] = g["obs/__categories/label"].ref


def h5ad(f, x, **how):
    anndata_into(f, x, **how)


def full(f):
    anndata_into(f, sp.csr_matrix(COUNTS), columns=True)
    write_elem(f, "layers/twice", COUNTS * 2)
    write_elem(f, "raw/X", sp.csc_matrix(COUNTS))
    write_elem(f, "raw/var", pd.DataFrame(index=GENES))
    write_elem(f, "obsm/X_pca", np.arange(8.0).reshape(4, 2))
    write_elem(f, "obsm/frame", pd.DataFrame({"a": np.arange(4.0), "b": np.arange(4)}, index=CELLS))
    write_elem(f, "obsm/sparse", sp.csr_matrix(COUNTS))
    write_elem(f, "obsp/near", sp.csr_matrix(np.eye(4)))
    write_elem(f, "uns/note", {"deep": {"er": np.arange(3), "s": "text"}})


def chunked(f):
    anndata_into(f, COUNTS.astype("f8"))
    del f["X"]
    f.create_dataset("X", data=COUNTS, chunks=(3, 2), compression="lzf", shuffle=True)
    g = f.create_group("layers/csr")
    m = sp.csr_matrix(COUNTS)
    g.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [4, 3]})
    for name, values in (("data", m.data), ("indices", m.indices.astype("i8")), ("indptr", m.indptr)):
        g.create_dataset(name, data=values, chunks=(2,), compression="gzip", shuffle=True)


def records(f):
    """anndata 0.6 and before."""
    m = sp.csr_matrix(COUNTS)
    g = f.create_group("X")
    g.attrs["h5sparse_format"], g.attrs["h5sparse_shape"] = "csr", np.array(m.shape)
    g["data"], g["indices"], g["indptr"] = m.data, m.indices, m.indptr
    obs = np.zeros(4, [("index", "S4"), ("n", "<i8"), ("part", "<f4"), ("type", "i1"), ("name", "S5")])
    obs["index"], obs["type"] = CELLS, [0, 1, 1, 0]
    obs["name"] = "größ".encode("latin-1")
    f["obs"] = obs
    var = np.zeros(3, [("index", "S4")])
    var["index"] = GENES
    f["var"] = var
    f["obsm"] = np.zeros(4, [("X_pca", "<f4", (2,))])
    f["uns/type_categories"] = np.array([b"naive", b"memory"])


def h5mu(f, axis=0):
    f.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": axis})
    mod = f.create_group("mod")
    mod.attrs["mod-order"] = ["rna", "adt"]
    for k, name in enumerate(("rna", "adt")):
        anndata_into(mod.create_group(name), sp.csr_matrix(COUNTS) if k else COUNTS)
        f["obsmap/" + name] = np.array([1, 2, 3, 4] if k else [4, 3, 2, 1], np.uint32)
        f["varmap/" + name] = np.array([1, 2, 3, 0, 0, 0] if k else [0, 0, 0, 1, 2, 3], np.uint32)
    write_elem(f, "obs", pd.DataFrame({"all": np.arange(4)}, index=CELLS))
    write_elem(f, "var", pd.DataFrame(index=["a" + g for g in GENES] + GENES))


# ------------------------------------------------------------------ other HDF5

def tenx(f):
    m = sp.csr_matrix(COUNTS)
    g = f.create_group("matrix")
    g["barcodes"], g["shape"] = np.array(CELLS, "S"), [3, 4]
    g["data"], g["indices"], g["indptr"] = m.data.astype("i4"), m.indices.astype("i8"), m.indptr.astype("i8")
    g["features/id"] = g["features/name"] = np.array(GENES, "S")
    g["features/feature_type"] = np.array(["Gene Expression"] * 2 + ["Antibody Capture"], "S")
    g["features/genome"] = np.array(["GRCh38"] * 3, "S")
    g["features/_all_tag_keys"] = np.array(["genome"], "S")


def tenx_old(f):
    m = sp.csr_matrix(COUNTS)
    for genome in ("hg19", "mm10"):
        g = f.create_group(genome)
        g["barcodes"], g["shape"] = np.array(CELLS, "S"), [3, 4]
        g["data"], g["indices"], g["indptr"] = m.data.astype("i4"), m.indices, m.indptr
        g["genes"] = g["gene_names"] = np.array([genome + x for x in GENES], "S")


def loom(f):
    f.attrs["LOOM_SPEC_VERSION"] = "3.0.0"
    f.create_dataset("matrix", data=COUNTS.T, chunks=(2, 2), compression="gzip")
    f["layers/spliced"] = COUNTS.T / 3
    f["row_attrs/Gene"], f["col_attrs/CellID"] = np.array(GENES, "S"), np.array(CELLS, "S")
    f["col_attrs/Age"], f["col_attrs/PCA"] = np.arange(4), np.ones((4, 2))
    f["col_graphs/KNN/a"], f["col_graphs/KNN/b"] = [0, 1], [1, 2]
    f["col_graphs/KNN/w"] = [0.5, 0.25]


def matilda(f):
    f["matrix/data"] = COUNTS.T
    f["matrix/features"], f["matrix/barcodes"] = np.array(GENES, "S"), np.array(CELLS, "S")


HDF5 = {"dense.h5ad": lambda f: h5ad(f, COUNTS), "full.h5ad": full, "chunked.h5ad": chunked,
        "csr.h5ad": lambda f: h5ad(f, sp.csr_matrix(COUNTS)),
        "csc.h5ad": lambda f: h5ad(f, sp.csc_matrix(COUNTS.astype("i4")), columns=True),
        "old.h5ad": lambda f: h5ad(f, COUNTS.astype("u1"), columns=True, old=True),
        "records.h5ad": records, "axis0.h5mu": h5mu, "axis1.h5mu": lambda f: h5mu(f, 1),
        "tenx.h5": tenx, "tenx_old.h5": tenx_old, "loom.loom": loom, "matilda.h5": matilda}


def without_times():
    """The newest form of groups is a third of the size of the old one, but holds the time unless told not
    to, which h5py itself cannot do."""
    plist = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    plist.set_obj_track_times(False)
    put, dataset = h5py.Group.__setitem__, h5py.Group.create_dataset

    def group(self, name, track_order=None):
        here = self
        for part in name.strip("/").split("/"):
            if part and part not in here:
                h5py.h5g.create(here.id, part.encode(), gcpl=plist)
            here = here[part] if part else here
        return here

    def put_below(self, name, value):
        put(group(self, name.rpartition("/")[0]), name.rpartition("/")[2], value)

    def dataset_below(self, name, *args, **more):
        if name is None: # one that gets its name later
            return dataset(self, name, *args, **more)
        return dataset(group(self, name.rpartition("/")[0]), name.rpartition("/")[2], *args, **more)

    h5py.Group.create_group, h5py.Group.__setitem__ = group, put_below
    h5py.Group.create_dataset = dataset_below


def make_hdf5(folder):
    without_times()
    fcpl, fapl = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    fcpl.set_obj_track_times(False)
    for name, fill in HDF5.items():
        old = name == "csr.h5ad" # one file in the old form
        fapl.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST if old else h5py.h5f.LIBVER_LATEST,
                               h5py.h5f.LIBVER_LATEST)
        path = str(folder / name).encode()
        with h5py.File(h5py.h5f.create(path, h5py.h5f.ACC_TRUNC, fcpl, fapl)) as f:
            fill(f)


# ------------------------------------------------------------------ text

def archive(members, prefix="", form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for name, content in members.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    used = len(out.getvalue().rstrip(b"\0"))
    return out.getvalue()[:-(-used // 512) * 512 + 1024] # two empty blocks are the end; tarfile adds more


def make_text(folder):
    mtx = b"%%MatrixMarket matrix coordinate integer general\n% c\n3 4 6\n" + b"".join(
        b"%d %d %d\n" % (j + 1, i + 1, COUNTS[i, j]) for i, j in zip(*COUNTS.nonzero()))
    features = "".join(f"ENSG{j}\t{g}\tGene Expression\n" for j, g in enumerate(GENES)).encode()
    barcodes = "".join(c + "\n" for c in CELLS).encode()
    tenx_files = {"matrix.mtx": mtx, "features.tsv": features, "barcodes.tsv": barcodes}
    table = "," + ",".join(GENES) + "\n" + "".join(
        c + "," + ",".join(f"{v:g}" for v in row) + "\n" for c, row in zip(CELLS, COUNTS))
    files = {
        "integer.mtx": mtx,
        "real.mtx": b"%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n1 1 2.5\n2 1 -1e-3\n",
        "pattern.mtx": b"%%MatrixMarket matrix coordinate pattern general\n2 3 2\n1 3\n2 1\n",
        "skew.mtx": b"%%MatrixMarket matrix coordinate integer skew-symmetric\n2 2 1\n2 1 4\n",
        "array.mtx": b"%%MatrixMarket matrix array real general\n2 2\n1\n0\n0.5\n2\n",
        "tenx.tar": archive(tenx_files),
        "long.tar": archive({k + ".gz": gzip.compress(v, mtime=0) for k, v in tenx_files.items()},
                            "a/" * 60, tarfile.GNU_FORMAT),
        "pax.tar": archive({"matrix.mtx": mtx, "genes.tsv": features, "barcodes.tsv": barcodes},
                           "ö" * 101, tarfile.PAX_FORMAT),
        "tenx.tar.gz": gzip.compress(archive(tenx_files), mtime=0),
        "matrix.mtx.gz": gzip.compress(mtx, mtime=0),
        "cells.csv": table.encode(),
        "quoted.csv": ('"",' + ",".join(f'"{g}"' for g in GENES) + '\r\n"c,\n""0",1,2.5,-1e3\r\n').encode(),
        "semicolon.csv": b"\xef\xbb\xbf" + table.replace(",", ";").encode(),
        "genes.tsv": ("\t".join(CELLS) + "\n" + "ENSG00000000003\t1\t0\t2\t3\n").encode(),
        "spaces.txt": b"c0 c1\nCD3 1 2\nCD4 NA 0\n",
        "numbers.csv": b"1,2\n3,4\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


# ------------------------------------------------------------------ model files and texts beside them

def make_model(folder, program):
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as scratch:
        reference = Path(scratch) / "reference.csv"
        labels = Path(scratch) / "labels.csv"
        set_, model = Path(scratch) / "set.h5ad", Path(scratch) / "model.safetensors"
        cells = [f"c{i}" for i in range(24)]
        pd.DataFrame(rng.poisson(3, (24, 4)), cells, ["CD3", "CD4", "CD8", "CD19"]).to_csv(reference)
        pd.DataFrame({"label": ["T", "B"] * 12}, cells).to_csv(labels, index_label="cell")
        for name, modality, more in (("rna", "rna", ["--components", "2"]), ("adt", "adt", [])):
            run = lambda *words: subprocess.run([program, *map(str, words), "--quiet"], check=True)
            run("convert", reference, set_)
            run("obs", set_, "--table", labels, "-o", set_)
            run("fit", "matilda", f"{modality}={set_}", "--label", "label", "-o", model, "--epochs", "1",
                "--min-steps", "0", "--modality-weights", "off", "--shortcut-c", "1", "--library", "1000",
                "--z-dim", "2", "--hidden-joint", "2", f"--hidden-{name}", "2", "--count-steps", "1",
                "--batch-size", "8", "--calibration-folds", "2", "--threads", "1", *more)
            (folder / f"{name}.safetensors").write_bytes(model.read_bytes())
    gtf = ('# made up\nchr1\tx\tgene\t100\t200\t.\t+\t.\tgene_id "E1.2"; gene_name "A";\n'
           'chr1\tx\texon\t100\t150\t.\t+\t.\tgene_id "E1.2";\n'
           'chrMT\tx\tgene\t7\t9\t.\t-\t.\tgene_name "B"; gene_id "E2";\n')
    files = {"folds.tsv": "cell\tfold\n" + "".join(f"c{i}\tf{i % 2}\n" for i in range(4)),
             "columns.csv": 'cell,whole,real,"a ""name"""\nc0,1,0.5,x\nc1,NA,1e3,"y,z"\nc2,3,,\n',
             "r.tsv": "label\tn\nc0\tB\t1\nc3\tT\t2\n",
             "genes.gtf": gtf, "genes.tsv": "gene_id\tsymbol\tchr\tstart\tend\tstrand\nE1\tA\tchr1\t5\t9\t-1\n",
             "tss.csv": "symbol,chromosome,tss\nA,1,100\nB,X,7\n", "list.txt": "MT-CO1\nc0\r\nc3\n"}
    for name, text in files.items():
        (folder / name).write_text(text)


def main():
    root = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parent / "corpus"
    for name, make in (("hdf5", make_hdf5), ("text", make_text),
                       ("model", lambda folder: make_model(folder, sys.argv[1]))):
        (root / name).mkdir(parents=True, exist_ok=True)
        make(root / name)


if __name__ == "__main__":
    main()
