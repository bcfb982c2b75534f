#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The archive of `make bundle` is whole: a program over all of its libraries builds with nothing else and runs.
. tests/e2e/lib.sh.inc

grep -qs 'VERSION_ID="12"' /etc/os-release || { echo "SKIP bundle: it is packed on Debian 12, 1 test not run"; exit 0; }
expect 0 tools/bundle.sh "$tmp/bundle.tar.gz"
says "libraries"
tar -xzf "$tmp/bundle.tar.gz" -C "$tmp"
cat >"$tmp/all.c" <<'C'
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <hdf5.h>
#include <jansson.h>
#include <jpeglib.h>
#include <libconfig.h>
#include <png.h>
#include <sodium.h>
#include <zlib.h>
int main(void)
{
  unsigned major, minor, patch;
  config_t c;
  struct jpeg_error_mgr e;
  config_init(&c);
  if (H5open() < 0 || H5get_libversion(&major, &minor, &patch) < 0 || sodium_init() < 0 || !jpeg_std_error(&e) || !cmocka_set_test_filter) return 1;
  printf("HDF5 %u.%u.%u, zlib %s, png %s, jansson %s\n", major, minor, patch, zlibVersion(), png_get_libpng_ver(NULL), jansson_version_str());
  return 0;
}
C
cat >"$tmp/makefile" <<'M'
include Makefile
$(OUT): ; gcc -nostdinc $(foreach d,$(shell gcc -print-file-name=include) /usr/include/$(shell gcc -print-multiarch),-isystem $(d)) -isystem $(BUNDLE)/include \
  -idirafter $(LIBC) $(OUT).c $(LIBS) $(CMOCKA) -o $@
M
mkdir "$tmp/libc" # of /usr/include the C library alone, so that no header of a package is found there
for f in assert ctype errno features features-time64 fcntl inttypes limits locale math memory pthread sched setjmp signal stdc-predef stdint stdio stdlib string strings time unistd \
  endian alloca; do [ -e "/usr/include/$f.h" ] && ln -s "/usr/include/$f.h" "$tmp/libc/"; done
for d in asm asm-generic bits linux sys gnu; do [ -e "/usr/include/$d" ] && ln -s "/usr/include/$d" "$tmp/libc/"; done
expect 0 make --no-print-directory -s -f "$tmp/makefile" BUNDLE="$tmp/bundle" LIBC="$tmp/libc" OUT="$tmp/all" "$tmp/all"
expect 0 "$tmp/all"
says "HDF5"
echo "bundle: ok"
