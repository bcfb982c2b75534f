#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# DIR with lowbackpain.csv -> data/lbp_smart2011.h5
from=$([ $# -gt 0 ] && cd "$1" && pwd) || [ $# -eq 0 ] || exit 2
where="lowbackpain.csv and lowbackpain_index.csv: in R, load data/lowbackpain.rda of https://github.com/zettlchen/flexord
  and write the data frames with write.csv(..., row.names = FALSE)"
cd "$(dirname "$0")"
. ../recipe.sh.inc
hashes manifest.sha256 "$from"
cp "$from/lowbackpain.csv" import.cfg "$data"
"$dorsum" import csv "$data/import.cfg" -o "$data/lbp_smart2011.h5" --force
