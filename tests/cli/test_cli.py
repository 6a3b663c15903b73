# SPDX-License-Identifier: BSD-3-Clause
"""The program as its users meet it: help, misuse, and the commands that look at files: example,
inspect, evaluate, bench. The other commands have files of their own beside this one.
Usage: test_cli.py SCWEAVE [unittest arguments]"""
import csv
import json
import os
import resource
import shutil
import subprocess


import job
from job import CLOSING, N_CELLS


class Manners(job.harness.Case):
    COMMANDS = ["inspect", "example", "fit", "annotate", "embed", "markers", "simulate", "umap",
                "cluster", "evaluate", "plot", "report", "obs", "bench", "help", "qc", "filter",
                "preprocess", "activity", "validate", "cca", "match"]

    def test_version_is_quick(self):
        def spent():
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime
        times = []  # of the processor: others may use the machine
        while len(times) < 20 and min(times, default=1.0) > 0.05:
            start = spent()
            out, err = self.succeeds("--version")
            times.append(spent() - start)
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
        for model in ("matilda", "clue", "clip"):
            out, _ = self.succeeds("fit", model, "--help")
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
        for words, precision in ([], "auto"), (["--compat"], "fp32"), (["--precision", "bf16", "--compat"], "bf16"):
            out, _ = self.succeeds("fit", "matilda", *words, "--help")
            self.assertRegex(out, rf"--precision auto\|fp32\|bf16[^\[]*\[{precision}\]")

    def test_nothing_is_misuse(self):
        status, out, err = self.run_it()
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
        self.refuses(r"'half' is not one of auto\|fp32\|bf16", "fit", "matilda", "x.h5mu", "--precision", "half")

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
        self.refuses("name the file", "qc")
        self.refuses("name the data to filter", "filter", "-o", "b.h5ad", "--min-genes", "1")
        self.refuses("--output is missing", "filter", "a.h5ad", "--min-genes", "1")
        self.refuses("--max-pct-mt: 101 is out of range", "filter", "a.h5ad", "--max-pct-mt", "101")
        self.refuses("name the file", "preprocess", "-o", "b.h5ad")
        self.refuses("--output is missing", "preprocess", "a.h5ad")
        self.refuses("--genes is missing", "activity", "a.h5ad", "-o", "b.h5mu")


class Files(job.Job):
    def test_example(self):
        out, err = self.succeeds("example", "small.h5mu", "--cells", "100", "--seed", "5")
        self.assertEqual(out, "")
        self.assertRegex(err.splitlines()[-1], CLOSING)
        _, err = self.succeeds("example", "again.h5mu", "--cells", "100", "--seed", "5", "--quiet")
        self.assertEqual(err, "")
        self.fails("no/such/a.h5mu", "example", "no/such/a.h5mu")

    def test_inspect(self):
        out, err = self.succeeds("inspect", "reference.h5mu")
        for word in ("rna", "adt", "atac", str(N_CELLS), "cell_type"):
            self.assertIn(word, out)
        self.assertRegex(err.splitlines()[-1], CLOSING)
        out, _ = self.succeeds("inspect", "--json", "-q", "reference.h5mu")
        self.assertIn("problems", json.loads(out))

    def test_inspect_looks_at_every_file(self):
        status, out, err = self.run_it("inspect", "absent.h5mu", "query.h5mu")
        self.assertEqual(status, 1)
        self.assertIn("query.h5mu", out)
        self.assertIn("absent.h5mu", err)

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

    def test_bench(self):
        out, _ = self.succeeds("bench", "reference.h5mu", "--cells", "300", "--features", "100", "--density", "0.1", "--batch-size",
                               "32", "--threads", "1", "--csv", "bench.csv", "--json")
        report = json.loads(out)
        self.assertEqual(report["machine"]["threads"], 1)
        self.assertGreater(report["limits"]["fp32_gflops"], 0)
        self.assertGreater(report["limits"]["bf16_gflops"], 0)
        self.assertIn(report["limits"]["bf16_emulated"], (True, False))
        self.assertEqual([r["settings"] for r in report["products"]], 10 * ["fp32"] + 10 * ["bf16"])
        self.assertNotIn("ops", report)
        both = [("reference.h5mu", N_CELLS), ("made", 300)]
        kinds = [("matilda", "default"), ("matilda", "compat"), ("clue", "default"), ("clip", "default")]
        self.assertEqual([(r["what"], r["model"], r["settings"], r["batch_size"], r["cells"]) for r in report["steps"]],
                         [(name, model, settings, 32, n) for name, n in both for model, settings in kinds])
        for row in report["steps"] + report["inference"]:
            self.assertGreater(row["ms"], 0)
            self.assertAlmostEqual(row["share"], row["limit_ms"] / row["ms"], delta=1e-3 * row["share"])
            if row["what"] == "made":
                self.assertEqual(row["features"], 150)
                self.assertAlmostEqual(row["non_zeros"], 60, delta=1)
        with open(self.path("bench.csv"), encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual(len(table), sum(len(v) for v in report.values() if isinstance(v, list)))
        self.assertEqual({r["processor"] for r in table}, {report["machine"]["processor"]})
        self.assertEqual([(r["model"], r["batch_size"]) for r in table if r["part"] == "steps"],
                         [(model, "32") for _ in both for model, _ in kinds])
        self.assertEqual({r["model"] for r in table if r["part"] in ("products", "memory")}, {""})

    def test_bench_refuses(self):
        self.fails("absent.h5mu", "bench", "absent.h5mu")
        for wrong in (["--cells", "10,x"], ["--features", "1"], ["--features", "99.5"], ["--cells", ","]):
            status, out, err = self.run_it("bench", *wrong)
            self.assertEqual((status, out), (2, ""))
            self.assertRegex(err, f"{wrong[0]} '{wrong[1]}': expected whole numbers")
        self.fails("no/such/folder", "bench", "--cells", "100", "--csv", "no/such/folder/bench.csv")
        self.refuses("density", "bench", "--density", "0")


if __name__ == "__main__":
    job.main()
