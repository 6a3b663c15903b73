# SPDX-License-Identifier: BSD-3-Clause
"""scweave markers. Usage: test_cli_markers.py SCWEAVE [unittest arguments]"""
import os
import shutil

import h5py

import job
from job import CLOSING
from elements import read_elem


class Markers(job.Job):
    def markers(self, *words):
        """The table on stdout as a list of rows, and stderr."""
        out, err = self.succeeds("markers", "-m", "model.safetensors", *words)
        lines = [line.split("\t") for line in out.splitlines()]
        return [dict(zip(lines[0], line)) for line in lines[1:]], err

    def test_markers(self):
        rows, err = self.markers("reference.h5mu", "--label", "cell_type", "--top", "5")
        self.assertRegex(err, r"completeness error \d\.\de-\d\d: .* with rna\+adt\+atac")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        self.assertEqual(list(rows[0]), [
            "class", "rank", "modality", "feature", "score", "se", "n_cells", "mean_in", "mean_out",
            "rank_t", "t", "p_t", "rank_wilcoxon", "z_wilcoxon", "p_wilcoxon"])
        by_class = {}
        for row in rows:
            by_class.setdefault(row["class"], []).append(row)
        for ranked in by_class.values():
            self.assertEqual([row["rank"] for row in ranked], list("12345"))
            scores = [float(row["score"]) for row in ranked]
            self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertIn("IgD", [row["feature"] for row in by_class["B naive"]])

    def test_markers_methods(self):
        n_classes = len({r["class"] for r in self.markers("query.h5mu", "--top", "1")[0]})
        for method in ("ig", "saliency", "ttest", "wilcoxon"):
            rows, err = self.markers("query.h5mu", "--method", method, "--top", "3")
            self.assertEqual(len(rows), 3 * len({row["class"] for row in rows}))
            self.assertEqual("completeness" in err, method == "ig")
            if method in ("ttest", "wilcoxon"):
                column = "t" if method == "ttest" else "z_wilcoxon"
                self.assertEqual([r["score"] for r in rows], [r[column] for r in rows])
                self.assertEqual({row["se"] for row in rows}, {"NA"})
            else:
                self.assertEqual(len({row["class"] for row in rows}), n_classes)
        everything, _ = self.markers("query.h5mu", "--method", "ig", "--top", "0", "--all")
        self.assertEqual(len(everything) % n_classes, 0)
        self.assertLess(float(everything[len(everything) // n_classes - 1]["score"]), 0)

    def test_markers_repeat_to_the_byte(self):
        for threads, seed, name in (("1", "3", "a"), ("2", "3", "b"), ("2", "4", "c")):
            out, _ = self.succeeds("markers", "-m", "model.safetensors", "query.h5mu", "--threads",
                                   threads, "--seed", seed, "--cells", "5", "-o", f"{name}.tsv")
            self.assertEqual(out, "")
        self.assertEqual(self.content("a.tsv"), self.content("b.tsv"))
        self.assertNotEqual(self.content("a.tsv"), self.content("c.tsv"))

    def test_markers_into_a_copy(self):
        rows, _ = self.markers("query.h5mu", "--top", "4")
        self.succeeds("markers", "-m", "model.safetensors", "query.h5mu", "--top", "4", "-o",
                      "m.h5mu")
        with h5py.File(self.path("m.h5mu"), "r") as file, \
                h5py.File(self.path("query.h5mu"), "r") as query:
            found = read_elem(file["uns/markers"])
            self.assertEqual(sorted(file["mod"]), sorted(query["mod"]))
        self.assertEqual(found["params"]["method"], "shared")
        for row in rows:
            at = int(row["rank"]) - 1
            self.assertEqual(found["names"][row["class"]][at], row["feature"])
            self.assertEqual(found["modalities"][row["class"]][at], row["modality"])
            self.assertAlmostEqual(found["scores"][row["class"]][at], float(row["score"]), places=5)
            self.assertAlmostEqual(found["pvals_adj"][row["class"]][at], float(row["p_t"]), places=5)

    def test_markers_refuse(self):
        model = ("markers", "-m", "model.safetensors")
        self.fails("no obs column 'nope'", *model, "query.h5mu", "--label", "nope", "-o", "x.tsv")
        self.fails("no label is a class of the model", *model, "query.h5mu", "--label", "batch",
                   "-o", "x.tsv")
        self.fails("text.h5mu", *model, "text.h5mu", "-o", "x.tsv")
        self.fails("no/such/x.tsv", *model, "absent.h5mu", "-o", "no/such/x.tsv")
        self.refuses("is the model file", *model, "query.h5mu", "-o", "model.safetensors")
        shutil.copy(self.path("query.h5mu"), self.path("plain"))
        self.refuses("a table would replace it", *model, "plain", "-o", "plain")
        self.assertFalse(os.path.exists(self.path("x.tsv")))


if __name__ == "__main__":
    job.main()
