# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of pictures and of the page share: the program, made-up data, and a reader of PNG."""
import collections
import json
import os
import struct
import sys
import warnings
import zlib

import numpy as np

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
import harness  # noqa: E402
from fixture import QUICK  # noqa: E402, F401
from harness import main  # noqa: E402, F401

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import anndata
    import pandas as pd

PICTURES = os.environ.get("PICTURES", "yes") == "yes"
# Names that would break out of a page or a picture if they were not escaped or cut.
HOSTILE = ["<script>alert(1)</script>", "\"quoted\" & 'more'", "γδ T \U0001f9ec", "x" * 300, "]]>",
           "a\tb\nc", "--", "</title>"]


class Case(harness.Case):
    def ends(self, expected_status, expected, *words):
        """A failure: its status, one sentence that says what and where, and no output left."""
        status, out, err = self.run_it(*words)
        self.assertEqual(status, expected_status, err)
        self.assertEqual(out, "")
        self.assertRegex(err, expected)
        for name in os.listdir(self.folder):
            self.assertNotIn(".tmp-", name)
        return err


def unfilter(data, width, height, channels):
    """Rows of a PNG's pixels; the five filters of the standard."""
    stride = width * channels
    rows, before, at = [], np.zeros(stride, np.int64), 0
    for _ in range(height):
        kind = data[at]
        line = np.frombuffer(data, np.uint8, stride, at + 1).astype(np.int64)
        at += stride + 1
        if kind == 2:
            line = (line + before) % 256
        elif kind:
            line = line.tolist()
            for i in range(stride):
                left = line[i - channels] if i >= channels else 0
                up, corner = int(before[i]), int(before[i - channels]) if i >= channels else 0
                if kind == 1:
                    guess = left
                elif kind == 3:
                    guess = (left + up) // 2
                else:
                    p = left + up - corner
                    guess = min((abs(p - left), 0, left), (abs(p - up), 1, up),
                                (abs(p - corner), 2, corner))[2]
                line[i] = (line[i] + guess) % 256
            line = np.array(line, np.int64)
        rows.append(line)
        before = line
    return np.array(rows, np.uint8).reshape(height, width, channels)


def read_png(data):
    """Pixels [height, width, 3] of a PNG as cairo writes it; every checksum is looked at."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, header = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        if kind == b"IDAT":
            packed += body
        at += 12 + size
    width, height, depth, color, _, _, interlaced = header
    assert depth == 8 and color == 2 and not interlaced
    return unfilter(zlib.decompress(packed), width, height, 3)


def colours(pixels):
    """{(r, g, b): how many}."""
    return collections.Counter(map(tuple, pixels.reshape(-1, 3).tolist()))


def write_cells(path, n=300, seed=0, hostile=False):
    """An h5ad with classes, predictions, numbers, positions with a few NaN."""
    rng = np.random.default_rng(seed)
    names = HOSTILE if hostile else ["B", "CD4 T", "CD14 mono", "NK"]
    truth = rng.integers(0, len(names), n)
    guess = np.where(rng.random(n) < 0.1, rng.integers(0, len(names), n), truth)
    obs = pd.DataFrame({
        "cell_type": pd.Categorical.from_codes(truth, names),
        "matilda_label": pd.Categorical.from_codes(np.where(np.arange(n) < 3, -1, guess), names),
        "matilda_confidence": rng.random(n),
        "change": rng.normal(0, 1, n),
        "cluster": rng.integers(0, 12, n),
        "flat": np.ones(n),
        "nothing": np.full(n, np.nan),
        "batch": pd.Categorical(rng.choice(["one", "two"], n)),
    }, index=[f"cell{i}" for i in range(n)])
    x = rng.poisson(2, (n, 12)).astype(np.float32)
    data = anndata.AnnData(x, obs=obs,
                           var=pd.DataFrame(index=[f"gene{j}" for j in range(x.shape[1])]))
    centres = rng.normal(0, 6, (len(names), 2))
    at = (centres[truth] + rng.normal(0, 1, (n, 2))).astype(np.float32)
    at[:5] = np.nan
    data.obsm["X_umap"] = at
    data.obsm["X_wide"] = np.hstack([at, rng.normal(0, 1, (n, 3))]).astype(np.float32)
    data.obsm["X_line"] = at[:, :1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write(path)


def write_model(path, history=None, **record):
    """A model file made by hand: the parts that describe it are real, its tensors too few to load."""
    metadata = {"format": "scweave-model-1", "version": "0.0.0", "model": "matilda", "options": "{}",
                "classes": '["a","b"]', "modalities": "[]",
                "record": json.dumps(dict(record, history=history or []))}
    header = json.dumps({"__metadata__": metadata}).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)


def write_markers(path, classes, n=6, se=True, seed=0):
    rng = np.random.default_rng(seed)
    with open(path, "w", encoding="utf-8") as file:
        file.write("class\trank\tmodality\tfeature\tscore" + ("\tse" if se else "") + "\tmethod\n")
        for method in ("ig", "saliency"):
            for name in classes:
                for rank in range(n):
                    name_ = name.replace("\t", " ").replace("\n", " ")
                    file.write(f"{name_}\t{rank + 1}\t{'rna' if rank % 2 else 'adt'}\tgene{rank}\t"
                               f"{rng.random():.4f}" + (f"\t{rng.random() / 9:.4f}" if se else "") +
                               f"\t{method}\n")
