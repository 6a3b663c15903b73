#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cells to train on and cells held out, one .h5ad a modality, for pair.py:

    split.py FILE.h5mu FOLDER LABEL [SPLITS.tsv FOLD]

writes FOLDER/train.<modality>.h5ad and FOLDER/test.<modality>.h5ad of the cells that have a label and
prints what they hold as JSON. Held out is one fold of the table, or a random fifth. Both programs of a
pair read the same files."""
import json
import os
import sys

import anndata
import h5py
import numpy
from anndata.experimental import read_elem

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from subsets import cut


def held_out(cells, splits, fold):
    if not splits:
        some = numpy.random.RandomState(0).permutation(len(cells))[:len(cells) // 5]
        return {cells[i] for i in some}
    table = [line.rstrip("\n").split("\t") for line in open(splits)]
    cell, of = table[0].index("cell"), table[0].index("fold")
    return {row[cell] for row in table[1:] if row[of] == fold}


def main(path, folder, label, splits=None, fold="0"):
    with h5py.File(path) as f:
        obs = read_elem(f["obs"])
    known = obs[label].notna() & (obs[label].astype(str) != "")
    cells = list(obs.index[known])
    test = held_out(cells, splits, fold)
    parts = {"train": cut(path, [c for c in cells if c not in test], os.path.join(folder, "train")),
             "test": cut(path, [c for c in cells if c in test], os.path.join(folder, "test"))}
    shapes = {side: {n: anndata.read_h5ad(p, backed="r").shape for n, p in files.items()}
              for side, files in parts.items()}
    print(json.dumps({"files": parts, "shapes": shapes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
