#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# DIR with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz -> data/mnist_t10k.h5
from=$([ $# -gt 0 ] && cd "$1" && pwd) || [ $# -eq 0 ] || exit 2
where="t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, from https://github.com/kelas/mnist (MNIST, CC BY-SA 3.0)"
cd "$(dirname "$0")"
. ../recipe.sh.inc
hashes manifest.sha256 "$from"
"$dorsum" import idx "$from/t10k-images-idx3-ubyte.gz" -o "$data/mnist_t10k.h5" --force name=mnist_t10k "license=CC BY-SA 3.0" target=digit
