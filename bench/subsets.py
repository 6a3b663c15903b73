# SPDX-License-Identifier: BSD-3-Clause
"""How well one model answers for cells that have a part of its modalities only, against models of that
part alone. Two tables:

  cross-validated  for each fold: fit on the others with all modalities; annotate the held-out cells
                   whole, and cut down to each subset; beside it a model of that subset alone
  transfer         fit on one file with all modalities, and on one of them alone; annotate another

usage: bench/subsets.py SCWEAVE DATA [--seeds 1,2] [--sets bmmc_cite_a,teaseq] [fit options ...]

DATA has bmmc_cite/bmmc_cite_a.h5mu, splits/bmmc_cite_a.tsv, teaseq_matilda/teaseq_train.h5mu and
teaseq_test_adt.h5ad. Needs h5py, numpy and anndata."""
import itertools
import json
import os
import subprocess
import sys
import tempfile

import anndata
import h5py
import numpy
from anndata.experimental import read_elem


def run(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def modalities(path):
    with h5py.File(path) as f:
        return sorted(f["mod"])


def cut(source, cells, target):
    """The listed cells of each modality of an .h5mu, as files target.<modality>.h5ad."""
    out = {}
    for name in modalities(source):
        part = read_modality(source, name)
        kept = part[[c for c in cells if c in part.obs_names]].copy()
        out[name] = f"{target}.{name}.h5ad"
        kept.write_h5ad(out[name])
    return out


def read_modality(source, name):
    with h5py.File(source) as f:
        top = read_elem(f["obs"])
        part = read_elem(f["mod"][name])
    for column in top.columns:
        if column not in part.obs:
            part.obs[column] = top[column].reindex(part.obs_names)
    return part


def judge(scweave, model, files, folder, label, *options):
    """Accuracy and macro-F1 of the model on a query of the named files."""
    out = os.path.join(folder, "out.h5mu" if len(files) > 1 else "out.h5ad")
    words = [f"{name}={path}" for name, path in files.items()]
    run(scweave, "annotate", "-m", model, *words, "-o", out, "--threads", "1", *options)
    with h5py.File(out) as f:
        obs = read_elem(f["obs"])
    truth = None
    for path in files.values():
        truth = anndata.read_h5ad(path).obs[label].astype(str)
    said = obs["matilda_label"].astype(str).reindex(truth.index)
    confidence = obs["matilda_confidence"].reindex(truth.index).to_numpy()
    return figures(truth.to_numpy(), said.to_numpy(), confidence)


def figures(truth, said, confidence):
    right = truth == said
    f1 = []
    for c in numpy.unique(truth):
        hit = numpy.sum((truth == c) & (said == c))
        f1.append(2 * hit / max(1, numpy.sum(truth == c) + numpy.sum(said == c)))
    bins = numpy.minimum((confidence * 15).astype(int), 14)
    ece = sum(abs(right[bins == b].mean() - confidence[bins == b].mean()) * numpy.mean(bins == b)
              for b in numpy.unique(bins))
    return right.mean(), numpy.mean(f1), ece


def fit(scweave, files, label, model, seed, options):
    run(scweave, "fit", "matilda", *[f"{n}={p}" for n, p in files.items()], "--label", label, "-o", model,
        "--likelihood", "gaussian", "--seed", str(seed), "--threads", "1", *options)


def subsets(names):
    return [s for k in range(1, len(names) + 1) for s in itertools.combinations(names, k)]


def show(title, rows):
    print(f"\n{title}\n")
    print("accuracy / macro-F1 (expected calibration error)\n")
    print("| cells have | one model, --subsets off | one model | a model of that alone |")
    print("|---|---|---|---|")
    for name, *columns in rows:
        text = " | ".join("{:.3f} / {:.3f} ({:.3f})".format(*numpy.mean(v, axis=0)) for v in columns)
        print(f"| {name} | {text} |", flush=True)


def cross_validated(scweave, source, splits, label, seeds, options, folder):
    table = [line.rstrip("\n").split("\t") for line in open(splits)]
    cell, fold = table[0].index("cell"), table[0].index("fold")
    of = {row[cell]: row[fold] for row in table[1:]}
    names = modalities(source)
    found = {s: ([], [], []) for s in subsets(names)}
    for seed in seeds:
        for k in sorted(set(of.values())):
            train = cut(source, [c for c in of if of[c] != k], os.path.join(folder, "train"))
            test = cut(source, [c for c in of if of[c] == k], os.path.join(folder, "test"))
            models = [os.path.join(folder, f"{m}.safetensors") for m in ("off", "on", "alone")]
            fit(scweave, train, label, models[0], seed, [*options, "--subsets", "off"])
            fit(scweave, train, label, models[1], seed, options)
            for s, columns in found.items():
                query = {n: test[n] for n in s}
                if len(s) < len(names):
                    fit(scweave, {n: train[n] for n in s}, label, models[2], seed, options)
                for model, column in zip(models[:2] + [models[2 if len(s) < len(names) else 1]], columns):
                    column.append(judge(scweave, model, query, folder, label))
    return [("+".join(s), *v) for s, v in found.items()]


def transfer(scweave, source, query, label, seeds, options, folder):
    names = modalities(source)
    with h5py.File(source) as f:
        cells = [c.decode() if isinstance(c, bytes) else c for c in f["obs"][f["obs"].attrs["_index"]][:]]
    train = cut(source, cells, os.path.join(folder, "train"))
    columns = [], [], []
    model = os.path.join(folder, "model.safetensors")
    only = {n: train[n] for n in query}
    for seed in seeds:
        for column, files, more in zip(columns, (train, train, only), (["--subsets", "off"], [], [])):
            fit(scweave, files, label, model, seed, [*options, *more])
            column.append(judge(scweave, model, query, folder, label))
    return [("+".join(query), *columns)]


def main():
    words = sys.argv[1:]
    if len(words) < 2:
        sys.exit(__doc__)
    scweave, data, seeds, sets, options = words[0], words[1], [1], ["bmmc_cite_a", "teaseq"], []
    rest = words[2:]
    while rest:
        word = rest.pop(0)
        if word == "--seeds":
            seeds = [int(s) for s in rest.pop(0).split(",")]
        elif word == "--sets":
            sets = rest.pop(0).split(",")
        else:
            options.append(word)
    print(json.dumps({"program": run(scweave, "--version").strip(), "seeds": seeds, "options": options}))
    with tempfile.TemporaryDirectory() as folder:
        if "teaseq" in sets:
            show("teaseq_train, all cells; teaseq_test_adt, other cells with protein only",
                 transfer(scweave, f"{data}/teaseq_matilda/teaseq_train.h5mu",
                          {"adt": f"{data}/teaseq_matilda/teaseq_test_adt.h5ad"}, "cell_type", seeds,
                          options, folder))
        if "bmmc_cite_a" in sets:
            show("bmmc_cite_a, five-fold cross-validation",
                 cross_validated(scweave, f"{data}/bmmc_cite/bmmc_cite_a.h5mu",
                                 f"{data}/splits/bmmc_cite_a.tsv", "cell_type", seeds, options, folder))


if __name__ == "__main__":
    main()
