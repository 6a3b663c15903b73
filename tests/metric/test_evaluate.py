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
    from sklearn import metrics
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


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
