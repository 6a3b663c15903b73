# SPDX-License-Identifier: BSD-3-Clause
"""How good are the markers? Prints the tables of docs/markers.md.

    SCW_DATA=folder bench/markers/evaluate.py build/src/cli/scweave [SET ...]

For each set of canonical.json (the first two were used to choose the default method, the others
were not): canonical features among the first 20; accuracy of nearest neighbours that see the first
5, 10 or 20 features of each type only, chosen on four folds and tested on the fifth; rank
correlation of the first 50 between models of different seeds; and the probability that the model
still gives a type's cells when the type's first 20 features are taken from it. Beside the methods
of `scweave markers` stands a control without a model: the difference of the means, in the units of
the model's inputs. Takes about ten minutes on two cores."""
import argparse
import collections
import csv
import json
import os
import shutil
import struct
import subprocess
import tempfile
import warnings

import h5py
import numpy as np
import scipy.sparse as sp
from scipy.stats import spearmanr
from sklearn.neighbors import KNeighborsClassifier

HERE = os.path.dirname(os.path.abspath(__file__))
METHODS = ["shared", "ig", "saliency", "ttest", "wilcoxon"]
CONTROL = "mean difference"
LABEL = "cell_type"
Model = collections.namedtuple("Model", "path block_scale")


class Runner:
    def __init__(self, scweave, folder, threads):
        self.scweave, self.folder, self.threads = scweave, folder, str(threads)

    def run(self, *words):
        subprocess.run([self.scweave, *words, "--threads", self.threads, "--quiet"], check=True,
                       stderr=subprocess.DEVNULL)

    def fit(self, data, label, seed):
        path = os.path.join(self.folder, f"model-{os.path.basename(data)}-{seed}.safetensors")
        if not os.path.exists(path):
            self.run("fit", "matilda", data, "--label", label, "--seed", str(seed), "-o", path)
        with open(path, "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(size))["__metadata__"]
        return Model(path, {m["name"]: m["block_scale"] for m in json.loads(header["modalities"])})

    def table(self, model, data, label, *options):
        path = os.path.join(self.folder, "table.tsv")
        self.run("markers", "-m", model.path, data, "--label", label, "--top", "0", "-o", path,
                 *options)
        with open(path, encoding="utf-8") as lines:
            return list(csv.DictReader(lines, delimiter="\t"))

    def rankings(self, model, data, label):
        """{method: {type: [((modality, feature), score), ...]}}"""
        found = {}
        for method in METHODS:
            rows = self.table(model, data, label, "--method", method)
            by_type = found.setdefault(method, {})
            for row in rows:
                by_type.setdefault(row["class"], []).append(
                    ((row["modality"], row["feature"]), float(row["score"])))
            if method == "ttest":
                control = found.setdefault(CONTROL, {})
                for row in rows:
                    size = model.block_scale[row["modality"]]
                    control.setdefault(row["class"], []).append(
                        ((row["modality"], row["feature"]),
                         size * (float(row["mean_in"]) - float(row["mean_out"]))))
        for ranked in found[CONTROL].values():
            ranked.sort(key=lambda item: -item[1])
        return found


# ------------------------------------------------------------------- reading, cutting

def read(group):
    if isinstance(group, h5py.Group) and "indptr" in group:
        parts = group["data"][:], group["indices"][:], group["indptr"][:]
        kind = group.attrs["encoding-type"]
        build = sp.csc_matrix if "csc" in str(kind) else sp.csr_matrix
        return build(parts, shape=tuple(group.attrs["shape"])).toarray().astype(float)
    if isinstance(group, h5py.Group):
        names = np.array([name.decode() for name in group["categories"][:]] + [""], object)
        return names[group["codes"][:]]
    values = group[:]
    if values.ndim == 2:
        return values.astype(float)
    return np.array([v.decode() for v in values], object)


def modalities(file):
    return {name: file["mod"][name] for name in file["mod"]} if "mod" in file else {"rna": file}


def features(group):
    return read(group["var"][group["var"].attrs.get("_index", "_index")])


def expression(path):
    """Names (modality, feature) and log-normalised values [cells, features]."""
    names, values = [], []
    with h5py.File(path) as file:
        for modality, group in modalities(file).items():
            x = read(group["X"])
            if modality == "adt":
                y = np.log1p(x / np.exp(np.log1p(x).mean(1, keepdims=True)))
            else:
                y = np.log1p(1e4 * x / np.maximum(x.sum(1, keepdims=True), 1))
            names += [(modality, name) for name in features(group)]
            values.append(y)
        return names, np.concatenate(values, 1), read(file["obs"][LABEL])


def without_labels(source, target, rows):
    """A copy whose obs column `known` lacks the labels of `rows`."""
    shutil.copyfile(source, target)
    with h5py.File(target, "r+") as file:
        obs = file["obs"]
        obs.copy(LABEL, "known")
        codes = obs["known/codes"][:].astype(np.int32)
        codes[rows] = -1
        attributes = dict(obs["known/codes"].attrs)
        del obs["known/codes"]
        obs["known/codes"] = codes
        obs["known/codes"].attrs.update(attributes)
        order = [*obs.attrs["column-order"], "known"]
        obs.attrs["column-order"] = np.array(order, dtype=h5py.string_dtype())


def without_features(source, target, dropped):
    """A plain file that lacks some features: h5mu or h5ad as the source is."""
    def write(group, out, modality):
        names = features(group)
        keep = np.array([(modality, name) not in dropped for name in names])
        out.create_group("var").attrs.update({"_index": "_index", "encoding-type": "dataframe",
                                              "encoding-version": "0.2.0"})
        out["var"].attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
        out["var/_index"] = np.array(names[keep], dtype=h5py.string_dtype())
        out["X"] = read(group["X"])[:, keep].astype(np.float32)
        out["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        out.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        group.copy("obs", out)

    with h5py.File(source) as file, h5py.File(target, "w") as out:
        if "mod" not in file:
            write(file, out, "rna")
            return
        file.copy("obs", out)
        for modality, group in modalities(file).items():
            write(group, out.create_group("mod/" + modality), modality)
        out.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0"})


# ------------------------------------------------------------------- the four questions

def is_canonical(item, lists):
    modality, name = item
    return name.replace("_TotalSeqB", "") in lists["adt" if modality == "adt" else "rna"].split()


def canonical_hits(found, types, lists, names):
    print("\nCanonical features among the first 20 (of those on the panel)\n")
    print("| method |", " | ".join(f"{t} ({sum(is_canonical(n, lists[k]) for n in names)})"
                                  for t, k in types.items()), "| sum |")
    print("|---|" + "---|" * (len(types) + 1))
    for method, by_type in found.items():
        hits = [sum(is_canonical(item, lists[k]) for item, _ in by_type.get(t, [])[:20])
                for t, k in types.items()]
        print(f"| {method} |", " | ".join(map(str, hits)), f"| {sum(hits)} |")


def neighbours(found, names, values, labels, test):
    print("\nAccuracy of 15 nearest neighbours on the first features of each type (features)\n")
    print("| method | 5 | 10 | 20 |\n|---|---|---|---|")
    at = {name: k for k, name in enumerate(names)}
    sd = values[~test].std(0)
    scaled = (values - values[~test].mean(0)) / np.where(sd > 0, sd, 1)
    for method, by_type in found.items():
        cells = []
        for top in (5, 10, 20):
            chosen = sorted({at[item] for ranked in by_type.values() for item, _ in ranked[:top]})
            model = KNeighborsClassifier(15).fit(scaled[~test][:, chosen], labels[~test])
            said = model.predict(scaled[test][:, chosen])
            cells.append(f"{np.mean(said == labels[test]):.3f} ({len(chosen)})")
        print(f"| {method} |", " | ".join(cells), "|")


def stability(by_seed, types):
    print("\nSpearman correlation of the first 50 between seeds: mean over pairs\n")
    print("| method |", " | ".join(types), "| mean |\n|---|" + "---|" * (len(types) + 1))
    seeds = sorted(by_seed)
    for method in by_seed[seeds[0]]:
        row = []
        for t in types:
            values = []
            for a in seeds:
                for b in seeds:
                    if a >= b:
                        continue
                    first = by_seed[a][method][t][:50]
                    second = dict(by_seed[b][method][t])
                    lowest = min(second.values()) # not ranked there: behind all that are
                    values.append(spearmanr([s for _, s in first],
                                            [second.get(item, lowest) for item, _ in first])[0])
            row.append(np.mean(values))
        print(f"| {method} |", " | ".join(f"{v:.2f}" for v in row), f"| {np.mean(row):.3f} |")


def deletion(runner, model, data, found, types):
    print("\nProbability of the right type, before and after the type's first 20 features are gone\n")
    print("| method |", " | ".join(types), "| mean |\n|---|" + "---|" * (len(types) + 1))

    def probability(path, name):
        out = os.path.join(runner.folder, "annotated" + os.path.splitext(path)[1])
        runner.run("annotate", "-m", model.path, path, "-o", out)
        with h5py.File(out) as file:
            of_type = read(file["obs"][LABEL]) == name
            table = file["obsm/matilda_probabilities"]
            return np.mean(table[name.replace("/", "_")][:][of_type])

    row = [probability(data, t) for t in types]
    print("| (all features) |", " | ".join(f"{v:.3f}" for v in row), f"| {np.mean(row):.3f} |")
    for method, by_type in found.items():
        row = []
        for t in types:
            cut = os.path.join(runner.folder, "cut" + os.path.splitext(data)[1])
            without_features(data, cut, {item for item, _ in by_type[t][:20]})
            row.append(probability(cut, t))
        print(f"| {method} |", " | ".join(f"{v:.3f}" for v in row), f"| {np.mean(row):.3f} |")


def evaluate(runner, folder, name, row, lists, n_seeds):
    data = os.path.join(folder, row["path"])
    types = row["types"]
    names, values, labels = expression(data)
    models = {seed: runner.fit(data, LABEL, seed) for seed in range(1, n_seeds + 1)}
    by_seed = {seed: runner.rankings(m, data, LABEL) for seed, m in models.items()}
    print(f"\n## {name}", flush=True)
    canonical_hits(by_seed[1], types, lists, names)
    with open(os.path.join(folder, "splits", name + ".tsv"), encoding="utf-8") as lines:
        test = np.array([r["fold"] == "0" for r in csv.DictReader(lines, delimiter="\t")])
    fold = os.path.join(runner.folder, name + os.path.splitext(data)[1])
    without_labels(data, fold, test)
    of_fold = runner.rankings(runner.fit(fold, "known", 1), fold, "known")
    neighbours(of_fold, names, values, labels, test)
    stability(by_seed, types)
    deletion(runner, models[1], data, by_seed[1], types)


def main():
    with open(os.path.join(HERE, "canonical.json"), encoding="utf-8") as file:
        canonical = json.load(file)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scweave")
    parser.add_argument("sets", nargs="*", default=list(canonical["sets"]))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    folder = os.environ.get("SCW_DATA")
    if not folder:
        parser.error("say in SCW_DATA where the data sets and their splits/ are")
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as work:
        for name in options.sets:
            evaluate(Runner(options.scweave, work, options.threads), folder, name,
                     canonical["sets"][name], canonical["lists"], options.seeds)


if __name__ == "__main__":
    main()
