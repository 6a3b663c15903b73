# SPDX-License-Identifier: BSD-3-Clause
"""Highly variable features against their definitions in numpy and pandas, with a local regression
written again here. Usage: test_variable.py SCWEAVE"""
import os
import shutil
import tempfile
import unittest

from common import (DATA, anndata, close, counts, dense, make_adata, must, np, pd, scweave, sp)


def local_fit(x, y, at, span):
    """Value and slope at a point: the quadratic over the nearest points with tricube weights."""
    q = int(np.floor(len(x) * span + 1e-5))
    d = np.abs(x - at)
    near = np.argsort(d, kind="stable")[:q]
    w = (1 - (d[near] / d[near].max()) ** 3) ** 3
    design = np.stack([np.ones(q), x[near] - at, (x[near] - at) ** 2], 1)
    root = np.sqrt(w)
    c = np.linalg.lstsq(design * root[:, None], y[near] * root, rcond=1e-13)[0]
    return c[0], c[1]


def corners(x, span):
    """Cuts of the cells of the authors' tree, in one dimension: halve until a cell holds at most a
    fifth of a neighbourhood."""
    x = np.sort(x)
    n, most = len(x), int(len(x) * span * 0.2)
    margin = 0.005 * (x[-1] - x[0])
    found = [x[0] - margin, x[-1] + margin]
    waiting = [(0, n - 1, *found)]
    while waiting:
        first, last, low, high = waiting.pop()
        if last - first + 1 <= most:
            continue
        middle = (first + last) // 2
        for offset in sorted(range(-n, n), key=lambda o: (abs(o), o < 0)):
            if not first <= middle + offset < last:
                break
            if x[middle + offset] != x[middle + offset + 1]:
                middle += offset
                break
        cut = x[middle]
        if cut in (low, high):
            continue
        found.append(cut)
        waiting += [(first, middle, low, cut), (middle + 1, last, cut, high)]
    return np.sort(found)


def loess(x, y, span=0.3, direct=False):
    if direct:
        return np.array([local_fit(x, y, at, span)[0] for at in x])
    at = corners(x, span)
    value, slope = np.array([local_fit(x, y, v, span) for v in at]).T
    k = np.clip(np.searchsorted(at, x) - 1, 0, len(at) - 2)
    width = at[k + 1] - at[k]
    t = (x - at[k]) / width
    return ((1 - t) ** 2 * (1 + 2 * t) * value[k] + t ** 2 * (3 - 2 * t) * value[k + 1] +
            width * (t * (1 - t) ** 2 * slope[k] - t ** 2 * (1 - t) * slope[k + 1]))


def norm_variances(x, direct=False):
    mean, var = x.mean(0), x.var(0, ddof=1)
    vary = var > 0
    expected = np.ones(x.shape[1])
    expected[vary] = np.sqrt(10 ** loess(np.log10(mean[vary]), np.log10(var[vary]), direct=direct))
    z = (np.minimum(x, expected * np.sqrt(len(x)) + mean) - mean) / expected
    return (z ** 2).sum(0) / (len(x) - 1)


def seurat_v3(x, batch, n_top, paper=False, direct=False):
    norm = np.array([norm_variances(x[batch == b], direct) for b in np.unique(batch)])
    mantissa, exponent = np.frexp(norm)  # ties are ties: to ten digits
    rounded = np.ldexp(np.round(mantissa * 2.0 ** 34), exponent - 34)
    rank = np.argsort(np.argsort(-rounded, axis=1, kind="stable"), axis=1, kind="stable").astype(float)
    n_batches = (rank < n_top).sum(0)
    rank[rank >= n_top] = np.nan
    rank = np.nanmedian(rank, axis=0)
    frame = pd.DataFrame({"rank": rank, "n": n_batches})
    by = (["n", "rank"], [False, True]) if paper else (["rank", "n"], [True, False])
    order = frame.sort_values(by[0], ascending=by[1], na_position="last", kind="stable").index
    chosen = np.zeros(x.shape[1], bool)
    chosen[order[:n_top]] = True
    return norm.mean(0), rank, n_batches, chosen


def dispersions(logs, flavor, n_top=None, limits=(0.0125, 3, 0.5, np.inf), n_bins=20):
    """One batch, as scanpy writes it."""
    x = np.expm1(logs) if flavor == "seurat" else logs
    mean, var = x.mean(0), x.var(0, ddof=1)
    mean[mean == 0] = 1e-12
    disp = var / mean
    if flavor == "seurat":
        disp[disp == 0] = np.nan
        disp, mean = np.log(disp), np.log1p(mean)
    f = pd.DataFrame({"means": mean, "dispersions": disp})
    if flavor == "seurat":
        bins = pd.cut(f["means"], bins=n_bins)
        groups = f.groupby(bins)["dispersions"]
        centre, scale = groups.transform("mean"), groups.transform("std")
        single = groups.transform("count") == 1
        scale[single], centre[single] = centre[single], 0
    else:
        edges = np.percentile(f["means"], np.arange(10, 105, 5))
        bins = pd.cut(f["means"], np.unique(np.r_[-np.inf, edges, np.inf]))
        groups = f.groupby(bins)["dispersions"]
        centre = groups.transform("median")
        scale = (f["dispersions"] - centre).abs().groupby(bins).transform("median") / 0.674489750196
    f["norm"] = (f["dispersions"] - centre) / scale
    norm = f["norm"].fillna(0).values
    if n_top:
        cut = np.sort(f["norm"].dropna())[::-1][n_top - 1]
        f["chosen"] = norm >= cut
    else:
        f["chosen"] = ((mean > limits[0]) & (mean < limits[1]) & (norm > limits[2]) &
                       (norm < limits[3]))
    return f


class Variable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-prep-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.x, cls.group = counts(330, 700, 11, 0.4)
        cls.batch = np.arange(330) % 3
        cls.x[np.ix_(cls.batch == 1, np.arange(20, 60))] = 0  # genes that a batch lacks
        make_adata(cls.x, cls.group).write(cls.path("in.h5ad"))
        total = cls.x.sum(1, keepdims=True)
        cls.logs = np.log1p(cls.x.astype(float) * 1e4 / np.where(total > 0, total, 1))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def choose(self, step, *words, path=None):
        must("preprocess", path or self.path("in.h5ad"), "-o", self.path("out.h5ad"), "--steps", step,
             *words)
        return anndata.read_h5ad(self.path("out.h5ad")).var

    def test_seurat_v3(self):
        var = self.choose("hvg:n=100")
        x = self.x.astype(float)
        norm, rank, _, chosen = seurat_v3(x, np.zeros(330), 100)
        close(self, var["means"], x.mean(0))
        close(self, var["variances"], x.var(0, ddof=1))
        close(self, var["variances_norm"], norm, 1e-6)
        close(self, var["highly_variable_rank"], rank)
        np.testing.assert_array_equal(var["highly_variable"], chosen)
        self.assertNotIn("highly_variable_nbatches", var)

    def test_interpolation_stays_near_the_direct_fit(self):
        var = self.choose("hvg:n=100")
        norm, _, _, chosen = seurat_v3(self.x.astype(float), np.zeros(330), 100, direct=True)
        close(self, var["variances_norm"], norm, 0.05)
        self.assertGreaterEqual((var["highly_variable"].values & chosen).sum(), 97)

    def test_seurat_v3_of_batches(self):
        for flavor in ("seurat_v3", "seurat_v3_paper"):
            for memory in ("0", "3000"):
                var = self.choose(f"hvg:n=90:flavor={flavor}", "--batch-key", "batch", "--mem", memory)
                norm, rank, n, chosen = seurat_v3(self.x.astype(float), self.batch, 90,
                                                  paper=flavor.endswith("paper"))
                close(self, var["variances_norm"], norm, 1e-6)
                close(self, var["highly_variable_rank"], rank)
                np.testing.assert_array_equal(var["highly_variable_nbatches"], n)
                np.testing.assert_array_equal(var["highly_variable"], chosen)

    def test_dispersions(self):
        for flavor in ("seurat", "cell_ranger"):
            for n in (80, 0):
                steps = f"normalize:target=10000,log1p,hvg:flavor={flavor}:n={n}"
                var = self.choose(steps)
                f = dispersions(self.logs.astype(np.float32).astype(float), flavor, n)
                close(self, var["means"], f["means"], 1e-5)
                close(self, var["dispersions"], f["dispersions"], 1e-4)
                close(self, var["dispersions_norm"], f["norm"], 2e-3)
                np.testing.assert_array_equal(var["highly_variable"], f["chosen"])
                self.assertTrue(0 < f["chosen"].sum() < 700)

    def test_dispersions_of_batches(self):
        parts = []
        for b in range(3):
            own = self.logs[self.batch == b].astype(np.float32).astype(float)
            seen = (own > 0).any(0)
            f = pd.DataFrame(0.0, index=range(700), columns=["means", "dispersions", "norm", "chosen"])
            f.loc[seen] = dispersions(own[:, seen], "seurat", 80).astype(float).values
            parts.append(f)
        stacked = np.array([p.values for p in parts])
        n = stacked[:, :, 3].sum(0)
        norm = np.nanmean(stacked[:, :, 2], axis=0)
        order = pd.DataFrame({"n": n, "norm": norm}).sort_values(
            ["n", "norm"], ascending=False, na_position="last", kind="stable").index
        chosen = np.isin(np.arange(700), order[:80])
        var = self.choose("normalize:target=10000,log1p,hvg:flavor=seurat:n=80", "--batch-key", "batch")
        close(self, var["means"], stacked[:, :, 0].mean(0), 1e-5)
        close(self, var["dispersions_norm"], norm, 2e-3)
        np.testing.assert_array_equal(var["highly_variable_nbatches"], n)
        np.testing.assert_array_equal(var["highly_variable"], chosen)

    def test_refusals(self):
        a = anndata.read_h5ad(self.path("in.h5ad"))
        a.obs["one"] = ["x"] + ["y"] * 329
        a.write(self.path("one.h5ad"))
        a[:, :6].copy().write(self.path("few.h5ad"))
        same = a[:, :40].copy()
        same.X = sp.csr_matrix(np.ones(same.shape, np.float32))
        same.write(self.path("same.h5ad"))
        for file, words, expected in [("one", ["--batch-key", "one"], "batch 1 of 2 has 1 cells"),
                                      ("few", [], "neighbourhoods of 1; 3 are needed"),
                                      ("same", [], "0 of 40 features vary")]:
            status, _, err = scweave("preprocess", self.path(file + ".h5ad"), "-o",
                                     self.path("no.h5ad"), "--steps", "hvg:n=5", *words)
            self.assertEqual(status, 1)
            self.assertIn(expected, err)
            self.assertEqual(len(err.splitlines()), 1, err)

    def test_real_data(self):
        path = DATA / "kang_ifnb" / "kang_ifnb.h5ad"
        if not path.exists():
            self.skipTest(f"no {path}")
        var = self.choose("hvg:n=1000", "--batch-key", "stim", path=path)
        a = anndata.read_h5ad(path)
        norm, rank, n, chosen = seurat_v3(dense(a.X).astype(float), a.obs["stim"].values.astype(str),
                                          1000)
        close(self, var["variances_norm"], norm, 1e-5)
        np.testing.assert_array_equal(var["highly_variable_nbatches"], n)
        self.assertGreaterEqual((var["highly_variable"].values & chosen).sum(), 999)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
