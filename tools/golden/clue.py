#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Golden vectors of CLUE: losses, all gradients and ten alternating steps in float64.

    tools/golden/clue.py > tests/golden/clue.json

A second writing of the equations at the head of src/models/clue.c, with PyTorch (Debian's python3-torch)
for the gradients and the optimizers, and nothing of the library. It is needed only when the equations
change: the vectors are kept. Parameters have the library's names, inputs are [out, in] as PyTorch's
unless they stand behind a sparse input. Dropout is off; all other chance is in the vectors."""
import json
import math
import sys

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

STEPS = 10
FLOOR = 1e-7

CASES = {
    # As published: an encoder for every pair, the discriminator on raw means, the target's library.
    "published": {
        "n": 8, "d": 2, "batches": 2, "classes": 3, "share": False, "sphere": False,
        "target_library": True,
        "encoder": [2, 4], "decoder": [2, 3], "discriminator": [2, 4],
        "lam": {"data": 1.0, "kl": 0.3, "align": 0.5, "joint": 1.0, "cross": 0.7, "cos": 0.4,
                "label": 0.2},
        "modalities": [
            {"name": "rna", "n_in": 5, "sparse": False, "F": 6, "likelihood": "nb", "weight": 1.0},
            {"name": "adt", "n_in": 3, "sparse": False, "F": 4, "likelihood": "nb", "weight": 2.0}],
    },
    # Corrected, with every likelihood and one sparse input.
    "corrected": {
        "n": 9, "d": 2, "batches": 1, "classes": 0, "share": True, "sphere": True,
        "target_library": False,
        "encoder": [1, 4], "decoder": [1, 3], "discriminator": [1, 4],
        "lam": {"data": 1.0, "kl": 1.0, "align": 2.0, "joint": 2.0, "cross": 0.5, "cos": 1.0,
                "label": 0.0},
        "modalities": [
            {"name": "rna", "n_in": 6, "sparse": True, "F": 6, "likelihood": "nb", "weight": 1.0},
            {"name": "adt", "n_in": 3, "sparse": False, "F": 3, "likelihood": "normal",
             "weight": 1.0},
            {"name": "atac", "n_in": 4, "sparse": False, "F": 5, "likelihood": "bernoulli",
             "weight": 0.5}],
    },
}


def rounded(x, digits=6):
    """Values that survive the way through a short text."""
    return torch.tensor([float(f"{v:.{digits}g}") for v in x.reshape(-1)]).reshape(x.shape)


class Net:
    """Parameters and running statistics by the library's names."""

    def __init__(self, case, generator):
        self.case, self.generator = case, generator
        self.vae, self.adversary, self.buffers = {}, {}, {}
        mods, k_all = case["modalities"], len(case["modalities"])
        d, extra = case["d"], case["batches"] if case["batches"] > 1 else 0
        total = sum(m["weight"] for m in mods)
        self.w = [m["weight"] * k_all / total for m in mods]
        any_nb = any(m["likelihood"] == "nb" for m in mods)
        for m in mods:
            for prefix in self.trunks(m):
                depth, width = case["encoder"]
                self.layers(self.vae, prefix, depth, m["n_in"], width, 0, True, m["sparse"])
                out = k_all * d if case["share"] else d
                self.linear(self.vae, prefix + ".loc", width, out)
                self.linear(self.vae, prefix + ".std", width, out)
            if any_nb:
                self.linear(self.vae, f"library.{m['name']}", m["F"], k_all, transposed=True)
            depth, width = case["decoder"]
            prefix = f"decoder.{m['name']}"
            self.layers(self.vae, prefix, depth, d + extra, width, extra, True, False)
            self.linear(self.vae, prefix + ".loc", width + extra, m["F"])
            by_batch = {"nb": ["batch_scale", "batch_shift", "log_shape"],
                        "bernoulli": ["batch_scale", "batch_shift"], "normal": []}
            for part in by_batch[m["likelihood"]]:
                # Not zero as at the start of a fit, so that every gradient is seen.
                self.vae[f"{prefix}.{part}"] = self.uniform(0.5, case["batches"], m["F"])
        if case["classes"]:
            self.linear(self.vae, "label", k_all * d, case["classes"])
        depth, width = case["discriminator"]
        self.layers(self.adversary, "discriminator", depth, k_all * d + extra, width, 0, False, False)
        self.linear(self.adversary, "discriminator.answer", width, k_all)
        for p in list(self.vae.values()) + list(self.adversary.values()):
            p.requires_grad_(True)

    def trunks(self, m):
        if self.case["share"]:
            return [f"encoder.{m['name']}"]
        return [f"encoder.{m['name']}.{q['name']}" for q in self.case["modalities"]]

    def uniform(self, bound, *shape):
        return rounded((2 * torch.rand(*shape, generator=self.generator) - 1) * bound)

    def linear(self, to, name, n_in, n_out, transposed=False):
        bound = 1 / math.sqrt(n_in)
        shape = (n_in, n_out) if transposed else (n_out, n_in)
        to[name + ".weight"] = self.uniform(bound, *shape)
        to[name + ".bias"] = self.uniform(bound, n_out)

    def layers(self, to, prefix, depth, n_in, width, extra, norm, sparse):
        for layer in range(depth):
            name = f"{prefix}.{layer}"
            self.linear(to, name, n_in, width, transposed=sparse and layer == 0)
            n_in = width + extra
            if not norm:
                continue
            to[name + ".norm.weight"] = 1 + self.uniform(0.2, width)
            to[name + ".norm.bias"] = self.uniform(0.2, width)
            self.buffers[name + ".norm.running_mean"] = torch.zeros(width)
            self.buffers[name + ".norm.running_var"] = torch.ones(width)

    def apply_layers(self, of, prefix, depth, x, norm, sparse=False, beside=None):
        for layer in range(depth):
            name = f"{prefix}.{layer}"
            w = of[name + ".weight"]
            x = x @ w if sparse and layer == 0 else x @ w.T
            x = F.leaky_relu(x + of[name + ".bias"], 0.2)
            if norm:
                x = F.batch_norm(x, self.buffers[name + ".norm.running_mean"],
                                 self.buffers[name + ".norm.running_var"],
                                 of[name + ".norm.weight"], of[name + ".norm.bias"],
                                 training=True, momentum=0.1, eps=1e-5)
            if beside is not None:
                x = torch.cat([x, beside], 1)
        return x

    # ------------------------------------------------------------------------------ equations

    def encode(self, data, eps):
        c, out = self.case, {"loc": [], "std": [], "unit": [], "library": []}
        for k, m in enumerate(c["modalities"]):
            loc, std = [], []
            for prefix in self.trunks(m):
                h = self.apply_layers(self.vae, prefix, c["encoder"][0], data["input"][k], True,
                                      m["sparse"])
                loc.append(h @ self.vae[prefix + ".loc.weight"].T + self.vae[prefix + ".loc.bias"])
                std.append(F.softplus(h @ self.vae[prefix + ".std.weight"].T
                                      + self.vae[prefix + ".std.bias"]) + FLOOR)
            loc, std = torch.cat(loc, 1), torch.cat(std, 1)
            out["loc"].append(loc)
            out["std"].append(std)
            out["unit"].append(F.normalize(loc + std * eps[k], dim=1))
            name = f"library.{m['name']}"
            out["library"].append(F.relu(data["x"][k] @ self.vae[name + ".weight"]
                                         + self.vae[name + ".bias"]))
        total = sum(u * data["present"][k][:, None] for k, u in enumerate(out["unit"]))
        count = sum(p for p in data["present"])[:, None]
        out["joint"] = F.normalize(total / count, dim=1)
        return out

    def one_hot(self, data, k):
        b = self.case["batches"]
        return F.one_hot(data["batch"][k], b).double() if b > 1 else None

    def nll(self, data, k, unit, library, rows):
        """Mean over the rows and features of -log p(x_k)."""
        c, m = self.case, self.case["modalities"][k]
        d, prefix = c["d"], f"decoder.{m['name']}"
        hot = self.one_hot(data, k)
        p = unit[:, k * d:(k + 1) * d]
        if hot is not None:
            p = torch.cat([p, hot], 1)
        p = self.apply_layers(self.vae, prefix, c["decoder"][0], p, True, beside=hot)
        a = p @ self.vae[prefix + ".loc.weight"].T + self.vae[prefix + ".loc.bias"]
        x, b = data["x"][k], data["batch"][k]
        if m["likelihood"] == "normal":
            return ((a - x) ** 2)[rows].mean()
        eta = F.softplus(self.vae[prefix + ".batch_scale"])[b] * a + self.vae[prefix + ".batch_shift"][b]
        if m["likelihood"] == "bernoulli":
            return F.binary_cross_entropy_with_logits(eta, (x > 0).double(), reduction="none")[rows].mean()
        mean = library[:, None] * F.softmax(eta, 1) + FLOOR
        theta = torch.exp(self.vae[prefix + ".log_shape"])[b]
        log_p = (torch.lgamma(theta + x) - torch.lgamma(x + 1) - torch.lgamma(theta)
                 + theta * (torch.log(theta) - torch.log(theta + mean))
                 + x * (torch.log(mean) - torch.log(theta + mean)))
        return -log_p[rows].mean()

    def joint_library(self, data, out, k):
        if self.case["target_library"]:
            return out["library"][k][:, k]
        others = [s for s in range(len(self.w)) if s != k]
        there = torch.stack([data["present"][s] for s in others], 1)
        said = torch.stack([out["library"][s][:, k] for s in others], 1)
        n = there.sum(1)
        mean = (said * there).sum(1) / torch.where(n > 0, n, torch.ones_like(n))
        return torch.where(n > 0, mean, out["library"][k][:, k])

    def seen(self, out, noise, a):
        width = out["loc"][0].shape[1]
        if self.case["sphere"]:
            return [F.normalize(l, dim=1) + a / math.sqrt(width) * noise[k]
                    for k, l in enumerate(out["loc"])]
        return [l + a * noise[k] for k, l in enumerate(out["loc"])]

    def align(self, data, seen):
        total, rows = 0.0, 0
        for k, h in enumerate(seen):
            hot = self.one_hot(data, k)
            if hot is not None:
                h = torch.cat([h, hot], 1)
            h = self.apply_layers(self.adversary, "discriminator", self.case["discriminator"][0], h,
                                  False)
            logits = (h @ self.adversary["discriminator.answer.weight"].T
                      + self.adversary["discriminator.answer.bias"])
            target = torch.full((len(h),), k)
            total = total + F.cross_entropy(logits, target, reduction="sum")
            rows += len(h)
        return total / rows

    def losses(self, data, out, noise, a):
        k_all, everything = len(self.w), torch.ones(self.case["n"], dtype=torch.bool)
        own = [p > 0 for p in data["present"]]
        seen = self.seen(out, noise, a)
        part = {"nll": 0.0, "kl": 0.0, "joint": 0.0, "cross": 0.0, "cos": 0.0}
        for k, m in enumerate(self.case["modalities"]):
            unit, lib = out["unit"][k], out["library"][k]
            part["nll"] += self.w[k] * self.nll(data, k, unit, lib[:, k], everything)
            q = torch.distributions.Normal(out["loc"][k], out["std"][k])
            prior = torch.distributions.Normal(torch.zeros(1), torch.ones(1))
            kl = torch.distributions.kl_divergence(q, prior)
            part["kl"] += self.w[k] * (kl.sum(1) / m["F"]).mean()
        for k in range(k_all):
            part["joint"] += self.w[k] * self.nll(data, k, out["joint"],
                                                  self.joint_library(data, out, k), own[k])
            cosine = F.cosine_similarity(out["unit"][k], out["joint"], dim=1)
            part["cos"] += (1 - cosine)[own[k]].mean()
        for k in range(k_all):
            for s in range(k_all):
                if s != k and (own[s] & own[k]).any():
                    part["cross"] += self.w[k] * self.nll(data, k, out["unit"][s],
                                                          out["library"][s][:, k], own[s] & own[k])
        part["align"] = self.align(data, seen)
        if self.case["classes"]:
            logits = torch.cat([s @ self.vae["label.weight"].T + self.vae["label.bias"]
                                for s in seen])
            part["label"] = F.cross_entropy(logits, torch.cat(data["labels"]), ignore_index=-1)
        lam = self.case["lam"]
        total = (lam["data"] * (part["nll"] + lam["kl"] * part["kl"])
                 + lam["joint"] * part["joint"] + lam["cross"] * part["cross"]
                 + lam["cos"] * part["cos"] - lam["align"] * part["align"])
        if "label" in part:
            total = total + lam["label"] * part["label"]
        return part, total


def make_data(case, g):
    n, data = case["n"], {"input": [], "x": [], "present": [], "batch": [], "labels": []}
    for k, m in enumerate(case["modalities"]):
        counts = torch.poisson(3 * torch.rand(n, m["F"], generator=g), generator=g)
        if m["likelihood"] == "bernoulli":
            counts = (counts > 2).double()
        if m["likelihood"] == "normal":
            counts = rounded(torch.randn(n, m["F"], generator=g), 5)
        data["x"].append(counts)
        data["input"].append(rounded(torch.log1p(counts)) if m["sparse"]
                             else rounded(torch.randn(n, m["n_in"], generator=g), 5))
        data["present"].append(torch.tensor([float((i + k) % 4 != 0) for i in range(n)]))
        data["batch"].append(torch.randint(case["batches"], (n,), generator=g))
        data["labels"].append(torch.tensor([(2 * i + k) % 4 - 1 for i in range(n)])
                              if case["classes"] else torch.full((n,), -1))
    return data


def text(x, digits=12):
    return [float(f"{v:.{digits}g}") for v in x.detach().reshape(-1).tolist()]


def block(tensors, digits=12):
    return {name: text(t, digits) for name, t in tensors.items()}


def run(case, seed):
    g = torch.Generator().manual_seed(seed)
    net, data = Net(case, g), make_data(case, g)
    width, k_all = case["d"] * len(case["modalities"]), len(case["modalities"])
    out = {"config": case, "data": {key: [text(t) for t in v] for key, v in data.items()},
           "initial": block({**net.vae, **net.adversary}), "steps": []}
    optimizers = [torch.optim.RMSprop(list(p.values()), lr=2e-3)
                  for p in (net.vae, net.adversary)]

    def normals():
        return [rounded(torch.randn(case["n"], width, generator=g), 5) for _ in range(k_all)]

    for step in range(STEPS):
        a = max(1 - step / 6, 0.0)
        row = {"a": a}
        for turn in ("adversary", "vae"):
            eps, noise = normals(), normals()
            for o in optimizers:
                o.zero_grad()
            encoded = net.encode(data, eps)
            if turn == "adversary":
                detached = {key: ([t.detach() for t in v] if isinstance(v, list) else v.detach())
                            for key, v in encoded.items()}
                loss = case["lam"]["align"] * net.align(data, net.seen(detached, noise, a))
                parts, of = {}, net.adversary
            else:
                parts, loss = net.losses(data, encoded, noise, a)
                of = net.vae
            loss.backward()
            row[turn] = {"eps": [text(t) for t in eps], "noise": [text(t) for t in noise],
                         "loss": loss.item(), "parts": {k: v.item() for k, v in parts.items()}}
            if step == 0:
                row[turn]["gradients"] = {name: text(p.grad) for name, p in of.items()}
            if step == 0 and turn == "vae":
                row[turn]["forward"] = {key: [text(t) for t in encoded[key]]
                                        for key in ("loc", "std", "unit", "library")}
                row[turn]["forward"]["joint"] = text(encoded["joint"])
            optimizers[0 if turn == "vae" else 1].step()
        out["steps"].append(row)
    out["final"] = block({**net.vae, **net.adversary})
    out["final_buffers"] = block(net.buffers)
    return out


def main():
    cases = {name: run(case, 11 + k) for k, (name, case) in enumerate(CASES.items())}
    json.dump({"cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
