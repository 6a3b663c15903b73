# SPDX-License-Identifier: BSD-3-Clause
"""scweave cca, match, and evaluate's figures of integration and of pairs.
Usage: test_cli_match.py SCWEAVE [unittest arguments]"""
import csv
import json
import os
import re
import shutil

import anndata
import h5py
import numpy as np

import job
from job import CLOSING, N_CELLS

PAIR = ["--use", "rna:X_cca", "--with", "adt:X_cca"]


class Match(job.Job):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with h5py.File(cls.path("reference.h5mu"), "r") as file:
            names = file["obs"][file["obs"].attrs["_index"]][:]
        with open(cls.path("folds.tsv"), "w", encoding="utf-8") as file:
            file.write("cell\tfold\n")
            for i, name in enumerate(names):
                file.write("%s\t%d\n" % (name.decode(), i % 2))
        cls.words = ["cca", "reference.h5mu", "--first", "rna", "--second", "adt"]
        status, _, err = cls.run_it(*cls.words, "-o", "cca.h5mu", "-q")
        assert status == 0, err
        for side in ("rna", "adt"):   # one .h5ad of each side, one of them in another order
            with h5py.File(cls.path("cca.h5mu"), "r") as file:
                x = file["mod/%s/obsm/X_cca" % side][:]
            cell = [n.decode() for n in names]
            order = np.arange(N_CELLS) if side == "rna" else np.arange(N_CELLS)[::-1]
            obs = {"batch": ["b%d" % (i % 2) for i in order],
                   "kind": ["t%d" % (i % 3) for i in order]}
            data = anndata.AnnData(np.ones((N_CELLS, 1), np.float32),
                                   obs=anndata.utils.pd.DataFrame(obs, [cell[i] for i in order]))
            data.obsm["X_cca"] = x[order]
            data.write_h5ad(cls.path(side + ".h5ad"))

    def declines(self, expected, *words):
        """Misuse that only the data show: status 2 and one sentence."""
        status, out, err = self.run_it(*words)
        self.assertEqual((status, out), (2, ""), err)
        self.assertRegex(err, expected)

    def test_cca(self):
        with h5py.File(self.path("cca.h5mu"), "r") as file:
            self.assertEqual(file["mod/rna/obsm/X_cca"].shape, (N_CELLS, 20))
            self.assertEqual(file["mod/adt/obsm/X_cca"].shape, (N_CELLS, 20))
            self.assertEqual(file["uns/cca/n_learned"][()], N_CELLS)
            self.assertNotIn("X_cca", file["mod/atac/obsm"])
        out, err = self.succeeds(*self.words, "-o", "half.h5mu", "--splits", "folds.tsv", "--fold",
                                 "0", "--key", "X_half", "--components", "3")
        self.assertEqual(out, "")
        self.assertRegex(err, r"100 cells with rna and adt, 3 components, correlations 0\.\d+")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        # what is held out does not count: other counts in the held-out fold, the same variates
        shutil.copy(self.path("reference.h5mu"), self.path("other.h5mu"))
        with h5py.File(self.path("other.h5mu"), "r+") as file:
            x = file["mod/adt/X"]
            x[::2] = x[::2][:, ::-1]
        self.succeeds("cca", "other.h5mu", *self.words[2:], "-o", "other.h5mu", "--splits",
                      "folds.tsv", "--fold", "0", "--key", "X_half", "--components", "3", "-q")
        with h5py.File(self.path("half.h5mu"), "r") as a, \
                h5py.File(self.path("other.h5mu"), "r") as b:
            for side in ("rna", "adt"):
                one, two = (f["mod/%s/obsm/X_half" % side][:] for f in (a, b))
                np.testing.assert_array_equal(one[1::2], two[1::2])
            self.assertTrue((one[::2] != two[::2]).any())

    def test_cca_library(self):
        _, err = self.succeeds(*self.words, "-o", "chosen.h5mu", "-v")
        self.assertRegex(err, r"library 300: FOSCTTM 0\.\d+ of held-out training cells")
        chosen = float(re.search(r"RNA is scaled to (\d+) counts a cell", err)[1])
        _, err = self.succeeds(*self.words, "-o", "asked.h5mu", "-v", "--library", "%g" % chosen)
        self.assertNotIn("FOSCTTM", err)
        with h5py.File(self.path("chosen.h5mu"), "r") as a, \
                h5py.File(self.path("asked.h5mu"), "r") as b:
            self.assertEqual(a["uns/cca/library"][()], chosen)
            self.assertEqual(b["uns/cca/library"][()], chosen)
            for side in ("rna", "adt"):
                one, two = (f["mod/%s/obsm/X_cca" % side][:] for f in (a, b))
                np.testing.assert_array_equal(one, two)

    def test_cca_refuses(self):
        self.declines("have 3 modalities", "cca", "reference.h5mu", "-o", "x.h5mu")
        self.refuses("go together", "cca", "reference.h5mu", "-o", "x", "--first", "rna")
        self.refuses("go together", *self.words, "-o", "x", "--fold", "1")
        self.declines("named for both", "cca", "reference.h5mu", "-o", "x", "--first", "rna",
                     "--second", "rna")
        self.fails("no modality 'prot'", "cca", "reference.h5mu", "-o", "x", "--first", "rna",
                   "--second", "prot")
        self.fails("there is no fold '7'", *self.words, "-o", "x", "--splits", "folds.tsv",
                   "--fold", "7")
        self.fails("text.h5mu", "cca", "text.h5mu", "-o", "x")
        self.assertFalse(os.path.exists(self.path("x")))

    def test_match_one_file(self):
        out, err = self.succeeds("match", "cca.h5mu", *PAIR, "-o", "m.h5ad", "--pairs", "m.csv")
        self.assertRegex(out, r"\d+ of 200 cells matched with \d+ of 200, \d+ entries\n"
                              r"of 200 cells with the same name .* 0\.\d{4}, .* 0\.\d{4}")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        data = anndata.read_h5ad(self.path("m.h5ad"))
        self.assertEqual(data.shape, (N_CELLS, N_CELLS))
        sums = np.asarray(data.X.sum(1)).ravel()
        np.testing.assert_allclose(sums, 1, atol=1e-6)
        with open(self.path("m.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(list(rows[0]), ["cell_a", "cell_b", "weight", "distance"])
        self.assertEqual(len(rows), data.X.nnz)
        for row in rows[::17]:
            self.assertAlmostEqual(data[row["cell_a"], row["cell_b"]].X[0, 0],
                                   float(row["weight"]), 5)
        self.assertEqual(self.succeeds("validate", "m.h5ad", "-q")[1], "")

    def test_match_two_files_and_engines(self):
        for engine in ("shared", "transport", "assignment", "mutual"):
            words = ["match", "rna.h5ad", "adt.h5ad", "--use", "X_cca", "--engine", engine,
                     "--batch-key", "batch", "--json", "-q"]
            out, _ = self.succeeds(*words, "--pairs", "m.tsv", "--threads", "1")
            report = json.loads(out)
            self.assertEqual((report["n_a"], report["n_b"]), (N_CELLS, N_CELLS))
            self.assertGreater(report["by_name"]["match_probability"], 0.02)
            with open(self.path("m.tsv"), encoding="utf-8") as file:
                rows = list(csv.DictReader(file, delimiter="\t"))
            self.assertEqual(len(rows), report["n_entries"])
            batch = anndata.read_h5ad(self.path("adt.h5ad")).obs["batch"]
            self.assertTrue(all(batch[r["cell_b"]] == r["batch"] for r in rows))
            one = self.content("m.tsv")
            self.succeeds(*words, "--pairs", "m.tsv", "--threads", "2")
            self.assertEqual(one, self.content("m.tsv"))

    def test_match_by_features(self):
        """The same counts with noise on the second side: features of one name, and by a table."""
        rng = np.random.default_rng(3)
        names = ["c%d" % i for i in range(60)]
        counts = rng.poisson(rng.gamma(2, 4, (60, 12))).astype(np.float32)
        noisy = (counts + rng.poisson(1, counts.shape)).astype(np.float32)
        obs = anndata.utils.pd.DataFrame(index=names)
        for path, x, prefix in (("f1.h5ad", counts, "g"), ("f2.h5ad", noisy, "g"),
                                ("f3.h5ad", noisy[:, ::-1], "p")):
            order = range(12) if prefix == "g" else range(11, -1, -1)
            var = anndata.utils.pd.DataFrame(index=["%s%d" % (prefix, j) for j in order])
            anndata.AnnData(x, obs=obs, var=var).write_h5ad(self.path(path))
        with open(self.path("map.csv"), "w", encoding="utf-8") as file:
            file.write("first,second\n" + "".join("g%d,p%d\n" % (j, j) for j in range(14)))
        words = ["match", "f1.h5ad", "--features", "--engine", "mutual", "--json", "-q"]
        out, _ = self.succeeds(*words, "f2.h5ad", "--pairs", "f2.tsv")
        self.assertGreater(json.loads(out)["by_name"]["match_probability"], 0.5)
        again, _ = self.succeeds(*words, "f3.h5ad", "--map", "map.csv", "--pairs", "f3.tsv")
        self.assertEqual(out, again)
        self.assertEqual(self.content("f2.tsv"), self.content("f3.tsv"))
        self.fails("rna and rna share 0 features", *words, "f3.h5ad", "--pairs", "x")
        self.refuses("--map needs --features", "match", "f1.h5ad", "f3.h5ad", "--use", "X", "--map",
                     "map.csv", "--pairs", "x")
        self.declines("needs two modalities", *words[:3], "--with", "rna", "--pairs", "x")
        self.assertFalse(os.path.exists(self.path("x")))

    def test_match_refuses(self):
        self.refuses("name two files", "match", "--use", "X")
        self.refuses("--use is missing", "match", "a.h5ad", "b.h5ad", "--pairs", "x")
        self.refuses("--with is missing", "match", "cca.h5mu", "--use", "rna:X_cca", "--pairs", "x")
        self.refuses("say where", "match", "cca.h5mu", *PAIR)
        self.refuses("would replace", "match", "cca.h5mu", *PAIR, "-o", "cca.h5mu")
        self.declines("named for both", "match", "cca.h5mu", "--use", "rna:X_cca", "--with",
                     "rna:X_cca", "--pairs", "x")
        self.refuses("neighbors", "match", "cca.h5mu", *PAIR, "--pairs", "x", "--neighbors", "0")
        self.fails("no array 'X_none'", "match", "rna.h5ad", "adt.h5ad", "--use", "X_none",
                   "--pairs", "x")
        self.fails("rna.h5ad.*no obs column|rna.h5ad.*'donor'", "match", "rna.h5ad", "adt.h5ad",
                   "--use", "X_cca", "--batch-key", "donor", "--pairs", "x")
        self.fails("they are not one space", "match", "cca.h5mu", "annotated.h5mu", "--use",
                   "rna:X_cca", "--with", "X_matilda", "--pairs", "x")
        self.fails("text.h5mu", "match", "text.h5mu", "rna.h5ad", "--use", "X", "--pairs", "x")
        self.assertFalse(os.path.exists(self.path("x")))

    def test_evaluate_pairs(self):
        words = ["evaluate", "cca.h5mu", "--label", "cell_type", "--embedding", "rna:X_cca",
                 "--partner", "adt:X_cca", "--metric", "cosine"]
        whole = json.loads(self.succeeds(*words, "--json")[0])["pairing"]
        self.assertEqual(whole["n_pairs"], N_CELLS)
        self.assertLess(whole["foscttm"], 0.2)
        self.assertAlmostEqual(whole["foscttm"],
                               (whole["foscttm_to"] + whole["foscttm_back"]) / 2, 9)
        with h5py.File(self.path("cca.h5mu"), "r") as file:
            x, y = (file["mod/%s/obsm/X_cca" % s][:].astype(float) for s in ("rna", "adt"))
        x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))
        near = x @ y.T
        own = np.diag(near)
        share = ((near > own[:, None]).mean() + (near > own).mean()) / 2
        self.assertAlmostEqual(whole["foscttm"], share, 3)
        part = json.loads(self.succeeds(*words, "--json", "--splits", "folds.tsv", "--fold", "1")[0])
        self.assertEqual((part["n_labelled"], part["pairing"]["n_pairs"]), (100, 100))
        self.assertEqual(part["pairing"]["mixing"]["n"], 200)
        out, _ = self.succeeds(*words, "--splits", "folds.tsv", "--fold", "1")
        for word in ("foscttm", "match_probability", "labels of adt:X_cca from rna:X_cca", "ilisi"):
            self.assertIn(word, out)
        two = json.loads(self.succeeds("evaluate", "rna.h5ad", "--label", "kind", "--embedding",
                                       "X_cca", "--partner", "X_cca", "--partner-file", "adt.h5ad",
                                       "--metric", "cosine", "--json")[0])["pairing"]
        self.assertAlmostEqual(two["foscttm"], whole["foscttm"], 12)

    def test_evaluate_integration(self):
        words = ["evaluate", "cca.h5mu", "--label", "cell_type", "--embedding", "rna:X_cca"]
        plain = json.loads(self.succeeds(*words, "--json")[0])
        self.assertNotIn("integration", plain)
        alone = json.loads(self.succeeds(*words, "--integration", "--json")[0])["integration"]
        self.assertIsNone(alone["ilisi"])
        both = json.loads(self.succeeds(*words, "--batch-key", "batch", "--before", "adt:X_cca",
                                        "--json")[0])["integration"]
        self.assertEqual(both["asw_label"], alone["asw_label"])
        for name in ("ilisi", "cilisi", "kbet", "asw_batch", "bras", "pcr", "pcr_before",
                     "pcr_score", "clisi", "graph_connectivity"):
            self.assertTrue(0 <= both[name] <= 1, name)
        out, _ = self.succeeds(*words, "--batch-key", "batch")
        self.assertIn("kbet", out)
        self.assertNotIn("pcr_score", out)   # not defined without --before

    def test_evaluate_refuses(self):
        words = ["evaluate", "cca.h5mu", "--label", "cell_type"]
        emb = [*words, "--embedding", "rna:X_cca"]
        self.refuses("--embedding is missing", *words, "--prediction", "truth", "--partner", "X")
        self.refuses("--batch-key", *emb, "--before", "adt:X_cca")
        self.refuses("--partner-file needs", *emb, "--partner-file", "rna.h5ad")
        self.refuses("go together", *emb, "--fold", "0")
        self.declines("named for both", *emb, "--partner", "rna:X_cca")
        self.fails("no fold '9'", *emb, "--splits", "folds.tsv", "--fold", "9")
        self.fails("'donor'", *emb, "--batch-key", "donor")
        self.fails("no array 'adt:X_none'", *emb, "--partner", "adt:X_none")


if __name__ == "__main__":
    job.main()
