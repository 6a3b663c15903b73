#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# demo.sh SCWEAVE FOLDER: the main job from end to end on simulated cells. The commands are the ones
# to use on your own files.
set -eu

scweave=$(realpath "$1")
mkdir -p "$2"
cd "$2"

step() {
    printf '\n$ scweave %s\n' "$*"
    "$scweave" "$@"
}

# Two sets of other cells of the same types: one to learn from, one to annotate.
step example reference.h5mu --cells 3000 --seed 1
step example query.h5mu --cells 1500 --seed 2
step inspect reference.h5mu
step fit matilda reference.h5mu --label cell_type -o model.safetensors
step annotate -m model.safetensors query.h5mu --embed -o annotated.h5mu
step evaluate annotated.h5mu --label cell_type --prediction matilda_label --embedding X_matilda
step umap annotated.h5mu --use X_matilda -o annotated.h5mu
step plot umap annotated.h5mu --color cell_type -o cells.png
step report . -o report.html

printf '\nAll files are in %s: cells.png and report.html to look at, and the annotated copy, which\n' "$2"
printf 'opens in muon, scanpy and Seurat readers.\n'
