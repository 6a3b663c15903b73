# SPDX-License-Identifier: BSD-3-Clause
"""The program as its users meet it: for each command success, misuse and failure; standard output,
standard error and exit status. Usage: test_cli.py SCWEAVE [unittest arguments]"""
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py
from anndata.experimental import read_elem

SCWEAVE = os.path.abspath(sys.argv.pop(1))
# Under a sanitizer everything takes longer.
PATIENCE = 300
# A short training; what it learns is judged elsewhere.
SHORT = ["--epochs", "2", "--min-steps", "0", "--components", "10", "--threads", "2",
         "--modality-weights", "off"]
N_CELLS = 200
CLOSING = re.compile(r"^scweave \d+\.\d+\.\d+: .*: [\d.]+ s wall, [\d.]+ s CPU, \d+ MB peak$")


def scweave(*words, folder=None, **options):
    """Run the program; status, standard output, standard error."""
    options.setdefault("stdout", subprocess.PIPE)
    done = subprocess.run([SCWEAVE, *words], cwd=folder, stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
                          **options)
    return done.returncode, done.stdout, done.stderr


class Case(unittest.TestCase):
    folder = None

    def succeeds(self, *words, **options):
        status, out, err = scweave(*words, folder=self.folder, **options)
        self.assertEqual(status, 0, err)
        return out, err

    def refuses(self, expected, *words, **options):
        """Misuse: status 2, nothing on stdout, what is wrong and where help is."""
        status, out, err = scweave(*words, folder=self.folder, **options)
        self.assertEqual(status, 2, err)
        self.assertEqual(out, "")
        self.assertRegex(err, expected)
        self.assertRegex(err, r"Try 'scweave.*--help'\.\n$")

    def fails(self, expected, *words, **options):
        """Failure: status 1 and one sentence on stderr that says what and where."""
        status, out, err = scweave(*words, folder=self.folder, **options)
        self.assertEqual(status, 1, err)
        self.assertIn(out, ("", None))
        self.assertRegex(err.splitlines()[-1], expected)
        return err


class Manners(Case):
    COMMANDS = ["inspect", "example", "fit", "annotate", "embed", "markers", "simulate", "umap",
                "cluster", "evaluate", "plot", "report", "obs", "bench", "help"]

    def test_version_is_quick(self):
        times = []
        while len(times) < 20 and min(times, default=1.0) > 0.05:  # others may use the machine
            start = time.monotonic()
            out, err = self.succeeds("--version")
            times.append(time.monotonic() - start)
        self.assertRegex(out, r"^scweave \d+\.\d+\.\d+\n$")
        self.assertEqual(err, "")
        if os.environ.get("SANITIZER", "none") == "none":
            self.assertLess(min(times), 0.05)

    def test_help_goes_to_stdout(self):
        for words in (["--help"], ["-h"], ["help"]):
            out, err = self.succeeds(*words)
            self.assertEqual(err, "")
            for command in self.COMMANDS:
                self.assertRegex(out, rf"\n  {command} ")

    def test_help_of_each_command(self):
        for command in self.COMMANDS:
            out, err = self.succeeds(command, "--help")
            self.assertTrue(out.startswith(f"Usage: scweave {command} "))
            self.assertIn("--quiet", out)
            self.assertEqual(err, "")
            again, _ = self.succeeds("help", command)
            self.assertEqual(again, out)
            self.assertLessEqual(max(map(len, out.splitlines())), 100)

    def test_help_shows_live_values(self):
        out, _ = self.succeeds("fit", "matilda", "--help")
        self.assertRegex(out, r"--batch-size N[^\[]*\[64\]")
        out, _ = self.succeeds("fit", "matilda", "--batch-size", "32", "--help")
        self.assertRegex(out, r"--batch-size N[^\[]*\[32\]")

    def test_presets_come_first(self):
        for words in (["--compat", "--smoothing", "0.25"], ["--smoothing", "0.25", "--compat"]):
            out, _ = self.succeeds("fit", "matilda", *words, "--help")
            self.assertRegex(out, r"--smoothing P[^\[]*\[0.25\]")
            self.assertRegex(out, r"--smoothing-classes N[^\[]*\[17\]")

    def test_nothing_is_misuse(self):
        status, out, err = scweave()
        self.assertEqual((status, out), (2, ""))
        self.assertIn("Usage: scweave COMMAND", err)

    def test_unknown_words(self):
        self.refuses("there is no command 'fitt'; did you mean fit?", "fitt")
        self.refuses("there is no option '--versoin'", "--versoin")
        self.refuses("there is no option --lable; did you mean --label?", "fit", "matilda",
                     "--lable", "x")
        self.refuses("there is no option -x", "inspect", "-x")
        self.refuses("there is no model 'matlida'(.|\n)*matilda", "fit", "matlida", "x.h5mu")
        self.refuses("name the model first(.|\n)*matilda", "fit")
        self.refuses("there is no command 'nonsense'", "help", "nonsense")

    def test_values_are_strict(self):
        self.refuses("'abc' is not a whole number", "example", "x.h5mu", "--cells", "abc")
        self.refuses("not a whole number", "example", "x.h5mu", "--cells=")
        self.refuses("not a whole number", "example", "x.h5mu", "--cells", "1e3")
        self.refuses("out of range, expected", "example", "x.h5mu", "--cells", "-3")
        self.refuses("--cells needs a value", "example", "x.h5mu", "--cells")
        self.refuses("--cells needs a value", "example", "--cells", "--seed", "1", "x.h5mu")
        self.refuses("'maybe' is not on or off", "inspect", "x.h5mu", "--json=maybe")
        self.refuses("--no-json takes no value", "inspect", "x.h5mu", "--no-json=on")
        self.refuses("'red' is not one of adam", "fit", "matilda", "x.h5mu", "--optimizer", "red")

    def test_manual_page(self):
        out, _ = self.succeeds("help", "--man")
        self.assertTrue(out.startswith(".TH SCWEAVE 1"))
        for option in ("\\-\\-batch\\-size", "\\-\\-label", "\\-\\-embed", "\\-\\-layer"):
            self.assertIn(option, out)
        if shutil.which("groff"):
            check = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=out, text=True,
                                   stderr=subprocess.PIPE, check=True)
            self.assertEqual(check.stderr, "")

    def test_data_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            self.fails("cannot write to standard output", "help", stdout=full)

    def test_misuse_of_each_command(self):
        self.refuses("name the files", "inspect")
        self.refuses("name one file", "example")
        self.refuses("name one file", "example", "a", "b")
        self.refuses("name the reference", "fit", "matilda", "--label", "k", "-o", "m")
        self.refuses("--label is missing", "fit", "matilda", "a.h5mu", "-o", "m")
        self.refuses("--output is missing", "fit", "matilda", "a.h5mu", "--label", "k")
        self.refuses("--cv writes no model", "fit", "matilda", "a.h5mu", "--label", "k",
                     "--cv", "s.tsv", "-o", "m")
        for command in ("annotate", "embed"):
            self.refuses("--model is missing", command, "a.h5mu", "-o", "b.h5mu")
            self.refuses("name the query", command, "-m", "m", "-o", "b.h5mu")
            self.refuses("--output is missing", command, "-m", "m", "a.h5mu")
        for command in ("umap", "cluster"):
            self.refuses("name the file", command, "--use", "X_a", "-o", "b.h5mu")
            self.refuses("--use is missing", command, "a.h5mu", "-o", "b.h5mu")
            self.refuses("--output is missing", command, "a.h5mu", "--use", "X_a")
            self.refuses("--key is empty", command, "a.h5mu", "--use", "X_a", "-o", "b", "--key=")
            self.refuses("out of range", command, "a.h5mu", "--neighbors", "1")
        self.refuses("'random' is not one of spectral", "umap", "a.h5mu", "--start", "random")
        self.refuses("there is no option --resolution", "umap", "a.h5mu", "--resolution", "1")
        self.refuses("--model is missing", "markers", "a.h5mu")
        self.refuses("name the data", "markers", "-m", "m")
        self.refuses("--steps: 0 is out of range", "markers", "-m", "m", "a.h5mu", "--steps", "0")
        self.refuses("--method", "markers", "-m", "m", "a.h5mu", "--method", "anova")
        self.refuses("--coverage: 1 is out of range", "annotate", "--coverage", "1")
        self.refuses("there is no option --embed", "embed", "-m", "m", "a.h5mu", "--embed")
        self.refuses("name one file", "evaluate", "--label", "k", "--prediction", "p")
        self.refuses("--label is missing", "evaluate", "a.h5mu", "--prediction", "p")
        self.refuses("say what to judge", "evaluate", "a.h5mu", "--label", "k")
        self.refuses("name one command", "help", "fit", "embed")


class Job(Case):
    """Commands that work on data, in a folder of their own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-cli-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name, seed in (("reference", "1"), ("query", "2")):
            cls.must("example", f"{name}.h5mu", "--cells", str(N_CELLS), "--seed", seed)
        cls.must("fit", "matilda", "reference.h5mu", "--label", "cell_type", "-o",
                 "model.safetensors", *SHORT)
        cls.must("annotate", "-m", "model.safetensors", "query.h5mu", "-o", "annotated.h5mu",
                 "--embed")
        with open(cls.path("text.h5mu"), "w", encoding="utf-8") as file:
            file.write("this is not HDF5\n")

    @classmethod
    def must(cls, *words):
        status, _, err = scweave(*words, folder=cls.folder)
        if status:
            raise RuntimeError(f"scweave {' '.join(words)}: {status}\n{err}")

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def tearDown(self):
        left = [f for f in os.listdir(self.folder) if ".tmp" in f]
        self.assertEqual(left, [], "temporary files are left")

    # ---------------------------------------------------------------------------- example
    def test_example(self):
        out, err = self.succeeds("example", "small.h5mu", "--cells", "100", "--seed", "5")
        self.assertEqual(out, "")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        _, err = self.succeeds("example", "again.h5mu", "--cells", "100", "--seed", "5", "--quiet")
        self.assertEqual(err, "")
        self.fails("no/such/a.h5mu", "example", "no/such/a.h5mu")

    # ---------------------------------------------------------------------------- inspect
    def test_inspect(self):
        out, err = self.succeeds("inspect", "reference.h5mu")
        for word in ("rna", "adt", "atac", str(N_CELLS), "cell_type"):
            self.assertIn(word, out)
        self.assertRegex(err.splitlines()[-1], CLOSING)
        out, _ = self.succeeds("inspect", "--json", "-q", "reference.h5mu")
        self.assertIn("problems", json.loads(out))

    def test_inspect_looks_at_every_file(self):
        status, out, err = scweave("inspect", "absent.h5mu", "query.h5mu", folder=self.folder)
        self.assertEqual(status, 1)
        self.assertIn("query.h5mu", out)
        self.assertIn("absent.h5mu", err)

    # -------------------------------------------------------------------------------- fit
    def fit(self, output, *words):
        return ["fit", "matilda", "reference.h5mu", "--label", "cell_type", "-o", output, *SHORT,
                *words]

    def test_fit_talks_on_stderr(self):
        out, err = self.succeeds(*self.fit("m1.safetensors", "-v"))
        self.assertEqual(out, "")
        self.assertRegex(err, r"epoch \d+/\d+")
        self.assertNotIn("\r", err)
        self.assertRegex(err.splitlines()[-1], CLOSING)

    def test_fit_describes_itself(self):
        out, _ = self.succeeds(*self.fit("m2.safetensors", "--json"))
        facts = json.loads(out)
        self.assertEqual(facts["model"], "matilda")

    def test_fit_repeats_to_the_byte(self):
        self.succeeds(*self.fit("m3.safetensors"))
        self.succeeds(*self.fit("m4.safetensors", "--threads", "1", "-q"))
        self.assertEqual(self.content("m3.safetensors"), self.content("m4.safetensors"))
        self.succeeds(*self.fit("m5.safetensors", "--seed", "2"))
        self.assertNotEqual(self.content("m3.safetensors"), self.content("m5.safetensors"))

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
        words = ["fit", "matilda", "reference.h5mu", "--label", "cell_type", "-v", "-o", output,
                 "--min-steps", "1000000", "--max-steps", "0"]

        def default_signals():
            for number in signals:
                signal.signal(number, signal.SIG_DFL)
        with subprocess.Popen([SCWEAVE, *words], cwd=self.folder, stderr=subprocess.PIPE,
                              text=True, preexec_fn=default_signals) as run:
            run.stderr.readline()  # it has begun
            time.sleep(0.3)
            for number in signals:
                run.send_signal(number)
            _, err = run.communicate(timeout=PATIENCE)
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
        for words in (["example", "full", "--cells", "200"], self.fit("full"),
                      ["annotate", "-m", "model.safetensors", "query.h5mu", "-o", "full"]):
            self.fails("full: .*cannot write", *words, preexec_fn=limit)
            self.assertFalse(os.path.exists(self.path("full")))

    # ------------------------------------------------------------------------ validation
    def splits(self, name, n_folds):
        out, _ = self.succeeds("inspect", "--json", "-q", "reference.h5mu")
        self.assertTrue(out)
        import h5py  # pylint: disable=import-outside-toplevel
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
                 *SHORT]
        out, err = self.succeeds(*words)
        self.assertRegex(err.splitlines()[-1], CLOSING)
        for method in ("matilda", "logistic regression", "k nearest neighbours", "largest class"):
            self.assertRegex(out, rf"{method} +\d\.\d+ ± \d\.\d+ +\d\.\d+ ± \d\.\d+")
        out, _ = self.succeeds(*words, "--json")
        report = json.loads(out)
        self.assertEqual(len(report["folds"]), 2)
        self.assertIn("accuracy_mean", report["summary"]["matilda"])
        self.fails("absent.tsv", "fit", "matilda", "reference.h5mu", "--label", "cell_type",
                   "--cv", "absent.tsv", *SHORT)

    # -------------------------------------------------------------------- annotate, embed
    def test_annotate(self):
        import h5py  # pylint: disable=import-outside-toplevel
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
        import h5py  # pylint: disable=import-outside-toplevel
        self.succeeds("annotate", "-m", "model.safetensors", "query.h5mu", "-o", "sure.h5mu",
                      "--coverage", "0.9", "--reject", "0.1")
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
        self.succeeds("fit", "matilda", "reference.h5mu", "--label", "cell_type", "-o",
                      "plain.safetensors", "--calibration-folds", "0", *SHORT)
        for option in ("--coverage", "--reject"):
            self.fails("is not calibrated", "annotate", "-m", "plain.safetensors", "query.h5mu",
                       "-o", "x", option, "0.1")
        self.succeeds("annotate", "-m", "plain.safetensors", "query.h5mu", "-o", "plain.h5mu")
        with h5py.File(self.path("plain.h5mu"), "r") as file:
            self.assertNotIn("matilda_novelty", file["obs"])

    def test_annotate_in_place(self):
        shutil.copy(self.path("query.h5mu"), self.path("place.h5mu"))
        self.succeeds("annotate", "-m", "model.safetensors", "place.h5mu", "-o", "place.h5mu",
                      "--embed")
        out, _ = self.succeeds("evaluate", "place.h5mu", "--label", "cell_type", "--prediction",
                               "matilda_label")
        self.assertIn("accuracy", out)

    def test_embed(self):
        import h5py  # pylint: disable=import-outside-toplevel
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
        self.succeeds(*self.fit("without.safetensors", "--subsets", "off"))
        for model in ("model", "without"):
            _, err = self.succeeds("annotate", "-m", f"{model}.safetensors", "adt=adt.h5ad", "-o",
                                   f"{model}.h5ad", "--coverage", "0.8", "--reject", "0.05")
            self.assertIn("no modality 'rna'", err)
            with h5py.File(self.path(f"{model}.h5ad"), "r") as file:
                labels[model] = read_elem(file["obs"])
        self.assertTrue((labels["model"].matilda_confidence !=
                         labels["without"].matilda_confidence).any())
        out, _ = self.succeeds(*self.fit("m6.safetensors", "--json"))
        listed = [row["modalities"] for row in json.loads(out)["subsets"]]
        self.assertEqual(len(listed), 6)

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

    # ---------------------------------------------------------------------- umap, cluster
    def test_umap(self):
        import h5py  # pylint: disable=import-outside-toplevel
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
        import h5py  # pylint: disable=import-outside-toplevel
        words = ["cluster", "annotated.h5mu", "--use", "X_matilda", "-o", "c.h5mu"]
        status, _, err = scweave(*words, folder=self.folder)
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
            status, _, err = scweave("umap", "annotated.h5mu", "--use", "X_matilda", "-o", "x",
                                     "--key", key, folder=self.folder)
            self.assertEqual(status, 2)
            self.assertIn(key, err)
        self.assertFalse(os.path.exists(self.path("x")))
        self.succeeds("umap", "annotated.h5mu", "--use", "X_matilda", "-o", "slash.h5mu", "--key",
                      "a/b", "--epochs", "5")
    # ---------------------------------------------------------------------------- markers
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
        import h5py  # pylint: disable=import-outside-toplevel
        from anndata.experimental import read_elem  # pylint: disable=import-outside-toplevel
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

    # --------------------------------------------------------------------------- evaluate
    def test_evaluate(self):
        words = ["evaluate", "annotated.h5mu", "--label", "cell_type", "--prediction",
                 "matilda_label", "--embedding", "X_matilda"]
        out, err = self.succeeds(*words)
        for word in ("accuracy", "macro-F1", "precision", "ARI", "Jaccard"):
            self.assertIn(word, out)
        self.assertRegex(err.splitlines()[-1], CLOSING)
        out, _ = self.succeeds(*words, "--json", "-q")
        report = json.loads(out)
        self.assertEqual(report["n_obs"], N_CELLS)
        self.assertGreater(report["annotation"]["accuracy"], 0.2)
        self.assertEqual(set(report["clustering"]) & {"ari", "nmi", "fm", "jaccard"},
                         {"ari", "nmi", "fm", "jaccard"})

    def test_evaluate_refuses(self):
        self.fails("absent.h5mu", "evaluate", "absent.h5mu", "--label", "k", "--prediction", "p")
        self.fails("'k'|k:", "evaluate", "annotated.h5mu", "--label", "k", "--prediction",
                   "matilda_label")
        self.fails("X_none", "evaluate", "annotated.h5mu", "--label", "cell_type", "--embedding",
                   "X_none")

    # --------------------------------------------------------------------------- simulate
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
        self.succeeds(*self.fit("g.safetensors", "--likelihood", "gaussian"))
        words = ["simulate", "-m", "g.safetensors", "reference.h5mu", "--n", "20", "-o", "s7.h5mu"]
        _, err = self.succeeds(*words)
        self.assertRegex(err, "'rna' has no count decoder.*no counts")
        mods, _, _, record = self.read("s7.h5mu")
        self.assertEqual(record["values_rna"], "expected transformed values")
        self.assertLess(mods["rna"].min(), 0)
        status, _, err = scweave(*words, "--with-real", folder=self.folder)
        self.assertEqual(status, 2)
        self.assertIn("real counts cannot stand beside them", err)

    def test_count_decoders_change_nothing_else(self):
        self.succeeds(*self.fit("g2.safetensors", "--likelihood", "gaussian"))
        for model in ("model", "g2"):
            self.succeeds("embed", "-m", f"{model}.safetensors", "query.h5mu", "-o",
                          f"{model}_e.h5mu")
        with h5py.File(self.path("model_e.h5mu")) as a, h5py.File(self.path("g2_e.h5mu")) as b:
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

    def test_bench_refuses(self):
        self.fails("absent.h5mu", "bench", "absent.h5mu")


if __name__ == "__main__":
    unittest.main()
