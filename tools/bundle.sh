#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make bundle`: the libraries that dorsum is built with, static and with their headers, from this Debian or Ubuntu into one archive, for a machine that has
# a compiler and CUDA but no package manager and no network:
#   tar -xzf dorsum-bundle.tar.gz -C build      there, in the tree; `make` takes build/bundle where the system has no such libraries
# That machine's glibc has to be as new as this one's (Debian 12's: 2.36; Ubuntu 24.04 has 2.39), its processor x86-64. oneDNN is left out.
set -eu
cd "$(dirname "$0")/.."
out=${1:-build/dorsum-bundle.tar.gz}
to=build/bundle.new/bundle
rm -rf build/bundle.new
mkdir -p "$to/include" "$to/lib" "$to/bin"
trap 'rm -rf build/bundle.new' EXIT

libraries=$(gcc -print-file-name=libz.a) && libraries=${libraries%/*}
cp "$libraries"/hdf5/serial/libhdf5.a "$to/lib/"
for l in sz aec config jansson sodium png jpeg z; do cp -L "$libraries/lib$l.a" "$to/lib/"; done
cp -L "$libraries/libcmocka.so" "$to/lib/libcmocka.so.0" # Debian has it shared alone

# Headers: those that ours include, and what these include in turn.
includes=$(pkg-config --cflags hdf5 jansson libsodium libpng libjpeg zlib)
names=$(grep -rhoE '#include <(hdf5|jansson|libconfig|sodium|png|jpeglib|jerror|zlib|cmocka)\.h>' src kernels tests tools | sort -u)
# shellcheck disable=SC2086
printf '#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <setjmp.h>\n%s\n' "$names" |
  gcc $includes -M -x c - | tr ' \\' '\n\n' | grep -E '/(hdf5/|H5[A-Z]*|jansson|libconfig|sodium|png|pnglibconf|libpng16/|j[a-z]*lib|jconfig|jmorecfg|jerror|zlib|zconf|cmocka)' |
  while read -r header; do
    case $header in
      */sodium/*) name=sodium/${header##*/} ;;
      *) name=${header##*/} ;;
    esac
    mkdir -p "$to/include/$(dirname "$name")"
    cp -L "$header" "$to/include/$name"
  done
make=$(command -v make) && cp -L "$make" "$to/bin/make" # 250 KB, and bare machines may have none

{
  echo "For dorsum. Built on $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release), glibc $(getconf GNU_LIBC_VERSION | sed 's/.* //'), from the packages:"
  dpkg-query -W -f='${Package} ${Version}\n' libhdf5-dev libaec-dev libconfig-dev libjansson-dev libsodium-dev libpng-dev zlib1g-dev libcmocka-dev make
} >"$to/README"
for p in libhdf5-dev libaec-dev libconfig-dev libjansson-dev libsodium-dev libpng-dev libjpeg62-turbo-dev zlib1g-dev libcmocka-dev make; do
  [ -e "/usr/share/doc/$p/copyright" ] && { echo "== $p"; cat "/usr/share/doc/$p/copyright"; }
done >"$to/LICENSES" || true

mkdir -p "$(dirname "$out")"
tar -C build/bundle.new --owner=0 --group=0 --sort=name --mtime=@0 -cf - bundle | gzip -9n >"$out"
bytes=$(wc -c <"$out")
echo "bundle: $out, $((bytes / 1024)) KiB, $(find "$to/lib" -type f | wc -l) libraries, $(find "$to/include" -type f | wc -l) headers"
[ "$bytes" -lt $((30 * 1024 * 1024)) ] || { echo "bundle: more than 30 MiB" >&2; exit 1; }
