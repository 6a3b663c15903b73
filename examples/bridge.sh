#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bridge.sh SCWEAVE FOLDER [quick]: cells with RNA only and cells with chromatin only in one atlas, tied
# together by a few that have both (docs/tutorial_bridge.md). quick: fewer cells, less training.
set -eu

scweave=$(realpath "$1")
mkdir -p "$2"
cd "$2"
if [ "${3:-}" = quick ]; then
    few='--cells 120 --narrow' some='--cells 150 --narrow' epochs='--epochs 2 --decoder-epochs 2'
else
    few='--cells 500' some='--cells 1000' epochs=
fi

step() {
    printf '\n$ scweave %s\n' "$*"
    "$scweave" "$@"
}

# The bridge, and two runs of other cells of which one half is kept. The lists of options are meant to
# become several words.
# shellcheck disable=SC2086
step example bridge.h5mu --seed 1 $few
# shellcheck disable=SC2086
step example second.h5mu --seed 2 $some
# shellcheck disable=SC2086
step example third.h5mu --seed 3 $some
step convert second.h5mu --modality rna -o rna.h5ad
step convert third.h5mu --modality atac -o atac.h5ad

# shellcheck disable=SC2086
step fit clue @bridge=bridge.h5mu rna@rna_run=rna.h5ad atac@atac_run=atac.h5ad --batch-column run \
    --modalities rna,atac -o clue.safetensors $epochs
step embed -m clue.safetensors @bridge=bridge.h5mu rna@rna_run=rna.h5ad atac@atac_run=atac.h5ad \
    --batch-column run -o atlas.h5mu
step umap atlas.h5mu --use X_clue -o atlas.h5mu
step plot umap atlas.h5mu --color run -o runs.png
step plot umap atlas.h5mu --color cell_type -o types.png
step evaluate atlas.h5mu --label cell_type --embedding X_clue --integration --batch-key run
step evaluate atlas.h5mu --label cell_type --embedding rna:X_clue --partner atac:X_clue --metric cosine
step match atlas.h5mu --use rna:X_clue --with atac:X_clue --engine mutual --pairs pairs.tsv
step translate -m clue.safetensors rna=rna.h5ad --from rna --to atac -o both.h5mu

printf '\nAll files are in %s: runs.png and types.png to look at, pairs.tsv, and the atlas.\n' "$2"
