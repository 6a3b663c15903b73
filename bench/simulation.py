#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How well simulated cells stand for real ones: the table of docs/simulate.md.

    bench/simulation.py build/src/cli/scweave SET.h5mu [LABEL]

RNA, as many cells as there are real ones, of each type as many. Within types of at least 30 cells, in
log2(1 + x * mean library / library), z-scored per cell: correlation and mean difference of the
gene-gene correlations of the 100 most variable genes, correlation of gene means, median ratio of gene
variances, zeros. Two-sample AUROC: logistic regression on all genes (log1p CP10K, standardised),
5-fold. Nearest real cell: median distance in 50 components, over that between real cells.

"unseen": the model is fitted to, and simulates from, half of the cells; what it gives is compared with
the other half: AUROC, and the distance to the nearest cell of the first half over that of unseen
real cells. Without it, the same cells serve the model and the comparison. Both sides have equally many
cells everywhere.

A second table says what AUROC there would be without any fault. A simulator hands on the means of the
cells that it learnt from, with their sampling error, which a classifier of many features learns.

    unseen     as above, on the N genes of largest variance, and all
    the limit  the same where the simulator is right by construction: the world is an independent
               negative binomial of each gene and type, half of its cells are learnt from, and the
               simulator is such a distribution fitted to them
    halves     the two halves of the real cells, none twice"""
import os
import subprocess
import sys
import tempfile
import warnings

import h5py
import numpy as np
from anndata.experimental import read_elem, write_elem
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

warnings.simplefilter("ignore")
SMALLEST, N_GENES, MOST_CELLS = 30, 100, 1500


def dense(x):
    return np.asarray(x.todense() if sparse.issparse(x) else x, dtype=np.float64)


def read(path, label):
    with h5py.File(path) as f:
        obs = read_elem(f["obs"])
        labels = obs[label].astype(object)
        x = dense(read_elem(f["mod/rna/X"]))
    return x, np.array([v if isinstance(v, str) else "" for v in labels])


def model_space(x, target):
    s = np.maximum(x.sum(1, keepdims=True), 1)
    y = np.log2(x * target / s + 1)
    return y, (y - y.mean(1, keepdims=True)) / y.std(1, ddof=1, keepdims=True)


def correlations(x):
    x = x - x.mean(0)
    sd = np.sqrt((x * x).sum(0))
    x = x / np.where(sd > 0, sd, np.inf)
    c = x.T @ x
    return c[np.triu_indices_from(c, 1)]


def within_types(real, z_real, labels, top, sim, z_sim, sim_labels):
    rows = []
    for c in np.unique(labels):
        a, b = labels == c, sim_labels == c
        if a.sum() < SMALLEST or b.sum() < 10:
            continue
        ca, cb = correlations(z_real[a][:, top]), correlations(z_sim[b][:, top])
        va, vb = z_real[a].var(0), z_sim[b].var(0)
        rows.append([np.corrcoef(ca, cb)[0, 1] if cb.std() > 0 else 0, np.abs(ca - cb).mean(),
                     np.corrcoef(z_real[a].mean(0), z_sim[b].mean(0))[0, 1],
                     np.median(vb[va > 0] / va[va > 0]),
                     np.nan if sim is None else (sim[b] == 0).mean() - (real[a] == 0).mean()])
    return np.mean(rows, 0)


def lognorm(x):
    return np.log1p(1e4 * x / np.maximum(x.sum(1, keepdims=True), 1))


def few(x):
    rng = np.random.RandomState(0)
    return x[rng.permutation(len(x))[:MOST_CELLS]]


def auroc(real, sim, genes=slice(None)):
    a, b = few(lognorm(real)[:, genes]), few(lognorm(sim)[:, genes])
    x, y = np.vstack([a, b]), np.r_[np.zeros(len(a)), np.ones(len(b))]
    x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(C=1e-3, max_iter=300)
    return roc_auc_score(y, cross_val_predict(model, x, y, cv=folds, method="decision_function"))


def nearest(seen, others):
    """Median distance of others (None: of seen among themselves) to the nearest seen cell."""
    pca = PCA(50, random_state=0).fit(few(lognorm(seen)))
    near = NearestNeighbors(n_neighbors=2).fit(pca.transform(lognorm(seen)))
    if others is None:
        return np.median(near.kneighbors(pca.transform(lognorm(seen)))[0][:, 1])
    return np.median(near.kneighbors(pca.transform(lognorm(others)))[0][:, 0])


def independent_nb(x, labels, rng):
    """Each gene of each type on its own: mean, and shape by moments over the cells' depths."""
    out = np.zeros_like(x)
    for c in np.unique(labels):
        i = labels == c
        s = x[i].sum(1, keepdims=True) / x[i].sum(1).mean()
        m = x[i].mean(0)
        mu = s * m
        extra = ((x[i] - mu) ** 2 - mu).sum(0) / np.maximum((mu ** 2).sum(0), 1e-12)
        shape = 1 / np.clip(extra, 1e-3, 1e2)
        out[i] = rng.poisson(rng.gamma(shape, size=mu.shape) * mu / shape)
    return out


def gaussian_20(z, labels, rng):
    """A 20-component Gaussian with diagonal rest for each type, in model space."""
    out = np.zeros_like(z)
    for c in np.unique(labels):
        i = labels == c
        n, mean = i.sum(), z[i].mean(0)
        u, d, v = np.linalg.svd(z[i] - mean, full_matrices=False)
        k = min(20, max(1, n - 1))
        rest = (z[i] - mean) - (u[:, :k] * d[:k]) @ v[:k]
        out[i] = (mean + rng.randn(n, k) * d[:k] / np.sqrt(n) @ v[:k] +
                  rng.randn(*z[i].shape) * rest.std(0))
    return out


def run(*words):
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)


def hide_half(path, copy, label):
    """A copy whose obs column `half` holds the labels of one half of each type."""
    with open(path, "rb") as source, open(copy, "wb") as target:
        target.write(source.read())
    with h5py.File(copy, "a") as f:
        obs = read_elem(f["obs"])
        rng = np.random.RandomState(0)
        keep = np.zeros(len(obs), bool)
        for c in obs[label].dropna().unique():
            i = np.flatnonzero(obs[label] == c)
            keep[rng.permutation(i)[:(len(i) + 1) // 2]] = True
        obs["half"] = obs[label].astype(object).where(keep).astype("category")
        del f["obs"]
        write_elem(f, "obs", obs)
    return keep


def main():
    scweave, path = sys.argv[1:3]
    label = sys.argv[3] if len(sys.argv) > 3 else "cell_type"
    x, labels = read(path, label)
    known = labels != ""
    x, labels = x[known], labels[known]
    target = x.sum(1).mean()
    y, z = model_space(x, target)
    top = np.argsort(-y.var(0))[:N_GENES]
    rng = np.random.RandomState(1)
    base = nearest(x, None)
    print(f"{os.path.basename(path)}: {len(x)} cells, {len(np.unique(labels))} types")
    print(f"{'':28}corr-corr  mae   means   var  zeros   AUROC nearest | unseen: AUROC nearest")

    def show(name, sim, sim_labels, unseen=(np.nan, np.nan), space=None):
        zs = space if sim is None else model_space(sim, target)[1]
        figures = within_types(x, z, labels, top, sim, zs, sim_labels)
        apart = (np.nan, np.nan) if sim is None else (auroc(x, sim), nearest(x, sim) / base)
        print(f"{name:28}" + " {:8.3f} {:6.3f} {:6.3f} {:6.3f} {:+6.3f}".format(*figures) +
              " {:7.3f} {:7.3f} | {:12.3f} {:7.3f}".format(*apart, *unseen), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        kept = hide_half(path, at("half.h5mu"), label)[known]
        run(scweave, "fit", "matilda", path, "--label", label, "-o", at("all.st"))
        run(scweave, "fit", "matilda", at("half.h5mu"), "--label", "half", "-o", at("half.st"))
        limit = nearest(x[kept], x[~kept])
        for mode in ("class", "posterior"):
            run(scweave, "simulate", "-m", at("all.st"), path, "--n", str(len(x)), "--from", mode,
                "-o", at("sim.h5mu"))
            run(scweave, "simulate", "-m", at("half.st"), at("half.h5mu"), "--n",
                str(int((~kept).sum())), "--from", mode, "-o", at("unseen.h5mu"))
            new = read(at("unseen.h5mu"), "half")[0]
            show("scweave --from " + mode, *read(at("sim.h5mu"), label),
                 (auroc(x[~kept], new), nearest(x[kept], new) / limit))
            if mode == "class":
                drawn = new
        run(scweave, "fit", "matilda", path, "--label", label, "--compat", "-o", at("compat.st"))
        run(scweave, "simulate", "-m", at("compat.st"), path, "--n", str(len(x)), "--from",
            "posterior", "-o", at("sim.h5mu"))
        values, value_labels = read(at("sim.h5mu"), label)
        show("published (--compat)", None, value_labels, space=values)
    show("20-component Gaussian", None, labels, space=gaussian_20(z, labels, rng))
    nb = independent_nb(x[kept], labels[kept], rng)
    show("independent NB of each type", independent_nb(x, labels, rng), labels,
         (auroc(x[~kept], nb), nearest(x[kept], nb) / limit))
    pick = np.concatenate([rng.choice(np.flatnonzero(labels == c), (labels == c).sum())
                           for c in np.unique(labels)])
    half = rng.choice(np.flatnonzero(kept), (~kept).sum())
    show("bootstrap of real cells", x[pick], labels[pick],
         (auroc(x[~kept], x[half]), nearest(x[kept], x[half]) / limit))
    print("\nAUROC, --from class     unseen  the limit  halves")
    genes = np.argsort(-lognorm(x).var(0))
    rng = np.random.RandomState(2)
    true = independent_nb(x, labels, rng)
    world = true[~kept], independent_nb(true[kept], labels[kept], rng)
    for n in [n for n in (50, 100, 300, 1000, 3000) if n < x.shape[1]] + [x.shape[1]]:
        print(f"{n:6} genes            {auroc(x[~kept], drawn, genes[:n]):9.3f} "
              f"{auroc(*world, genes[:n]):10.3f} {auroc(x[~kept], x[kept], genes[:n]):7.3f}", flush=True)


main()
