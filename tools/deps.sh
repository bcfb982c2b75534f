#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian or Ubuntu packages that dorsum is built with, and those named as
# arguments: the missing ones and no others, with sudo where it is needed. All there: silent and instant.
set -eu
packages="gcc make pkg-config libdnnl-dev libhdf5-dev libconfig-dev libjansson-dev libcmocka-dev libsodium-dev libjpeg-dev libpng-dev gnuplot-nox fonts-dejavu-core $*"

command -v dpkg-query >/dev/null 2>&1 || {
  echo "deps: this is no Debian or Ubuntu; needed are, by their names there: $packages" >&2
  exit 0
}
# A package counts as there when it is installed, or another one provides it (libjpeg-dev, pkg-config).
# shellcheck disable=SC2016
there=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}, ${Provides}\n' 2>/dev/null | sed -n 's/^ii //p' | tr ',' '\n' | sed 's/^ *//; s/[ (:].*//' | sort -u)
missing=
for p in $packages; do
  printf '%s\n' "$there" | grep -qxF "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null 2>&1 || { echo "deps: missing:$missing. Ask an administrator: apt-get install$missing" >&2; exit 1; }
  as_root=sudo
fi
echo "deps: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 || { cat "$log" >&2; echo "deps: failed: $*" >&2; exit 1; }
}
run apt-get update -qq
# shellcheck disable=SC2086
run apt-get install -y -qq --no-install-recommends $missing
echo "deps: done"
