# SPDX-License-Identifier: BSD-3-Clause
"""What is it worth to know the batches? Two tables for each way of fitting and applying a model:

  left out  fit on all batches but one, annotate that one: accuracy / macro-F1, and how well its cells
            mix with those of the reference in the embedding
  mixing    fit on all cells: how well the batches mix in the embedding

usage: bench/batches.py SCWEAVE DATA [--seeds 1,2] [--sets bmmc_cite_a,sln_cite,...] [fit options ...]
                        [--way "fit options" ...]

Ways: plain, `annotate --align`, and each --way, which stands for the options after --batch-key; unless
said, --batch-key alone and with --batch-removal 30. A set of two batches leaves one to train on: there
is nothing to learn about batches then, and ways with --batch-key are left out of the first table.

The ceiling is the share of cells whose type the other batches have at all. Mixing: of the 15 nearest
cells of a cell's own type, the share that is of other batches, over the share of those among the cells
of the type; mean over cells of types with at least ten cells in each of two batches. 1: no trace of the
batches, 0: apart. Needs h5py, numpy, anndata and scikit-learn."""
import os
import sys
import tempfile

import anndata
import h5py
import numpy
from anndata.experimental import read_elem
from sklearn.neighbors import NearestNeighbors

from subsets import cut, figures, fit, run

# file, obs column of the batch, most cells of a batch
SETS = {"symphony_pbmc": ("symphony_pbmc/symphony_pbmc.h5ad", "batch", None),
        "bmmc_cite_a": ("bmmc_cite/bmmc_cite_a.h5mu", "batch", None),
        "bmmc_multiome_A": ("bmmc_multiome/bmmc_multiome_A.h5mu", "batch", None),
        "sln_cite": ("sln_cite/sln_cite.h5mu", "batch", None),
        "pairedtag_rna": ("pairedtag_h3k27ac/rna.h5ad", "replicate", None),
        "pbmc_3tech": ("pbmc_3tech/pbmc_3tech.h5ad", "batch", None),
        "adtnorm": ("adtnorm/adtnorm_13studies_small.h5ad", "study", 300)}
LABEL = {"adtnorm": "cell_type_l2"}
NEIGHBOURS, SMALLEST = 15, 10


def observations(path):
    if path.endswith(".h5ad"):
        return anndata.read_h5ad(path).obs
    with h5py.File(path) as f:
        return read_elem(f["obs"])


def part(path, cells, target):
    if path.endswith(".h5mu"):
        return cut(path, cells, target)
    name = "adt" if "adt" in os.path.basename(path) else "rna"
    anndata.read_h5ad(path)[cells].copy().write_h5ad(f"{target}.{name}.h5ad")
    return {name: f"{target}.{name}.h5ad"}


def apply(scweave, model, files, folder, *options):
    """Labels, confidence and embedding of the model for a query of the named files, by cell."""
    out = os.path.join(folder, "out.h5mu" if len(files) > 1 else "out.h5ad")
    words = [f"{name}={path}" for name, path in files.items()]
    run(scweave, "annotate", "-m", model, *words, "--embed", "-o", out, "--threads", "1", *options)
    with h5py.File(out) as f:
        return read_elem(f["obs"]), numpy.asarray(read_elem(f["obsm"]["X_matilda"]))


def mixing(x, label, batch, asked):
    """Over the cells with `asked`."""
    found = []
    for c in numpy.unique(label):
        rows = numpy.flatnonzero(label == c)
        kinds, sizes = numpy.unique(batch[rows], return_counts=True)
        if numpy.sum(sizes >= SMALLEST) < 2:
            continue
        k = min(NEIGHBOURS, len(rows) - 1)
        near = NearestNeighbors(n_neighbors=k + 1).fit(x[rows]).kneighbors(x[rows], return_distance=False)
        for i, row in enumerate(rows):
            own = sizes[kinds == batch[row]][0]
            if asked[row] and own >= SMALLEST:
                others = [n for n in near[i] if n != i][:k]
                share = numpy.mean(batch[rows[others]] != batch[row])
                found.append(share / ((len(rows) - own) / (len(rows) - 1)))
    return numpy.mean(found) if found else numpy.nan


class Job:
    def __init__(self, scweave, path, key, label, options):
        self.scweave, self.path, self.key, self.label, self.options = scweave, path, key, label, options

    def fit(self, files, model, seed, way):
        more = [] if way is None else ["--batch-key", self.key, *way]
        fit(self.scweave, files, self.label, model, seed, [*self.options, *more])

    def left_out(self, obs, held, seeds, ways, folder):
        """[accuracy, macro-F1, mixing] of plain, aligned and each way."""
        truth, batch = obs[self.label].astype(str), obs[self.key].astype(str)
        train = part(self.path, list(obs.index[batch != held]), os.path.join(folder, "train"))
        test = part(self.path, list(obs.index[batch == held]), os.path.join(folder, "test"))
        model, columns = os.path.join(folder, "model.safetensors"), [[] for _ in range(2 + len(ways))]
        for seed in seeds:
            for at, way in enumerate([None, *ways]):
                self.fit(train, model, seed, way)
                known, seen = apply(self.scweave, model, train, folder)
                for align in ([], ["--align"])[:2 if way is None else 1]:
                    said, x = apply(self.scweave, model, test, folder, *align)
                    both = numpy.vstack([seen, x])
                    names = list(known.index) + list(said.index)
                    new = numpy.arange(len(names)) >= len(seen)
                    mixed = mixing(both, truth[names].to_numpy(), numpy.where(new, "new", "old"), new)
                    right = figures(truth[said.index].to_numpy(), said["matilda_label"].astype(str).to_numpy(),
                                    said["matilda_confidence"].to_numpy())
                    columns[1 if align else at + (at > 0)].append([*right[:2], mixed])
        return [numpy.mean(c, axis=0) for c in columns]

    def together(self, obs, seeds, ways, folder):
        files = part(self.path, list(obs.index), os.path.join(folder, "all"))
        model, columns = os.path.join(folder, "model.safetensors"), []
        for way in [None, *ways]:
            column = []
            for seed in seeds:
                self.fit(files, model, seed, way)
                said, x = apply(self.scweave, model, files, folder)
                cells = obs.loc[said.index]
                column.append(mixing(x, cells[self.label].astype(str).to_numpy(),
                                     cells[self.key].astype(str).to_numpy(), numpy.ones(len(x), bool)))
            columns.append(numpy.mean(column))
        return columns


def choose(obs, key, label, most):
    """Labelled cells, at most so many of a batch."""
    obs = obs[obs[label].notna() & (obs[label].astype(str) != "")]
    if not most:
        return obs
    rng = numpy.random.RandomState(0)
    kept = []
    for name in sorted(set(obs[key].astype(str))):
        cells = list(obs.index[obs[key].astype(str) == name])
        kept += [cells[i] for i in rng.permutation(len(cells))[:most]]
    return obs.loc[kept]


def main():
    words = sys.argv[1:]
    if len(words) < 2:
        sys.exit(__doc__)
    scweave, data, seeds, sets, options, ways = words[0], words[1], [1], list(SETS)[:4], [], []
    rest = words[2:]
    while rest:
        word = rest.pop(0)
        if word == "--seeds":
            seeds = [int(s) for s in rest.pop(0).split(",")]
        elif word == "--sets":
            sets = rest.pop(0).split(",")
        elif word == "--way":
            ways.append(rest.pop(0).split())
        else:
            options.append(word)
    ways = ways or [[], ["--batch-removal", "30"]]
    names = ["plain", "--align", *[" ".join(["--batch-key", *way]) for way in ways]]
    print("accuracy / macro-F1 (mixing)\n\n| set | batch left out (cells) | ceiling | " + " | ".join(names) + " |")
    print("|---" * (3 + len(names)) + "|")
    mixed = []
    for name in sets:
        source, key, most = SETS[name]
        job = Job(scweave, os.path.join(data, source), key, LABEL.get(name, "cell_type"), options)
        obs = choose(observations(job.path), key, job.label, most)
        truth, batch = obs[job.label].astype(str), obs[key].astype(str)
        kinds = sorted(set(batch))
        with tempfile.TemporaryDirectory() as folder:
            for held in kinds:
                ceiling = numpy.mean(truth[batch == held].isin(set(truth[batch != held])))
                found = job.left_out(obs, held, seeds, ways if len(kinds) > 2 else [], folder)
                text = ["{:.3f} / {:.3f} ({:.2f})".format(*v) for v in found]
                text += ["one batch left"] * (len(names) - len(text))
                print(f"| {name} | {held} ({int(numpy.sum(batch == held))}) | {ceiling:.3f} | " +
                      " | ".join(text) + " |", flush=True)
            mixed.append((name, len(kinds), job.together(obs, seeds, ways, folder)))
    print("\nmixing of the batches that were trained on\n\n| set | batches | " +
          " | ".join(n for n in names if n != "--align") + " |")
    print("|---" * (1 + len(names)) + "|")
    for name, n, found in mixed:
        print(f"| {name} | {n} | " + " | ".join(f"{v:.2f}" for v in found) + " |")


if __name__ == "__main__":
    main()
