#!/bin/sh
# The kernel of the tests' guests: taken out of a Debian package, which is not installed.
#
#   tests/live/guest/kernel.sh [--fetch] [PACKAGE]     (linux-image-cloud-amd64)
#
# Prints the folder that holds its vmlinuz and modules/. Without --fetch only what an earlier call left in build/guest,
# or what this system itself boots, is used; exit code 1 and a reason on standard error when there is none.
set -eu
cd "$(dirname "$0")/../../.."
fetch=false
[ "${1:-}" != --fetch ] || { fetch=true && shift; }
package=${1:-linux-image-cloud-amd64}
kept=$PWD/build/guest/$package

none()
{
	echo "kernel.sh: $*" >&2
	exit 1
}

# The name of the package with the files; PACKAGE itself is empty and depends on it.
real_package()
{
	apt-cache depends --important "$package" 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

# Takes it apart in a folder of its own, so that a half of it is never found under the final name.
fetch_kernel()
{
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || none "only Debian's packages can be fetched"
	real=$(real_package)
	[ -n "$real" ] || none "apt knows no $package: run apt-get update"
	mkdir -p build/guest
	work=$(mktemp -d build/guest/.fetch.XXXXXX)
	trap 'rm -rf "$work"' EXIT
	# apt's own user may not write here; root fetches then, and apt says so.
	(cd "$work" && apt-get -qq download "$real" >log 2>&1) || none "no $real: $(tail -n 1 "$work/log")"
	dpkg-deb -x "$work"/*.deb "$work/files"
	mkdir "$work/kernel"
	mv "$work/files/boot"/vmlinuz-* "$work/kernel/vmlinuz"
	mv "$work/files"/lib/modules/* "$work/kernel/modules" 2>/dev/null ||
		mv "$work/files"/usr/lib/modules/* "$work/kernel/modules"
	chmod 755 "$work/kernel"
	rm -rf "$kept"
	mv "$work/kernel" "$kept"
}

# A kernel that this system has installed, as links to it.
own_kernel()
{
	for vmlinuz in /boot/vmlinuz-*-cloud-amd64 /boot/vmlinuz-*-amd64; do
		modules=/lib/modules/${vmlinuz#/boot/vmlinuz-}
		[ -r "$vmlinuz" ] && [ -d "$modules" ] || continue
		mkdir -p "$kept"
		ln -sfn "$vmlinuz" "$kept/vmlinuz"
		ln -sfn "$modules" "$kept/modules"
		return
	done
	none "no kernel for a guest in build/guest: tests/live/guest/kernel.sh --fetch"
}

usable()
{
	[ -r "$kept/vmlinuz" ] && [ -d "$kept/modules/kernel" ]
}

usable || if $fetch; then fetch_kernel; else own_kernel; fi
usable || none "$kept holds no kernel"
echo "$kept"
