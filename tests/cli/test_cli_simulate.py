# SPDX-License-Identifier: BSD-3-Clause
"""scweave simulate. Usage: test_cli_simulate.py SCWEAVE [unittest arguments]"""
import os
import shutil

import h5py

import job
from job import CLOSING, N_CELLS, QUICK, SHORT
from elements import read_elem


class Simulate(job.Job):
    @classmethod
    def setUpClass(cls):
        """Beside the fixture's model one without count decoders."""
        super().setUpClass()
        cls.must(*cls.fit("gaussian.safetensors", "--likelihood", "gaussian", "--subsets", "off",
                          "--calibration-folds", "0", "-q", options=SHORT))

    def simulate(self, output, *words):
        return ["simulate", "-m", "model.safetensors", "reference.h5mu", "-o", output, *words]

    def read(self, name):
        with h5py.File(self.path(name)) as file:
            mods = {m: read_elem(file["mod"][m]["X"]) for m in file["mod"]}
            names = {m: list(read_elem(file["mod"][m]["var"]).index) for m in file["mod"]}
            return mods, names, read_elem(file["obs"]), read_elem(file["uns"])["scweave"]

    def test_simulate(self):
        out, err = self.succeeds(*self.simulate("s1.h5mu", "--type", "CD14 monocyte", "--n", "30"))
        self.assertEqual(out, "")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        mods, names, obs, record = self.read("s1.h5mu")
        self.assertEqual(set(obs["cell_type"]), {"CD14 monocyte"})
        self.assertTrue(obs["simulated"].all())
        self.assertEqual(record["values_rna"], "counts")
        with h5py.File(self.path("reference.h5mu")) as file:
            self.assertEqual(names["rna"], list(read_elem(file["mod/rna/var"]).index))
        for name, x in mods.items():
            self.assertEqual(x.shape[0], 30)
            self.assertTrue((x.data >= 0).all() and (x.data == x.data.round()).all(), name)
        self.assertEqual(set(mods["atac"].data), {1.0})
        self.assertGreater(mods["rna"].sum(1).min(), 100)
        self.succeeds("inspect", "s1.h5mu")
        self.succeeds("annotate", "-m", "model.safetensors", "s1.h5mu", "-o", "s1a.h5mu")

    def test_simulate_repeats_to_the_byte(self):
        words = ["--n", "40", "-q", "--from"]
        for mode in ("class", "posterior", "prior"):
            self.succeeds(*self.simulate("s2.h5mu", *words, mode))
            self.succeeds(*self.simulate("s3.h5mu", *words, mode, "--threads", "1"))
            self.assertEqual(self.content("s2.h5mu"), self.content("s3.h5mu"))
            self.succeeds(*self.simulate("s4.h5mu", *words, mode, "--seed", "9"))
            self.assertTrue((self.read("s2.h5mu")[0]["rna"] != self.read("s4.h5mu")[0]["rna"]).nnz)

    def test_simulate_modes(self):
        self.succeeds(*self.simulate("s5.h5mu", "--all-types", "3", "--with-real"))
        mods, _, obs, _ = self.read("s5.h5mu")
        counted = obs[obs["simulated"]]["cell_type"].value_counts()
        self.assertEqual(set(counted[counted > 0]), {3})
        self.assertEqual((~obs["simulated"]).sum(), N_CELLS)
        with h5py.File(self.path("reference.h5mu")) as file:
            real = read_elem(file["mod/rna/X"])
        self.assertEqual((mods["rna"][:N_CELLS] != real).nnz, 0)
        self.succeeds(*self.simulate("s6.h5mu", "--n", "25", "--from", "posterior", "--library",
                                     "5000"))
        mods, _, obs, _ = self.read("s6.h5mu")
        with h5py.File(self.path("reference.h5mu")) as file:
            cells = read_elem(file["obs"])
        self.assertEqual(list(cells.loc[obs["source_cell"], "cell_type"]), list(obs["cell_type"]))
        self.assertLess(abs(mods["rna"].sum(1).mean() - 5000), 1000)

    def test_simulate_without_counts(self):
        words = ["simulate", "-m", "gaussian.safetensors", "reference.h5mu", "--n", "20", "-o",
                 "s7.h5mu"]
        _, err = self.succeeds(*words)
        self.assertRegex(err, "'rna' has no count decoder.*no counts")
        mods, _, _, record = self.read("s7.h5mu")
        self.assertEqual(record["values_rna"], "expected transformed values")
        self.assertLess(mods["rna"].min(), 0)
        status, _, err = self.run_it(*words, "--with-real")
        self.assertEqual(status, 2)
        self.assertIn("real counts cannot stand beside them", err)

    def test_count_decoders_change_nothing_else(self):
        for model in ("model", "gaussian"):
            self.succeeds("embed", "-m", f"{model}.safetensors", "query.h5mu", "-o",
                          f"{model}_e.h5mu")
        with h5py.File(self.path("model_e.h5mu")) as a, \
                h5py.File(self.path("gaussian_e.h5mu")) as b:
            self.assertTrue((a["obsm/X_matilda"][:] == b["obsm/X_matilda"][:]).all())

    def test_simulate_refuses(self):
        self.refuses("how many cells", *self.simulate("x.h5mu"))
        self.refuses("stands without", *self.simulate("x.h5mu", "--n", "3", "--all-types", "3"))
        self.refuses("knows no types", *self.simulate("x.h5mu", "--n", "3", "--from", "prior",
                                                      "--type", "B naive"))
        self.refuses("--library 0", *self.simulate("x.h5mu", "--n", "3", "--library", "0"))
        self.refuses("--library x", *self.simulate("x.h5mu", "--n", "3", "--library", "x"))
        self.refuses("is one of the data files", *self.simulate("reference.h5mu", "--n", "3"))
        self.refuses("is the model file", *self.simulate("model.safetensors", "--n", "3"))
        self.refuses("-?-n", *self.simulate("x.h5mu", "--n", "-3"))
        self.fails("knows no type 'Neuron'; its types are 'B", *self.simulate(
            "x.h5mu", "--type", "Neuron", "--n", "3"))
        self.fails("no_key", *self.simulate("x.h5mu", "--n", "3", "--label", "no_key"))
        self.fails("no cell of the reference has a type", *self.simulate(
            "x.h5mu", "--n", "3", "--label", "batch"))
        self.fails("text.h5mu", "simulate", "-m", "text.h5mu", "reference.h5mu", "--n", "3", "-o",
                   "x.h5mu")
        self.fails("text.h5mu", "simulate", "-m", "model.safetensors", "text.h5mu", "--n", "3",
                   "-o", "x.h5mu")
        self.fails("no/such", *self.simulate("no/such/x.h5mu", "--n", "3"))
        self.assertFalse(os.path.exists(self.path("x.h5mu")))

    def test_batches(self):
        def fit(data, output):
            return ["fit", "matilda", data, "--label", "cell_type", "--batch-key", "batch", "-o", output,
                    *QUICK]
        self.succeeds(*fit("reference.h5mu", "b.safetensors"))
        words = ["simulate", "-m", "b.safetensors", "reference.h5mu", "--n", "40", "-o", "s8.h5mu"]
        for asked, expected in (([], {"batch1", "batch2"}), (["--batch", "batch2"], {"batch2"}),
                                (["--batch", "mean"], set())):
            self.succeeds(*words, *asked)
            _, _, obs, record = self.read("s8.h5mu")
            self.assertEqual(set(obs["batch"].dropna()), expected)
            self.assertEqual(record["batch"], asked[1] if asked else "observed")
        self.fails("knows no batch 'b3'; its batches are 'batch1', 'batch2'", *words, "--batch", "b3")
        status, _, err = self.run_it(*self.simulate("x.h5mu", "--n", "3", "--batch", "batch1"))
        self.assertEqual(status, 2)
        self.assertIn("tells no batches apart", err)
        self.fails("nonsense", *fit("reference.h5mu", "x.safetensors"), "--batch-key", "nonsense")
        shutil.copy(self.path("reference.h5mu"), self.path("holes.h5mu"))
        with h5py.File(self.path("holes.h5mu"), "a") as file:
            file["obs/batch/codes"][:3] = -1
        self.fails(f"obs\\['batch'\\]: 3 of {N_CELLS} cells have no batch",
                   *fit("holes.h5mu", "x.safetensors"))
        with h5py.File(self.path("holes.h5mu"), "a") as file:
            file["obs/batch/codes"][:] = 0
        _, err = self.succeeds(*fit("holes.h5mu", "one.safetensors"))
        self.assertIn("all training cells are of batch 'batch1'", err)


if __name__ == "__main__":
    job.main()
