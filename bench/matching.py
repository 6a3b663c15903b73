# SPDX-License-Identifier: BSD-3-Clause
"""How well are two modalities of the same cells put into one space?

For each fold: `scweave cca`, or with --clue `scweave fit clue`, learns on the other folds, and the cells of this one are judged by
`scweave evaluate --partner` and matched by every engine of `scweave match`. Beside it the shared features
(`match --features`), which learn nothing, within the same folds. Mean and sample standard deviation over
the folds; match probability by chance is 1 / cells of the fold.

usage: bench/matching.py SCWEAVE FILE.h5mu SPLITS.tsv FIRST SECOND [--map TABLE] [--clue] [options of cca or fit ...]

Needs h5py, numpy and, with --clue, anndata."""
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


def learn_cca(program, path, splits, fold, sides, options, out):
    run(program, "cca", path, "--first", sides[0], "--second", sides[1], "-o", out, "--splits", splits,
        "--fold", fold, *options)


def learn_clue(program, path, splits, fold, sides, options, out):
    """CLUE learns from files without the cells of the fold, and embeds all cells."""
    import anndata
    from anndata._io.specs import read_elem
    folder = os.path.dirname(out)
    cells = in_fold(splits, fold, other=True)
    files = []
    with h5py.File(path, "r") as file:
        for side in sides:
            group = file["mod/" + side]
            whole = anndata.AnnData(X=read_elem(group["X"]), obs=read_elem(group["obs"])[[]],
                                    var=read_elem(group["var"])[[]])
            files.append("%s=%s" % (side, os.path.join(folder, side + ".h5ad")))
            whole[numpy.isin(whole.obs_names, cells)].copy().write_h5ad(files[-1].split("=")[1])
    model = os.path.join(folder, "clue.safetensors")
    run(program, "fit", "clue", *files, "-o", model, *options)
    run(program, "embed", "-m", model, path, "-o", out)


def in_fold(splits, fold, other=False):
    with open(splits, encoding="utf-8") as file:
        return [r["cell"] for r in csv.DictReader(file, delimiter="\t") if (r["fold"] != fold) == other]


def only(path, sides, cells, key):
    """Forget the embedding of all other cells."""
    with h5py.File(path, "r+") as file:
        for side in sides:
            names = file["mod/%s/obs" % side]
            names = names[names.attrs["_index"]].asstr()[:]
            x = file["mod/%s/obsm/%s" % (side, key)]
            x[:] = numpy.where(numpy.isin(names, cells)[:, None], x[:], numpy.nan)


def judge(program, path, splits, fold, sides, options, folder):
    out = os.path.join(folder, "placed.h5mu")
    held = ["--splits", splits, "--fold", fold]
    clue = "--clue" in options
    learn = learn_clue if clue else learn_cca
    learn(program, path, splits, fold, sides, [o for o in options if o != "--clue"], out)
    key = "X_clue" if clue else "X_cca"
    use = ["%s:%s" % (s, key) for s in sides]
    report = json.loads(run(program, "evaluate", out, "--label", "cell_type", "--embedding", use[0],
                            "--partner", use[1], "--metric", "cosine", "--json", *held))["pairing"]
    found = {name: report[name] for name in PAIRS}
    for way, text in (("transfer_to", "labels %s>%s" % sides), ("transfer_back", "labels %s>%s" % sides[::-1])):
        found[text + " accuracy"] = report[way]["accuracy"]
        found[text + " macro-F1"] = report[way]["macro_f1"]
        found["largest class"] = report[way]["majority_accuracy"]
    for name in ("ilisi", "asw_batch", "graph_connectivity", "asw_label"):
        found["mixing " + name] = report["mixing"][name]
    only(out, sides, in_fold(splits, fold), key)
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
