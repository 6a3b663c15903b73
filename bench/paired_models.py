#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How well does a trained model put two modalities of the same cells into one space?

For each fold of a table (columns cell, fold) the model is fitted on the other folds, and the cells of this
one are judged among themselves by `scweave evaluate --partner`; likewise `scweave cca`. Mean and sample
standard deviation over folds (and, for the model, seeds).

usage: bench/paired_models.py SCWEAVE MODEL FILE.h5mu SPLITS.tsv FIRST SECOND [--seeds N] [fit options ...]

Needs anndata, h5py and numpy."""
import csv
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy
from anndata._io.specs import read_elem

PAIRS = ("foscttm", "top1", "top10", "match_probability")


def run(program, *words):
    return subprocess.run([program, *words, "-q"], check=True, capture_output=True, text=True).stdout


def write_known(path, sides, known, folder):
    """The cells to learn from, a file a modality."""
    words = []
    with h5py.File(path, "r") as file:
        for side in sides:
            part = read_elem(file["mod/" + side])
            part = part[[name in known for name in part.obs_names]].copy()
            name = os.path.join(folder, side + ".h5ad")
            part.write(name)
            words.append("%s=%s" % (side, name))
    return words


def judge(program, path, sides, key, held):
    report = json.loads(run(program, "evaluate", path, "--label", "cell_type", "--embedding",
                            "%s:%s" % (sides[0], key), "--partner", "%s:%s" % (sides[1], key), "--metric",
                            "cosine", "--json", *held))["pairing"]
    found = {name: report[name] for name in PAIRS}
    for way, text in (("transfer_to", "labels %s>%s" % sides), ("transfer_back", "labels %s>%s" % sides[::-1])):
        found[text + " accuracy"] = report[way]["accuracy"]
    return found


def main():
    program, model, path, splits, first, second, *options = sys.argv[1:]
    sides, seeds = (first, second), 1
    if "--seeds" in options:
        at = options.index("--seeds")
        seeds = int(options[at + 1])
        del options[at:at + 2]
    with open(splits, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = {"cca": [], model: []}
    with tempfile.TemporaryDirectory() as folder:
        for fold in sorted({r["fold"] for r in rows}):
            held = ["--splits", splits, "--fold", fold]
            out = os.path.join(folder, "out.h5mu")
            run(program, "cca", path, "--first", first, "--second", second, "-o", out, *held)
            found["cca"].append(judge(program, out, sides, "X_cca", held))
            files = write_known(path, sides, {r["cell"] for r in rows if r["fold"] != fold}, folder)
            for seed in range(1, seeds + 1):
                fitted = os.path.join(folder, "model.safetensors")
                run(program, "fit", model, *files, "-o", fitted, "--seed", str(seed), *options)
                run(program, "embed", "-m", fitted, path, "-o", out)
                found[model].append(judge(program, out, sides, "X_" + model, held))
    for name in found[model][0]:
        text = ["%s %.4f +- %.4f" % (method, numpy.mean(values), numpy.std(values, ddof=1))
                for method, values in ((m, [r[name] for r in rs]) for m, rs in found.items())]
        print("%-28s %s" % (name, "   ".join(text)))


if __name__ == "__main__":
    main()
