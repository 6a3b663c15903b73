# SPDX-License-Identifier: BSD-3-Clause
"""Matching engines against their formulas in numpy and against scipy's assignment."""
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import scipy.sparse as sp
    from scipy import optimize
    from scipy.spatial.distance import cdist
    from scipy.special import logsumexp
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

PROBE = None


def match(x, y, *options, batches=None, fail=False):
    """The sparse matrix of weights, the distances of its entries, and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(source, "wb") as file:
            n_batches = 0 if batches is None else 1 + max(max(batches[0]), max(batches[1]))
            file.write(np.array([len(x), len(y), x.shape[1], n_batches], np.int64).tobytes())
            file.write(np.ascontiguousarray(x, np.float32).tobytes())
            file.write(np.ascontiguousarray(y, np.float32).tobytes())
            for codes in batches or ():
                file.write(np.asarray(codes, np.int32).tobytes())
        done = subprocess.run([PROBE, source, target, *map(str, options)], check=False,
                              stderr=subprocess.PIPE, text=True)
        if fail:
            assert done.returncode == 1, done.stderr
            return done.stderr
        if done.returncode:
            raise RuntimeError(done.stderr)
        with open(target, "rb") as file:
            out = file.read()
    n, nnz = len(x), int(np.frombuffer(out, np.int64, 1)[0])
    indptr = np.frombuffer(out, np.int64, n + 1, 8)
    columns = np.frombuffer(out, np.int32, nnz, 16 + 8 * n)
    weights = np.frombuffer(out, np.float32, nnz, 16 + 8 * n + 4 * nnz)
    distance = np.frombuffer(out, np.float64, nnz, 16 + 8 * n + 8 * nnz)
    return sp.csr_matrix((weights, columns, indptr), shape=(n, len(y))), distance, done.stderr


def pair(n_x, n_y, d=8, noise=0.6, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_x, d)).astype(np.float32)
    y = rng.standard_normal((n_y, d)).astype(np.float32)
    n = min(n_x, n_y)
    y[:n] = x[:n] + noise * rng.standard_normal((n, d))
    return x, y.astype(np.float32)


def knn(a, b, k, metric, same=False):
    """0/1 matrix of the k nearest rows of b of each row of a; in the same set the row itself first."""
    d = cdist(a.astype(float), b.astype(float), metric)
    if same:
        np.fill_diagonal(d, -1)
    out = np.zeros(d.shape)
    np.put_along_axis(out, np.argsort(d, axis=1, kind="stable")[:, :k], 1, 1)
    return out


def costs(x, y, metric):
    x, y = x.astype(float), y.astype(float)
    return cdist(x, y, "cosine") if metric == "cosine" else cdist(x, y, "sqeuclidean") / 2


class Shared(unittest.TestCase):
    def test_published_value(self):
        x = np.array([[1, 0], [0, 1], [1, 1]])
        y = np.array([[1, .1], [.9, .2], [.2, 1]])
        p, _, _ = match(x, y)
        np.testing.assert_allclose(p.toarray(), [[.75, .25, 0], [0, 0, 1], [0, 1, 0]])

    def test_formula(self):
        x, y = pair(60, 75)
        for k in (1, 2, 5):
            for metric in ("cosine", "euclidean"):
                j = knn(x, y, k, metric) @ knn(y, y, k, metric, True).T
                j = j + (knn(y, x, k, metric) @ knn(x, x, k, metric, True).T).T
                j = j / (4 * k - j)
                want = j / j.sum(1, keepdims=True)
                got, _, _ = match(x, y, "neighbors", k, "metric", metric)
                np.testing.assert_allclose(got.toarray(), want, atol=1e-6)


class Mutual(unittest.TestCase):
    def test_formula(self):
        x, y = pair(60, 75)
        for k in (1, 4):
            both = knn(x, y, k, "cosine") * knn(y, x, k, "cosine").T
            want = both / np.maximum(both.sum(1, keepdims=True), 1)
            got, distance, _ = match(x, y, "engine", "mutual", "neighbors", k)
            np.testing.assert_allclose(got.toarray(), want, atol=1e-6)
            rows, columns = got.nonzero()
            np.testing.assert_allclose(distance, costs(x, y, "cosine")[rows, columns], atol=1e-12)


class Assignment(unittest.TestCase):
    def check(self, x, y, metric="cosine"):
        got, distance, _ = match(x, y, "engine", "assignment", "metric", metric)
        cost = costs(x, y, metric)
        rows, columns = got.nonzero()
        n = min(len(x), len(y))
        self.assertEqual((len(set(rows)), len(set(columns)), got.nnz), (n, n, n))
        best = cost[optimize.linear_sum_assignment(cost)].sum()
        self.assertAlmostEqual(cost[rows, columns].sum(), best, delta=1e-5 * (1 + abs(best)))
        if metric == "euclidean":
            np.testing.assert_allclose(distance, np.sqrt(2 * cost[rows, columns]), rtol=1e-9)

    def test_against_scipy(self):
        for n_x, n_y in ((1, 1), (1, 7), (50, 50), (40, 90), (90, 40), (300, 301)):
            self.check(*pair(n_x, n_y, noise=2.0))
            self.check(*pair(n_x, n_y, noise=0.1), "euclidean")

    def test_ties(self):
        x = np.repeat([[1, 0], [0, 1]], 20, axis=0)
        self.check(x, x[::-1])
        self.check(np.zeros((5, 2)), np.ones((8, 2)), "euclidean")


class Transport(unittest.TestCase):
    def reference(self, cost, e):
        c = (cost - cost.min()) / np.ptp(cost)
        n, m = c.shape
        f, g = np.zeros(n), np.zeros(m)
        for _ in range(3000):
            g = -e * (np.log(m) + logsumexp((f[:, None] - c) / e, axis=0))
            f = -e * (np.log(n) + logsumexp((g - c) / e, axis=1))
        return np.exp((f[:, None] + g - c) / e) * n

    def test_plan(self):
        x, y = pair(70, 90, d=4)
        for metric in ("cosine", "euclidean"):
            got, _, said = match(x, y, "engine", "transport", "metric", metric, "tolerance", 1e-9,
                                 "keep", 1000, "entropy", 0.02, "iterations", 100000)
            want = self.reference(costs(x, y, metric), 0.02)
            self.assertNotIn("ended after", said)
            np.testing.assert_allclose(got.toarray(), np.where(want < 1e-4, 0, want), atol=2e-4)
            self.assertTrue((got.sum(1) <= 1 + 1e-6).all())

    def test_blocks_keep_and_warning(self):
        x, y = pair(700, 600, d=4)
        full, _, _ = match(x, y, "engine", "transport", "keep", 10000)
        few, _, _ = match(x, y, "engine", "transport", "keep", 3)
        self.assertLessEqual(np.diff(few.indptr).max(), 3)
        for i in (0, 63, 64, 699):
            row = np.sort(full[i].data)[::-1][:3]
            np.testing.assert_array_equal(np.sort(few[i].data)[::-1], row)
        column = np.asarray(full.sum(0)).ravel() / 700 * 600
        self.assertLess(abs(column - 1).mean(), 0.02)
        _, _, said = match(x, y, "engine", "transport", "iterations", 1, "tolerance", 1e-12)
        self.assertIn("ended after 1 iterations", said)


class Everywhere(unittest.TestCase):
    engines = ("shared", "transport", "assignment", "mutual")

    def test_batches_and_missing_rows(self):
        x, y = pair(90, 80)
        x[5] = np.nan
        bx, by = np.arange(90) % 3, np.arange(80) % 2   # batch 2 is on one side only
        bx[7] = -1
        for engine in self.engines:
            p, _, _ = match(x, y, "engine", engine, batches=(bx, by))
            rows, columns = p.nonzero()
            self.assertTrue((bx[rows] == by[columns]).all())
            self.assertFalse({5, 7} & set(rows))
            take = [np.flatnonzero((bx == 1) & np.isfinite(x[:, 0])), np.flatnonzero(by == 1)]
            alone, _, _ = match(x[take[0]], y[take[1]], "engine", engine)
            self.assertEqual((p[take[0]][:, take[1]] != alone).nnz, 0)

    def test_threads_and_known_partners(self):
        x, y = pair(300, 300, noise=0.05)
        for engine in self.engines:
            one, _, _ = match(x, y, "engine", engine, "threads", 1)
            three, _, _ = match(x, y, "engine", engine, "threads", 3)
            self.assertEqual((one.indices.tobytes(), one.data.tobytes()),
                             (three.indices.tobytes(), three.data.tobytes()))
            self.assertGreater(one.diagonal().mean(), 0.95)

    def test_refusals(self):
        x, y = pair(5, 6)
        self.assertIn("no cell with a finite embedding", match(x * np.nan, y, fail=True))
        self.assertIn("no batch", match(x, y, batches=([0] * 5, [1] * 6), fail=True))
        self.assertIn("no columns", match(x[:, :0], y[:, :0], fail=True))
        self.assertIn("neighbors", match(x, y, "neighbors", 0, fail=True))


if __name__ == "__main__":
    PROBE = sys.argv.pop(1)
    unittest.main(verbosity=1)
