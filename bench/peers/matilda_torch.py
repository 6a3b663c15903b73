#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Matilda in PyTorch, as its authors' users run it: the peer that `pair.py` puts beside scweave.

    matilda_torch.py fit NAME=FILE.h5ad ... --label KEY --save MODEL.pt [--epochs 30] [--batch-size 64]
                     [--threads 2] [--seed 1] [--way loader|tensor]
    matilda_torch.py judge NAME=FILE.h5ad ... --label KEY --model MODEL.pt

Network, losses and schedule are those of `scweave fit matilda --compat` (docs/models/matilda.md), written
from the published description: counts made dense, log2 of depth-scaled counts, z-scores of each cell;
encoders, a latent, decoders and a classifier; Adam; EPOCHS of stage 1 at 0.02; classes balanced by
simulated cells; half as many epochs at 0.02 and half at 0.002 on those, from the weights of stage 1.

Two ways of feeding it:
    loader   a Dataset that gives a cell and a DataLoader that shuffles and stacks them, as published
    tensor   the fastest that we found without changing the arithmetic: all cells as one tensor, batches
             by index, Adam over all parameters at once, denormal numbers taken as zero

Prints one line of JSON. Needs python3-torch, python3-anndata, python3-numpy."""
import time

STARTED = time.time()

import argparse
import json
import random

import anndata
import numpy
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

Z_DIM, JOINT = 100, 100
HIDDEN = {"rna": 185, "adt": 30, "atac": 185}
RATE, SMOOTHING, SMOOTHING_CLASSES = 0.02, 0.1, 17


# ---------------------------------------------------------------------------------- network

def block(n_in, n_out, relu=True, drop=0.0):
    layers = [nn.Linear(n_in, n_out, bias=False)]
    if relu:
        layers.append(nn.ReLU())
    layers.append(nn.BatchNorm1d(n_out))
    if drop > 0:
        layers.append(nn.Dropout(drop))
    return nn.Sequential(*layers)


class Matilda(nn.Module):
    def __init__(self, widths, n_classes):
        """widths: {modality: features}."""
        super().__init__()
        self.sizes = list(widths.values())
        drop = 0.0 if len(widths) == 3 else 0.2
        hidden = [HIDDEN.get(name, 185) for name in widths]
        self.weight = nn.ParameterList([nn.Parameter(0.001 * torch.rand(1, f)) for f in self.sizes])
        self.encoders = nn.ModuleList([block(f, h, drop=0.2) for f, h in zip(self.sizes, hidden)])
        self.joint = block(sum(hidden), JOINT, drop=0.2)
        self.mu = block(JOINT, Z_DIM, relu=False, drop=drop)
        self.logvar = block(JOINT, Z_DIM, relu=False, drop=drop)
        self.decoders = nn.ModuleList([block(Z_DIM, f) for f in self.sizes])
        self.classifier = nn.Linear(Z_DIM, n_classes)

    def forward(self, x):
        """x [B, F] -> reconstruction [B, F], logits [B, C], mu and logvar [B, 100]."""
        parts = torch.split(x, self.sizes, dim=1)
        h = [e(part * w) for e, part, w in zip(self.encoders, parts, self.weight)]
        joint = self.joint(torch.cat(h, dim=1))
        mu, logvar = self.mu(joint), self.logvar(joint)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.cat([d(z) for d in self.decoders], dim=1), self.classifier(z), mu, logvar


def loss_of(outputs, x, labels):
    """L = 0.9 (rec + kl / F) + 0.1 cls; the smoothed target of 17 classes whatever their number."""
    recon, logits, mu, logvar = outputs
    rec = functional.mse_loss(recon, x)
    kl = -0.5 * torch.mean(1 + logvar - mu * mu - torch.exp(logvar))
    log_p = functional.log_softmax(logits, dim=1)
    truth = log_p.gather(1, labels[:, None]).mean()
    cls = -((1 - SMOOTHING) * truth + SMOOTHING / SMOOTHING_CLASSES * log_p.sum(1).mean())
    return 0.9 * (rec + kl / x.shape[1]) + 0.1 * cls


# ---------------------------------------------------------------------------------- data

def read(words, key):
    """Counts of each modality, dense [n, F] float32, and the labels of the cells."""
    parts, labels = {}, None
    for word in words:
        name, path = word.split("=", 1)
        data = anndata.read_h5ad(path)
        x = data.X.toarray() if hasattr(data.X, "toarray") else numpy.asarray(data.X)
        parts[name] = torch.from_numpy(x.astype(numpy.float32, copy=False))
        labels = data.obs[key].astype(str).to_numpy()
    return parts, labels


def normalise(x):
    """z-scores of each cell of log2(1 + x / (s / mean s)), s the cell's sum."""
    s = x.sum(1, keepdim=True)
    y = torch.log2(x / (s / s.mean()) + 1)
    return (y - y.mean(1, keepdim=True)) / y.std(1, keepdim=True)


class Cells(Dataset):
    def __init__(self, x, labels):
        self.x, self.labels = x, labels

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.labels[i]


class Indexed:
    """What a DataLoader gives, from one tensor."""

    def __init__(self, x, labels, size):
        self.x, self.labels, self.size = x, labels, size

    def __iter__(self):
        for rows in torch.randperm(len(self.x)).split(self.size):
            yield self.x[rows], self.labels[rows]


# ---------------------------------------------------------------------------------- training

def train(model, batches, n_epochs, rate, way):
    """Mean loss of each epoch."""
    adam = torch.optim.Adam(model.parameters(), lr=rate, foreach=way == "tensor")
    losses = []
    model.train()
    for _ in range(n_epochs):
        total, n = 0.0, 0
        for x, labels in batches:
            if len(x) < 2:  # batch norm cannot take one cell
                continue
            loss = loss_of(model(x), x, labels)
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            total += loss.item() * len(x)
            n += len(x)
        losses.append(total / n)
    return losses


def simulate(model, x, n):
    """n reconstructions of the cells x, each from a fresh sample, within the range of x."""
    with torch.no_grad():
        passes = [model(x)[0] for _ in range(n // len(x))]
        if n % len(x):
            passes.append(model(x)[0][torch.randperm(len(x))[:n % len(x)]])
    return torch.nan_to_num(torch.cat(passes), nan=float(x.max())).clamp(float(x.min()), float(x.max()))


def balance(model, x, labels, n_classes):
    """Each class has as many cells as the median one: larger ones are thinned, smaller ones replaced by
    simulations; classes that tie with the median one are dropped but the first."""
    counts = torch.bincount(labels, minlength=n_classes)
    median = int(counts.sort().values[(n_classes - 1) // 2])
    anchor = int((counts == median).nonzero()[0])
    xs, ls = [], []
    model.eval()
    for c in range(n_classes):
        mine = x[labels == c]
        if len(mine) == median and c != anchor:
            continue
        if len(mine) > median:
            mine = mine[torch.randperm(len(mine))[:median]]
        elif len(mine) < median:
            mine = simulate(model, mine, median)
        xs.append(mine)
        ls.append(torch.full((median,), c))
    return torch.cat(xs), torch.cat(ls)


def feed(x, labels, size, way):
    if way == "tensor":
        return Indexed(x, labels, size)
    return DataLoader(Cells(x, labels), batch_size=size, shuffle=True)


def fit(wanted):
    seconds, mark = {"start": time.time() - STARTED}, time.time()

    def lap(name):
        nonlocal mark
        seconds[name] = time.time() - mark
        mark = time.time()

    torch.set_num_threads(wanted.threads)
    if wanted.way == "tensor":
        torch.set_flush_denormal(True)
    random.seed(wanted.seed)
    numpy.random.seed(wanted.seed)
    torch.manual_seed(wanted.seed)
    parts, names = read(wanted.files, wanted.label)
    classes, codes = numpy.unique(names, return_inverse=True)
    lap("read")
    x, labels = torch.cat([normalise(p) for p in parts.values()], dim=1), torch.from_numpy(codes)
    widths = {name: p.shape[1] for name, p in parts.items()}
    del parts
    model = Matilda(widths, len(classes))
    lap("prepare")
    losses = train(model, feed(x, labels, wanted.batch_size, wanted.way), wanted.epochs, RATE, wanted.way)
    lap("stage1")
    half = max(1, wanted.epochs // 2)
    even = feed(*balance(model, x, labels, len(classes)), wanted.batch_size, wanted.way)
    lap("balance")
    losses += train(model, even, half, RATE, wanted.way)
    losses += train(model, even, half, RATE / 10, wanted.way)
    lap("stage2")
    torch.save({"widths": widths, "classes": list(classes), "values": model.state_dict()}, wanted.save)
    lap("save")
    return {"torch": torch.__version__, "seconds": seconds, "stage1_loss": losses[wanted.epochs - 1],
            "last_loss": losses[-1], "losses": losses}


def judge(wanted):
    kept = torch.load(wanted.model)
    parts, names = read(wanted.files, wanted.label)
    model = Matilda(kept["widths"], len(kept["classes"]))
    model.load_state_dict(kept["values"])
    model.eval()
    with torch.no_grad():
        logits = model(torch.cat([normalise(parts[name]) for name in kept["widths"]], dim=1))[1]
    said = numpy.array(kept["classes"])[logits.argmax(1).numpy()]
    return {"accuracy": float((said == names).mean())}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["fit", "judge"])
    parser.add_argument("files", nargs="+", metavar="NAME=FILE.h5ad")
    parser.add_argument("--label", required=True)
    parser.add_argument("--save")
    parser.add_argument("--model")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", choices=["loader", "tensor"], default="loader")
    wanted = parser.parse_args()
    print(json.dumps(fit(wanted) if wanted.verb == "fit" else judge(wanted)))


if __name__ == "__main__":
    main()
