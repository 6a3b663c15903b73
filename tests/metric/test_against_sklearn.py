# SPDX-License-Identifier: BSD-3-Clause
"""Metrics, baselines, k-means and PCA against scikit-learn, tests of expression against scipy, on
fixed data."""
import os
import subprocess
import sys
import tempfile
import unittest
import warnings

try:
    import numpy as np
    import scipy.sparse as sp
    from scipy import stats
    from sklearn import cluster, decomposition, linear_model, metrics, neighbors
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

PROBE = None


def probe(what, sizes, *arrays):
    """Run the probe; return its output file as bytes."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(source, "wb") as file:
            file.write(np.asarray(sizes, np.int64).tobytes())
            for array in arrays:
                file.write(np.ascontiguousarray(array).tobytes())
        subprocess.run([PROBE, what, source, target], check=True)
        with open(target, "rb") as file:
            return file.read()


def f64(data, start, *shape):
    count = int(np.prod(shape))
    return np.frombuffer(data, np.float64, count, start).reshape(shape)


class Figures(unittest.TestCase):
    def check(self, truth, said, n_classes):
        out = probe("figures", [len(truth), n_classes], truth.astype(np.int32),
                    said.astype(np.int32))
        got = f64(out, 0, 8)
        pairs = metrics.cluster.pair_confusion_matrix(truth, said)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = [
                metrics.accuracy_score(truth, said),
                metrics.f1_score(truth, said, average="macro"),
                metrics.balanced_accuracy_score(truth, said),
                metrics.adjusted_rand_score(truth, said),
                metrics.normalized_mutual_info_score(truth, said),
                metrics.fowlkes_mallows_score(truth, said),
                pairs[1, 1] / (pairs[1, 1] + pairs[0, 1] + pairs[1, 0]),
                metrics.rand_score(truth, said)]
            by_class = metrics.precision_recall_fscore_support(
                truth, said, labels=range(n_classes), zero_division=0)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(f64(out, 64, 3, n_classes), by_class[:3], rtol=1e-12)

    def test_random_and_skewed(self):
        rng = np.random.default_rng(1)
        for n, k in ((50, 3), (1000, 12), (5000, 40)):
            truth = (rng.random(n) ** 2 * k).astype(int)
            said = np.where(rng.random(n) < 0.7, truth, rng.integers(0, k, n))
            self.check(truth, said, k)

    def test_classes_on_one_side_only(self):
        self.check(np.array([0, 0, 1, 1, 4, 4]), np.array([0, 1, 1, 2, 2, 5]), 7)


class Logistic(unittest.TestCase):
    def check(self, n, p, k, c, weighted):
        rng = np.random.default_rng(n + p)
        x = (rng.standard_normal((n, p)) * np.linspace(2, 0.3, p)).astype(np.float32)
        y = (x @ rng.standard_normal((p, k)) + 2 * rng.gumbel(size=(n, k))).argmax(1)
        sample = rng.random(n).astype(np.float32) + 0.5
        of_class = 1 + 0.1 * np.arange(k)
        extra = [sample, of_class] if weighted else []
        out = probe("logistic", [n, p, k, weighted], np.array([c]), x, y.astype(np.int32), *extra)
        weight, intercept = f64(out, 0, k, p), f64(out, 8 * k * p, k)
        model = linear_model.LogisticRegression(
            C=c, max_iter=5000, tol=1e-8, multi_class="multinomial",
            class_weight=dict(enumerate(of_class)) if weighted else None)
        model.fit(x.astype(np.float64), y, sample if weighted else None)
        want, shift = model.coef_, model.intercept_
        if k == 2:  # scikit-learn stores one of the two mirrored rows
            want, shift = np.vstack([-want, want]), np.r_[-shift, shift]
        np.testing.assert_allclose(weight, want, atol=2e-3 * np.abs(want).max())
        np.testing.assert_allclose(intercept, shift - shift.mean(), atol=5e-3)
        z = x.astype(np.float64) @ weight.T + intercept
        self.assertGreater((z.argmax(1) == model.predict(x.astype(np.float64))).mean(), 0.998)

    def test_plain(self):
        self.check(500, 20, 5, 1.0, 0)

    def test_weighted(self):
        self.check(700, 40, 6, 0.2, 1)

    def test_two_classes(self):
        self.check(400, 10, 2, 1.0, 0)

    def test_more_columns_than_rows(self):
        self.check(150, 600, 8, 1.0, 0)


class Neighbours(unittest.TestCase):
    def test_same_votes(self):
        rng = np.random.default_rng(3)
        centres = rng.standard_normal((6, 30))
        y = rng.integers(0, 6, 1500).astype(np.int32)
        train = (centres[y] + rng.standard_normal((1500, 30)) + 50).astype(np.float32)
        query = (centres[rng.integers(0, 6, 333)] + rng.standard_normal((333, 30)) + 50)
        query = query.astype(np.float32)
        out = probe("knn", [1500, 333, 30, 6, 15], train, y, query)
        nearest = neighbors.NearestNeighbors(n_neighbors=15, algorithm="brute").fit(
            train.astype(np.float64)).kneighbors(query.astype(np.float64))[1]
        expected = []
        for row in nearest:
            votes = np.bincount(y[row], minlength=6)
            expected.append(next(c for c in y[row] if votes[c] == votes.max()))
        np.testing.assert_array_equal(np.frombuffer(out, np.int32), expected)


class KMeans(unittest.TestCase):
    def test_as_good_as_sklearn(self):
        rng = np.random.default_rng(4)
        for n, d, k in ((600, 10, 5), (3000, 30, 12)):
            centres = 2.5 * rng.standard_normal((k, d))
            x = (centres[rng.integers(0, k, n)] + rng.standard_normal((n, d))).astype(np.float32)
            out = probe("kmeans", [n, d, k, 1], x)
            inertia, clusters = f64(out, 0, 1)[0], np.frombuffer(out, np.int32, n, 8)
            model = cluster.KMeans(k, n_init=10, random_state=0).fit(x.astype(np.float64))
            self.assertLess(inertia, 1.01 * model.inertia_)
            self.assertGreater(metrics.adjusted_rand_score(clusters, model.labels_), 0.98)


class Components(unittest.TestCase):
    def check(self, n, p, k, centred, tolerance):
        rng = np.random.default_rng(n)
        mean = rng.gamma(0.5, 1, (n, 8)) @ rng.gamma(0.3, 1, (8, p))
        x = sp.csr_matrix(rng.poisson(0.3 * mean / mean.mean()).astype(np.float32))
        x.sort_indices()
        scale = (0.5 + rng.random(p)).astype(np.float32)
        out = probe("pca", [n, p, x.nnz, k, centred, 1], x.indptr.astype(np.int64),
                    x.indices.astype(np.int32), x.data, scale)
        v, var = f64(out, 0, p, k), f64(out, 8 * p * k, k)
        total = f64(out, 8 * (p * k + k), 1)[0]
        scores = np.frombuffer(out, np.float32, n * k, 8 * (p * k + k + 1)).reshape(n, k)
        dense = x.toarray().astype(np.float64) * scale
        if centred:
            model = decomposition.PCA(k, svd_solver="full").fit(dense)
            want, values = model.components_.T, model.explained_variance_
            dense = dense - dense.mean(0)
        else:
            _, s, vt = np.linalg.svd(dense, full_matrices=False)
            want, values = vt[:k].T, s[:k] ** 2 / (n - 1)
        np.testing.assert_allclose(var, values, rtol=tolerance)
        self.assertGreater(np.linalg.svd(want.T @ v)[1].min(), 1 - tolerance)
        np.testing.assert_allclose(total, (dense ** 2).sum() / (n - 1), rtol=1e-9)
        np.testing.assert_allclose(scores, dense @ v, atol=1e-4 * np.abs(scores).max())

    def test_tall(self):
        self.check(900, 200, 20, 1, 1e-9)

    def test_wide(self):
        self.check(200, 900, 20, 1, 1e-9)

    def test_uncentred(self):
        self.check(400, 300, 10, 0, 1e-9)

    def test_beyond_the_exact_solver(self):
        self.check(2000, 1500, 20, 1, 1e-6)


class Ranking(unittest.TestCase):
    """Each class against the rest, feature by feature."""

    def run_probe(self, x, classes, n_classes):
        m = sp.csr_matrix(x.astype(np.float32))
        out = probe("ranking", [*x.shape, m.nnz, n_classes], m.indptr.astype(np.int64),
                    m.indices.astype(np.int32), m.data, classes.astype(np.int32))
        size = 8 * n_classes * x.shape[1]
        parts = [f64(out, k * size, n_classes, x.shape[1]) for k in range(6)]
        return (*parts, f64(out, 6 * size, x.shape[1]))

    def check(self, x, classes, n_classes):
        mean_in, mean_out, t, p_t, z, p_z, adjusted = self.run_probe(x, classes, n_classes)
        x = x.astype(np.float32).astype(float)
        for c in range(n_classes):
            inside, outside = x[classes == c], x[(classes != c) & (classes >= 0)]
            np.testing.assert_allclose(mean_in[c], inside.mean(0), rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(mean_out[c], outside.mean(0), rtol=1e-9, atol=1e-12)
            for j in range(x.shape[1]):
                a, b = inside[:, j], outside[:, j]
                if np.ptp(np.concatenate([a, b])) == 0:
                    self.assertEqual((t[c, j], p_t[c, j], z[c, j], p_z[c, j]), (0, 1, 0, 1))
                    continue
                expected = stats.ttest_ind(a, b, equal_var=False)
                np.testing.assert_allclose([t[c, j], p_t[c, j]], expected, rtol=1e-6, atol=1e-290)
                expected = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=False)
                self.assertAlmostEqual(p_z[c, j] / expected.pvalue, 1, delta=1e-6)
                np.testing.assert_allclose(np.sign(z[c, j]), np.sign(
                    expected.statistic - len(a) * len(b) / 2))
                np.testing.assert_allclose(abs(z[c, j]), stats.norm.isf(expected.pvalue / 2),
                                           rtol=1e-6, atol=1e-9)
        order = np.argsort(p_t[0])
        scaled = p_t[0][order] * len(order) / np.arange(1, len(order) + 1)
        expected = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1)
        np.testing.assert_allclose(adjusted[order], expected, rtol=1e-12)

    def test_sparse_counts(self):
        r = np.random.RandomState(3)
        classes = r.randint(-1, 4, 300)
        x = np.log1p(r.poisson(r.gamma(0.5, 1, 40) * (1 + (classes[:, None] == 2)), (300, 40)))
        x[:, 7] = 0
        x[:, 8] = 2
        self.check(x, classes, 4)

    def test_negative_values_and_no_zero(self):
        r = np.random.RandomState(4)
        classes = r.randint(0, 2, 90)
        x = r.normal(size=(90, 12)).round(1)
        x[:, 3:6] += 5
        self.check(x, classes, 2)

    def test_small_classes(self):
        classes = np.array([0, 0, 1, 2, 2, 2, -1])
        x = np.array([[0, 1, 2.], [0, 3, 2], [1, 0, 2], [1, 0, 2], [2, 0, 2], [0, 1, 2], [9, 9, 9]])
        out = self.run_probe(x, classes, 4)
        for part in out[:6]:
            self.assertTrue(np.isfinite(part).all())
        self.assertEqual(out[2][1].tolist(), [0, 0, 0]) # one cell has no variance
        self.assertEqual(out[3][3].tolist(), [1, 1, 1]) # nor has none
        a, b = x[:2, 1], x[2:6, 1]
        self.assertAlmostEqual(out[2][0, 1], stats.ttest_ind(a, b, equal_var=False)[0], places=9)

    def test_student(self):
        t, df = (a.ravel() for a in np.meshgrid(
            [1e-9, 1e-3, 0.1, 1, -2.5, 10, 40, 300], [0.5, 1, 1.7, 5, 30.2, 99, 101, 2e3, 1e6]))
        got = f64(probe("student", [len(t)], t, df), 0, len(t))
        np.testing.assert_allclose(got, 2 * stats.t.sf(abs(t), df), rtol=1e-8, atol=1e-300)


if __name__ == "__main__":
    PROBE = sys.argv.pop(1)
    unittest.main(verbosity=1)
