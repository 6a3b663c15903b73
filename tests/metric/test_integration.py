# SPDX-License-Identifier: BSD-3-Clause
"""Figures of integration, pairing and translation against numpy, scipy and scikit-learn, each from
its formula on fixed data."""
import sys
import unittest

import test_against_sklearn as base

try:
    import numpy as np
    from scipy import stats
    from scipy.sparse import coo_matrix, csgraph
    from scipy.spatial.distance import cdist
    from sklearn import metrics
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)


def blobs(n, d, labels, batches, seed):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) ** 1.5 * labels).astype(np.int32)
    batch = rng.integers(0, batches, n).astype(np.int32)
    x = rng.standard_normal((n, d)) + 2 * rng.standard_normal((labels, d))[label]
    x += 0.7 * rng.standard_normal((batches, d))[batch]
    return x.astype(np.float32), label, batch


def nearest(x, k):
    """The k nearest other rows of each row, and their distances."""
    d = cdist(x.astype(float), x.astype(float))
    np.fill_diagonal(d, np.inf)
    order = np.argsort(d, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(d, order, 1)


def lisi(x, group, k):
    order, distance = nearest(x, min(k, len(x) - 1))
    wanted = np.log(max(1, order.shape[1] / 3))
    out = np.empty(len(x))
    for i in range(len(x)):
        low, high, beta = 0.0, np.inf, 1.0
        for _ in range(50):
            p = np.exp(-beta * (distance[i] - distance[i, 0]))
            p /= p.sum()
            gap = -(p[p > 0] * np.log(p[p > 0])).sum() - wanted
            if abs(gap) < 1e-5:
                break
            if gap > 0:
                low, beta = beta, (2 * beta if np.isinf(high) else (beta + high) / 2)
            else:
                high, beta = beta, (beta + low) / 2
        out[i] = 1 / (np.bincount(group[order[i]], weights=p) ** 2).sum()
    return out


def connectivity(x, label, k):
    order, _ = nearest(x, k)
    shares = []
    rows = np.repeat(np.arange(len(x)), order.shape[1])
    graph = coo_matrix((np.ones(order.size), (rows, order.ravel())), (len(x),) * 2).tocsr()
    for c in np.unique(label):
        part = graph[label == c][:, label == c]
        _, piece = csgraph.connected_components(part, directed=False)
        shares.append(np.bincount(piece).max() / len(piece))
    return np.mean(shares)


def kbet(x, batch, k):
    order, _ = nearest(x, k)
    share = np.bincount(batch) / len(batch)
    used = np.flatnonzero(share)
    accepted = 0
    for i in range(len(x)):
        near = np.append(order[i], i)
        seen = np.bincount(batch[near], minlength=len(share))[used]
        accepted += stats.chisquare(seen, share[used] * len(near)).pvalue >= 0.05
    return accepted / len(x)


def widths(x, group, mean_other, metric):
    """Silhouettes with b from all others at once."""
    d = cdist(x, x, metric)
    out = np.zeros(len(x))
    for i in range(len(x)):
        own = group == group[i]
        if own.sum() < 2 or not mean_other:
            continue
        a, b = d[i, own].sum() / (own.sum() - 1), d[i, ~own].mean()
        out[i] = (b - a) / max(a, b)
    return out


class Silhouette(unittest.TestCase):
    def test_metrics(self):
        x, label, _ = blobs(700, 6, 5, 2, 1)
        for cosine, metric in ((0, "euclidean"), (1, "cosine")):
            for other in (0, 1):
                out = base.probe("silhouette", [700, 6, 5, cosine, other], x, label)
                x64 = x.astype(float)
                want = (widths(x64, label, True, metric) if other else
                        metrics.silhouette_samples(x64, label, metric=metric))
                np.testing.assert_allclose(base.f64(out, 0, 700), want, atol=2e-7)


class Mixing(unittest.TestCase):
    def test_neighbourhoods(self):
        x, label, _ = blobs(400, 5, 4, 2, 2)
        for k in (9, 30, 90):
            out = base.f64(base.probe("mixing", [400, 5, 4, k], x, label), 0, 402)
            np.testing.assert_allclose(out[:400], lisi(x, label, k), rtol=1e-6)
            self.assertAlmostEqual(out[400], connectivity(x, label, k), 12)
            self.assertAlmostEqual(out[401], kbet(x, label, k), 12)


class Integration(unittest.TestCase):
    def test_scores(self):
        n, d, labels, batches = 500, 4, 6, 3
        x, label, batch = blobs(n, d, labels, batches, 3)
        batch[(label == 5) & (batch == 2)] = 0   # one label lacks a batch
        got = base.f64(base.probe("integration", [n, d, labels, batches], x, label, batch), 0, 10)
        x64 = x.astype(float)
        s = metrics.silhouette_samples(x64, label)
        asw, bras, cilisi, accepted = [], [], [], []
        for c in range(labels):
            part, of = x64[label == c], batch[label == c]
            asw.append(np.mean(1 - abs(metrics.silhouette_samples(part, of))))
            bras.append(np.mean(1 - abs(widths(part, of, True, "cosine"))))
            present = len(np.unique(of))
            cilisi.extend((lisi(part, of, 90) - 1) / (present - 1))
            size = min(70, max(10, int(len(of) / present) // 4))
            accepted.append(kbet(part, of, size - 1))
        shift = np.array([x64[batch == b].mean(0) for b in range(batches)]) - x64.mean(0)
        between = (np.bincount(batch)[:, None] * shift ** 2).sum()
        # and by principal components, as the definition says
        u = x64 - x64.mean(0)
        score = u @ np.linalg.svd(u, full_matrices=False)[2].T
        r2 = [1 - sum(((score[batch == b, k] - score[batch == b, k].mean()) ** 2).sum()
                      for b in range(batches)) / (score[:, k] ** 2).sum() for k in range(d)]
        pcr = (score.var(0) * r2).sum() / score.var(0).sum()
        self.assertAlmostEqual(pcr, between / (u ** 2).sum(), 10)
        want = [(s.mean() + 1) / 2, (s[label == 5].mean() + 1) / 2,
                1 - (np.median(lisi(x, label, 90)) - 1) / (labels - 1),
                connectivity(x, label, 14), np.mean(asw), np.mean(bras),
                (np.median(lisi(x, batch, 90)) - 1) / (batches - 1), np.mean(cilisi),
                np.mean(accepted), pcr]
        np.testing.assert_allclose(got, want, rtol=1e-6)


class Pairing(unittest.TestCase):
    def check(self, cosine):
        rng = np.random.default_rng(4)
        nx, ny, d = 300, 410, 7
        y = rng.standard_normal((ny, d)).astype(np.float32)
        partner = rng.permutation(ny)[:nx]
        x = (y[partner] + rng.standard_normal((nx, d))).astype(np.float32)
        partner[::7] = -1
        got = base.f64(base.probe("pairing", [nx, ny, d, cosine], x, y, partner), 0, 6)
        dist = cdist(x.astype(float), y.astype(float), "cosine" if cosine else "euclidean")
        i = np.flatnonzero(partner >= 0)
        own = dist[i, partner[i]]
        to_y = (dist[i] < own[:, None]).sum(1)
        to_x = (dist[:, partner[i]] < own).sum(0)
        want = [(to_y.mean() / ny + to_x.mean() / nx) / 2, to_y.mean() / ny, to_x.mean() / nx]
        want += [((to_y < k).mean() + (to_x < k).mean()) / 2 for k in (1, 5, 10)]
        np.testing.assert_allclose(got, want, rtol=1e-12)

    def test_both_distances(self):
        self.check(0)
        self.check(1)


class Cca(unittest.TestCase):
    def check(self, p, q, k, ridge):
        rng = np.random.default_rng(6)
        n = 300
        hidden = rng.standard_normal((n, 4)) * [3, 2, 1, .5]
        x = (hidden @ rng.standard_normal((4, p)) + rng.standard_normal((n, p)) + 5).astype("f4")
        y = (hidden @ rng.standard_normal((4, q)) + rng.standard_normal((n, q)) - 2).astype("f4")
        out = base.probe("cca", [n, p, q, k], np.array([ridge]), x, y)
        cx, cy = (v.astype(float) - v.astype(float).mean(0) for v in (x, y))
        half = []
        for v in (cx, cy):
            s = v.T @ v / n
            s += ridge * np.trace(s) / len(s) * np.eye(len(s))
            w, u = np.linalg.eigh(s)
            half.append(u / np.sqrt(w) @ u.T)
        u, r, vt = np.linalg.svd(half[0] @ (cx.T @ cy / n) @ half[1])
        k = min(k, p, q)
        np.testing.assert_allclose(base.f64(out, 0, k), r[:k], rtol=1e-6, atol=1e-9)
        a, b = half[0] @ u[:, :k] * r[:k], half[1] @ vt.T[:, :k] * r[:k]
        sign = np.sign(np.take_along_axis(a, abs(a).argmax(0)[None], 0))
        for at, want in ((0, cx @ a * sign), (1, cy @ b * sign)):
            got = np.frombuffer(out, "f4", n * k, 8 * k + 4 * n * k * at).reshape(n, k)
            np.testing.assert_allclose(got[:, :4], want[:, :4], rtol=1e-4, atol=1e-4)

    def test_against_svd(self):
        self.check(12, 9, 6, 0.1)
        self.check(5, 20, 50, 0.0)


class Translation(unittest.TestCase):
    def test_by_feature_and_cell(self):
        rng = np.random.default_rng(5)
        n, p = 120, 40
        truth = rng.poisson(0.7, (n, p)).astype(np.float32)
        said = np.round(truth + 2 * rng.standard_normal((n, p)), 1).astype(np.float32)
        truth[:, 3] = 0
        said[:, 5] = 2.7
        out = base.probe("translation", [n, p], truth, said)
        got = base.f64(out, 0, 2 * (n + p))

        def each(function, by_row):
            pairs = zip(truth, said) if by_row else zip(truth.T, said.T)
            return [function(t.astype(float), s.astype(float)) for t, s in pairs]

        def pearson(t, s):
            return np.corrcoef(t, s)[0, 1] if t.std() > 0 and s.std() > 1e-9 else 0

        def auroc(t, s):
            return metrics.roc_auc_score(t > 0, s) if 0 < (t > 0).sum() < len(t) else np.nan

        want = each(pearson, False) + each(pearson, True) + each(auroc, False) + each(auroc, True)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


if __name__ == "__main__":
    base.PROBE = sys.argv.pop(1)
    unittest.main()
