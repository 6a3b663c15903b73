# SPDX-License-Identifier: BSD-3-Clause
"""scweave fit. Usage: test_cli_fit.py SCWEAVE [unittest arguments]"""
import json
import os
import resource
import signal
import subprocess
import sys
import time

import h5py

import job
from job import CLOSING, QUICK, SHORT


class Fit(job.Job):
    def test_fit_talks_on_stderr(self):
        out, err = self.succeeds(*self.fit("m1.safetensors", "-v"))
        self.assertEqual(out, "")
        self.assertRegex(err, r"epoch \d+/\d+")
        self.assertNotIn("\r", err)
        self.assertRegex(err.splitlines()[-1], CLOSING)

    def test_fit_repeats_to_the_byte_and_describes_itself(self):
        """The model of the fixture again, with one thread."""
        out, _ = self.succeeds(*self.fit("again.safetensors", "--threads", "1", "--json",
                                         options=SHORT))
        self.assertEqual(self.content("again.safetensors"), self.content("model.safetensors"))
        facts = json.loads(out)
        self.assertEqual(facts["model"], "matilda")
        self.assertEqual(len([row["modalities"] for row in facts["subsets"]]), 6)

    def test_fit_heeds_the_seed(self):
        for name, seed in (("s1", "1"), ("s2", "1"), ("s3", "2")):
            self.succeeds(*self.fit(name, "--seed", seed, "-q"))
        self.assertEqual(self.content("s1"), self.content("s2"))
        self.assertNotEqual(self.content("s1"), self.content("s3"))

    def test_fit_refuses(self):
        self.fails("absent.h5mu", "fit", "matilda", "absent.h5mu", "--label", "k", "-o", "x")
        self.fails("text.h5mu", "fit", "matilda", "text.h5mu", "--label", "k", "-o", "x")
        self.fails("^scweave fit: .*", "fit", "matilda", ".", "--label", "k", "-o", "x")
        self.fails("no_such_key", "fit", "matilda", "reference.h5mu", "--label", "no_such_key",
                   "-o", "x")
        self.fails("proteome", *self.fit("x", "--modalities", "rna,proteome"))
        self.assertFalse(os.path.exists(self.path("x")))

    def test_fit_looks_at_the_output_first(self):
        err = self.fails("no/such/place", "fit", "matilda", "absent.h5mu", "--label", "k",
                         "-o", "no/such/place")
        self.assertNotIn("absent", err)
        self.refuses("is one of the data files", *self.fit("reference.h5mu"))
        os.symlink("reference.h5mu", self.path("link.h5mu"))
        self.refuses("is one of the data files", *self.fit("link.h5mu"))

    def interrupt(self, name, *signals):
        output = self.path(name)
        words = self.fit(output, "-v", "--min-steps", "1000000", "--max-steps", "0")

        def default_signals():
            for number in signals:
                signal.signal(number, signal.SIG_DFL)
        with subprocess.Popen([self.program, *words], cwd=self.folder, stderr=subprocess.PIPE,
                              text=True, preexec_fn=default_signals) as run:
            run.stderr.readline()  # it has begun
            time.sleep(0.3)
            for number in signals:
                run.send_signal(number)
            _, err = run.communicate(timeout=job.harness.PATIENCE)
        self.assertEqual(run.returncode, 130, err)
        self.assertFalse(os.path.exists(output))
        return err

    def test_interruption(self):
        self.assertIn("stopped at the user's request", self.interrupt("i1", signal.SIGINT))
        self.assertIn("stopped at the user's request", self.interrupt("i2", signal.SIGTERM))
        self.interrupt("i3", signal.SIGINT, signal.SIGTERM)

    def test_a_write_that_breaks_off(self):
        """What a full disk does: writes fail from some byte on."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        for words in (["example", "full", "--narrow", "--cells", "200"], self.fit("full"),
                      ["annotate", "-m", "model.safetensors", "query.h5mu", "-o", "full"]):
            self.fails("full: .*cannot write", *words, preexec_fn=limit)
            self.assertFalse(os.path.exists(self.path("full")))

    def splits(self, name, n_folds):
        out, _ = self.succeeds("inspect", "--json", "-q", "reference.h5mu")
        self.assertTrue(out)
        with h5py.File(self.path("reference.h5mu"), "r") as file:
            index = file["obs"].attrs["_index"]
            cells = [c.decode() if isinstance(c, bytes) else c for c in file["obs"][index][:]]
        with open(self.path(name), "w", encoding="utf-8") as table:
            table.write("cell\tfold\n")
            for k, cell in enumerate(cells):
                table.write(f"{cell}\t{k % n_folds}\n")

    def test_cross_validation(self):
        self.splits("splits.tsv", 2)
        words = ["fit", "matilda", "reference.h5mu", "--label", "cell_type", "--cv", "splits.tsv",
                 *QUICK]
        out, err = self.succeeds(*words)
        self.assertRegex(err.splitlines()[-1], CLOSING)
        for method in ("matilda", "logistic regression", "k nearest neighbours", "largest class"):
            self.assertRegex(out, rf"{method} +\d\.\d+ ± \d\.\d+ +\d\.\d+ ± \d\.\d+")
        out, _ = self.succeeds(*words, "--json")
        report = json.loads(out)
        self.assertEqual(len(report["folds"]), 2)
        self.assertIn("accuracy_mean", report["summary"]["matilda"])
        self.fails("absent.tsv", "fit", "matilda", "reference.h5mu", "--label", "cell_type",
                   "--cv", "absent.tsv", *QUICK)


if __name__ == "__main__":
    job.main()
