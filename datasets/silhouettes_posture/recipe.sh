#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# DIR -> data/silhouettes_posture.h5: images 1 to 300 of each of four classes, threshold 127, 64x64 by box average,
# with the groups of derived_groups.csv. DIR holds either png1/CLASS/N.png (that already, 1 bit) or the full set, CLASS/N.jpg.
from=$([ $# -gt 0 ] && cd "$1" && pwd) || [ $# -eq 0 ] || exit 2
where="bending, lying, sitting and standing with N.jpg in each: \"Silhouettes for human posture recognition\", A. Kumar and
  E. Deni Raj, IEEE DataPort, CC BY 4.0; also in Postures/ of https://github.com/tmunn88/CNN_Tensorflow_Human_Postures"
cd "$(dirname "$0")"
. ../recipe.sh.inc
if [ -d "$from/png1" ]; then
  hashes manifest.sha256 "$from"
  from=$from/png1
  suffix=png
else
  hashes manifest_jpeg.sha256 "$from"      # ten of each class are known byte for byte
  suffix=jpg
fi
awk -F, -v suffix="$suffix" 'NR == 1 { print "file,class,group"; next } { printf "%s/%s.%s,%s,%s\n", $1, $2, suffix, $1, $3 }' derived_groups.csv >"$data/manifest.csv"
"$dorsum" import silhouettes "$from" -o "$data/silhouettes_posture.h5" --force --size 64,64 name=silhouettes_posture "license=CC BY 4.0" \
  ids=keep target=posture threshold=127 person=black manifest="$data/manifest.csv"
