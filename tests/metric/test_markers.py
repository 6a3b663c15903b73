# SPDX-License-Identifier: BSD-3-Clause
"""`scweave markers` against the equations of docs/markers.md in numpy, on a model made linear, where
they have a closed form. Usage: test_markers.py SCWEAVE"""
import csv
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy as np
    import scipy.linalg
    import scipy.sparse as sp
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

SCWEAVE = None


def dense(group):
    if "indptr" not in getattr(group, "keys", list)():
        return group[:].astype(float)
    parts = group["data"][:], group["indices"][:], group["indptr"][:]
    return sp.csr_matrix(parts, shape=tuple(group.attrs["shape"])).toarray().astype(float)


class Linear(unittest.TestCase):
    """The classifier of the latent is set to zero, so that only the shortcut speaks."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-markers-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.data, cls.path = (os.path.join(cls.folder, n) for n in ("d.h5mu", "m.safetensors"))
        subprocess.run([SCWEAVE, "example", cls.data, "--narrow", "--cells", "150", "--quiet"], check=True)
        cls.run_program("fit", "matilda", cls.data, "--label", "cell_type", "-o", cls.path,
                        "--modalities", "rna,adt", "--epochs", "1", "--min-steps", "0",
                        "--components", "12", "--modality-weights", "off", "--shortcut-c", "10", "--library", "10000",
                        "--likelihood", "gaussian", "--calibration-folds", "0", "--subsets", "off")
        cls.load_linear()
        cls.load_inputs()

    @classmethod
    def run_program(cls, *words):
        done = subprocess.run([SCWEAVE, *words, "--threads", "2", "--quiet"], check=True,
                              stdout=subprocess.PIPE, text=True)
        return done.stdout

    @classmethod
    def load_linear(cls):
        with open(cls.path, "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(size))
            start = 8 + size
            data = bytearray(file.read())
        where = header["classifier.weight"]["data_offsets"]
        data[where[0]:where[1]] = bytes(where[1] - where[0])
        with open(cls.path, "r+b") as file:
            file.seek(start)
            file.write(data)
        cls.tensors = {
            name: np.frombuffer(data, np.float32, int(np.prod(t["shape"])),
                                t["data_offsets"][0]).reshape(t["shape"]).astype(float)
            for name, t in header.items() if name != "__metadata__"}
        cls.classes = json.loads(header["__metadata__"]["classes"])
        cls.modalities = json.loads(header["__metadata__"]["modalities"])

    @classmethod
    def load_inputs(cls):
        """x [cells, F] as the model sees it, its zero [F], V [F, p], weights [C, p], answers."""
        x, zero, first, weight = [], [], [], []
        cls.names = []
        with h5py.File(cls.data) as file:
            for m in cls.modalities:
                y = dense(file["mod"][m["name"]]["X"])
                if m["name"] == "rna":
                    y = np.log1p(y / y.sum(1, keepdims=True) * m["target"])
                else:
                    y = np.log1p(y / np.exp(np.log1p(y).mean(1, keepdims=True)))
                center = cls.tensors[f"prep.{m['name']}.center"]
                x.append((y - center) * m["block_scale"])
                zero.append(-center * m["block_scale"])
                first.append(cls.tensors[f"projection.{m['name']}"])
                weight.append(cls.tensors[f"shortcut.{m['name']}"])
                cls.names += [(m["name"], f) for f in m["features"]]
        cls.x, cls.zero = np.concatenate(x, 1), np.concatenate(zero)
        cls.first = scipy.linalg.block_diag(*first)
        cls.weight = np.concatenate(weight, 1) @ cls.first.T / 2
        bias = cls.tensors["shortcut.bias"] + cls.tensors["classifier.bias"]
        cls.answer = np.argmax(cls.x @ cls.weight.T + bias / 2, 1)

    def markers(self, *words):
        """{class: [F] scores}, {class: [F] standard errors}"""
        text = self.run_program("markers", "-m", self.path, self.data, "--top", "0", "--all", *words)
        at = {name: k for k, name in enumerate(self.names)}
        scores, errors = {}, {}
        for row in csv.DictReader(io.StringIO(text), delimiter="\t"):
            name = row["modality"], row["feature"]
            scores.setdefault(row["class"], np.zeros(len(at)))[at[name]] = float(row["score"])
            if row["se"] != "NA":
                errors.setdefault(row["class"], np.zeros(len(at)))[at[name]] = float(row["se"])
        return scores, errors

    def gradients(self, score):
        others = (self.weight.sum(0) - self.weight) / (len(self.classes) - 1)
        return self.weight - others if score == "margin" else self.weight

    def sharing(self):
        """R = (S / tr S)^1/2 in the span of V, by an orthonormal basis of it."""
        basis = scipy.linalg.orth(self.first)
        u = self.x @ basis
        s = np.cov(u.T, bias=True)
        return basis @ np.real(scipy.linalg.sqrtm(s / np.trace(s))) @ basis.T

    def check(self, *words, baseline="mean", score="margin", shared=False, saliency=False):
        found, errors = self.markers(*words, "--baseline", baseline, "--score", score)
        gradients = self.gradients(score)
        if shared:
            gradients = gradients @ self.sharing()
        self.assertGreater(len(found), 5)
        for name, scores in found.items():
            c = self.classes.index(name)
            cells = self.x[self.answer == c] - (self.zero if baseline == "zero" else 0)
            a = np.abs(gradients[[c]]) + 0 * cells if saliency else cells * gradients[c]
            np.testing.assert_allclose(scores, a.mean(0), rtol=2e-3,
                                       atol=1e-4 * np.abs(a.mean(0)).max())
            if name in errors and not saliency:
                expected = a.std(0, ddof=1) / np.sqrt(len(a))
                np.testing.assert_allclose(errors[name], expected, rtol=2e-3,
                                           atol=1e-4 * expected.max())

    def test_integrated_gradients(self):
        self.check("--method", "ig", baseline="mean")
        self.check("--method", "ig", "--steps", "3", baseline="zero", score="logit")

    def test_shared(self):
        self.check(shared=True)
        self.check("--method", "shared", baseline="zero", score="logit", shared=True)

    def test_saliency(self):
        self.check("--method", "saliency", saliency=True)

    def test_raised_only(self):
        every, _ = self.markers("--method", "ig")
        text = self.run_program("markers", "-m", self.path, self.data, "--top", "0", "--method", "ig")
        at = {name: k for k, name in enumerate(self.names)}
        seen = {}
        for row in csv.DictReader(io.StringIO(text), delimiter="\t"):
            k = at[row["modality"], row["feature"]]
            seen.setdefault(row["class"], set()).add(k)
            self.assertAlmostEqual(float(row["score"]), every[row["class"]][k])
        for name, features in seen.items():
            away = self.x[self.answer == self.classes.index(name)].mean(0)
            clear = np.abs(away) > 1e-6
            for k in np.flatnonzero(clear):
                self.assertEqual(k in features, away[k] > 0)


if __name__ == "__main__":
    SCWEAVE = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
