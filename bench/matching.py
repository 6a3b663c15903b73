# SPDX-License-Identifier: BSD-3-Clause
"""How well are two modalities of the same cells put into one space?

For each fold: `scweave cca`, or with --clue `scweave fit clue`, learns on the other folds, and the cells of this one are judged by
`scweave evaluate --partner` and matched by every engine of `scweave match`. Beside it the shared features
(`match --features`), which learn nothing, within the same folds. Mean and sample standard deviation over
the folds; match probability by chance is 1 / cells of the fold.

--hide SHARE, with --clue: so many of the training cells are two cells to the fit, one of each modality.
--tune="OPTIONS", with --clue, several times: beside the model, the same model fitted on with `fit --from` and these options to
the cells of all folds, where a cell of the fold is two cells.

usage: bench/matching.py SCWEAVE FILE.h5mu SPLITS.tsv FIRST SECOND [--map TABLE] [--clue] [--hide SHARE]
                         [--tune="OPTIONS"] ... [options of cca or fit ...]

Needs h5py, numpy and, with --clue, anndata."""
import argparse
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


def learn_cca(program, path, splits, fold, sides, asked, folder):
    out = os.path.join(folder, "placed.h5mu")
    run(program, "cca", path, "--first", sides[0], "--second", sides[1], "-o", out, "--splits", splits,
        "--fold", fold, *asked.options)
    yield "", out


def write_sides(path, sides, cells, parted, folder):
    """The cells as a file a modality; those parted have another name in the second."""
    import anndata
    from anndata._io.specs import read_elem
    files = []
    with h5py.File(path, "r") as file:
        for side in sides:
            group = file["mod/" + side]
            whole = anndata.AnnData(X=read_elem(group["X"]), obs=read_elem(group["obs"])[[]],
                                    var=read_elem(group["var"])[[]])
            some = whole[numpy.isin(whole.obs_names, list(cells))].copy()
            if side == sides[1]:
                some.obs_names = [name + " alone" if name in parted else name for name in some.obs_names]
            files.append(os.path.join(folder, side + ".h5ad"))
            some.write_h5ad(files[-1])
    return ["%s=%s" % pair for pair in zip(sides, files)]


def learn_clue(program, path, splits, fold, sides, asked, folder):
    """CLUE learns from files without the cells of the fold, and embeds all cells; then, tuned, the same."""
    out, base, tuned = (os.path.join(folder, name) for name in ("placed.h5mu", "clue.safetensors",
                                                                "tuned.safetensors"))
    cells, held = in_fold(splits, fold, other=True), in_fold(splits, fold)
    order = numpy.random.RandomState(0).permutation(len(cells))
    hidden = {cells[k] for k in order[:int(asked.hide * len(cells))]}
    run(program, "fit", "clue", *write_sides(path, sides, cells, hidden, folder), "-o", base, *asked.options)
    run(program, "embed", "-m", base, path, "-o", out)
    yield "", out
    for words in asked.tune:
        files = write_sides(path, sides, cells + held, hidden | set(held), folder)
        run(program, "fit", "clue", *files, "--from", base, "-o", tuned, *words.split())
        run(program, "embed", "-m", tuned, path, "-o", out)
        yield words + ": ", out


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


def judge(program, path, out, splits, fold, sides, asked, folder):
    held = ["--splits", splits, "--fold", fold]
    key = "X_clue" if asked.clue else "X_cca"
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


def parse():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False, allow_abbrev=False)
    for name in ("program", "path", "splits", "first", "second"):
        parser.add_argument(name)
    parser.add_argument("--map", default=None)
    parser.add_argument("--clue", action="store_true")
    parser.add_argument("--hide", type=float, default=0.0)
    parser.add_argument("--tune", action="append", default=[])
    asked, asked.options = parser.parse_known_args()
    return asked


def main():
    asked = parse()
    program, path, splits, sides = asked.program, asked.path, asked.splits, (asked.first, asked.second)
    table = ["--map", asked.map] if asked.map else []
    learn = learn_clue if asked.clue else learn_cca
    with open(splits, encoding="utf-8") as file:
        folds = sorted({r["fold"] for r in csv.DictReader(file, delimiter="\t")})
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for fold in folds:
            rows.append({})
            for title, out in learn(program, path, splits, fold, sides, asked, folder):
                found = judge(program, path, out, splits, fold, sides, asked, folder)
                rows[-1].update({title + name: value for name, value in found.items()})
        for name in rows[0]:
            values = numpy.array([r[name] for r in rows])
            print("%-28s %.4f +- %.4f" % (name, values.mean(), values.std(ddof=1)))
        folded = os.path.join(folder, "folds.h5mu")
        run(program, "obs", path, "--table", splits, "-o", folded)
        for engine, in ENGINES:
            try:
                text = run(program, "match", folded, "--features", "--use", sides[0], "--with", sides[1],
                           *table, "--batch-key", "fold", "--engine", engine, "--pairs",
                           os.path.join(folder, "pairs.tsv"), "--json")
            except subprocess.CalledProcessError as error:
                print("shared features:", error.stderr.strip())
                break
            print("%-28s %.4f" % ("features " + engine,
                                  json.loads(text)["by_name"]["match_probability"]))


if __name__ == "__main__":
    main()
