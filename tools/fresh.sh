#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The fresh-machine test: the two README commands in a new Debian or Ubuntu that has nothing but
# what tools/deps.sh installs.   sudo tools/fresh.sh bookworm|trixie|jammy|noble [verb ...]
# Needs root and debootstrap; the base system is kept under $FRESH (default /var/tmp/dorsum-fresh) and copied for each run.
set -eu
suite=${1:?usage: tools/fresh.sh bookworm|trixie|jammy|noble [verb ...]}
shift
[ $# -gt 0 ] || set -- test demo
top=$(cd "$(dirname "$0")/.." && pwd)
fresh=${FRESH:-/var/tmp/dorsum-fresh}
base=$fresh/$suite root=$fresh/$suite.run
mkdir -p "$fresh"
case $suite in
  jammy | noble) from="--components=main,universe $suite $base http://archive.ubuntu.com/ubuntu /usr/share/debootstrap/scripts/gutsy" ;;
  *) from="$suite $base http://deb.debian.org/debian" ;;
esac
# shellcheck disable=SC2086
[ -d "$base/etc" ] || debootstrap --variant=minbase $from

mountpoint -q "$root/proc" 2>/dev/null && umount "$root/proc"
rm -rf "$root"
cp -a "$base" "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
git clone -q "$top" "$root/root/dorsum"
if [ -d "$top/../shared/data" ]; then
  mkdir -p "$root/root/shared"
  cp -a "$top/../shared/data" "$root/root/shared/data"
fi
chroot "$root" sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends make >/dev/null'
for verb in "$@"; do
  echo "== $suite: make $verb"
  began=$(date +%s)
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -c "cd /root/dorsum && make $verb"
  echo "== $suite: make $verb took $(($(date +%s) - began)) s"
done
