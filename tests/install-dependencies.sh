#!/bin/sh
# Installs what is missing, by the names of this system's packages. The only place that knows them.
#
#   tests/install-dependencies.sh [--build | --demo] [--print]
#
# What a build takes, with --demo also what the demo shows, otherwise also what the tests use. No kernel: that of the
# tests' guests is taken out of its package by tests/live/guest/kernel.sh. --print only prints what is missing. As root,
# or with sudo.
set -eu

purpose=tests print=false
for option; do
	case $option in
	--build) purpose=build ;;
	--demo) purpose=demo ;;
	--print) print=true ;;
	*) echo "install-dependencies: no option $option" >&2; exit 2 ;;
	esac
done

if command -v apt-get >/dev/null; then
	system=apt
	build='gcc make pkg-config libc6-dev libzstd-dev libxxhash-dev libarchive-dev libssl-dev
		zlib1g-dev libjansson-dev libcurl4-openssl-dev libnbd-dev libgnutls28-dev libvirt-dev
		libxml2-dev libfuse3-dev'
	demo='qemu-utils e2fsprogs'
	tests='libcunit1-dev gddrescue xfsprogs btrfs-progs dosfstools mtools grub-common zstd gzip lzop xz-utils bzip2 python3 python3-zstandard
		python3-xxhash strace mandoc bash-completion util-linux acl mbuffer procps iproute2 file systemd
		jq rclone fuse3 nbdkit nbdfuse libnbd-bin python3-libnbd fio gnutls-bin
		qemu-system-common qemu-system-x86 seabios ovmf busybox-static cpio kmod dmsetup thin-provisioning-tools
		libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients libxml2-utils swtpm swtpm-tools'
	# Newer releases have these in packages of their own.
	for driver in libvirt-daemon-driver-secret libvirt-daemon-driver-storage; do
		! apt-cache pkgnames $driver 2>/dev/null | grep -qx $driver || tests="$tests $driver"
	done
elif command -v dnf >/dev/null; then
	system=dnf
	build='gcc make pkgconf-pkg-config glibc-devel libzstd-devel xxhash-devel libarchive-devel
		openssl-devel zlib-devel jansson-devel libcurl-devel libnbd-devel gnutls-devel
		libvirt-devel libxml2-devel fuse3-devel'
	demo='qemu-img e2fsprogs'
	tests='CUnit-devel xfsprogs zstd gzip lzop xz bzip2 python3 python3-zstandard
		python3-xxhash strace mandoc bash-completion util-linux acl iproute libasan libubsan libtsan'
elif command -v apk >/dev/null; then
	system=apk
	build='gcc make pkgconf musl-dev zstd-dev xxhash-dev libarchive-dev openssl-dev zlib-dev
		jansson-dev curl-dev libnbd-dev gnutls-dev libvirt-dev libxml2-dev fuse3-dev linux-headers'
	demo='qemu-img e2fsprogs'
	tests='cunit-dev xfsprogs zstd gzip lzop xz bzip2 python3 py3-zstandard py3-xxhash
		strace mandoc bash-completion util-linux acl iproute2 bash coreutils diffutils'
else
	echo "install-dependencies: no apt-get, dnf or apk here; install by hand what README.md lists" >&2
	exit 1
fi

installed()
{
	case $system in
	apt) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' ;;
	dnf) rpm -q --whatprovides "$1" >/dev/null 2>&1 ;;
	apk) apk info -e "$1" >/dev/null 2>&1 ;;
	esac
}

case $purpose in
build) wanted=$build ;;
demo) wanted="$build $demo" ;;
tests) wanted="$build $demo $tests" ;;
esac
missing=
for package in $wanted; do
	installed "$package" || missing="$missing $package"
done
if $print; then
	# shellcheck disable=SC2086 # a list of words
	printf '%s\n' $missing
	exit 0
fi
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "install-dependencies: missing:$missing (not root, and no sudo)" >&2
		exit 1
	}
	as_root=sudo
fi
echo "installing:$missing" >&2
# shellcheck disable=SC2086
case $system in
apt)
	$as_root apt-get -qq update
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing
	;;
dnf) $as_root dnf -q -y install $missing ;;
apk) $as_root apk -q add $missing ;;
esac >&2
