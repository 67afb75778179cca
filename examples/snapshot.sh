#!/bin/sh
# Backs up an image while the machine runs: the image is frozen, and an overlay takes its writes.
#
#   snapshot.sh begin IMAGE             the machine is off. Makes IMAGE.overlay.qcow2; start it on that
#   snapshot.sh backup IMAGE ARCHIVE    the machine may run
#   snapshot.sh end IMAGE               the machine is off. Commits its writes to IMAGE; start it on that
#
# IMAGE is raw or, if its name ends so, qcow2. The archive shows the moment of "begin", when the
# machine was off: there is no half-written file in it.
set -eu
usage="usage: snapshot.sh begin IMAGE | backup IMAGE ARCHIVE | end IMAGE"
action=${1:?$usage} image=${2:?$usage}
overlay=$image.overlay.qcow2
case $image in
*.qcow2) format=qcow2 ;;
*) format=raw ;;
esac

case $action in
begin)
	[ ! -e "$overlay" ] || { echo "snapshot.sh: $overlay exists already" >&2; exit 1; }
	# The overlay is as secret as the image, and for the same user.
	(umask 077 && qemu-img create -q -f qcow2 -b "$(realpath "$image")" -F $format "$overlay")
	[ "$(id -u)" != 0 ] || chown --reference="$image" "$overlay"
	chmod --reference="$image" "$overlay"
	echo "$overlay"
	;;
backup)
	[ -e "$overlay" ] || { echo "snapshot.sh: no $overlay: nothing is frozen" >&2; exit 1; }
	vmabak backup -o "${3:?$usage}" "root=$image,format=$format"
	;;
end)
	# qemu-img sees the locks of a running QEMU and refuses.
	qemu-img commit -q -f qcow2 "$overlay"
	rm "$overlay"
	;;
*)
	echo "$usage" >&2
	exit 2
	;;
esac
