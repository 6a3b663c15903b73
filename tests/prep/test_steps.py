# SPDX-License-Identifier: BSD-3-Clause
"""`scweave preprocess`: each step against its formula (docs/preprocess.md), components against numpy's
singular values. Usage: test_steps.py SCWEAVE"""
import os
import shutil
import tempfile
import unittest

from common import (DATA, anndata, close, counts, dense, element, h5py, make_adata, must, np,
                    report, scweave)
from scipy.sparse.linalg import svds

# The 3 x 4 matrix of the published reference values and what they are.
SMALL = np.array([[4, 0, 1, 3], [10, 2, 0, 0], [1, 1, 1, 1]], np.float32)
TFIDF = {
    "signac": [[8.517393, 0, 7.536897, 8.635154], [9.028139, 7.824446, 0, 0],
               [7.824446, 8.229778, 8.229778, 8.229778]],
    "clue": [[7.472638, 0, 8.100982, 8.506346], [8.517393, 8.517393, 0, 0],
             [6.364252, 7.972311, 8.377661, 7.684744]],
    "muon": [[1.552904, 0, 6.534709, 4.605514], [1.646024, 5.142584, 0, 0],
             [1.426565, 5.423493, 7.169467, 4.378683]],
}


def normalised(x, target=None, keep=slice(None)):
    total = x[:, keep].sum(1)
    target = np.median(total[total > 0]) if target is None else target
    return x * np.where(total > 0, target / np.where(total > 0, total, 1), 1)[:, None]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-prep-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_steps(self, x, steps, *words, stored="csr"):
        """The written file, read back; x may be an AnnData."""
        a = x if isinstance(x, anndata.AnnData) else make_adata(x, np.zeros(len(x), int), stored)
        a.write(self.path("in.h5ad"))
        must("preprocess", self.path("in.h5ad"), "-o", self.path("out.h5ad"), "--steps", steps, *words)
        return anndata.read_h5ad(self.path("out.h5ad"))


class Values(Case):
    def test_published_tfidf(self):
        for variant, expected in TFIDF.items():
            out = self.run_steps(SMALL, f"tfidf:variant={variant}")
            close(self, dense(out.X), expected, 2e-6)
            close(self, dense(out.layers["counts"]), SMALL)

    def test_normalize(self):
        x, _ = counts(120, 70, 1)
        big = x.astype(float)
        for stored in ("csr", "csc", "dense"):
            close(self, dense(self.run_steps(x, "normalize", stored=stored).X), normalised(big))
        out = self.run_steps(x, "normalize:target=10000,log1p")
        close(self, dense(out.X), np.log1p(normalised(big, 1e4)))
        self.assertAlmostEqual(float(out.uns["log1p"]["base"]), np.e)
        x[5, 9] = 5000
        big = x.astype(float)
        dominant = (big > 0.2 * big.sum(1, keepdims=True)).any(0)
        self.assertTrue(0 < dominant.sum() < 30)
        out = self.run_steps(x, "normalize:exclude:max-fraction=0.2")
        close(self, dense(out.X), normalised(big, keep=~dominant))

    def test_blocks_from_the_file(self):
        x, _ = counts(400, 70, 2)
        a = dense(self.run_steps(x, "normalize,log1p,tfidf:variant=clue").X)
        b = dense(self.run_steps(x, "normalize,log1p,tfidf:variant=clue", "--mem", "3000").X)
        np.testing.assert_array_equal(a, b)

    def test_clr(self):
        x, _ = counts(50, 20, 3, 0.8)
        logs = np.log1p(x.astype(float))
        for margin, axis in ((2, 1), (1, 0)):
            expected = np.log1p(x / np.exp(logs.mean(axis, keepdims=True)))
            close(self, dense(self.run_steps(x, f"clr:margin={margin}").X), expected)

    def test_binarize(self):
        x, _ = counts(30, 20, 4)
        np.testing.assert_array_equal(dense(self.run_steps(x, "binarize").X), x > 0)

    def test_scale_is_written_only_when_asked(self):
        x, _ = counts(90, 40, 5)
        x[4, 8] = 300
        x[3:, 9] = 60
        logs = np.log1p(normalised(x.astype(float), 1e4))
        sd = logs.std(0, ddof=1)
        z = (logs - logs.mean(0)) / np.where(sd > 0, sd, 1)
        out = self.run_steps(x, "normalize:target=10000,log1p,scale:max=2:layer=z")
        self.assertTrue((z > 2).any() and (z < -2).any())
        close(self, out.layers["z"], np.clip(z, -2, 2), 1e-4)
        close(self, dense(out.X), logs)
        close(self, out.var["mean"], logs.mean(0))
        out = self.run_steps(x, "normalize:target=10000,log1p,scale")
        self.assertEqual(set(out.layers), {"counts"})

    def test_counts_are_kept(self):
        a = make_adata(*counts(30, 20, 6))
        a.layers["counts"] = a.X.copy()
        a.write(self.path("c.h5ad"))
        status, _, err = scweave("preprocess", self.path("c.h5ad"), "-o", self.path("o.h5ad"),
                                 "--steps", "log1p")
        self.assertEqual(status, 2)
        self.assertIn("--layer counts", err)
        must("preprocess", self.path("c.h5ad"), "-o", self.path("o.h5ad"), "--steps", "log1p",
             "--layer", "counts")
        out = anndata.read_h5ad(self.path("o.h5ad"))
        close(self, dense(out.X), np.log1p(dense(a.X)))
        np.testing.assert_array_equal(dense(out.layers["counts"]), dense(a.X))


class Components(Case):
    """PCA and LSI against numpy, by each of the ways the library takes."""

    def check(self, y, scores, components, k, tolerance):
        if min(y.shape) > 500:
            u, s, vt = svds(y, k=8, v0=np.ones(min(y.shape)))
            u, s, vt = u[:, ::-1], s[::-1], vt[::-1]
        else:
            u, s, vt = np.linalg.svd(y, full_matrices=False)
        signs = np.sign((components[:, :k] * vt[:k].T).sum(0))
        close(self, components[:, :k] * signs, vt[:k].T, tolerance)
        close(self, scores[:, :k] * signs, u[:, :k] * s[:k], tolerance * s[0])
        return s

    def pca_of(self, n, p, n_true, *words):
        """A matrix with a clear spectrum: counts around n_true programmes."""
        rng = np.random.default_rng(n + p)
        weight = rng.gamma(0.3, 1, (n, n_true)) * np.linspace(6, 1.5, n_true)
        x = rng.poisson(0.02 + weight @ rng.dirichlet(np.full(p, 0.05), n_true) * 12)
        x = x.astype(np.float32)
        out = self.run_steps(x, "log1p,pca:k=6", *words)
        y = np.log1p(x.astype(float))
        y -= y.mean(0)
        s = self.check(y, out.obsm["X_pca"], out.varm["PCs"], 4, 2e-3)
        close(self, out.uns["pca"]["variance"], s[:6] ** 2 / (n - 1), 1e-5)
        close(self, out.uns["pca"]["variance_ratio"], s[:6] ** 2 / (y ** 2).sum(), 1e-5)

    def test_formed_by_columns(self):
        self.pca_of(200, 80, 8)

    def test_formed_by_rows(self):
        self.pca_of(90, 1500, 8)

    def test_applied_by_columns(self):
        self.pca_of(1600, 1350, 8)

    def test_applied_by_rows_from_the_file(self):
        self.pca_of(1350, 1600, 8, "--mem", "100000")

    def test_of_chosen_features_and_z_scores(self):
        x, _ = counts(150, 60, 7)
        out = self.run_steps(x, "normalize:target=10000,log1p,hvg:n=20,scale:max=3,pca:k=5")
        logs = np.log1p(normalised(x.astype(float), 1e4))
        sd = logs.std(0, ddof=1)
        z = np.clip((logs - logs.mean(0)) / np.where(sd > 0, sd, 1), -3, 3)
        chosen = out.var["highly_variable"].values
        self.assertEqual(chosen.sum(), 20)
        z = np.where(chosen, z - z.mean(0), 0)
        self.check(z, out.obsm["X_pca"], out.varm["PCs"], 5, 1e-3)
        self.assertFalse(out.varm["PCs"][~chosen].any())

    def test_lsi(self):
        x, _ = counts(120, 300, 8)
        y = np.zeros(x.shape)
        total, n_cells = x.sum(1, keepdims=True), (x > 0).sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            y = np.nan_to_num(np.log1p(x / total * (120 / n_cells) * 1e4), posinf=0)
        u, s, vt = np.linalg.svd(y, full_matrices=False)
        out = self.run_steps(x, "tfidf,lsi:k=4")
        signs = np.sign((out.varm["LSI"] * vt[:4].T).sum(0))
        close(self, out.obsm["X_lsi"] * signs, u[:, :4], 1e-4)
        close(self, out.uns["lsi"]["stdev"], s[:4] / np.sqrt(119), 1e-4)
        depth = np.log10(x.sum(1)[x.sum(1) > 0])
        expected = [np.corrcoef(depth, u[x.sum(1) > 0, h])[0, 1] for h in range(4)]
        close(self, out.uns["lsi"]["depth_correlation"] * signs, expected, 1e-4)
        out = self.run_steps(x, "tfidf,lsi:k=4:drop-first:scores=scaled:cells=standardized")
        rows = (u * s)[:, 1:4] * signs[1:]
        rows = rows - rows.mean(1, keepdims=True)
        sd = rows.std(1, ddof=1, keepdims=True)
        close(self, out.obsm["X_lsi"], np.where(sd > 1e-9, rows / sd, 0), 1e-3)

    def test_same_bytes_for_any_number_of_threads(self):
        x, group = counts(1500, 1400, 9)
        make_adata(x, group).write(self.path("in.h5ad"))
        kept = []
        for threads in ("1", "3"):
            must("preprocess", self.path("in.h5ad"), "-o", self.path("t.h5ad"), "--steps",
                 "normalize,log1p,hvg:n=1380,scale,pca:k=10", "--batch-key", "batch", "--threads",
                 threads)
            with open(self.path("t.h5ad"), "rb") as file:
                kept.append(file.read())
        self.assertTrue(kept[0] == kept[1])


class Plans(Case):
    def test_default_of_a_multimodal_set(self):
        must("example", self.path("e.h5mu"), "--narrow", "--cells", "90")
        found = report("preprocess", self.path("e.h5mu"), "-o", self.path("r.h5mu"))
        self.assertEqual([m["modality"] for m in found["modalities"]], ["rna", "adt", "atac"])
        with h5py.File(self.path("e.h5mu")) as a, h5py.File(self.path("r.h5mu")) as b:
            x = element(a["mod/rna/X"])
            close(self, element(b["mod/rna/X"]), np.log1p(normalised(x.astype(float), 1e4)))
            np.testing.assert_array_equal(element(b["mod/rna/layers/counts"]), x)
            self.assertEqual(b["mod/atac/obsm/X_lsi"].shape, (90, 50))
            self.assertIn("command", b["uns/preprocess"])
        for preset in ("cite", "multiome"):
            must("preprocess", self.path("e.h5mu"), "-o", self.path("r.h5mu"), "--preset", preset)

    def test_list(self):
        out = must("preprocess", "--list")
        for word in ("normalize", "tfidf", "flavor=seurat_v3", "multiome"):
            self.assertIn(word, out)

    def test_refusals(self):
        x, group = counts(40, 30, 10)
        a = make_adata(x, group)
        a.write(self.path("in.h5ad"))
        half = a.copy()
        half.X = half.X * 0.5
        half.write(self.path("half.h5ad"))
        less = a.copy()
        less.X = less.X * -1
        less.write(self.path("less.h5ad"))
        for file, steps, expected in [
                ("in", "nonsense", "there is no step 'nonsense'; there are: normalize"),
                ("in", "pca:k=0", "step 'pca'"), ("in", "pca:q=3", "step 'pca'"),
                ("in", "", "steps: none are named"), ("in", "adt=clr", "no modality 'adt'"),
                ("in", "scale,log1p", "put it before"),
                ("in", "rna=log1p;rna=clr", "named twice"),
                ("in", "hvg:flavor=seurat", "put normalize,log1p before it"),
                ("in", "hvg:n=0", "must be given"),
                ("half", "hvg", "raw counts"), ("less", "clr", "negative"),
                ("less", "tfidf", "negative"), ("less", "log1p", "no log1p"),
                ("less", "normalize", "counts are needed")]:
            status, _, err = scweave("preprocess", self.path(file + ".h5ad"), "-o",
                                     self.path("no.h5ad"), "--steps", steps)
            self.assertIn(expected, err, steps)
            self.assertIn(status, (1, 2))
            self.assertFalse(os.path.exists(self.path("no.h5ad")))
        for words, expected in [(["--preset", "x"], "there is no preset 'x'"),
                                (["--batch-key", "x"], "no obs column 'x'"),
                                (["--preset", "cite", "--modality", "adt"], "names no modality"),
                                (["--steps", "pca", "--preset", "cite"], "exclude each other")]:
            status, _, err = scweave("preprocess", self.path("in.h5ad"), "-o",
                                     self.path("no.h5ad"), *words)
            self.assertIn(expected, err)
            self.assertIn(status, (1, 2))

    def test_what_is_no_counts_is_said(self):
        x, group = counts(40, 30, 12)
        make_adata(x / 3, group).write(self.path("in.h5ad"))
        status, _, err = scweave("preprocess", self.path("in.h5ad"), "-o", self.path("o.h5ad"),
                                 "--steps", "normalize")
        self.assertEqual(status, 0)
        self.assertIn("so it is not counts", err)

    def test_real_data(self):
        path = DATA / "bmmc_cite" / "bmmc_cite_a.h5mu"
        if not path.exists():
            self.skipTest(f"no {path}")
        must("preprocess", path, "-o", self.path("b.h5mu"), "--preset", "cite", "--batch-key",
             "batch")
        with h5py.File(path) as a, h5py.File(self.path("b.h5mu")) as b:
            x = element(a["mod/adt/X"]).astype(float)
            y = np.log1p(x / np.exp(np.log1p(x).mean(1, keepdims=True)))
            close(self, element(b["mod/adt/X"]), y)
            z = (y - y.mean(0)) / y.std(0, ddof=1)
            z = np.clip(z, -10, 10)
            s = np.linalg.svd(z - z.mean(0), compute_uv=False)[:100]
            close(self, b["mod/adt/uns/pca/variance"][:], s ** 2 / (len(x) - 1), 1e-4)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
