#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""confidence.py SCWEAVE FILE SPLITS.tsv [--types N] [--label KEY]: can the model's confidence be believed?

1. Five-fold cross-validation: calibration error before and after the temperature, coverage and size of
   95 % label sets (what `scweave fit --cv --json` prints).
2. Types that training never saw: each of the N most frequent types is left out in turn, with the cells of
   the first fold; how well does obs['matilda_novelty'] (and, beside it, one minus the confidence) tell the
   cells of that type from the first fold's others? Area under the ROC curve. And what share of both does
   --reject 0.05 call unknown? Of the others it should be 0.05."""
import argparse
import csv
import json
import os
import shutil
import subprocess
import tempfile

import h5py
import numpy as np
from sklearn.metrics import roc_auc_score

REJECT = "0.05"


def texts(values):
    return [v.decode() if isinstance(v, bytes) else v for v in values]


def run(*words):
    return subprocess.run([str(w) for w in words], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def cross_validation(program, path, splits, label):
    out = run(program, "fit", "matilda", path, "--label", label, "--cv", splits, "--json")
    figures = json.loads(out)["summary"]["matilda"]
    for name in ("accuracy_mean", "ece_uncalibrated_pooled", "ece_pooled", "coverage_95_mean",
                 "set_size_95_mean"):
        print(f"{name:26s} {figures[name]:.3f}")


def labels_of(path, label):
    with h5py.File(path) as f:
        obs = f["obs"]
        names = texts(obs[obs.attrs["_index"]][:])
        return names, obs[label]["codes"][:].astype(int), texts(obs[label]["categories"][:])


def without(source, target, label, codes, keep):
    """A copy in which only the cells of `keep` have a label."""
    shutil.copy(source, target)
    with h5py.File(target, "r+") as f:
        del f["obs"][label]["codes"]
        f["obs"][label]["codes"] = np.where(keep, codes, -1).astype(np.int16)


def column(path, name):
    with h5py.File(path) as f:
        return f["obs"][name][:]


def unseen_types(program, path, splits, label, n_types):
    names, codes, types = labels_of(path, label)
    with open(splits, encoding="utf-8") as f:
        fold = {row["cell"]: row["fold"] for row in csv.DictReader(f, delimiter="\t")}
    first = sorted(set(fold.values()))[0]
    tested = np.array([fold.get(name) == first for name in names])
    counts = np.bincount(codes[codes >= 0], minlength=len(types))
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        extension = os.path.splitext(path)[1]
        reference, model = os.path.join(folder, "r" + extension), os.path.join(folder, "m.safetensors")
        answer = os.path.join(folder, "a" + extension)
        for left_out in np.argsort(-counts, kind="stable")[:n_types]:
            train = ~tested & (codes != left_out) & (codes >= 0)
            without(path, reference, label, codes, train)
            run(program, "fit", "matilda", reference, "--label", label, "-o", model)
            run(program, "annotate", "-m", model, path, "-o", answer, "--reject", REJECT)
            _, answers, labels = labels_of(answer, "matilda_label")
            unknown = answers == labels.index("unknown")
            known = tested & np.isin(codes, np.unique(codes[train]))
            unseen = codes == left_out
            truth = np.r_[np.zeros(known.sum()), np.ones(unseen.sum())]
            row = []
            for score in (column(answer, "matilda_novelty"), -column(answer, "matilda_confidence")):
                row.append(roc_auc_score(truth, np.r_[score[known], score[unseen]]))
            row += [unknown[known].mean(), unknown[unseen].mean()]
            figures.append(row)
            print(f"left out {types[left_out]:28s} {unseen.sum():5d} cells  novelty {row[0]:.3f}  "
                  f"1 - confidence {row[1]:.3f}  unknown: {row[3]:.3f}, of the others {row[2]:.3f}",
                  flush=True)
    mean = np.mean(figures, axis=0)
    print(f"mean over {len(figures)} types: novelty {mean[0]:.3f}  1 - confidence {mean[1]:.3f}  "
          f"unknown: {mean[3]:.3f}, of the others {mean[2]:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("file")
    parser.add_argument("splits")
    parser.add_argument("--types", type=int, default=7)
    parser.add_argument("--label", default="cell_type")
    a = parser.parse_args()
    cross_validation(a.program, a.file, a.splits, a.label)
    unseen_types(a.program, a.file, a.splits, a.label, a.types)


if __name__ == "__main__":
    main()
