#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How well do a model and simple methods put two modalities of the same cells into one space, and say one
from the other? For docs/models/clue.md and clip.md.

    bench/modalities.py measure SCWEAVE METHOD FILE.h5mu FIRST SECOND -o RESULTS.jsonl
                        [--splits TSV | --label KEY] [--seeds 1,2,3,4,5] [--all-pairs] [--part SHARE]
                        [--tune="OPTIONS"] [-- options of fit or cca]
    bench/modalities.py table RESULTS.jsonl [...]

METHOD is clue, clip, cca or features (what both modalities measure under one name; learns nothing). Each run
learns from all folds but one and is judged on the cells of that one: FOSCTTM, every engine of `match` with none,
a quarter and half of the partners hidden (their cells are searched for all the same), transfer of labels to the
other modality, labels from the 15 nearest training cells when a cell has both modalities or one, and translation
both ways beside the mean of the training cells and regression on neighbours. Methods that do not translate do so
by the training cells nearest in their space. Seed s goes with fold (s - 1) modulo the folds; --all-pairs runs every
seed on every fold. Without --splits five folds are dealt by --label: classes in order, rows of each shuffled by
numpy.random.RandomState(0), dealt in turn. `table` prints mean +- sample standard deviation over the runs.

--part: so many of the training cells are two cells to the fit, one of each modality. --tune: the model is fitted on
with `fit --from` and these options to all cells, where those of the fold are two, before it is judged.

A run is a line of RESULTS.jsonl; one that is there already is not run again. Needs anndata, h5py, numpy."""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

import anndata
import h5py
import numpy
from anndata._io.specs import read_elem

ENGINES = ("shared", "transport", "assignment", "mutual")
HIDDEN = (0.0, 0.25, 0.5)
NEIGHBORS = 15
FIGURES = ("pearson_feature", "pearson_cell", "auroc_feature", "auroc_cell", "rmse")


def run(program, *words):
    done = subprocess.run([program, *words, "-q"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: %s" % (" ".join((program, *words)), done.stderr))
    return done.stdout


def deal(labels, n_folds=5):
    """Fold of each cell: classes in order, each dealt out in turn after a shuffle."""
    random, fold, at = numpy.random.RandomState(0), numpy.zeros(len(labels), int), 0
    for name in sorted(set(labels)):
        rows = random.permutation(numpy.flatnonzero(labels == name))
        for row in rows:
            fold[row], at = at % n_folds, at + 1
    return fold


class Data:
    """Two modalities of one file, and the folds of its cells."""

    def __init__(self, args, folder):
        self.path, self.sides = args.file, (args.first, args.second)
        with h5py.File(args.file, "r") as file:
            self.modality = {s: read_elem(file["mod/" + s]) for s in self.sides}
            obs = read_elem(file["obs"])
        self.labels = dict(zip(obs.index, obs[args.label].astype(str)))
        if args.splits:
            with open(args.splits, encoding="utf-8") as file:
                self.fold = {r["cell"]: r["fold"] for r in csv.DictReader(file, delimiter="\t")}
            self.splits = args.splits
        else:
            dealt = deal(numpy.array(list(self.labels.values())))
            self.fold = {name: str(f) for name, f in zip(self.labels, dealt)}
            self.splits = os.path.join(folder, "folds.tsv")
            with open(self.splits, "w", encoding="utf-8") as file:
                file.write("cell\tfold\n")
                file.writelines("%s\t%s\n" % pair for pair in self.fold.items())
        self.folds = sorted(set(self.fold.values()))

    def write(self, folder, name, wanted, sides=None, parted=frozenset()):
        """A file a modality with the wanted cells; as arguments NAME=FILE. Those parted have another name in the second."""
        words = []
        for side in sides or self.sides:
            whole = self.modality[side]
            part = anndata.AnnData(X=whole.X, obs=whole.obs[[]], var=whole.var[[]])
            path = os.path.join(folder, "%s_%s.h5ad" % (name, side))
            part = part[[wanted(n) for n in part.obs_names]].copy()
            if side == self.sides[1]:
                part.obs_names = [n + " alone" if n in parted else n for n in part.obs_names]
            part.write_h5ad(path)
            words.append("%s=%s" % (side, path))
        return words


# ------------------------------------------------------------------------------------- learning

def learn(args, data, fold, seed, folder, placed):
    """Places of all cells, learnt from the other folds: the key of obsm in `placed`."""
    if args.method == "cca":
        run(args.scweave, "cca", data.path, "--first", args.first, "--second", args.second, "-o", placed, "--splits",
            data.splits, "--fold", fold, *args.options)
        return "X_cca"
    known = [name for name in data.fold if data.fold[name] != fold]
    parted = set(numpy.random.RandomState(0).permutation(known)[:int(args.part * len(known))])
    files = data.write(folder, "known", set(known).__contains__, parted=parted)
    model = os.path.join(folder, "model.safetensors")
    fixed = ("--seed", str(seed), "--threads", "1")
    run(args.scweave, "fit", args.method, *files, "-o", model, *fixed, *args.options)
    if args.tune:
        files = data.write(folder, "all", data.fold.__contains__, parted=parted | (set(data.fold) - set(known)))
        base = os.path.join(folder, "base.safetensors")
        os.replace(model, base)
        run(args.scweave, "fit", args.method, *files, "--from", base, "-o", model, *fixed, *args.tune.split())
    run(args.scweave, "embed", "-m", model, data.path, "-o", placed)
    return "X_" + args.method


def places(placed, data, key):
    """Vectors of length one by modality, in the order of its cells."""
    out = {}
    with h5py.File(placed, "r") as file:
        for side in data.sides:
            v = file["mod/%s/obsm/%s" % (side, key)][:].astype(float)
            out[side] = v / numpy.maximum(numpy.linalg.norm(v, axis=1, keepdims=True), 1e-30)
    return out


# -------------------------------------------------------------------------------------- judging

def pairing(args, data, placed, key, held):
    use = ["%s:%s" % (s, key) for s in data.sides]
    report = json.loads(run(args.scweave, "evaluate", placed, "--label", args.label, "--embedding", use[0], "--partner",
                            use[1], "--metric", "cosine", "--json", *held))["pairing"]
    found = {name: report[name] for name in ("foscttm", "top1", "top5")}
    found["labels to"] = report["transfer_to"]["accuracy"]
    found["labels back"] = report["transfer_back"]["accuracy"]
    for name in ("ilisi", "asw_batch", "graph_connectivity", "asw_label"):
        found["mixing " + name] = report["mixing"][name]
    return found


def matching(args, data, placed, key, fold, seed, folder):
    """Match probability by engine, with some of the partners hidden."""
    found, random = {}, numpy.random.RandomState(seed)
    order = dict(zip(sorted(data.fold), random.permutation(len(data.fold))))
    for hidden in HIDDEN:
        test = sorted((n for n, f in data.fold.items() if f == fold), key=order.get)
        gone = set(test[:int(hidden * len(test))])
        copy = os.path.join(folder, "hidden.h5mu")
        subprocess.run(["cp", placed, copy], check=True)
        with h5py.File(copy, "r+") as file:
            for side in data.sides:
                names = data.modality[side].obs_names
                keep = [data.fold.get(n) == fold and (side == data.sides[0] or n not in gone) for n in names]
                x = file["mod/%s/obsm/%s" % (side, key)]
                x[:] = numpy.where(numpy.array(keep)[:, None], x[:], numpy.nan)
        for engine in ENGINES:
            text = run(args.scweave, "match", copy, "--use", "%s:%s" % (data.sides[0], key), "--with",
                       "%s:%s" % (data.sides[1], key), "--engine", engine, "--pairs", os.path.join(folder, "pairs.tsv"),
                       "--json")
            found["match %s %g" % (engine, hidden)] = json.loads(text)["by_name"]["match_probability"]
    return found


def nearest(query, reference):
    return numpy.argpartition(-(query @ reference.T), NEIGHBORS - 1, axis=1)[:, :NEIGHBORS]


def labels(data, place, fold):
    """Accuracy of the majority of the nearest training cells, which have both modalities, for cells with both or one."""
    names = [n for n in data.modality[data.sides[0]].obs_names if n in set(data.modality[data.sides[1]].obs_names)]
    rows = {s: data.modality[s].obs_names.get_indexer(names) for s in data.sides}
    own = {s: place[s][rows[s]] for s in data.sides}
    both = sum(own.values())
    own["both"] = both / numpy.linalg.norm(both, axis=1, keepdims=True)
    label = numpy.array([data.labels[n] for n in names])
    test = numpy.array([data.fold.get(n) == fold for n in names])
    known = numpy.array([data.fold.get(n, fold) != fold for n in names])
    found = {}
    for subset, v in own.items():
        right = 0
        for i, near in zip(numpy.flatnonzero(test), nearest(v[test], own["both"][known])):
            kinds, counts = numpy.unique(label[known][near], return_counts=True)
            right += kinds[counts.argmax()] == label[i]
        found["knn " + subset] = right / test.sum()
    return found


def by_neighbors(data, place, fold, source, target, path):
    """Mean log count of the target in the training cells nearest by their source."""
    at = data.modality[source].obs_names
    known = numpy.array([data.fold.get(n, fold) != fold and n in data.modality[target].obs_names for n in at])
    test = numpy.array([data.fold.get(n) == fold for n in at])
    y = data.modality[target][at[known]].X
    y = numpy.log1p(y.toarray() if hasattr(y, "toarray") else numpy.asarray(y)).astype(numpy.float32)
    mean = numpy.expm1(y[nearest(place[source][test], place[source][known])].mean(1))
    anndata.AnnData(X=mean.astype(numpy.float32), obs=data.modality[source].obs[[]][test],
                    var=data.modality[target].var[[]]).write_h5ad(path)


def translation(args, data, place, fold, folder, held):
    found = {}
    for source, target in (data.sides, data.sides[::-1]):
        out, name = os.path.join(folder, "translated.h5mu"), "%s_from_%s" % (target, source)
        if args.method == "clue":
            query = data.write(folder, "query", lambda n: data.fold.get(n) == fold, [source])
            run(args.scweave, "translate", "-m", os.path.join(folder, "model.safetensors"), *query, "--from", source,
                "--to", target, "-o", out)
        else:
            part = os.path.join(folder, "neighbors.h5ad")
            by_neighbors(data, place, fold, source, target, part)
            run(args.scweave, "convert", "%s=%s" % (name, part), "-o", out)
        for scale in ("log", "raw"):
            report = json.loads(run(args.scweave, "evaluate", out, "--translation", name, "--measured", target,
                                    "--measured-file", data.path, "--source", source, "--scale", scale, "--json", *held))
            for what in ("prediction", "mean", "neighbors"):
                for figure in FIGURES:
                    found["%s>%s %s %s %s" % (source, target, scale, what, figure)] = report["translation"][what][figure]
            if scale == "log" and args.method == "clue":
                found["%s>%s coverage" % (source, target)] = coverage(out, name, data, target)
    return found


def coverage(path, name, data, target):
    """Share of measured values within the intervals."""
    with h5py.File(path, "r") as file:
        group = file["mod/" + name]
        if "lower" not in group["layers"]:
            return None
        low, high = group["layers/lower"][:], group["layers/upper"][:]
        names = group["obs/" + group["obs"].attrs["_index"]].asstr()[:]
    y = data.modality[target][names].X
    y = y.toarray() if hasattr(y, "toarray") else numpy.asarray(y)
    y = y > 0 if target == "atac" else y
    return float(((y >= low) & (y <= high)).mean())


def judge(args, data, fold, seed, folder):
    held, placed = ["--splits", data.splits, "--fold", fold], os.path.join(folder, "placed.h5mu")
    key = learn(args, data, fold, seed, folder, placed)
    place = places(placed, data, key)
    found = pairing(args, data, placed, key, held)
    found.update(matching(args, data, placed, key, fold, seed, folder))
    found.update(labels(data, place, fold))
    found.update(translation(args, data, place, fold, folder, held))
    return found


def judge_features(args, data, folder):
    """Matching by what both modalities measure, within every fold."""
    found, folded = {}, os.path.join(folder, "folds.h5mu")
    run(args.scweave, "obs", data.path, "--table", data.splits, "-o", folded)
    for engine in ENGINES:
        text = run(args.scweave, "match", folded, "--features", "--use", args.first, "--with", args.second, "--batch-key",
                   "fold", "--engine", engine, "--pairs", os.path.join(folder, "pairs.tsv"), "--json", *args.options)
        found["match %s 0" % engine] = json.loads(text)["by_name"]["match_probability"]
    return found


# ----------------------------------------------------------------------------------------- runs

def described(args):
    part = ["--part %g" % args.part] if args.part else []
    return " ".join(part + args.options + (["then", args.tune] if args.tune else []))


def measure(args):
    done = set()
    if os.path.exists(args.output):
        with open(args.output, encoding="utf-8") as file:
            done = {(r["set"], r["method"], r["options"], r["seed"], r["fold"]) for r in map(json.loads, file)}
    with tempfile.TemporaryDirectory() as folder:
        data = Data(args, folder)
        seeds = [int(s) for s in args.seeds.split(",")]
        runs = [(s, data.folds[(s - 1) % len(data.folds)]) for s in seeds]
        if args.method == "cca" or args.all_pairs:
            runs = [(s, f) for s in (seeds if args.method != "cca" else [1]) for f in data.folds]
        if args.method == "features":
            runs = [(1, "all")]
        name = os.path.basename(args.file).split(".")[0]
        for seed, fold in runs:
            row = {"set": name, "method": args.method, "options": described(args), "seed": seed, "fold": fold}
            if tuple(row.values()) in done:
                continue
            row["found"] = (judge_features(args, data, folder) if args.method == "features"
                            else judge(args, data, fold, seed, folder))
            with open(args.output, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def table(paths):
    groups = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for row in map(json.loads, file):
                groups.setdefault((row["set"], row["method"], row["options"]), []).append(row["found"])
    for (name, method, options), rows in sorted(groups.items()):
        print("%s, %s %s: %d runs" % (name, method, options, len(rows)))
        for key in rows[0]:
            values = [r[key] for r in rows if r.get(key) is not None]
            if values:
                spread = numpy.std(values, ddof=1) if len(values) > 1 else float("nan")
                print("  %-44s %.4f +- %.4f" % (key, numpy.mean(values), spread))


def main():
    words, options = sys.argv[1:], []
    if "--" in words:
        words, options = words[:words.index("--")], words[words.index("--") + 1:]
    if words[:1] == ["table"]:
        table(words[1:])
        return
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("what", "scweave", "method", "file", "first", "second"):
        parser.add_argument(name)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--splits")
    parser.add_argument("--label", default="cell_type")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--all-pairs", action="store_true")
    parser.add_argument("--part", type=float, default=0.0)
    parser.add_argument("--tune")
    args = parser.parse_args(words)
    args.options = options
    measure(args)


if __name__ == "__main__":
    main()
