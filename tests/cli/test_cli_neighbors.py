# SPDX-License-Identifier: BSD-3-Clause
"""scweave umap and cluster. Usage: test_cli_neighbors.py SCWEAVE [unittest arguments]"""
import os
import shutil

import h5py

import job
from job import CLOSING, N_CELLS


class Neighbors(job.Job):
    def test_umap(self):
        words = ["umap", "annotated.h5mu", "--use", "X_matilda", "--epochs", "50"]
        out, err = self.succeeds(*words, "-o", "u1.h5mu")
        self.assertEqual(out, "")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        self.succeeds(*words, "-o", "u2.h5mu", "--threads", "1", "-q")
        self.succeeds(*words, "-o", "u2.h5mu", "--key", "X_other", "--seed", "2", "-q")
        with h5py.File(self.path("u1.h5mu"), "r") as file, \
                h5py.File(self.path("u2.h5mu"), "r") as other:
            self.assertEqual(file["obsm/X_umap"].shape, (N_CELLS, 2))
            self.assertEqual(file["uns/umap/epochs"][()], b"50")
            self.assertIn("matilda_label", file["obs"])
            self.assertIn("model", file["uns/scweave"])
            self.assertNotIn("X_umap", other["obsm"])
            self.assertFalse((file["obsm/X_umap"][:] == other["obsm/X_other"][:]).all())

    def test_umap_repeats_to_the_byte(self):
        words = ["umap", "annotated.h5mu", "--use", "X_matilda", "--epochs", "50", "-q"]
        self.succeeds(*words, "-o", "b1.h5mu", "--threads", "1")
        self.succeeds(*words, "-o", "b2.h5mu", "--threads", "2")
        self.assertEqual(self.content("b1.h5mu"), self.content("b2.h5mu"))

    def test_cluster(self):
        words = ["cluster", "annotated.h5mu", "--use", "X_matilda", "-o", "c.h5mu"]
        status, _, err = self.run_it(*words)
        if status == 1 and "libigraph-dev" in err:
            self.skipTest("a build without igraph")
        self.assertEqual(status, 0, err)
        self.assertRegex(err, r"\d+ clusters, modularity 0\.\d+")
        with h5py.File(self.path("c.h5mu"), "r") as file:
            names = [c.decode() for c in file["obs/leiden/categories"][:]]
            self.assertEqual(names, [str(k) for k in range(len(names))])
            self.assertEqual(file["obs/leiden/codes"].shape, (N_CELLS,))
            self.assertEqual(file["uns/leiden/n_clusters"][()], len(names))
        shutil.copy(self.path("annotated.h5mu"), self.path("place2.h5mu"))
        self.succeeds("cluster", "place2.h5mu", "--use", "X_matilda", "-o", "place2.h5mu", "--key",
                      "groups", "--resolution", "0.2", "-q")
        out, _ = self.succeeds("evaluate", "place2.h5mu", "--label", "cell_type", "--prediction",
                               "groups")
        self.assertIn("accuracy", out)

    def test_neighbors_refuse(self):
        for command in ("umap", "cluster"):
            self.fails("absent.h5mu", command, "absent.h5mu", "--use", "X_a", "-o", "x")
            self.fails("text.h5mu", command, "text.h5mu", "--use", "X_a", "-o", "x")
            self.fails("no array 'X_none' in obsm; there are: X_matilda, matilda_probabilities",
                       command, "annotated.h5mu", "--use", "X_none", "-o", "x")
            self.fails("no array 'rna:X_none' in obsm", command, "annotated.h5mu", "--use",
                       "rna:X_none", "-o", "x")
            self.fails("there are: none at all", command, "query.h5mu", "--use", "X_none", "-o", "x")
            self.fails("no/such/x", command, "annotated.h5mu", "--use", "X_matilda", "-o",
                       "no/such/x")
        for key in ("X_matilda", "X_scweave"):
            status, _, err = self.run_it("umap", "annotated.h5mu", "--use", "X_matilda", "-o", "x",
                                     "--key", key)
            self.assertEqual(status, 2)
            self.assertIn(key, err)
        self.assertFalse(os.path.exists(self.path("x")))
        self.succeeds("umap", "annotated.h5mu", "--use", "X_matilda", "-o", "slash.h5mu", "--key",
                      "a/b", "--epochs", "5")


if __name__ == "__main__":
    job.main()
