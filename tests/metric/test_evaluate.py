# SPDX-License-Identifier: BSD-3-Clause
"""`scweave example` and `scweave evaluate`, judged through h5py and scikit-learn."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import anndata
    from anndata._io.specs import read_elem
    import h5py
    import numpy as np
    import pandas as pd
    from anndata._io.specs import write_elem
    from sklearn import metrics
    from sklearn.neighbors import KNeighborsRegressor
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

PROGRAM = None


def run(*arguments, code=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    if done.returncode != code:
        raise AssertionError("exit %d, expected %d: %s" % (done.returncode, code, done.stderr))
    return done


class Evaluate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "results.h5ad")
        rng = np.random.default_rng(0)
        n = 400
        truth = rng.choice(["T", "B", "NK", "Mono"], n, p=[0.5, 0.2, 0.2, 0.1]).astype(object)
        said = np.where(rng.random(n) < 0.8, truth, "DC")
        truth[:20] = np.nan  # cells without a label
        centres = dict(zip(["T", "B", "NK", "Mono"], 4 * rng.standard_normal((4, 3))))
        self.x = np.array([centres.get(t, np.zeros(3)) + rng.standard_normal(3) for t in truth],
                          np.float32)
        obs = pd.DataFrame({"truth": pd.Categorical(truth), "said": pd.Categorical(said)},
                           index=["c%d" % i for i in range(n)])
        data = anndata.AnnData(np.ones((n, 2), np.float32), obs=obs)
        data.obsm["X_e"] = self.x
        data.obsm["X_frame"] = pd.DataFrame(self.x, index=obs.index, columns=list("abc"))
        data.write_h5ad(self.path)
        self.truth, self.said = truth[20:].astype(str), said[20:].astype(str)

    def tearDown(self):
        self.folder.cleanup()

    def test_annotation(self):
        report = json.loads(run("evaluate", self.path, "--label", "truth", "--prediction", "said",
                                "--json").stdout)
        a = report["annotation"]
        self.assertEqual((report["n_obs"], report["n_labelled"]), (400, 380))
        self.assertAlmostEqual(a["accuracy"], metrics.accuracy_score(self.truth, self.said), 8)
        self.assertAlmostEqual(a["macro_f1"],
                               metrics.f1_score(self.truth, self.said, average="macro"), 8)
        self.assertAlmostEqual(a["majority_accuracy"], np.mean(self.truth == "T"), 8)
        by_name = {c["name"]: c for c in a["classes"]}
        self.assertEqual(set(by_name), {"T", "B", "NK", "Mono", "DC"})
        self.assertEqual(by_name["DC"]["support"], 0)
        self.assertEqual(by_name["B"]["support"], int((self.truth == "B").sum()))
        self.assertNotIn("clustering", report)

    def test_clustering(self):
        for key in ("X_e", "X_frame"):
            report = json.loads(run("evaluate", self.path, "--label", "truth", "--embedding", key,
                                    "--json").stdout)
            c = report["clustering"]
            self.assertEqual((c["k"], c["n"]), (4, 380))
            self.assertTrue(0.3 < c["ari"] <= 1 and 0.3 < c["nmi"] <= 1)
            self.assertNotIn("annotation", report)

    def test_absent_keys(self):
        for option, key, word in (("--prediction", "nothing", "said"),
                                  ("--embedding", "X_no", "X_e")):
            done = run("evaluate", self.path, "--label", "truth", option, key, code=1)
            self.assertIn(key, done.stderr)
            self.assertIn(word, done.stderr)  # what there is
            self.assertEqual(done.stdout, "")
        run("evaluate", self.path, "--label", "absent", "--prediction", "said", code=1)


class Example(unittest.TestCase):
    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "e.h5mu")
            run("example", path, "--narrow", "--cells", "500", "--seed", "3")
            with h5py.File(path) as f:
                self.assertEqual(set(f["mod"]), {"rna", "adt", "atac"})
                self.assertEqual(len(f["obs/is_doublet"][:]), 500)
            for name in ("rna", "adt", "atac"):
                with h5py.File(path) as f:
                    group = read_elem(f["mod"][name])
                self.assertEqual(group.n_obs, 500)
                values = group.X.data if name != "adt" else group.X
                self.assertTrue((values == np.round(values)).all() and (values >= 0).all())
            report = json.loads(run("evaluate", path, "--label", "truth", "--prediction",
                                    "cell_type", "--json").stdout)
            self.assertTrue(0.95 < report["annotation"]["accuracy"] < 0.995)
            self.embedding_of_a_modality(path)

    def embedding_of_a_modality(self, path):
        with h5py.File(path, "r+") as f:
            codes = f["obs/truth/codes"][:].astype(np.float32)
            obsm = f["mod/rna"].require_group("obsm")
            obsm["X_codes"] = 100 * codes[:, None]
            obsm["X_short"] = codes[:-1, None]
        def evaluate(key, code=0):
            return run("evaluate", path, "--label", "truth", "--embedding", key, "--json",
                       code=code)
        report = json.loads(evaluate("rna:X_codes").stdout)
        self.assertEqual(report["clustering"]["ari"], 1.0)
        self.assertIn("499", evaluate("rna:X_short", code=1).stderr)
        evaluate("X_codes", code=1)


def figures(truth, said):
    """The means of docs/evaluate.md, from numpy and scikit-learn."""
    def pearson(t, s):
        return np.corrcoef(t, s)[0, 1] if t.std() > 1e-9 and s.std() > 1e-9 else 0.0

    def auroc(t, s):
        return metrics.roc_auc_score(t > 0, s) if 0 < (t > 0).sum() < len(t) else np.nan

    truth, said = truth.astype(float), said.astype(float)
    return {"pearson_feature": np.mean([pearson(t, s) for t, s in zip(truth.T, said.T)]),
            "pearson_cell": np.mean([pearson(t, s) for t, s in zip(truth, said)]),
            "auroc_feature": np.nanmean([auroc(t, s) for t, s in zip(truth.T, said.T)]),
            "auroc_cell": np.nanmean([auroc(t, s) for t, s in zip(truth, said)]),
            "rmse": np.sqrt(np.mean((truth - said) ** 2)), "mae": np.mean(np.abs(truth - said))}


class Translation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = os.path.join(cls.folder.name, "both.h5mu")
        cls.splits = os.path.join(cls.folder.name, "folds.tsv")
        run("example", cls.path, "--narrow", "--cells", "300", "--seed", "3")
        rng = np.random.default_rng(1)
        with h5py.File(cls.path, "r+") as f:
            adt = read_elem(f["mod/adt"])
            x = adt.X.toarray() if hasattr(adt.X, "toarray") else np.asarray(adt.X)
            cls.truth, cls.names = x.astype(np.float32), list(adt.obs_names)
            cls.said = (np.log1p(cls.truth) + rng.standard_normal(x.shape)).clip(0).astype(np.float32)
            cls.lead = rng.standard_normal((len(x), 4)).astype(np.float32)
            cls.lead[7] = np.nan  # a cell without a source
            order = rng.permutation(x.shape[1])
            group = f["mod/adt"]
            group.require_group("obsm")["X_said"] = cls.said
            group["obsm"]["lead"] = cls.lead
            group["obsm"]["narrow"] = cls.said[:, :-1]
            write_elem(group.require_group("layers"), "said", cls.said)
            # The same as a modality: half of the cells, the features in another order and one unknown.
            part = anndata.AnnData(np.hstack([cls.said[::2][:, order], np.ones((150, 1), np.float32)]),
                                   obs=pd.DataFrame(index=cls.names[::2]),
                                   var=pd.DataFrame(index=list(adt.var_names[order]) + ["more"]))
        cls.part = os.path.join(cls.folder.name, "part.h5ad")
        part.write_h5ad(cls.part)
        cls.fold = rng.integers(0, 3, len(x))
        with open(cls.splits, "w", encoding="utf-8") as f:
            f.write("cell\tfold\n")
            f.writelines("%s\t%d\n" % row for row in zip(cls.names, cls.fold))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def judge(self, *options, path=None):
        text = run("evaluate", path or self.path, "--measured", "adt", "--json", *options).stdout
        return json.loads(text)["translation"]

    def compare(self, got, want):
        for name, value in want.items():
            self.assertAlmostEqual(got[name], value, 5, name)

    def test_by_hand(self):
        path = os.path.join(self.folder.name, "hand.h5ad")
        data = anndata.AnnData(np.array([[1, 0], [0, 2], [3, 0]], np.float32),
                               obs=pd.DataFrame(index=list("abc")))
        data.obsm["said"] = np.array([[2, 0], [0, 1], [1, 1]], np.float32)
        data.write_h5ad(path)
        run("evaluate", path, "--translation", "said", "--measured", "rna")
        text = run("evaluate", path, "--translation", "said", "--measured", "rna", "--json").stdout
        got = json.loads(text)["translation"]
        # Cells: (1,0)~(2,0) 1, (0,2)~(0,1) 1, (3,0)~(1,1) 0. Features: sums of products about the means,
        # (1,0,3)~(2,0,1) 1 / sqrt(14/3 * 2), (0,2,0)~(0,1,1) 2/3 / sqrt(8/3 * 2/3).
        self.assertAlmostEqual(got["prediction"]["pearson_cell"], 2 / 3, 9)
        self.assertAlmostEqual(got["prediction"]["pearson_feature"],
                               (1 / np.sqrt(28 / 3) + 2 / 3 / np.sqrt(16 / 9)) / 2, 9)
        self.assertAlmostEqual(got["prediction"]["auroc_feature"], (1 + 0.75) / 2, 9)
        self.assertAlmostEqual(got["prediction"]["auroc_cell"], (1 + 1 + 0.5) / 3, 9)
        self.assertAlmostEqual(got["prediction"]["mae"], (1 + 0 + 0 + 1 + 2 + 1) / 6, 9)
        self.assertEqual([f["name"] for f in got["features"]], ["0", "1"])
        self.assertNotIn("mean", got)

    def test_dense_modalities_in_another_order(self):
        """Both sides are dense and stay in their files; the cells are not in the order of the predictions."""
        said = anndata.AnnData(np.maximum(self.said, 0).astype(np.float32), obs=pd.DataFrame(index=self.names))
        truth = anndata.AnnData(self.truth.astype(np.float32), obs=pd.DataFrame(index=self.names))
        files = {name: os.path.join(self.folder.name, name + ".h5ad") for name in ("dense", "turned")}
        said.write_h5ad(files["dense"])
        truth[::-1].copy().write_h5ad(files["turned"])
        path = os.path.join(self.folder.name, "dense.h5mu")
        run("convert", "said=" + files["dense"], "-o", path)
        for first, second in ((path, files["turned"]), (files["turned"], path)):
            names = ("said", "rna") if first == path else ("rna", "said")
            text = run("evaluate", first, "--translation", names[0], "--measured", names[1], "--measured-file",
                       second, "--json").stdout
            got = json.loads(text)["translation"]
            self.assertEqual(got["n"], len(self.names))
            sides = (self.truth, np.maximum(self.said, 0))
            self.compare(got["prediction"], figures(*(sides if first == path else sides[::-1])))

    def test_against_numpy(self):
        held = self.fold == 1
        taught = self.fold != 1
        for key in ("adt:X_said", "adt:said"):
            got = self.judge("--translation", key, "--splits", self.splits, "--fold", "1",
                             "--source", "adt:lead", "--neighbors", "5")
            self.assertEqual((got["n"], got["n_train"]), (held.sum(), taught.sum()))
            truth, train = self.truth[held], self.truth[taught]
            self.compare(got["prediction"], figures(truth, self.said[held]))
            self.compare(got["mean"], figures(truth, np.tile(train.mean(0), (len(truth), 1))))
            known = np.isfinite(self.lead).all(1)
            model = KNeighborsRegressor(5).fit(self.lead[taught & known], self.truth[taught & known])
            said = np.array([model.predict(l[None])[0] if np.isfinite(l).all() else train.mean(0)
                             for l in self.lead[held]])
            self.compare(got["neighbors"], figures(truth, said))
            by_name = [f["pearson"] for f in got["features"]]
            self.assertAlmostEqual(np.mean(by_name), got["prediction"]["pearson_feature"], 8)

    def test_log(self):
        got = self.judge("--translation", "adt:X_said", "--scale", "log", "--splits", self.splits,
                         "--fold", "0")
        held, log = self.fold == 0, np.log1p
        self.compare(got["prediction"], figures(log(self.truth[held]), log(self.said[held])))
        mean = log(self.truth[~held]).mean(0)
        self.compare(got["mean"], figures(log(self.truth[held]), np.tile(mean, (held.sum(), 1))))

    def test_modality_by_name(self):
        got = self.judge("--translation", "rna", "--measured-file", self.path, path=self.part)
        self.assertEqual((got["n"], got["n_features_missing"]), (150, 0))
        self.compare(got["prediction"], figures(self.truth[::2], self.said[::2]))

    def test_from_a_modality(self):
        got = self.judge("--translation", "adt:X_said", "--splits", self.splits, "--fold", "0",
                         "--source", "rna", "--scale", "log")
        self.assertGreater(got["neighbors"]["pearson_feature"], got["mean"]["pearson_feature"] + 0.1)
        self.assertLess(got["neighbors"]["rmse"], got["mean"]["rmse"])

    def test_refusals(self):
        def refused(word, *options, code=1):
            done = run("evaluate", self.path, *options, code=code)
            self.assertIn(word, done.stderr)
            self.assertEqual(done.stdout, "")

        said = ("--translation", "adt:X_said")
        fold = ("--splits", self.splits, "--fold")
        refused("--measured", *said, code=2)
        refused("--label", *said, "--measured", "adt", "--label", "cell_type", code=2)
        refused("--splits", *said, "--measured", "adt", "--source", "rna", code=2)
        refused("--translation", "--measured", "adt", code=2)
        refused("protein", *said, "--measured", "protein")
        refused("X_no", "--translation", "adt:X_no", "--measured", "adt")
        refused("columns", "--translation", "adt:narrow", "--measured", "adt")
        refused("'adt'", "--translation", "adt", "--measured", "adt", code=2)
        refused("no feature", "--translation", "atac", "--measured", "adt")
        refused("'9'", *said, "--measured", "adt", *fold, "9")
        refused("itself", *said, "--measured", "adt", *fold, "0", "--source", "adt",
                code=2)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
