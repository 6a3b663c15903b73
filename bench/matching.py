# SPDX-License-Identifier: BSD-3-Clause
"""How well do methods without a network put two modalities of the same cells into one space?

For each fold: `scweave cca` learns on the other folds, and the cells of this one are judged by
`scweave evaluate --partner` and matched by every engine of `scweave match`. Beside it the shared features
(`match --features`), which learn nothing, within the same folds. Mean and sample standard deviation over
the folds; match probability by chance is 1 / cells of the fold.

usage: bench/matching.py SCWEAVE FILE.h5mu SPLITS.tsv FIRST SECOND [--map TABLE] [cca options ...]

Needs h5py and numpy."""
import csv
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy

ENGINES = (("shared",), ("mutual",), ("transport",), ("assignment",))
PAIRS = ("foscttm", "top1", "top5", "top10")


def run(program, *words):
    done = subprocess.run([program, *words, "-q"], check=True, capture_output=True, text=True)
    return done.stdout


def only(path, sides, cells):
    """Forget the embedding of all other cells."""
    with h5py.File(path, "r+") as file:
        for side in sides:
            names = file["mod/%s/obs" % side]
            names = names[names.attrs["_index"]].asstr()[:]
            x = file["mod/%s/obsm/X_cca" % side]
            x[:] = numpy.where(numpy.isin(names, cells)[:, None], x[:], numpy.nan)


def judge(program, path, splits, fold, sides, options, folder):
    out = os.path.join(folder, "cca.h5mu")
    held = ["--splits", splits, "--fold", fold]
    run(program, "cca", path, "--first", sides[0], "--second", sides[1], "-o", out, *held, *options)
    use = ["%s:X_cca" % s for s in sides]
    report = json.loads(run(program, "evaluate", out, "--label", "cell_type", "--embedding", use[0],
                            "--partner", use[1], "--metric", "cosine", "--json", *held))["pairing"]
    found = {name: report[name] for name in PAIRS}
    for way, text in (("transfer_to", "labels %s>%s" % sides), ("transfer_back", "labels %s>%s" % sides[::-1])):
        found[text + " accuracy"] = report[way]["accuracy"]
        found[text + " macro-F1"] = report[way]["macro_f1"]
        found["largest class"] = report[way]["majority_accuracy"]
    for name in ("ilisi", "asw_batch", "graph_connectivity", "asw_label"):
        found["mixing " + name] = report["mixing"][name]
    with open(splits, encoding="utf-8") as file:
        cells = [r["cell"] for r in csv.DictReader(file, delimiter="\t") if r["fold"] == fold]
    only(out, sides, cells)
    for engine, in ENGINES:
        text = run(program, "match", out, "--use", use[0], "--with", use[1], "--engine", engine,
                   "--pairs", os.path.join(folder, "pairs.tsv"), "--json")
        found["match " + engine] = json.loads(text)["by_name"]["match_probability"]
    return found


def main():
    program, path, splits, first, second, *options = sys.argv[1:]
    table = []
    if "--map" in options:
        at = options.index("--map")
        table = options[at:at + 2]
        del options[at:at + 2]
    with open(splits, encoding="utf-8") as file:
        folds = sorted({r["fold"] for r in csv.DictReader(file, delimiter="\t")})
    with tempfile.TemporaryDirectory() as folder:
        rows = [judge(program, path, splits, fold, (first, second), options, folder)
                for fold in folds]
        for name in rows[0]:
            values = numpy.array([r[name] for r in rows])
            print("%-28s %.4f +- %.4f" % (name, values.mean(), values.std(ddof=1)))
        folded = os.path.join(folder, "folds.h5mu")
        run(program, "obs", path, "--table", splits, "-o", folded)
        for engine, in ENGINES:
            try:
                text = run(program, "match", folded, "--features", "--use", first, "--with", second,
                           *table, "--batch-key", "fold", "--engine", engine, "--pairs",
                           os.path.join(folder, "pairs.tsv"), "--json")
            except subprocess.CalledProcessError as error:
                print("shared features:", error.stderr.strip())
                break
            print("%-28s %.4f" % ("features " + engine,
                                  json.loads(text)["by_name"]["match_probability"]))


if __name__ == "__main__":
    main()
