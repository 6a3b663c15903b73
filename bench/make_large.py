# SPDX-License-Identifier: BSD-3-Clause
"""Write a large csr .h5ad of counts, quickly: a few blocks of cells are drawn and compressed once, and their
chunks written again and again.

usage: bench/make_large.py OUT.h5ad [--cells 1000000] [--genes 30000] [--density 0.05] [--compression gzip|lzf|none]
                           [--blocks 24] [--regular] [--seed 1]

--regular: evenly spaced genes and counts of one, which compress a hundredfold: for files of more than 2^31
entries that take little room. Each cell has a type and a batch in obs; genes of its type are raised. Prints
the file's bytes and its number of entries. Needs h5py and numpy."""
import argparse
import os

import h5py
import numpy

TYPES, CELLS_A_BLOCK = 8, 125


def draw_rows(rng, genes, mean, popularity, regular):
    """Indices of each row (sorted) and its counts, for one block; the block's rows have CELLS_A_BLOCK * mean entries."""
    lengths = numpy.full(CELLS_A_BLOCK, mean)
    if not regular:
        shift = rng.integers(-mean // 2, mean // 2 + 1, CELLS_A_BLOCK // 2)
        lengths[: CELLS_A_BLOCK // 2] += shift
        lengths[-(CELLS_A_BLOCK // 2):] -= shift
    lengths = numpy.clip(lengths, 1, genes)
    indices, values = [], []
    for n in lengths:
        if regular:
            indices.append(numpy.arange(n, dtype="i4") * (genes // n))
            values.append(numpy.ones(n, "f4"))
        else:
            # The n largest of popularity plus Gumbel noise: n genes without repetition, weighted.
            score = popularity - numpy.log(-numpy.log(rng.random(genes)))
            chosen = numpy.sort(numpy.argpartition(score, genes - n)[genes - n:])
            indices.append(chosen.astype("i4"))
            values.append((1 + rng.poisson(numpy.exp(popularity[chosen] - 1.5))).astype("f4"))
    return lengths, numpy.concatenate(indices), numpy.concatenate(values)


def encoded(dataset, array):
    """The bytes of one chunk, as the dataset's own filters make them."""
    with h5py.File("block", "w", driver="core", backing_store=False) as f:
        one = f.create_dataset("x", data=array, chunks=array.shape, compression=dataset.compression,
                               shuffle=dataset.shuffle)
        return one.id.read_direct_chunk((0,))[1]


def write_frame(f, name, index, columns):
    group = f.create_group(name)
    group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    group.attrs["column-order"] = numpy.array(list(columns), dtype=h5py.string_dtype())
    text = group.create_dataset("_index", data=index, dtype=h5py.string_dtype())
    text.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    for key, (codes, categories) in columns.items():
        one = group.create_group(key)
        one.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})
        part = one.create_dataset("codes", data=codes.astype("i1"))
        part.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        part = one.create_dataset("categories", data=categories, dtype=h5py.string_dtype())
        part.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("out")
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--genes", type=int, default=30_000)
    parser.add_argument("--density", type=float, default=0.05)
    parser.add_argument("--compression", default="gzip", choices=["gzip", "lzf", "none"])
    parser.add_argument("--blocks", type=int, default=24)
    parser.add_argument("--regular", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    rng = numpy.random.default_rng(a.seed)
    mean = max(1, int(a.genes * a.density))
    popularity = rng.normal(0, 1.5, a.genes)
    raised = [rng.random(a.genes) < 0.02 for _ in range(TYPES)]
    blocks = [draw_rows(rng, a.genes, mean, popularity + 2.0 * raised[k % TYPES], a.regular)
              for k in range(a.blocks)]
    chunk = len(blocks[0][1])
    assert all(len(b[1]) == chunk for b in blocks), "the blocks must be of one size; choose another density"
    n_blocks = -(-a.cells // CELLS_A_BLOCK)
    lengths = numpy.concatenate([blocks[k % a.blocks][0] for k in range(n_blocks)])[: a.cells]
    indptr = numpy.concatenate([[0], numpy.cumsum(lengths, dtype="i8")])
    nnz = int(indptr[-1])
    compression = None if a.compression == "none" else a.compression
    with h5py.File(a.out, "w") as f:
        f.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        types = numpy.arange(a.cells) // CELLS_A_BLOCK % a.blocks % TYPES
        write_frame(f, "obs", [f"cell{i:07d}" for i in range(a.cells)],
                    {"cell_type": (types, [f"type {k}" for k in range(TYPES)]),
                     "batch": (numpy.arange(a.cells) * 4 // a.cells, [f"batch {k}" for k in range(4)])})
        write_frame(f, "var", [f"gene{j:05d}" for j in range(a.genes)], {})
        for name in ("layers", "obsm", "obsp", "varm", "varp", "uns"):
            f.create_group(name).attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        x = f.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = numpy.array([a.cells, a.genes])
        x.create_dataset("indptr", data=indptr, compression=compression)
        for name, kind, part in (("indices", "i4", 1), ("data", "f4", 2)):
            d = x.create_dataset(name, shape=(nnz,), dtype=kind, chunks=(chunk,), compression=compression)
            coded = [encoded(d, b[part]) for b in blocks]
            for k in range(nnz // chunk):
                d.id.write_direct_chunk((k * chunk,), coded[k % a.blocks])
            if nnz % chunk:
                d[nnz - nnz % chunk:] = blocks[nnz // chunk % a.blocks][part][: nnz % chunk]
    print(f"{a.out}: {os.path.getsize(a.out)} bytes, {nnz} entries, chunks of {chunk}")


if __name__ == "__main__":
    main()
