#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# demo.sh SCWEAVE FOLDER: the main job from end to end on simulated cells. The commands are the ones
# to use on your own files.
set -eu

scweave=$1 folder=$2
mkdir -p "$folder"

step() {
    printf '\n$ scweave %s\n' "$*"
    "$scweave" "$@"
}

# Two sets of the same types of cells: one to learn from, one to annotate.
step example "$folder/reference.h5mu" --cells 4000 --seed 1
step example "$folder/query.h5mu" --cells 2000 --seed 2
step inspect "$folder/reference.h5mu"
step fit matilda "$folder/reference.h5mu" --label cell_type -o "$folder/model.safetensors"
step annotate -m "$folder/model.safetensors" "$folder/query.h5mu" --embed -o "$folder/annotated.h5mu"
step evaluate "$folder/annotated.h5mu" --label cell_type --prediction matilda_label \
    --embedding X_matilda

printf '\nThe annotated copy is %s/annotated.h5mu; muon, scanpy and Seurat readers open it.\n' "$folder"
