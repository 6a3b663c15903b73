# SPDX-License-Identifier: BSD-3-Clause
"""Does lining up a query with the reference help? Leave one batch out: fit on the others, annotate the
batch plainly and with --align.

usage: bench/batches.py SCWEAVE DATA [--seeds 1,2] [--sets bmmc_cite_a,sln_cite,symphony_pbmc] [fit options ...]

The ceiling is the share of cells whose type the other batches have at all. Needs h5py, numpy, anndata."""
import os
import sys
import tempfile

import anndata
import h5py
import numpy
from anndata.experimental import read_elem

from subsets import cut, fit, judge

SETS = {"bmmc_cite_a": "bmmc_cite/bmmc_cite_a.h5mu", "sln_cite": "sln_cite/sln_cite.h5mu",
        "symphony_pbmc": "symphony_pbmc/symphony_pbmc.h5ad",
        "bmmc_multiome_A": "bmmc_multiome/bmmc_multiome_A.h5mu"}


def observations(path):
    if path.endswith(".h5ad"):
        return anndata.read_h5ad(path).obs
    with h5py.File(path) as f:
        return read_elem(f["obs"])


def part(path, cells, target):
    if path.endswith(".h5mu"):
        return cut(path, cells, target)
    anndata.read_h5ad(path)[cells].copy().write_h5ad(f"{target}.rna.h5ad")
    return {"rna": f"{target}.rna.h5ad"}


def main():
    words = sys.argv[1:]
    if len(words) < 2:
        sys.exit(__doc__)
    scweave, data, seeds, sets, options, rest = words[0], words[1], [1], list(SETS), [], words[2:]
    while rest:
        word = rest.pop(0)
        if word == "--seeds":
            seeds = [int(s) for s in rest.pop(0).split(",")]
        elif word == "--sets":
            sets = rest.pop(0).split(",")
        else:
            options.append(word)
    print("accuracy / macro-F1\n\n| set | batch left out (cells) | ceiling | plain | --align |\n|---|---|---|---|---|")
    for name in sets:
        path = os.path.join(data, SETS[name])
        obs = observations(path)
        label, batch = obs["cell_type"].astype(str), obs["batch"].astype(str)
        for held in sorted(set(batch)):
            ceiling = numpy.mean(label[batch == held].isin(set(label[batch != held])))
            plain, aligned = [], []
            with tempfile.TemporaryDirectory() as folder:
                train = part(path, list(obs.index[batch != held]), os.path.join(folder, "train"))
                test = part(path, list(obs.index[batch == held]), os.path.join(folder, "test"))
                for seed in seeds:
                    model = os.path.join(folder, "model.safetensors")
                    fit(scweave, train, "cell_type", model, seed, options)
                    plain.append(judge(scweave, model, test, folder, "cell_type"))
                    aligned.append(judge(scweave, model, test, folder, "cell_type", "--align"))
            text = " | ".join("{:.3f} / {:.3f}".format(*numpy.mean(v, axis=0)[:2]) for v in (plain, aligned))
            print(f"| {name} | {held} ({int(numpy.sum(batch == held))}) | {ceiling:.3f} | {text} |", flush=True)


if __name__ == "__main__":
    main()
