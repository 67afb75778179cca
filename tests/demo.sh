#!/bin/sh
# Backs up real drives, restores them, compares, breaks an archive, and tells what happens.
#
#   tests/demo.sh VMABAK
#
# Exits with 1 as soon as something is not as it should be. Needs no root, at most 3 GiB in
# $TMPDIR (default: /tmp or /var/tmp, whichever has more room), and less than two minutes.
set -eu
PATH=$PATH:/usr/sbin:/sbin
program=$(realpath "${1:?usage: tests/demo.sh VMABAK}")
LC_ALL=C
export LC_ALL

room_kib()
{
	df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'
}

place=${TMPDIR:-/tmp}
[ -n "${TMPDIR:-}" ] || [ "$(room_kib /tmp)" -ge "$(room_kib /var/tmp || echo 0)" ] || place=/var/tmp
work=$(mktemp -d "$place/vmabak-demo.XXXXXX")
huge=
clean_up()
{
	rm -rf "$work" ${huge:+"$huge"}
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
mkdir "$work/bin"
ln -s "$program" "$work/bin/vmabak"
PATH=$work/bin:$PATH
cd "$work"

say()
{
	printf '\n# %s\n' "$*"
}

broken()
{
	printf '\ndemo: %s\n' "$*" >&2
	exit 1
}

# Shows a command line, then runs it.
show()
{
	printf '$ %s\n' "$1"
	sh -c "$1" 2>&1 || broken "failed with $?: $1"
}

# The same for one that must fail with a code.
show_failing()
{
	code=0
	printf '$ %s\n' "$2"
	sh -c "$2" 2>&1 || code=$?
	echo "(exit code $code)"
	[ "$code" = "$1" ] || broken "exit code $code, not $1: $2"
}

# The folders of the system that fill a file system of some hundred MiB.
choose_content()
{
	limit=$(($(room_kib .) / 12)) used=0
	[ $limit -lt 300000 ] || limit=300000
	mkdir content
	for folder in /usr/include /usr/share/doc /usr/share/perl /usr/lib/gcc /usr/share/locale /usr/share/man; do
		[ -d "$folder" ] || continue
		size=$(du -sk "$folder" 2>/dev/null | cut -f 1)
		[ $((used + size)) -le $limit ] || continue
		cp -r "$folder" content/ 2>/dev/null || true
		used=$((used + size))
	done
	[ $used -gt 0 ] || broken "no room in $work"
	size_mib=$((used * 3 / 1024 + 256))
}

say "Two drives of a machine that is off: an ext4 file system with files of this system on a raw" \
	"image, and a qcow2 image of the same; and its configuration."
choose_content
show "mkfs.ext4 -q -F -i 8192 -d content web.raw ${size_mib}M"
rm -rf content
show "qemu-img convert -O qcow2 web.raw data.qcow2"
cat >web.conf <<'END'
name: web
cores: 2
memory: 2048
END
show "ls -lsh web.raw data.qcow2 web.conf"

say "Back them up: into the archive format of this program, and into the one of Proxmox VE."
show "vmabak backup -o web.vmab -c web.conf root=web.raw data=data.qcow2"
show "vmabak backup -o web.vma.zst -c web.conf root=web.raw data=data.qcow2"
show "ls -lh web.vmab web.vma.zst"

say "What is in there, and is it whole?"
show "vmabak list web.vmab"
show "vmabak verify web.vmab web.vma.zst"
show "vmabak verify --quick web.vmab"

say "Restore, from a file and from a pipe. The drives must be as they were, bit by bit."
show "vmabak restore web.vmab -C from-file"
show "cat web.vma.zst | vmabak restore - -C from-pipe"
for folder in from-file from-pipe; do
	show "cmp web.raw $folder/root.raw && cmp web.raw $folder/data.raw && cmp web.conf $folder/web.conf && echo the same"
done
show "e2fsck -fn from-pipe/root.raw"
say "Holes stay holes: the columns are what the file takes, and how large it is."
show "ls -lsh from-file"
rm -rf from-file from-pipe

say "Without any file in between: backup, converted, verified, all in pipes."
show "vmabak backup -q -o - root=web.raw | vmabak convert -q - -o - --format vma | gzip -1 | vmabak verify -"

say "One byte of a copy is changed: a flipped bit on a disk."
middle=$(($(wc -c <web.vmab) / 2))
show "cp web.vmab bad.vmab"
byte=$(od -An -tu1 -j "$middle" -N 1 web.vmab)
# shellcheck disable=SC2059 # the format is the byte
printf "\\$(printf %o $((byte ^ 1)))" | dd of=bad.vmab bs=1 seek="$middle" conv=notrunc 2>/dev/null
show "cmp web.vmab bad.vmab || true"
show_failing 4 "vmabak verify bad.vmab"
show_failing 4 "vmabak restore bad.vmab -C from-bad"
[ ! -e from-bad ] || broken "a restore of a damaged archive left something"

say "And one that was cut short, as by an upload that broke off."
show "head -c $middle web.vmab >cut.vmab"
show_failing 4 "vmabak list cut.vmab"

say "A drive of 64 TiB that is nearly empty, which only some file systems can hold."
for tmpfs in /dev/shm /run/shm /tmp; do
	[ -n "$huge" ] || [ ! -w $tmpfs ] || huge=$(mktemp -d "$tmpfs/vmabak-demo.XXXXXX" 2>/dev/null) || huge=
	[ -z "$huge" ] || truncate -s 64T "$huge/big.raw" 2>/dev/null || { rm -rf "$huge"; huge=; }
done
if [ -n "$huge" ]; then
	echo hello | dd of="$huge/big.raw" bs=1 seek=70000000000000 conv=notrunc 2>/dev/null
	show "vmabak backup -o big.vmab big=$huge/big.raw"
	show "vmabak verify big.vmab"
	show "vmabak restore big.vmab -C $huge/restored"
	show "ls -lsh big.vmab $huge/big.raw $huge/restored/big.raw"
	found=$(dd if="$huge/restored/big.raw" bs=1 skip=70000000000000 count=5 2>/dev/null)
	[ "$found" = hello ] || broken "the one word in 64 TiB was lost"
	echo "(the one word in it was found again)"
else
	echo "skipped: no tmpfs here that takes a file of that size"
fi

say "Done: two formats, files and pipes, raw and qcow2, all bit by bit as before; damage and a cut" \
	"were noticed, named by their place, and left nothing behind."
