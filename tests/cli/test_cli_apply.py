# SPDX-License-Identifier: BSD-3-Clause
"""scweave annotate and embed. Usage: test_cli_apply.py SCWEAVE [unittest arguments]"""
import os
import shutil

import h5py

import job
from job import CLOSING, N_CELLS, SHORT
from elements import read_elem


class Apply(job.Job):
    def test_annotate(self):
        out, err = self.succeeds("annotate", "-m", "model.safetensors", "query.h5mu", "-o", "a.h5mu")
        self.assertEqual(out, "")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        with h5py.File(self.path("a.h5mu"), "r") as file:
            self.assertIn("matilda_label", file["obs"])
            self.assertIn("matilda_confidence", file["obs"])
            self.assertNotIn("X_matilda", file.get("obsm", {}))
        with h5py.File(self.path("annotated.h5mu"), "r") as file:
            self.assertEqual(file["obsm/X_matilda"].shape[0], N_CELLS)
            self.assertIn("scweave", file["uns"])

    def test_confidence(self):
        self.succeeds("annotate", "-m", "model.safetensors", "query.h5mu", "-o", "sure.h5mu",
                      "--coverage", "0.9", "--reject", "0.6")
        with h5py.File(self.path("sure.h5mu"), "r") as file:
            obs = file["obs"]
            categories = [c.decode() for c in obs["matilda_label/categories"][:]]
            self.assertEqual(categories[-1], "unknown")
            unknown = (obs["matilda_label/codes"][:] == len(categories) - 1)
            self.assertTrue(0 < unknown.sum() < N_CELLS / 2)
            novelty = obs["matilda_novelty"][:]
            self.assertGreater(novelty[unknown].min(), novelty[~unknown].max())
            sizes = obs["matilda_set_size"][:]
            sets = [s.decode() for s in obs["matilda_label_set"][:]]
            self.assertEqual([s.count("|") + 1 for s in sets], list(sizes))
            self.assertGreaterEqual(sizes.min(), 1)
        self.succeeds(*self.fit("plain.safetensors"))
        for option in ("--coverage", "--reject"):
            self.fails("is not calibrated", "annotate", "-m", "plain.safetensors", "query.h5mu",
                       "-o", "x", option, "0.1")
        self.succeeds("annotate", "-m", "plain.safetensors", "query.h5mu", "-o", "plain.h5mu")
        with h5py.File(self.path("plain.h5mu"), "r") as file:
            self.assertNotIn("matilda_novelty", file["obs"])

    def test_share_that_is_rejected(self):
        """Of new cells of known types. Components that have seen the held-out cells make it 0.08."""
        self.succeeds("fit", "matilda", "reference.h5mu", "--label", "cell_type", "-o",
                      "rate.safetensors", *SHORT, "--modalities", "rna", "--calibration-folds", "8")
        self.succeeds("annotate", "-m", "rate.safetensors", "query.h5mu", "-o", "rate.h5mu",
                      "--reject", "0.2")
        with h5py.File(self.path("rate.h5mu"), "r") as file:
            last = len(file["obs/matilda_label/categories"]) - 1
            share = (file["obs/matilda_label/codes"][:] == last).mean()
        self.assertTrue(0.13 < share < 0.28, share)

    def test_annotate_in_place(self):
        shutil.copy(self.path("query.h5mu"), self.path("place.h5mu"))
        self.succeeds("annotate", "-m", "model.safetensors", "place.h5mu", "-o", "place.h5mu",
                      "--embed")
        out, _ = self.succeeds("evaluate", "place.h5mu", "--label", "cell_type", "--prediction",
                               "matilda_label")
        self.assertIn("accuracy", out)

    def test_embed(self):
        self.succeeds("embed", "-m", "model.safetensors", "query.h5mu", "-o", "e.h5mu")
        with h5py.File(self.path("e.h5mu"), "r") as file, \
                h5py.File(self.path("annotated.h5mu"), "r") as both:
            self.assertNotIn("matilda_label", file["obs"])
            self.assertTrue((file["obsm/X_matilda"][:] == both["obsm/X_matilda"][:]).all())

    def test_annotate_lines_up_batches(self):
        for words in (["--align"], ["--align", "--batch-key", "batch"]):
            _, err = self.succeeds("annotate", "-m", "model.safetensors", "query.h5mu", "-o", "l.h5mu",
                                   *words)
            self.assertRegex(err, r"lined up with the reference \(\d+ batch(es)?\)")
        self.succeeds("embed", "-m", "model.safetensors", "query.h5mu", "-o", "l.h5mu", "--align")
        self.refuses("--batch-key says what --align lines up", "annotate", "-m", "model.safetensors",
                     "query.h5mu", "-o", "x", "--batch-key", "batch")
        self.fails("nonsense.*cell_type", "annotate", "-m", "model.safetensors", "query.h5mu", "-o",
                   "x", "--align", "--batch-key", "nonsense")
        shutil.copy(self.path("query.h5mu"), self.path("gaps.h5mu"))
        with h5py.File(self.path("gaps.h5mu"), "r+") as file:
            file["obs/batch/codes"][:3] = -1
        self.fails(f"obs\\['batch'\\]: 3 of {N_CELLS} cells have no batch", "annotate", "-m",
                   "model.safetensors", "gaps.h5mu", "-o", "x", "--align", "--batch-key", "batch")
        self.assertFalse(os.path.exists(self.path("x")))

    def test_annotate_parts_of_cells(self):
        """One model, with and without answers for cells that have protein only."""
        labels = {}
        with h5py.File(self.path("query.h5mu"), "r") as file, \
                h5py.File(self.path("adt.h5ad"), "w") as part:
            for name in ("X", "obs", "var"):
                file.copy(f"mod/adt/{name}", part)
            part.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        self.succeeds(*self.fit("without.safetensors", "--subsets", "off", options=SHORT))
        for model in ("model", "without"):
            _, err = self.succeeds("annotate", "-m", f"{model}.safetensors", "adt=adt.h5ad", "-o",
                                   f"{model}.h5ad", "--coverage", "0.8", "--reject", "0.05")
            self.assertIn("no modality 'rna'", err)
            with h5py.File(self.path(f"{model}.h5ad"), "r") as file:
                labels[model] = read_elem(file["obs"])
        self.assertTrue((labels["model"].matilda_confidence !=
                         labels["without"].matilda_confidence).any())

    def test_apply_refuses(self):
        for command in ("annotate", "embed"):
            self.fails("absent.safetensors", command, "-m", "absent.safetensors", "query.h5mu",
                       "-o", "x")
            self.fails("text.h5mu", command, "-m", "text.h5mu", "query.h5mu", "-o", "x")
            self.fails("absent.h5mu", command, "-m", "model.safetensors", "absent.h5mu", "-o", "x")
            self.fails("no/such/x", command, "-m", "absent.safetensors", "absent.h5mu",
                       "-o", "no/such/x")
            self.refuses("is the model file", command, "-m", "model.safetensors", "query.h5mu",
                         "-o", "model.safetensors")
        self.assertFalse(os.path.exists(self.path("x")))


if __name__ == "__main__":
    job.main()
