#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# DIR with column_2C_weka.csv and column_3C_weka.csv -> data/vertebral_column.h5 (2 classes), data/vertebral_column_3.h5 (3 classes).
from=$([ $# -gt 0 ] && cd "$1" && pwd) || [ $# -eq 0 ] || exit 2
where="column_2C_weka.csv and column_3C_weka.csv, from https://github.com/tarekhemdan/orthopedic (UCI Vertebral Column, CC BY 4.0)"
cd "$(dirname "$0")"
. ../recipe.sh.inc
hashes manifest.sha256 "$from"
cp "$from/column_2C_weka.csv" "$from/column_3C_weka.csv" import2.cfg import3.cfg "$data"
"$dorsum" import csv "$data/import2.cfg" -o "$data/vertebral_column.h5" --force
"$dorsum" import csv "$data/import3.cfg" -o "$data/vertebral_column_3.h5" --force
