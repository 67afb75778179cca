#!/bin/sh
# Runs make demo and make check, as committed, on a fresh Debian 13 with git and make: a root made by
# debootstrap, in mount and process namespaces of its own, so that nothing mounted or started there
# outlives it. Needs root.
#
#   tests/debian13.sh [FOLDER [COMMAND]]
#
# The root is a temporary folder, or FOLDER, which is kept and used again. COMMAND is run by its
# shell in the clone instead of the two.
#
#   SUITE=            trixie; sid; or trixie-backports: QEMU and libvirt from there
#   DEBIAN_MIRROR=    where packages come from; without it, the mirror of this system's apt
set -eu
cd "$(dirname "$0")/.."
SUITE=${SUITE:-trixie}
PATH=$PATH:/usr/sbin:/sbin

[ "$(id -u)" = 0 ] || { echo "skipped: debian13.sh needs root" >&2; exit 77; }
command -v debootstrap >/dev/null || { echo "skipped: debian13.sh needs debootstrap" >&2; exit 77; }
if [ -z "${DEBIAN_MIRROR:-}" ]; then
	DEBIAN_MIRROR=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' \
		'Label: Debian' 2>/dev/null | head -n 1)
	DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
fi
if [ -z "${http_proxy:-}" ]; then
	eval "$(apt-config shell http_proxy Acquire::http::Proxy 2>/dev/null || true)"
fi
export http_proxy="${http_proxy:-}"

running=
clean_up()
{
	[ -z "$running" ] || kill -9 "$running" 2>/dev/null || true
	wait
	[ -n "$kept" ] || rm -rf --one-file-system "$root"
}
kept=${1:-}
if [ -n "$kept" ]; then
	mkdir -p "$kept"
	root=$(cd "$kept" && pwd)
else
	root=$(mktemp -d "${TMPDIR:-/var/tmp}/debian13.XXXXXX")
	chmod 755 "$root" # or no other user could run anything in it
fi
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

echo "debian13: $SUITE in $root" >&2
if [ ! -e "$root/complete" ]; then
	debootstrap --variant=minbase --include=git,make "${SUITE%-backports}" "$root" "$DEBIAN_MIRROR" >/dev/null || {
		tail "$root/debootstrap/debootstrap.log" >&2
		exit 1
	}
	# Installing a daemon does not start it.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	if [ "$SUITE" != "${SUITE%-backports}" ]; then
		echo "deb $DEBIAN_MIRROR $SUITE main" >"$root/etc/apt/sources.list.d/backports.list"
		printf 'Package: qemu* libvirt* seabios\nPin: release n=%s\nPin-Priority: 500\n' "$SUITE" \
			>"$root/etc/apt/preferences.d/backports"
	fi
	: >"$root/complete"
fi
rm -rf "$root/vmabak"
git clone -q --no-hardlinks . "$root/vmabak"

# pivot_root rather than chroot: the tests make user namespaces, which a chroot forbids, and look for mount points.
# shellcheck disable=SC2016 # variables of the inner shell
unshare --mount --pid --fork --kill-child env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb http_proxy="$http_proxy" sh -eu -c '
	mount --rbind "$1" "$1"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
	mount --rbind /sys "$1/sys"
	mount -t proc proc "$1/proc"
	cd "$1"
	pivot_root . mnt
	umount -l /mnt
	cd /vmabak
	exec sh -c "$2"' sh "$root" "${2:-make demo && make check}" </dev/null &
running=$!
wait $running
