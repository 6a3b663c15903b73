# SPDX-License-Identifier: BSD-3-Clause
"""`scweave activity` against sums over all pairs of peaks and genes. Usage: test_activity.py SCWEAVE"""
import os
import shutil
import tempfile
import unittest

from common import (DATA, anndata, close, counts, dense, element, h5py, make_adata, must, np, pd,
                    report, scweave)

GENES = [  # id, symbol, chromosome, start (from 1), end, strand
    ("E1", "AA", "chr1", 5001, 9000, "+"), ("E2", "BB", "chr1", 20001, 30000, "-"),
    ("E3", "AA", "chr2", 1001, 4000, "+"), ("E4", "", "2", 50001, 52000, "."),
    ("E5", "FAR", "chr1", 900001, 910000, "+"), ("E6", "DD", "chrM", 1, 3000, "-"),
    ("E7", "LONG", "chr1", 1001, 60000, "+")]


class Activity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-prep-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        x, group = counts(70, 60, 1, 0.5)
        rng = np.random.default_rng(0)
        starts = rng.integers(0, 70000, 60)
        chromosomes = rng.choice(["chr1", "chr2", "chrMT", "scaffold"], 60, p=[0.5, 0.3, 0.1, 0.1])
        ends = starts + rng.integers(100, 900, 60)
        a = make_adata(x, group)
        a.var_names = [f"{c}{':-_'[i % 3]}{s}{'--_'[i % 3]}{e}"
                       for i, (c, s, e) in enumerate(zip(chromosomes, starts, ends))]
        a.write(cls.path("peaks.h5ad"))
        cls.x, cls.peaks = x.astype(float), list(zip(chromosomes, starts, ends))
        with open(cls.path("genes.gtf"), "w", encoding="utf-8") as file:
            file.write("#!genome\n")
            for i, s, c, b, e, strand in GENES:
                name = f' gene_name "{s}";' if s else ""
                file.write(f'{c}\tx\tgene\t{b}\t{e}\t.\t{strand}\t.\tgene_id "{i}";{name}\n')
                file.write(f'{c}\tx\texon\t{b}\t{e}\t.\t{strand}\t.\tgene_id "{i}";{name}\n')
        with open(cls.path("tss.tsv"), "w", encoding="utf-8") as file:
            file.write("ensembl_id\tsymbol\tchr\tposition\n")
            for i, s, c, b, *_ in GENES:
                file.write(f"{i}\t{s}\t{c}\t{b}\n")

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def expected(self, weight):
        """Sums of weight(gene, start, end) over the peaks on the gene's chromosome."""
        short = {"chr1": "1", "chr2": "2", "2": "2", "chrM": "M", "chrMT": "M", "scaffold": "?"}
        w = np.zeros((60, len(GENES)))
        for j, (c, s, e) in enumerate(self.peaks):
            for g, gene in enumerate(GENES):
                if short[c] == short[gene[2]]:
                    w[j, g] = weight(gene, s, e)
        return self.x @ w, (w > 0).sum(0)

    def check(self, weight, *words, table="genes.gtf"):
        found = report("activity", "--atac", self.path("peaks.h5ad"), "--genes", self.path(table), "-o",
                       self.path("out.h5mu"), *words)
        sums, n_peaks = self.expected(weight)
        there = n_peaks > 0
        with h5py.File(self.path("out.h5mu")) as f:
            mod = f["mod/gene_activity"]
            ids = [i.decode() for i in mod["var/gene_ids"][:]]
            self.assertEqual(ids, [g[0] for g, t in zip(GENES, there) if t])
            close(self, element(mod["X"]), sums[:, there], 1e-5)
            np.testing.assert_array_equal(mod["var/n_peaks"][:], n_peaks[there])
            names = [i.decode() for i in mod["var/_index"][:]]
            self.assertEqual(len(set(names)), len(names))
            if there[0] and there[2]:
                self.assertIn("AA-1", names)
            np.testing.assert_array_equal(f["obsmap/gene_activity"][:], np.arange(70) + 1)
            for name in ("atac", "gene_activity"):
                rows = f["varmap"][name][:]
                np.testing.assert_array_equal(f["var/_index"][:][rows > 0],
                                              f[f"mod/{name}/var/_index"][:][rows[rows > 0] - 1])
        self.assertEqual(found["n_genes"], there.sum())
        self.assertTrue(3 <= there.sum() < len(GENES))
        must("inspect", self.path("out.h5mu"))

    def test_window_of_a_gtf(self):
        for up, down in ((2000, 0), (300, 700)):
            def weight(gene, s, e):
                _, _, _, b, last, strand = gene
                before, behind = (up, down) if strand == "+" else (down, up)
                if strand == ".":
                    before = behind = up
                return float(s < last + behind and e > b - 1 - before)
            self.check(weight, "--upstream", up, "--downstream", down)

    def test_window_of_a_table(self):
        self.check(lambda gene, s, e: float(s < gene[3] + 1 + 2000 and e > gene[3] - 2000),
                   table="tss.tsv")

    def test_decay(self):
        def weight(gene, s, e):
            d = abs((s + e) / 2 - gene[3])
            return 2 ** (-d / 3000) if d <= 15000 else 0.0
        self.check(weight, "--weight", "decay", "--half", "3000", "--reach", "15000", table="tss.tsv")

    def test_positions_in_columns_and_a_second_modality(self):
        must("activity", "--atac", self.path("peaks.h5ad"), "--genes", self.path("tss.tsv"), "-o",
             self.path("one.h5mu"))
        must("activity", self.path("one.h5mu"), "--genes", self.path("tss.tsv"), "--name", "other",
             "--weight", "decay", "-o", self.path("two.h5mu"))
        with h5py.File(self.path("two.h5mu")) as f:
            self.assertEqual(list(f["mod"].attrs["mod-order"]), ["atac", "gene_activity", "other"])
        a = anndata.read_h5ad(self.path("peaks.h5ad"))
        a.var = pd.DataFrame({"chrom": [p[0] for p in self.peaks], "start": [p[1] for p in self.peaks],
                              "end": [p[2] for p in self.peaks]},
                             index=[f"peak{j}" for j in range(60)])
        a.write(self.path("named.h5ad"))
        must("activity", "--atac", self.path("named.h5ad"), "--genes", self.path("tss.tsv"), "-o",
             self.path("named.h5mu"))
        with h5py.File(self.path("named.h5mu")) as f, h5py.File(self.path("one.h5mu")) as g:
            np.testing.assert_array_equal(element(f["mod/gene_activity/X"]),
                                          element(g["mod/gene_activity/X"]))

    def test_refusals(self):
        a = anndata.read_h5ad(self.path("peaks.h5ad"))
        a.var_names = [f"peak{j}" for j in range(60)]
        a.write(self.path("nowhere.h5ad"))
        with open(self.path("bad.gtf"), "w", encoding="utf-8") as file:
            file.write("chr1\tx\tgene\t9\t3\t.\t+\t.\tgene_id \"E\";\n")
        with open(self.path("bad.tsv"), "w", encoding="utf-8") as file:
            file.write("a\tb\n1\t2\n")
        with open(self.path("other.tsv"), "w", encoding="utf-8") as file:
            file.write("gene_id\tchr\ttss\nE\tchrZ\t5\n")
        with open(self.path("text.tsv"), "w", encoding="utf-8") as file:
            file.write("gene_id\tchr\ttss\nE\tchr1\tfive\n")
        for peaks, genes, expected in [
                ("nowhere", "tss.tsv", "'peak0' is no position like chr1:100-200"),
                ("peaks", "bad.gtf", "line 1: '9' to '3' is no interval"),
                ("peaks", "bad.tsv", "needs a heading with gene_id"),
                ("peaks", "other.tsv", "is .* of the same genome"),
                ("peaks", "text.tsv", "line 2: the position is no whole number"),
                ("peaks", "absent.tsv", "cannot open")]:
            status, _, err = scweave("activity", "--atac", self.path(peaks + ".h5ad"), "--genes",
                                     self.path(genes), "-o", self.path("no.h5mu"))
            self.assertEqual(status, 1)
            self.assertRegex(err, expected)
            self.assertFalse(os.path.exists(self.path("no.h5mu")))
        status, _, err = scweave("activity", self.path("peaks.h5ad"), "-o", self.path("no.h5mu"))
        self.assertEqual(status, 2)
        self.assertIn("--genes is missing", err)

    def test_real_data(self):
        peaks = DATA / "bmmc_multiome" / "bmmc_multiome_A.h5mu"
        genes = DATA / "genes" / "tss_grch38.tsv"
        if not (peaks.exists() and genes.exists()):
            self.skipTest(f"no {peaks} or {genes}")
        must("activity", peaks, "--genes", genes, "-o", self.path("b.h5mu"))
        table = pd.read_csv(genes, sep="\t").set_index("response_id")
        with h5py.File(self.path("b.h5mu")) as f:
            x, names = element(f["mod/atac/X"]), [n.decode() for n in f["mod/atac/var/_index"][:]]
            y = element(f["mod/gene_activity/X"])
            ids = [i.decode() for i in f["mod/gene_activity/var/gene_ids"][:]]
        where = [n.replace(":", "-").split("-") for n in names]
        for g in range(0, len(ids), 29):
            row = table.loc[ids[g]]
            near = [w[0] == row["chr"] and int(w[1]) < row["position"] + 2001 and
                    int(w[2]) > row["position"] - 2000 for w in where]
            close(self, y[:, g], x[:, near].sum(1))


if __name__ == "__main__":
    unittest.main(warnings="ignore")
