#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Golden vectors of the two-tower model: embeddings, loss, all gradients and ten AdamW steps in float64.

    tools/golden/clip.py > tests/golden/clip.json

A second writing of the equations at the head of src/models/clip.c, with PyTorch (Debian's python3-torch)
for the gradients and the optimizer, and nothing of the library. It is needed only when the equations
change: the vectors are kept. Parameters have the library's names. No dropout, mixing or noise."""
import json
import math
import sys

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

STEPS = 10
LR = 3e-3
DECAY = 0.05  # of weights; not of biases and temperatures

CASES = {
    # As in the competition: two modalities of the same cells.
    "published": {"n": 7, "d": 3, "depth": 2, "width": 5, "path": False, "t": 3.46, "missing": False,
                  "modalities": [{"name": "rna", "n_in": 6}, {"name": "adt", "n_in": 4}]},
    # A linear path beside each tower, and cells that lack one of three modalities.
    "partial": {"n": 9, "d": 3, "depth": 1, "width": 4, "path": True, "t": 1.5, "missing": True,
                "modalities": [{"name": "rna", "n_in": 5}, {"name": "adt", "n_in": 3},
                               {"name": "atac", "n_in": 6}]},
}


def rounded(x, digits=6):
    """Values that survive the way through a short text."""
    return torch.tensor([float(f"{v:.{digits}g}") for v in x.reshape(-1)]).reshape(x.shape)


def text(x, digits=12):
    return [float(f"{v:.{digits}g}") for v in x.detach().reshape(-1).tolist()]


def block(tensors):
    return {name: text(t) for name, t in tensors.items()}


class Net:
    def __init__(self, case, g):
        self.case, self.weights, self.vectors, self.buffers = case, {}, {}, {}
        mods = case["modalities"]

        def uniform(bound, *shape):
            return rounded((2 * torch.rand(*shape, generator=g) - 1) * bound)

        def linear(name, n_in, n_out):
            bound = 1 / math.sqrt(n_in)
            self.weights[name + ".weight"] = uniform(bound, n_out, n_in)
            self.vectors[name + ".bias"] = uniform(bound, n_out)

        for m in mods:
            n_in = m["n_in"]
            for layer in range(case["depth"]):
                linear(f"tower.{m['name']}.{layer}", n_in, case["width"])
                n_in = case["width"]
            linear(f"tower.{m['name']}.out", n_in, case["d"])
            if case["path"]:
                self.buffers[f"tower.{m['name']}.path"] = uniform(0.5, case["d"], m["n_in"])
        for k, first in enumerate(mods):
            for second in mods[k + 1:]:
                self.vectors[f"temperature.{first['name']}.{second['name']}"] = torch.full((1,), case["t"])
        for p in self.trained().values():
            p.requires_grad_(True)

    def trained(self):
        return {**self.weights, **self.vectors}

    def embed(self, k, x):
        name = "tower." + self.case["modalities"][k]["name"]
        h = x
        for layer in range(self.case["depth"]):
            h = F.elu(h @ self.weights[f"{name}.{layer}.weight"].T + self.vectors[f"{name}.{layer}.bias"])
        y = h @ self.weights[name + ".out.weight"].T + self.vectors[name + ".out.bias"]
        if self.case["path"]:
            y = y + x @ self.buffers[name + ".path"].T
        return F.normalize(y, dim=1)

    def loss(self, units, present):
        mods, terms = self.case["modalities"], []
        for k in range(len(mods)):
            for l in range(k + 1, len(mods)):
                rows = (present[k] * present[l]) > 0
                t = self.vectors[f"temperature.{mods[k]['name']}.{mods[l]['name']}"]
                scores = torch.exp(t) * units[k][rows] @ units[l][rows].T
                own = torch.arange(len(scores))
                terms.append(0.5 * (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)))
        return torch.stack(terms).mean()


def run(case, seed):
    g = torch.Generator().manual_seed(seed)
    net = Net(case, g)
    x = [rounded(torch.randn(case["n"], m["n_in"], generator=g), 5) for m in case["modalities"]]
    present = [torch.tensor([0.0 if case["missing"] and (i + k) % 4 == 0 else 1.0
                             for i in range(case["n"])]) for k in range(len(x))]
    out = {"config": case, "input": [text(v) for v in x], "present": [text(v) for v in present],
           "initial": block({**net.trained(), **net.buffers}), "loss": []}
    optimizer = torch.optim.AdamW([{"params": list(net.weights.values()), "weight_decay": DECAY},
                                   {"params": list(net.vectors.values()), "weight_decay": 0.0}], lr=LR)
    for step in range(STEPS):
        optimizer.zero_grad()
        units = [net.embed(k, v) for k, v in enumerate(x)]
        loss = net.loss(units, present)
        loss.backward()
        out["loss"].append(loss.item())
        if step == 0:
            out["unit"] = [text(u) for u in units]
            out["gradients"] = {name: text(p.grad) for name, p in net.trained().items()}
        optimizer.step()
    out["final"] = block(net.trained())
    return out


def main():
    cases = {name: run(case, 5 + k) for k, (name, case) in enumerate(CASES.items())}
    json.dump({"lr": LR, "decay": DECAY, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
