# SPDX-License-Identifier: BSD-3-Clause
"""scweave fit clip and embed. Usage: test_cli_clip.py SCWEAVE [unittest arguments]"""
import json
import os

import h5py
import numpy

import job

TINY = ["--epochs", "5", "--components", "10", "--z-dim", "6", "--width", "16", "--validation", "0.2",
        "--validation-from", "0", "--threads", "1"]


class Clip(job.Job):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.must("fit", "clip", "reference.h5mu", "-o", "clip.safetensors", *TINY, "-q")
        for modality in ("rna", "adt"):
            cls.must("convert", "query.h5mu", "-o", modality + ".h5ad", "--modality", modality, "-q")

    def test_fit_talks_and_describes_itself(self):
        out, err = self.succeeds("fit", "clip", "reference.h5mu", "-o", "again.safetensors", *TINY, "-v",
                                 "--json")
        self.assertRegex(err, r"rna: \d+ features, 200 cells")
        self.assertRegex(err, r"library 3000: FOSCTTM 0\.\d+ of held-out training cells")
        self.assertRegex(err, r"RNA is scaled to \d+ counts a cell")
        self.assertRegex(err, r"contrast [\d.]+")
        self.assertRegex(err.splitlines()[-1], job.CLOSING)
        facts = json.loads(out)
        self.assertEqual(facts["model"], "clip")
        self.assertIn(float(facts["options"]["library"]), (100, 300, 1000, 3000, 10000))
        self.assertNotIn("classes", facts)
        self.assertEqual(self.content("again.safetensors"), self.content("clip.safetensors"))

    def test_presets_and_the_path_alone(self):
        for preset in ("rna-adt", "rna-atac"):
            self.succeeds("fit", "clip", "reference.h5mu", "-o", "p.safetensors", "--" + preset, *TINY,
                          "--modalities", "rna,adt")
        self.succeeds("fit", "clip", "reference.h5mu", "-o", "p.safetensors", *TINY, "--epochs", "0",
                      "--library", "1000")

    def test_chromatin_as_published(self):
        """Another place for chromatin, and the model file says which."""
        places, rows = [], []
        for words in (["--unit-rows", "off"], ["--unit-rows", "on"]):
            out, _ = self.succeeds("fit", "clip", "reference.h5mu", "-o", "u.safetensors", *TINY, "--epochs",
                                   "0", "--library", "1000", "--validation", "0", "--json", *words)
            rows.append({m["name"]: m["unit_rows"] for m in json.loads(out)["modalities"]})
            self.succeeds("embed", "-m", "u.safetensors", "query.h5mu", "-o", "u.h5mu")
            with h5py.File(self.path("u.h5mu"), "r") as file:
                places.append(file["mod/atac/obsm/X_clip"][:])
        self.assertEqual(rows, [dict.fromkeys(("rna", "adt", "atac"), False),
                                {"rna": False, "adt": False, "atac": True}])
        self.assertGreater(numpy.abs(places[0] - places[1]).max(), 0.1)

    def test_fit_refuses(self):
        self.fails("at least two", "fit", "clip", "rna.h5ad", "-o", "x", *TINY)
        self.fails("batch key out", "fit", "clip", "reference.h5mu", "-o", "x", "--batch-key", "batch", *TINY)
        self.fails("text.h5mu", "fit", "clip", "text.h5mu", "-o", "x", *TINY)
        self.refuses("leave --label out", "fit", "clip", "reference.h5mu", "-o", "x", "--label", "cell_type")
        self.refuses("--depth", "fit", "clip", "reference.h5mu", "-o", "x", "--depth", "99")
        self.fails("by cross-validation", "fit", "clip", "reference.h5mu", "--cv", "text.h5mu")
        self.assertFalse(os.path.exists(self.path("x")))

    def test_help_is_of_the_model(self):
        for model, usage in (("clip", "clip REF... -o"), ("clue", "clue REF... [--label KEY] -o"),
                             ("matilda", "matilda REF... --label KEY -o")):
            out, _ = self.succeeds("fit", model, "--help")
            self.assertIn("Usage: scweave fit %s MODEL.safetensors [options]\n" % usage, out)
            self.assertEqual("--label KEY  " in out, model != "clip")
            examples = out.split("\nExamples\n")[1].splitlines()
            self.assertTrue(examples and all("scweave fit %s " % model in line for line in examples))

    def test_embed(self):
        self.succeeds("embed", "-m", "clip.safetensors", "query.h5mu", "-o", "e.h5mu")
        with h5py.File(self.path("e.h5mu"), "r") as file:
            whole = file["obsm/X_clip"][:]
            own = [file["mod/%s/obsm/X_clip" % m][:] for m in ("rna", "adt", "atac")]
            self.assertNotIn("X_clip_rna", file["obsm"])
        self.assertEqual(whole.shape, (job.N_CELLS, 6))
        for x in (whole, *own):
            numpy.testing.assert_allclose(numpy.linalg.norm(x, axis=1), 1, atol=1e-5)
        mean = sum(own)
        mean /= numpy.linalg.norm(mean, axis=1, keepdims=True)
        numpy.testing.assert_allclose(whole, mean, atol=1e-5)
        # A cell's place by one modality does not depend on what else there is.
        self.succeeds("embed", "-m", "clip.safetensors", "adt=adt.h5ad", "-o", "e.h5ad")
        with h5py.File(self.path("e.h5ad"), "r") as file:
            numpy.testing.assert_allclose(file["obsm/X_clip"][:], own[1], atol=1e-5)

    def test_partners_are_near(self):
        """Of the example's cells, RNA and protein lie nearer than by chance."""
        self.succeeds("fit", "clip", "reference.h5mu", "-o", "near.safetensors", "--modalities", "rna,adt",
                      "--threads", "1", "--library", "1000")
        self.succeeds("embed", "-m", "near.safetensors", "query.h5mu", "-o", "near.h5mu")
        out, _ = self.succeeds("evaluate", "near.h5mu", "--label", "cell_type", "--embedding", "rna:X_clip",
                               "--partner", "adt:X_clip", "--metric", "cosine", "--json")
        self.assertLess(json.loads(out)["pairing"]["foscttm"], 0.2)

    def test_embed_refuses(self):
        self.fails("does not annotate", "annotate", "-m", "clip.safetensors", "query.h5mu", "-o", "x.h5mu")
        self.fails("does not line up", "embed", "-m", "clip.safetensors", "query.h5mu", "-o", "x.h5mu",
                   "--align")
        self.fails("does not translate", "translate", "-m", "clip.safetensors", "query.h5mu", "--from",
                   "rna", "--to", "adt", "-o", "x.h5mu")
        content = self.content("clip.safetensors")
        with open(self.path("cut.safetensors"), "wb") as file:
            file.write(content[:len(content) // 2])
        self.fails("cut.safetensors", "embed", "-m", "cut.safetensors", "query.h5mu", "-o", "x.h5mu")
        self.assertFalse(os.path.exists(self.path("x.h5mu")))


if __name__ == "__main__":
    job.main()
