# SPDX-License-Identifier: BSD-3-Clause
"""Neighbours, weights, curve, layout, clusters against scikit-learn, scipy and definitions."""
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import scipy.sparse as sp
    from scipy import optimize
    from sklearn import datasets, decomposition, manifold, metrics, neighbors
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

PROBE = None
N_NEIGHBORS = 15


def probe(what, x, *options):
    """Run the probe; return its output file as bytes and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(source, "wb") as file:
            file.write(np.array(x.shape, np.int64).tobytes())
            file.write(np.ascontiguousarray(x, np.float32).tobytes())
        done = subprocess.run([PROBE, what, source, target, *map(str, options)], check=False,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        with open(target, "rb") as file:
            return file.read(), done.stderr


def nearest(x, k, metric="euclidean"):
    out, _ = probe("neighbors", x, "neighbors", k, "metric", metric)
    n = len(x)
    return (np.frombuffer(out, np.int32, n * k).reshape(n, k),
            np.frombuffer(out, np.float64, n * k, 4 * n * k).reshape(n, k))


def graph(x, *options):
    out, _ = probe("graph", x, *options)
    n, nnz = len(x), int(np.frombuffer(out, np.int64, 1)[0])
    indptr = np.frombuffer(out, np.int64, n + 1, 8)
    columns = np.frombuffer(out, np.int32, nnz, 16 + 8 * n)
    weights = np.frombuffer(out, np.float32, nnz, 16 + 8 * n + 4 * nnz)
    return sp.csr_matrix((weights, columns, indptr), shape=(n, n))


def umap(x, *options):
    out, _ = probe("umap", x, *options)
    return np.frombuffer(out, np.float32).reshape(len(x), 2)


def groups(n, d, k, apart, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    x = rng.standard_normal((k, d))[y] * apart + rng.standard_normal((n, d))
    return x.astype(np.float32), y


class Neighbours(unittest.TestCase):
    def check(self, x, metric):
        rows, distances = nearest(x, 14, metric)
        wanted, order = neighbors.NearestNeighbors(
            n_neighbors=15, algorithm="brute", metric=metric).fit(
                x.astype(np.float64)).kneighbors(x.astype(np.float64))
        np.testing.assert_array_equal(rows, order[:, 1:])
        np.testing.assert_allclose(distances, wanted[:, 1:], rtol=1e-7, atol=1e-9)

    def test_euclidean(self):
        for n, d in ((700, 3), (1500, 37), (513, 129)):
            self.check(groups(n, d, 5, 1.0, n)[0] + 100, "euclidean")

    def test_cosine(self):
        self.check(groups(1100, 20, 5, 1.0, 1)[0], "cosine")

    def test_ties_go_to_the_first_rows(self):
        x = np.random.default_rng(2).integers(0, 3, (600, 4)).astype(np.float32)
        rows, distances = nearest(x, 20)
        square = ((x[:, None].astype(np.int64) - x[None].astype(np.int64)) ** 2).sum(2)
        for i, (row, distance) in enumerate(zip(rows, distances)):
            order = np.lexsort((np.arange(600), square[i]))
            order = order[order != i][:20]
            np.testing.assert_array_equal(row, order)
            np.testing.assert_array_equal(distance, np.sqrt(square[i][order]))


class Weights(unittest.TestCase):
    def test_against_the_equations(self):
        x = groups(500, 8, 4, 2.0, 3)[0]
        got = graph(x)
        rows, distances = nearest(x, N_NEIGHBORS - 1)
        direct = sp.lil_matrix((500, 500))
        for i in range(500):
            rho = distances[i, 0]
            above = np.maximum(distances[i] - rho, 0)
            sigma = optimize.brentq(lambda s, d=above: np.exp(-d / s).sum() - np.log2(N_NEIGHBORS),
                                    1e-9, 1e9)
            direct[i, rows[i]] = np.exp(-above / max(sigma, 1e-3 * distances[i].mean()))
        direct = direct.tocsr()
        wanted = direct + direct.T - direct.multiply(direct.T)
        self.assertEqual((got != got.T).nnz, 0)
        self.assertLess(abs(got - wanted).max(), 1e-4)
        self.assertEqual(got.diagonal().max(), 0)

    def test_curve(self):
        for least, spread in ((0.1, 1.0), (0.0, 1.0), (0.5, 1.0), (0.3, 2.5), (1.0, 0.5)):
            at = np.linspace(0, 3 * spread, 300)
            wanted = np.where(at < least, 1, np.exp(-(at - least) / spread))
            (a, b), _ = optimize.curve_fit(lambda v, a, b: 1 / (1 + a * v ** (2 * b)), at, wanted)
            out, _ = probe("curve", np.zeros((1, 1)), "min-dist", least, "spread", spread)
            np.testing.assert_allclose(np.frombuffer(out), (a, b), rtol=1e-3)


class Layout(unittest.TestCase):
    def trust(self, x, y):
        return manifold.trustworthiness(x, y, n_neighbors=N_NEIGHBORS)

    def test_digits(self):
        """All 1,797 with all epochs: 0.986, umap-learn 0.5.3: 0.987."""
        x = datasets.load_digits().data[:700].astype(np.float32)
        plane = self.trust(x, decomposition.PCA(2).fit_transform(x))
        for start in ("spectral", "pca"):
            self.assertGreater(self.trust(x, umap(x, "start", start, "epochs", 200)),
                               max(0.96, plane + 0.1))

    def test_a_rolled_sheet(self):
        """3,000 cells with all epochs: 0.997, umap-learn 0.5.3: 0.999."""
        x = datasets.make_swiss_roll(700, random_state=0)[0].astype(np.float32)
        self.assertGreater(self.trust(x, umap(x, "epochs", 200)), 0.97)

    def test_groups_stay_apart(self):
        x, y = groups(400, 10, 6, 4.0, 5)
        self.assertGreater(metrics.silhouette_score(umap(x, "epochs", 200), y), 0.7)

    def test_same_bits(self):
        x = groups(503, 10, 3, 0.5, 6)[0]
        first = umap(x, "threads", 1, "epochs", 20)
        for threads in (2, 3):
            np.testing.assert_array_equal(first, umap(x, "threads", threads, "epochs", 20))
        self.assertFalse((first == umap(x, "seed", 2, "epochs", 20)).any(1).all())

    def test_pieces_start_from_components(self):
        x = groups(300, 4, 3, 100.0, 7)[0]
        self.assertIn("pieces", probe("umap", x, "epochs", 10)[1])
        np.testing.assert_array_equal(umap(x, "epochs", 10), umap(x, "epochs", 10, "start", "pca"))


class Clusters(unittest.TestCase):
    def cluster(self, x, *options):
        try:
            out, _ = probe("cluster", x, *options)
        except RuntimeError as error:
            if "no clustering" in str(error):
                self.skipTest("a build without igraph")
            raise
        return np.frombuffer(out, np.int32, len(x), 24), np.frombuffer(out, np.float64, 1)[0]

    def test_groups_are_found(self):
        x, y = groups(1200, 10, 8, 3.0, 8)
        found, _ = self.cluster(x, "resolution", 0.3)
        self.assertGreater(metrics.adjusted_rand_score(y, found), 0.97)
        sizes = np.bincount(found)
        self.assertTrue((np.diff(sizes) <= 0).all())

    def test_quality_by_its_definition(self):
        x = groups(600, 6, 5, 0.8, 9)[0]
        w = graph(x).astype(np.float64)
        strength, total = np.asarray(w.sum(1)).ravel(), w.sum()
        for resolution in (0.5, 1.0, 2.0):
            found, quality = self.cluster(x, "resolution", resolution)
            same = sp.csr_matrix((np.ones(600), (np.arange(600), found)))
            inside = (same.T @ w @ same).diagonal().sum() / total
            expected = (same.T @ strength / total) ** 2
            self.assertAlmostEqual(quality, inside - resolution * expected.sum(), places=9)

    def test_resolution_and_seed(self):
        x = groups(600, 6, 5, 0.8, 9)[0]
        numbers = [self.cluster(x, "resolution", r)[0].max() for r in (0.2, 1, 4)]
        self.assertEqual(numbers, sorted(numbers))
        self.assertLess(numbers[0], numbers[2])
        np.testing.assert_array_equal(self.cluster(x)[0], self.cluster(x, "threads", 3)[0])
        found, _ = self.cluster(x, "quality", "cpm", "resolution", 0.01)
        self.assertGreater(found.max(), 0)


if __name__ == "__main__":
    PROBE = sys.argv.pop(1)
    unittest.main(verbosity=1)
