# SPDX-License-Identifier: BSD-3-Clause
"""Matrices read in blocks are those that h5py and scipy see, whatever the storage, the size of a block, the
order of reading and the memory; files that lie are refused."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sp

import common

tool = sys.argv[1]
failures = checked = 0
N, P = 613, 97


def expect(condition, message):
    global failures, checked
    checked += 1
    if not condition:
        failures += 1
        print("FAIL", message)


def call(command, path, element, *words):
    return subprocess.run([tool, command, path, element, *map(str, words)], capture_output=True, timeout=240,
                          env=common.SANITIZED)


def read(path, element, *words):
    done = call("read", path, element, *words)
    if done.returncode:
        return done.stderr.decode()
    out = done.stdout
    n, p, nnz = np.frombuffer(out, "i8", 3)
    indptr = np.frombuffer(out, "i8", n + 1, 24)
    indices = np.frombuffer(out, "i4", nnz, 24 + 8 * (n + 1))
    values = np.frombuffer(out, "f8", nnz, 24 + 8 * (n + 1) + 4 * nnz)
    return sp.csr_matrix((values, indices, indptr), (n, p))


def equal(seen, wanted, name, single=True):
    if isinstance(seen, str):
        return expect(False, f"{name}: {seen}")
    wanted = sp.csr_matrix(wanted).astype("f8")
    wanted.sum_duplicates()
    values = wanted.data.astype("f4").astype("f8") if single else wanted.data
    same = (seen.shape == wanted.shape and np.array_equal(seen.indptr, wanted.indptr) and
            np.array_equal(seen.indices, wanted.indices) and np.array_equal(seen.data, values))
    expect(same, f"{name}: differs")


def put(f, name, x, indptr="i8", indices="i4", **how):
    g = f.create_group(name)
    g.attrs.update({"encoding-type": f"{x.format}_matrix", "encoding-version": "0.1.0"})
    g.attrs["shape"] = np.array(x.shape)
    g.create_dataset("indptr", data=x.indptr.astype(indptr), **{k: v for k, v in how.items() if k != "chunks"})
    g.create_dataset("indices", data=x.indices.astype(indices), **how)
    g.create_dataset("data", data=x.data, **how)
    return g


STORAGE = {"plain": {}, "chunks": {"chunks": (100,)}, "gzip": {"compression": "gzip", "chunks": (257,)},
           "gzip shuffle": {"compression": "gzip", "shuffle": True, "chunks": (64,)},
           "lzf": {"compression": "lzf", "chunks": (333,)}, "lzf shuffle": {"compression": "lzf", "shuffle": True},
           "one chunk": {"compression": "gzip", "chunks": (4000,)},
           "checksum": {"compression": "gzip", "fletcher32": True, "chunks": (99,)}}
TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i4", ">f8"]


def make(rng, density=0.07, kind="f4"):
    x = sp.random(N, P, density, "csr", random_state=rng)
    x.data = np.round(x.data * 100 + 1).astype(kind)
    x[5:9] = 0
    x.eliminate_zeros()
    return sp.csr_matrix(x)


def check_storage(folder):
    rng = np.random.default_rng(1)
    x = make(rng)
    path = folder / "storage.h5"
    with h5py.File(path, "w") as f:
        for name, how in STORAGE.items():
            put(f, name, x, **how)
            put(f, name + " csc", x.tocsc(), **how)
            dense = {**how, "chunks": (how["chunks"][0] // 8 + 1, 31)} if "chunks" in how else how
            f.create_dataset(name + " dense", data=x.toarray(), **dense)
    for name in STORAGE:
        for words in ([], ["--rows", 7], ["--rows", 100, "--order", "backward"], ["--rows", 61, "--order", "apart"]):
            for kind in ("", " csc", " dense"):
                equal(read(path, name + kind, *words), x, f"{name}{kind} {words}")
    for words in (["--memory", 3000], ["--memory", 20000, "--folder", folder], ["--memory", 1]):
        equal(read(path, "gzip csc", *words), x, f"csc with spill {words}")
        equal(read(path, "gzip csc", "--rows", 10, *words), x, f"csc with spill, rows across {words}")
        equal(read(path, "gzip", *words), x, f"csr {words}")
        equal(read(path, "gzip dense", *words), x, f"dense {words}")
    done = call("read", path, "gzip csc", "--memory", 3000, "--folder", folder / "absent")
    expect(done.returncode == 13 and b"absent" in done.stderr, f"no folder to spill to: {done.stderr}")
    expect(not list(folder.glob("scweave*")), "a spill file was left")
    done = call("read", path, "gzip csc", "--memory", 3000, "--folder", "/dev/full")
    expect(done.returncode == 13 and b"/dev/full" in done.stderr, f"no folder: {done.stderr}")
    for threads in (1, 3):
        equal(read(path, "gzip shuffle", "--threads", threads), x, f"{threads} threads")


def dense(x):
    """scipy's own does not know half floats and foreign byte orders."""
    out = np.zeros(x.shape, x.dtype)
    for i in range(x.shape[0]):
        out[i, x.indices[x.indptr[i]:x.indptr[i + 1]]] = x.data[x.indptr[i]:x.indptr[i + 1]]
    return out


def check_types(folder):
    rng = np.random.default_rng(2)
    path = folder / "types.h5"
    wanted = {}
    with h5py.File(path, "w") as f:
        for kind in TYPES:
            x = make(rng, kind="f8")
            x.data = np.round(x.data).astype(kind) if kind != "f8" else x.data + 1e-12
            wanted[kind] = x
            put(f, kind, x, compression="gzip", chunks=(200,))
            f.create_dataset(kind + " dense", data=dense(x), compression="lzf", shuffle=True, chunks=(50, 13))
        for k, kind in enumerate(["i2", "u4", "i8", "u8", ">i8"]):
            put(f, f"indices {kind}", wanted["f4"], indptr=["i4", "u8", ">i8"][k % 3], indices=kind)
        mask = wanted["f4"].astype(bool)
        put(f, "bool", mask)
        f["bool"].attrs["shape"] = np.array([N, P])
    for kind, x in wanted.items():
        x = x.astype(np.dtype(kind).newbyteorder("="))
        equal(read(path, kind), x, kind)
        equal(read(path, kind, "--exact"), x, kind + " exact", False)
        equal(read(path, kind + " dense", "--exact"), x, kind + " dense exact", False)
    for kind in ["i2", "u4", "i8", "u8", ">i8"]:
        equal(read(path, f"indices {kind}"), wanted["f4"], f"indices {kind}")
    equal(read(path, "bool"), mask.astype("f4"), "bool")


def check_odd(folder):
    """Unsorted and repeated indices, empty matrices, chunks that were never written, tenx, one column."""
    rng = np.random.default_rng(3)
    x = make(rng)
    path = folder / "odd.h5"
    messy = x.copy()
    indices, data = messy.indices.copy(), messy.data.copy()
    for i in range(N):
        a, b = messy.indptr[i], messy.indptr[i + 1]
        order = rng.permutation(b - a)
        indices[a:b], data[a:b] = indices[a:b][order], data[a:b][order]
        if b - a > 3:
            indices[a + 1] = indices[a]
    messy = sp.csr_matrix((data, indices, messy.indptr), messy.shape)
    with h5py.File(path, "w") as f:
        put(f, "messy", messy, compression="gzip", chunks=(500,))
        turned = sp.csc_matrix((messy.data, messy.indices, messy.indptr), (P, N))
        put(f, "messy csc", turned, compression="gzip", chunks=(500,))
        for name, shape in {"no rows": (0, P), "no columns": (N, 0), "nothing": (0, 0), "no entries": (N, P)}.items():
            put(f, name, sp.csr_matrix(shape, dtype="f4"))
            put(f, name + " csc", sp.csc_matrix(shape, dtype="f4"))
            if 0 not in shape:
                f.create_dataset(name + " dense", data=np.zeros(shape, "f4"), chunks=(10, 10))
        hole = f.create_dataset("hole", (N, P), "f4", chunks=(100, 20), compression="gzip", fillvalue=2.5)
        hole[250:260, 30:35] = 7
        filled = hole[()]
        tenx = f.create_group("matrix")
        tenx.create_dataset("shape", data=np.array([P, N], "i4"))
        for name in ("indptr", "indices", "data"):
            tenx.create_dataset(name, data=getattr(x, name), compression="gzip")
        f.create_dataset("grown", data=x.toarray()[:, :1], maxshape=(None, None), chunks=(32, 8), compression="gzip")
    equal(read(path, "messy", "--rows", 50), messy, "messy")
    equal(read(path, "messy csc", "--rows", 50), turned.tocsr(), "messy csc")
    for name, shape in {"no rows": (0, P), "no columns": (N, 0), "nothing": (0, 0), "no entries": (N, P)}.items():
        equal(read(path, name), sp.csr_matrix(shape), name)
        equal(read(path, name + " csc"), sp.csr_matrix(shape), name + " csc")
    equal(read(path, "no entries dense"), sp.csr_matrix((N, P)), "no entries dense")
    equal(read(path, "hole", "--rows", 33), filled, "chunks never written")
    equal(read(path, "matrix", "--tenx", "--rows", 40), x, "tenx")
    equal(read(path, "grown"), x[:, :1], "a chunk wider than the matrix")


LIES = {
    "indptr decreases": (lambda g: g["indptr"].__setitem__(300, 5), "decreases at position 300"),
    "indptr starts late": (lambda g: g["indptr"].__setitem__(0, 1), "starts at 1"),
    "indptr ends late": (lambda g: g["indptr"].__setitem__(N, 10 ** 12), "entries"),
    "indptr reaches out": (lambda g: g["indptr"].__setitem__(slice(400, 401), 10 ** 9), "reaches"),
    "indptr negative": (lambda g: g["indptr"].__setitem__(slice(200, 202), -4), "decreases at position 200"),
    "index too large": (lambda g: g["indices"].__setitem__(900, P), f"column index {P}"),
    "index negative": (lambda g: g["indices"].__setitem__(900, -1), "column index -1"),
    "shape wrong": (lambda g: g.attrs.__setitem__("shape", [N + 1, P]), "expected"),
    "shape absurd": (lambda g: g.attrs.__setitem__("shape", [N, 1 << 40]), "out of range"),
    "shape negative": (lambda g: g.attrs.__setitem__("shape", [-1, P]), "out of range"),
    "no data": (lambda g: g.__delitem__("data"), "data"),
}


def check_lies(folder):
    x = make(np.random.default_rng(4))
    path = folder / "lies.h5"
    with h5py.File(path, "w") as f:
        for name, (lie, _) in LIES.items():
            lie(put(f, name, x, compression="gzip", chunks=(300,)))
        g = put(f, "float indices", x)
        del g["indices"]
        g.create_dataset("indices", data=x.indices.astype("f4"))
        g = put(f, "lengths differ", x)
        del g["data"]
        g.create_dataset("data", data=x.data[:-1])
        f.create_dataset("three", data=np.zeros((2, 2, 2)))
        f.create_dataset("text", data=["a", "b"])
        put(f, "damaged", x, compression="gzip", chunks=(300,))
        put(f, "damaged lzf", x, compression="lzf", chunks=(300,))
        at = [f[name]["data"].id.get_chunk_info(2) for name in ("damaged", "damaged lzf")]
        short = put(f, "short chunk", x, compression="gzip", chunks=(300,))
        short["data"].id.write_direct_chunk((300,), short["data"].id.read_direct_chunk((300,))[1][:20])
    with open(path, "r+b") as raw:
        for where in at:
            raw.seek(where.byte_offset + 2)
            raw.write(b"\xff" * (where.size - 2))
    refused = {name: words for name, (_, words) in LIES.items()}
    refused |= {"float indices": "expected integers", "lengths differ": "must be equal", "three": "dimensions",
                "text": "expected numbers", "damaged": "is damaged", "damaged lzf": "is damaged",
                "short chunk": "is damaged"}
    for name, words in refused.items():
        for rows in (50, N):
            done = call("read", path, name, "--rows", rows)
            text = done.stderr.decode()
            expect(done.returncode == 14, f"{name}: exit {done.returncode} {text}")
            expect(words in text and text.count("\n") == 1 and "lies.h5" in text, f"{name}: message {text}")


def check_sweep(folder):
    for element, words in {"gzip": [], "gzip dense": [], "gzip csc": ["--memory", 20000, "--folder", folder],
                           "checksum": []}.items():
        done = call("sweep", folder / "storage.h5", element, "--rows", 200, *words)
        expect(done.returncode == 0 and b"allocations" in done.stdout, f"sweep {element}: {done.stderr.decode()}")


def check_batches(folder):
    """What is in training batches of packed cells depends on the seed, not on threads or memory."""
    path = folder / "batches.h5ad"
    maker = Path(__file__).resolve().parents[2] / "bench" / "make_large.py"
    subprocess.run([sys.executable, maker, path, "--cells", "40000", "--genes", "200", "--compression", "lzf"],
                   check=True, capture_output=True)
    seen = []
    for words in (["--threads", 1], ["--threads", 2, "--mem", 2000000], ["--seed", 2]):
        done = subprocess.run([sys.argv[2], path, "--batches", "150", *map(str, words)], capture_output=True, text=True)
        expect(done.returncode == 0, f"batches {words}: {done.stderr}")
        seen.append(json.loads(done.stdout)["fingerprint"] if done.returncode == 0 else None)
    expect(seen[0] == seen[1] != seen[2], f"batches: {seen}")


with tempfile.TemporaryDirectory() as directory:
    directory = Path(directory)
    check_batches(directory)
    check_storage(directory)
    check_types(directory)
    check_odd(directory)
    check_lies(directory)
    check_sweep(directory)
print(f"{checked} checks, {failures} failures")
sys.exit(failures > 0)
