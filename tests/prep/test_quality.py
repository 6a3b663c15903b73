# SPDX-License-Identifier: BSD-3-Clause
"""`scweave qc` and `scweave filter` against their definitions in numpy and anndata's slices.
Usage: test_quality.py SCWEAVE"""
import os
import shutil
import tempfile
import unittest

from common import (DATA, anndata, close, counts, dense, element, h5py, make_adata, must, np, pd,
                    report, scweave, sp)


def metrics(x, tops, sets):
    """The definitions of scanpy's calculate_qc_metrics."""
    n, _ = x.shape
    total = x.sum(1)
    obs = {"n_genes_by_counts": (x != 0).sum(1), "total_counts": total}
    largest = -np.sort(-x, axis=1)
    with np.errstate(invalid="ignore"):
        for k in tops:
            obs[f"pct_counts_in_top_{k}_genes"] = 100 * largest[:, :k].sum(1) / total
        for name, member in sets.items():
            obs[f"total_counts_{name}"] = x[:, member].sum(1)
            obs[f"pct_counts_{name}"] = 100 * x[:, member].sum(1) / total
    for name in list(obs):
        if not name.startswith("pct"):
            obs["log1p_" + name] = np.log1p(obs[name])
    cells = (x != 0).sum(0)
    var = {"n_cells_by_counts": cells, "mean_counts": x.mean(0),
           "log1p_mean_counts": np.log1p(x.mean(0)),
           "pct_dropout_by_counts": 100 * (1 - cells / n), "total_counts": x.sum(0),
           "log1p_total_counts": np.log1p(x.sum(0))}
    return obs, var


def compare(test, adata, obs, var):
    for name, values in obs.items():
        close(test, adata.obs[name], values)
    for name, values in var.items():
        close(test, adata.var[name], values)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-prep-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def path(self, name):
        return os.path.join(self.folder, name)


class Quality(Case):
    def test_each_storage(self):
        x, group = counts(150, 230, 1)
        sets = {"mt": np.arange(230) < 5, "ribo": (np.arange(230) >= 5) & (np.arange(230) < 12)}
        obs, var = metrics(x.astype(float), (50, 100, 200), sets)
        for stored in ("csr", "csc", "dense"):
            for memory in ("0", "3000"):  # in memory, and from the file in blocks
                make_adata(x, group, stored).write(self.path("in.h5ad"))
                must("qc", self.path("in.h5ad"), "-o", self.path("out.h5ad"), "--mem", memory)
                out = anndata.read_h5ad(self.path("out.h5ad"))
                compare(self, out, obs, var)
                self.assertNotIn("pct_counts_in_top_500_genes", out.obs)
                self.assertTrue((out.var["mt"] == sets["mt"]).all())
                self.assertTrue(np.isnan(out.obs["pct_counts_mt"][1]))
                close(self, dense(out.X), x)

    def test_lists_tables_and_summary(self):
        x, group = counts(60, 40, 2)
        make_adata(x, group).write(self.path("in.h5ad"))
        with open(self.path("list.txt"), "w", encoding="utf-8") as file:
            file.write("GENE20\nGENE21\nabsent\n")
        found = report("qc", self.path("in.h5ad"), "--sets", f"mine=@{self.path('list.txt')};m=mt-",
                       "--top", "10", "--table", self.path("c.tsv"), "--feature-table",
                       self.path("f.tsv"))["modalities"][0]
        self.assertEqual(found["sets"], {"mine": 2, "m": 5})
        self.assertEqual((found["n_empty_cells"], found["counts"]), (1, True))
        self.assertGreaterEqual(found["n_empty_features"], 1)
        table = pd.read_csv(self.path("c.tsv"), sep="\t")
        close(self, table["total_counts_mine"], x[:, [20, 21]].sum(1))
        self.assertEqual(list(table["cell"]), [f"cell{i}" for i in range(60)])
        features = pd.read_csv(self.path("f.tsv"), sep="\t")
        close(self, features["total_counts"], x.sum(0))

    def test_modalities_keep_their_own_figures(self):
        must("example", self.path("e.h5mu"), "--narrow", "--cells", "80")
        must("qc", self.path("e.h5mu"), "-o", self.path("q.h5mu"))
        with h5py.File(self.path("q.h5mu")) as f:
            for name in ("rna", "adt", "atac"):
                mod = f["mod"][name]
                close(self, mod["obs/total_counts"][:], element(mod["X"]).sum(1))
                close(self, mod["var/n_cells_by_counts"][:], (element(mod["X"]) != 0).sum(0))

    def test_refusals(self):
        x, group = counts(20, 15, 3)
        make_adata(x, group).write(self.path("in.h5ad"))
        for expected, words in [("no modality 'x'", ["--modality", "x"]),
                                ("top: '5' in '9,5'", ["--top", "9,5"]),
                                ("'mt' is not NAME=PREFIX", ["--sets", "mt"]),
                                ("defined twice", ["--sets", "a=X;a=Y"]),
                                ("cannot open", ["--sets", "a=@/nowhere"])]:
            status, out, err = scweave("qc", self.path("in.h5ad"), *words)
            self.assertIn(expected, err)
            self.assertEqual((status in (1, 2), out), (True, ""))
        x[3, 4] = np.nan
        make_adata(x, group).write(self.path("nan.h5ad"))
        status, _, err = scweave("qc", self.path("nan.h5ad"), "-o", self.path("n.h5ad"))
        self.assertEqual(status, 1)
        self.assertIn("not finite (feature 5)", err)
        self.assertFalse(os.path.exists(self.path("n.h5ad")))

    def test_real_data(self):
        path = DATA / "kang_ifnb" / "kang_ifnb.h5ad"
        if not path.exists():
            self.skipTest(f"no {path}")
        must("qc", path, "-o", self.path("k.h5ad"))
        out = anndata.read_h5ad(self.path("k.h5ad"))
        ribo = out.var_names.str.upper().str.startswith(("RPS", "RPL"))
        obs, var = metrics(dense(anndata.read_h5ad(path).X).astype(float), (50, 100, 200, 500),
                           {"ribo": ribo})
        compare(self, out, obs, var)


def full_adata(n=90, p=60):
    x, group = counts(n, p, 4, 0.4)
    a = make_adata(x, group)
    rng = np.random.default_rng(0)
    a.raw = a.copy()
    a.layers["half"] = sp.csc_matrix(x / 2)
    a.layers["dense"] = x * 3
    a.obsm["X_pca"] = rng.normal(size=(n, 4))
    a.obsm["frame"] = pd.DataFrame({"u": rng.normal(size=n), "w": [f"t{i}" for i in range(n)]},
                                   index=a.obs_names)
    a.obsm["sparse"] = sp.random(n, 7, 0.3, "csr", random_state=1)
    a.varm["PCs"] = rng.normal(size=(p, 3)).astype(np.float32)
    a.obsp["distances"] = sp.random(n, n, 0.1, "csr", random_state=2)
    a.varp["links"] = rng.normal(size=(p, p))
    a.obs["text"] = [f"é{i}" for i in range(n)]
    a.obs["flag"] = np.arange(n) % 2 == 0
    a.obs["whole"] = pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int64")
    a.var["pick"] = np.arange(p) % 3 == 0
    a.uns["kept"] = {"a": np.arange(3), "b": "text"}
    return a


def same(test, a, b):
    """Two data sets, part by part."""
    pd.testing.assert_frame_equal(a.obs, b.obs)
    pd.testing.assert_frame_equal(a.var, b.var)
    for part in ("layers", "obsm", "varm", "obsp", "varp"):
        x, y = getattr(a, part), getattr(b, part)
        test.assertEqual(set(x), set(y), part)
        for key in x:
            if isinstance(x[key], pd.DataFrame):
                pd.testing.assert_frame_equal(x[key], y[key])
            else:
                test.assertEqual(type(x[key]), type(y[key]))
                np.testing.assert_array_equal(dense(x[key]), dense(y[key]))
    np.testing.assert_array_equal(dense(a.X), dense(b.X))
    np.testing.assert_array_equal(dense(a.raw.X), dense(b.raw.X))
    test.assertEqual(list(a.raw.var_names), list(b.raw.var_names))


class Filter(Case):
    def test_everything_is_cut_in_step(self):
        a = full_adata()
        a.write(self.path("in.h5ad"))
        a = anndata.read_h5ad(self.path("in.h5ad"))
        x = dense(a.X)
        found = report("filter", self.path("in.h5ad"), "-o", self.path("out.h5ad"), "--min-genes",
                       "12", "--max-counts", "150", "--min-cells", "15", "--keep-obs", "flag")
        genes, total = (x != 0).sum(1), x.sum(1)
        cells = (genes >= 12) & (total <= 150) & a.obs["flag"].values
        features = (x[cells] != 0).sum(0) >= 15
        self.assertTrue(0 < cells.sum() < 90 and 0 < features.sum() < 60)
        expected = a[cells, features].copy()
        for key in ("batch", "group"):  # categories stay, used or not
            expected.obs[key] = a.obs[key][cells]
        same(self, anndata.read_h5ad(self.path("out.h5ad")), expected)
        self.assertEqual(found["cells"]["after"], cells.sum())
        self.assertEqual(found["cells"]["dropped"]["min_genes"], (genes < 12).sum())
        self.assertEqual(found["cells"]["dropped"]["max_counts"], (total > 150).sum())
        self.assertEqual(found["features"]["dropped"]["min_cells"], (~features).sum())
        with h5py.File(self.path("out.h5ad")) as f, h5py.File(self.path("in.h5ad")) as g:
            self.assertEqual(f["X/data"].dtype, g["X/data"].dtype)
            self.assertEqual(f["layers/half"].attrs["encoding-type"], "csc_matrix")
            self.assertEqual(f["uns/kept/b"][()], g["uns/kept/b"][()])

    def test_features_of_a_column(self):
        a = full_adata()
        a.write(self.path("in.h5ad"))
        must("filter", self.path("in.h5ad"), "-o", self.path("in.h5ad"), "--keep-var", "pick")
        same(self, anndata.read_h5ad(self.path("in.h5ad")), a[:, a.var["pick"].values].copy())

    def test_outliers_within_batches(self):
        x, group = counts(300, 50, 5, 0.5)
        x[7] *= 40
        a = make_adata(x, group)
        a.write(self.path("in.h5ad"))
        found = report("filter", self.path("in.h5ad"), "-o", self.path("out.h5ad"), "--mads", "3",
                       "--batch-key", "batch")
        keep = np.ones(300, bool)
        total = x.sum(1)
        with np.errstate(invalid="ignore"):
            share = 100 * x[:, :5].sum(1) / total
        for values, both in ((np.log1p(total), True), (np.log1p((x != 0).sum(1)), True),
                             (share, False)):
            for b in ("b0", "b1", "b2"):
                own = (a.obs["batch"] == b).values
                finite = values[own & np.isfinite(values)]
                middle = np.median(finite)
                reach = 3 * 1.4826 * np.median(np.abs(finite - middle))
                keep &= ~(own & ((values > middle + reach) | (both & (values < middle - reach))))
        self.assertFalse(keep[7])
        out = anndata.read_h5ad(self.path("out.h5ad"))
        self.assertEqual(list(out.obs_names), list(a.obs_names[keep]))
        self.assertEqual(len(found["outlier_bounds"]), 9)

    def test_multimodal(self):
        must("example", self.path("e.h5mu"), "--narrow", "--cells", "120", "--seed", "3")
        must("filter", self.path("e.h5mu"), "-o", self.path("f.h5mu"), "--min-cells", "8",
             "--min-counts", "1500")
        with h5py.File(self.path("e.h5mu")) as a, h5py.File(self.path("f.h5mu")) as b:
            x = element(a["mod/rna/X"])
            cells = x.sum(1) >= 1500
            features = (x[cells] > 0).sum(0) >= 8
            self.assertTrue(0 < cells.sum() < 120 and 0 < features.sum() < x.shape[1])
            for name in ("rna", "adt", "atac"):
                cut = features if name == "rna" else slice(None)
                np.testing.assert_array_equal(element(b[f"mod/{name}/X"]),
                                              element(a[f"mod/{name}/X"])[cells][:, cut])
                np.testing.assert_array_equal(b["obsmap"][name][:], np.arange(cells.sum()) + 1)
                self.assertEqual(b["varmap"][name].shape[0], b["var/_index"].shape[0])
                rows = b["varmap"][name][:]
                np.testing.assert_array_equal(b["var/_index"][:][rows > 0],
                                              b[f"mod/{name}/var/_index"][:][rows[rows > 0] - 1])
            np.testing.assert_array_equal(b["obs/_index"][:], a["obs/_index"][:][cells])
        must("inspect", self.path("f.h5mu"))

    def test_refusals(self):
        full_adata().write(self.path("in.h5ad"))
        for expected, words in [("no filter is given", []),
                                ("no cell is left", ["--min-counts", "1e9"]),
                                ("no feature is left", ["--min-cells", "1000"]),
                                ("is above the largest", ["--min-genes", "9", "--max-genes", "3"]),
                                ("no obs column 'x'", ["--keep-obs", "x"]),
                                ("no var column 'x'", ["--keep-var", "x"]),
                                ("true or false is expected", ["--keep-obs", "text"]),
                                ("no obs column 'x'", ["--mads", "3", "--batch-key", "x"]),
                                ("begins with 'zz'", ["--max-pct-mt", "5", "--mt", "zz"])]:
            status, _, err = scweave("filter", self.path("in.h5ad"), "-o", self.path("no.h5ad"),
                                     *words)
            self.assertIn(expected, err)
            self.assertIn(status, (1, 2))
            self.assertFalse(os.path.exists(self.path("no.h5ad")))

    def test_older_files(self):
        path = DATA / "loader" / "anndata" / "v0.7.8" / "adata.h5ad"
        if not path.exists():
            self.skipTest(f"no {path}")
        a = anndata.read_h5ad(path)
        must("filter", path, "-o", self.path("old.h5ad"), "--min-cells", "1", "--min-genes", "1")
        b = anndata.read_h5ad(self.path("old.h5ad"))
        x = dense(a.X)
        cells = (x != 0).sum(1) >= 1
        np.testing.assert_array_equal(dense(b.X), x[cells][:, (x[cells] != 0).sum(0) >= 1])
        pd.testing.assert_frame_equal(b.obs, a.obs[cells])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
