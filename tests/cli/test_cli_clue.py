# SPDX-License-Identifier: BSD-3-Clause
"""scweave fit clue, embed and translate. Usage: test_cli_clue.py SCWEAVE [unittest arguments]"""
import json
import os
import struct

import h5py
import numpy

import job
from elements import read_elem

TINY = ["--epochs", "6", "--decoder-epochs", "3", "--burn-in", "1", "--components", "10", "--z-dim", "4", "--encoder-width", "16",
        "--encoder-depth", "1", "--decoder-width", "16", "--decoder-depth", "1", "--validation", "0.2",
        "--threads", "1"]


class Clue(job.Job):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.must("fit", "clue", "reference.h5mu", "-o", "clue.safetensors", *TINY, "-q")
        for modality in ("rna", "adt", "atac"):
            cls.must("convert", "query.h5mu", "-o", modality + ".h5ad", "--modality", modality, "-q")

    def test_fit_talks_and_describes_itself(self):
        out, err = self.succeeds("fit", "clue", "reference.h5mu", "-o", "again.safetensors", *TINY, "-v",
                                 "--json")
        self.assertRegex(err, r"rna: \d+ features, 200 cells")
        self.assertRegex(err, r"match [\d.]+")
        self.assertRegex(err.splitlines()[-1], job.CLOSING)
        facts = json.loads(out)
        self.assertEqual(facts["model"], "clue")
        self.assertEqual([m["name"] for m in facts["modalities"]], ["rna", "adt", "atac"])
        self.assertNotIn("classes", facts)
        self.assertEqual(self.content("again.safetensors"), self.content("clue.safetensors"))

    def test_several_files_and_presets(self):
        """Cells of one modality only, and some that tie the two together."""
        for preset in ("cite", "multiome", "compat"):
            self.succeeds("fit", "clue", "rna=rna.h5ad", "adt=adt.h5ad", "-o", "p.safetensors",
                          "--" + preset, *TINY, "--label", "cell_type", "--batch-key", "batch")
        with h5py.File(self.path("rna.h5ad"), "r") as file:
            names = file["obs"][file["obs"].attrs["_index"]].asstr()[:]
        self.succeeds("embed", "-m", "p.safetensors", "rna=rna.h5ad", "-o", "p.h5ad")
        with h5py.File(self.path("p.h5ad"), "r") as file:
            self.assertEqual(file["obsm/X_clue"].shape, (len(names), 8))

    def test_fit_refuses(self):
        self.fails("at least two", "fit", "clue", "rna.h5ad", "-o", "x", *TINY)
        self.rename_cells("adt.h5ad", "other.h5ad")
        self.fails("bridge", "fit", "clue", "rna=rna.h5ad", "adt=other.h5ad", "-o", "x", *TINY)
        self.refuses("poisson", "fit", "clue", "reference.h5mu", "-o", "x", "--rna-likelihood", "poisson")
        self.fails("no_such_key", "fit", "clue", "reference.h5mu", "-o", "x", "--label", "no_such_key",
                   *TINY)
        self.fails("by cross-validation", "fit", "clue", "reference.h5mu", "--cv", "text.h5mu")
        self.assertFalse(os.path.exists(self.path("x")))

    def test_from(self):
        """Fitted on to a query whose cells come in a file a modality."""
        words = ["fit", "clue", "reference.h5mu", "--from", "clue.safetensors", "--threads", "1"]
        query = ["rna=rna.h5ad", "adt=adt.h5ad"]
        _, err = self.succeeds(*words, *query, "-o", "tuned.safetensors", "--transductive", "--epochs", "2",
                               "-v")
        self.assertRegex(err, r"align [\d.]+")
        described, _ = self.succeeds(*words, *query, "-o", "again.safetensors", "--transductive", "--epochs=2",
                                     "--json")
        facts = json.loads(described)
        base, _ = self.succeeds("fit", "clue", "reference.h5mu", "-o", "base.safetensors", *TINY, "--json")
        self.assertEqual(facts["record"]["from"], json.loads(base)["fingerprint"])
        self.assertEqual(self.content("again.safetensors"), self.content("tuned.safetensors"))
        for name, value in (("z-dim", "4"), ("align-weight", "2"), ("epochs", "2"), ("patience", "8"),
                            ("library", json.loads(base)["options"]["library"])):
            self.assertEqual(facts["options"][name], value)
        places = []
        for model in ("clue", "tuned"):
            self.succeeds("embed", "-m", model + ".safetensors", "rna=rna.h5ad", "-o", "from.h5ad")
            with h5py.File(self.path("from.h5ad"), "r") as file:
                places.append(file["obsm/X_clue"][:])
        cosine = (places[0] * places[1]).sum(axis=1)
        self.assertTrue((cosine > 0.5).all() and (cosine < 0.999999).any(), cosine)  # on, not anew
        _, err = self.succeeds("translate", "-m", "tuned.safetensors", "rna=rna.h5ad", "--from", "rna",
                               "--to", "adt", "-o", "from.h5mu")
        self.assertIn("interval", err)

    def test_from_with_other_features(self):
        """Those of the model are taken out of more, in memory and in blocks alike."""
        self.succeeds("example", "whole.h5mu", "--cells", "150", "--seed", "9")
        words = ["fit", "clue", "whole.h5mu", "--from", "clue.safetensors", "--threads", "1", "--epochs", "1",
                 "--decoder-dropout", "0.1"]
        out, _ = self.succeeds(*words, "-o", "memory.safetensors", "--json")
        _, err = self.succeeds(*words, "-o", "blocks.safetensors", "--mem", "600000")
        self.assertRegex(err, "rna.*temporary file")
        self.assertEqual(self.content("blocks.safetensors"), self.content("memory.safetensors"))
        base, _ = self.succeeds("fit", "clue", "reference.h5mu", "-o", "base.safetensors", *TINY, "--json")
        for ours, theirs in zip(json.loads(out)["modalities"], json.loads(base)["modalities"]):
            self.assertEqual(ours["features"], theirs["features"])

    def test_refit_when_nothing_was_judged(self):
        """Validation says nothing within the burn-in: the second training is as long as was asked for."""
        out, _ = self.succeeds("fit", "clue", "reference.h5mu", "-o", "burnt.safetensors", *TINY, "--epochs", "3",
                               "--burn-in", "5", "--align-weight", "1", "--json")
        record = json.loads(out)["record"]
        self.assertEqual([epoch["phase"] for epoch in record["history"]], 3 * ["all cells"])
        self.assertNotIn("best_epoch", record)

    def test_sizes_of_a_damaged_model(self):
        """Options that say more than the file holds are refused before memory is asked for."""
        whole = self.content("clue.safetensors")
        size, = struct.unpack("<Q", whole[:8])
        for name, value in (("discriminator-width", "100000"), ("decoder-width", "100000"), ("z-dim", "10000")):
            header = json.loads(whole[8:8 + size])
            options = json.loads(header["__metadata__"]["options"])
            options[name] = value
            header["__metadata__"]["options"] = json.dumps(options)
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)
            with open(self.path("damaged.safetensors"), "wb") as file:
                file.write(struct.pack("<Q", len(text)) + text + whole[8 + size:])
            self.fails("smaller than the options say", "embed", "-m", "damaged.safetensors", "query.h5mu", "-o", "x")

    def test_from_refuses(self):
        words = ["fit", "clue", "reference.h5mu", "-o", "x"]
        self.refuses("needs a value", *words, "--from")
        self.refuses("needs a value", *words, "--from", "--transductive")
        self.fails("none.safetensors", *words, "--from", "none.safetensors")
        self.fails("is not a scweave model", *words, "--from", "reference.h5mu")
        with open(self.path("cut.safetensors"), "wb") as file:
            file.write(self.content("clue.safetensors")[:-9])
        self.fails("cut.safetensors", *words, "--from", "cut.safetensors")
        self.fails("have no modality 'adt'", "fit", "clue", "rna.h5ad", "-o", "x", "--from", "clue.safetensors")
        self.refuses("is the model to start from", "fit", "clue", "reference.h5mu", "-o", "clue.safetensors",
                     "--from", "clue.safetensors")
        self.refuses("fits from the start", "fit", "clue", "reference.h5mu", "--cv", "text.h5mu", "--from",
                     "clue.safetensors")
        self.fails("does not start from a fitted model", "fit", "matilda", "reference.h5mu", "-o", "x",
                   "--label", "cell_type", "--from", "model.safetensors")
        for expected, more in (("--z-dim 4, not 7", ["--z-dim", "7"]), ("--path on, not off", ["--compat"]),
                               ("leave the list", ["--modalities", "rna,adt"])):
            status, _, err = self.run_it(*words, "--from=clue.safetensors", *more)
            self.assertEqual(status, 2)
            self.assertIn(expected, err)
        status, _, err = self.run_it(*words, "--from", "model.safetensors")
        self.assertEqual(status, 2)
        self.assertIn("of the kind matilda, this fit is of clue", err)
        self.assertFalse(os.path.exists(self.path("x")))

    def rename_cells(self, source, target):
        with open(self.path(target), "wb") as file:
            file.write(self.content(source))
        with h5py.File(self.path(target), "r+") as file:
            obs = file["obs"]
            names = obs[obs.attrs["_index"]]
            names[:] = ["other " + name for name in names.asstr()[:]]

    def test_embed(self):
        self.succeeds("embed", "-m", "clue.safetensors", "query.h5mu", "-o", "e.h5mu")
        with h5py.File(self.path("e.h5mu"), "r") as file:
            whole = file["obsm/X_clue"][:]
            self.assertEqual(whole.shape, (job.N_CELLS, 12))
            numpy.testing.assert_allclose(numpy.linalg.norm(whole, axis=1), 1, atol=1e-5)
            for k, modality in enumerate(("rna", "adt", "atac")):
                block = file["obsm/X_clue_" + modality][:]
                numpy.testing.assert_array_equal(block, whole[:, 4 * k:4 * k + 4])
            own = file["mod/adt/obsm/X_clue"][:]
        self.succeeds("embed", "-m", "clue.safetensors", "adt=adt.h5ad", "-o", "e.h5ad")
        with h5py.File(self.path("e.h5ad"), "r") as file:
            numpy.testing.assert_allclose(file["obsm/X_clue"][:], own, atol=1e-5)

    def test_embed_refuses(self):
        self.fails("does not annotate", "annotate", "-m", "clue.safetensors", "query.h5mu", "-o", "x.h5mu")
        self.fails("does not line up", "embed", "-m", "clue.safetensors", "query.h5mu", "-o", "x.h5mu",
                   "--align")
        self.fails("does not translate", "translate", "-m", "model.safetensors", "query.h5mu", "--from",
                   "rna", "--to", "adt", "-o", "x.h5mu")
        with h5py.File(self.path("alien.h5ad"), "w") as to, h5py.File(self.path("adt.h5ad")) as source:
            for key in source:
                source.copy(key, to)
            to.attrs.update(source.attrs)
            var = to["var"]
            names = var[var.attrs["_index"]]
            names[:] = ["alien" + str(k) for k in range(len(names))]
        self.fails("has 0 of the model's", "embed", "-m", "clue.safetensors", "adt=alien.h5ad", "-o", "x")

    def translate(self, output, *words, query="query.h5mu"):
        self.succeeds("translate", "-m", "clue.safetensors", query, "-o", output, *words)
        with h5py.File(self.path(output), "r") as file:
            name = [n for n in file["mod"] if "_from_" in n or n == "guess"][0]
            group = file["mod/" + name]
            index = group["obs"][group["obs"].attrs["_index"]].asstr()[:]
            layers = {layer: group["layers/" + layer][:] for layer in group["layers"]}
            return group["X"][:], layers, list(index)

    def test_translate(self):
        x, layers, cells = self.translate("t.h5mu", "--from", "rna", "--to", "adt")
        self.assertEqual(len(cells), job.N_CELLS)
        self.assertTrue(numpy.isfinite(x).all() and (x >= 0).all())
        self.assertTrue((layers["lower"] <= x).all() and (x <= layers["upper"]).all())
        with h5py.File(self.path("query.h5mu"), "r") as file:
            truth = read_elem(file["mod/adt/X"])
        truth = numpy.asarray(truth.todense()) if hasattr(truth, "todense") else numpy.asarray(truth)
        held = ((layers["lower"] <= truth) & (truth <= layers["upper"])).mean()
        self.assertTrue(0.8 < held < 0.98, held)  # 0.9 was asked for; 40 cells taught it
        # A cell's answer is its own: from RNA alone, and with other blocks.
        alone, _, _ = self.translate("a.h5mu", "--from", "rna", "--to", "adt", "--coverage", "0",
                                     query="rna=rna.h5ad")
        numpy.testing.assert_allclose(alone, x, rtol=1e-4)

    def test_translate_every_likelihood_with_batches(self):
        for likelihood in ("nb", "bernoulli", "normal"):
            self.succeeds("fit", "clue", "reference.h5mu", "-o", "l.safetensors", *TINY, "--batch-key",
                          "batch", "--atac-likelihood", likelihood, "--modalities", "rna,atac")
            self.succeeds("translate", "-m", "l.safetensors", "query.h5mu", "--from", "rna", "--to",
                          "atac", "-o", "l.h5mu", "--batch-key", "batch", "--coverage", "0.5", "--name",
                          "guess")
            with h5py.File(self.path("l.h5mu"), "r") as file:
                group = file["mod/guess"]
                x, low, high = group["X"][:], group["layers/lower"][:], group["layers/upper"][:]
                self.assertEqual(group["uns/translation/likelihood"].asstr()[()], likelihood)
            self.assertTrue((low <= x + 1e-6).all() and (x <= high + 1e-6).all())
            if likelihood == "bernoulli":
                self.assertTrue((low >= 0).all() and (high <= 1).all())

    def test_translate_refuses(self):
        words = ["translate", "-m", "clue.safetensors", "query.h5mu", "-o", "x.h5mu"]
        self.refuses("--from and --to", *words)
        self.fails("proteome", *words, "--from", "rna", "--to", "proteome")
        for expected, more in (("both --from and --to", ["--to", "rna"]),
                               ("already", ["--to", "adt", "--name", "adt"])):
            status, out, err = self.run_it(*words, "--from", "rna", *more)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(expected, err)
        self.fails("no modality 'rna' to translate from", "translate", "-m", "clue.safetensors",
                   "adt=adt.h5ad", "--from", "rna", "--to", "adt", "-o", "x.h5mu")
        self.fails("no_such", *words, "--from", "rna", "--to", "adt", "--batch-key", "no_such")
        self.assertFalse(os.path.exists(self.path("x.h5mu")))

    def test_damaged_models(self):
        whole = self.content("clue.safetensors")
        for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
            with open(self.path("cut.safetensors"), "wb") as file:
                file.write(whole[:size])
            self.fails("cut.safetensors", "embed", "-m", "cut.safetensors", "query.h5mu", "-o", "x.h5mu")
        for old, new in ((b'\\"n_inputs\\":10', b'\\"n_inputs\\":99'), (b'input.rna.loadings', b'input.rna.loadingz'),
                         (b'\\"z-dim\\":\\"4\\"', b'\\"z-dim\\":\\"9\\"')):
            self.assertIn(old, whole)
            with open(self.path("bent.safetensors"), "wb") as file:
                file.write(whole.replace(old, new))
            self.fails("bent.safetensors", "embed", "-m", "bent.safetensors", "query.h5mu", "-o", "x.h5mu")


if __name__ == "__main__":
    job.main()
