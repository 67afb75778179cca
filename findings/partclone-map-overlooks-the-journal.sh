#!/bin/sh
# Commonly believed: the map of used blocks that partclone makes of a crash-consistent snapshot is right: the snapshot can be mounted,
# whatever its journal holds is replayed then, and a file that was synced is there. So what the map calls free need not be
# kept.
#
# True: the map is made from the allocation bitmaps as they lie on the disk, and partclone does not look whether a journal
# that was not replayed says otherwise. A file whose data is in its place, while its inode and the bits of its blocks are
# in the journal alone, which is how ext4 leaves every file for some seconds after fsync, is free space to it. It says
# nothing, with exit code 0, though the superblock's needs_recovery tells. Keep what the map calls used, and drop the rest:
# the file system passes e2fsck, the file is there after the replay with its right size, and holds zeros.
#
# Seen with partclone 0.3.23 (0.3.23+repack-1) and e2fsprogs 1.47.0-2+b2, a file of 1 MiB:
#     the snapshot, replayed: the file is right
#     the map: every block of the file is free
#     what the map calls used, replayed: e2fsck finds nothing wrong, the file is 1048576 zeros
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "partclone-map-overlooks-the-journal: $2" >&2
	exit "$1"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download partclone='0.3.23+repack-1' e2fsprogs='1.47.0-2+b2' libext2fs2='1.47.0-2+b2' libss2='1.47.0-2+b2' \
	libcom-err2='1.47.0-2+b2' libntfs-3g89='1:2022.10.3-1+deb12u4' 2>apt.log ||
	stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/sbin:$folder/root/usr/sbin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
LC_ALL=C
export PATH LD_LIBRARY_PATH LC_ALL

# checked IMAGE: replays the journal, and says what e2fsck says after it. Its 1 is "errors were corrected".
checked()
{
	e2fsck -fy "$1" >check.log 2>&1 || [ $? -eq 1 ] || stop 2 "e2fsck: $(cat check.log)"
	e2fsck -fn "$1" >check.log 2>&1 || stop 1 "e2fsck finds something wrong: $(cat check.log)"
}

truncate -s 32M live
mke2fs -q -F -t ext4 -b 4096 -O ^metadata_csum -J size=4 live 2>tool.log || stop 2 "mke2fs: $(cat tool.log)"
cp live later
yes needle | head -c 1M >file
debugfs -w -R "write file file" later >tool.log 2>&1 || stop 2 "debugfs: $(cat tool.log)"
extent=$(debugfs -R "stat file" later 2>/dev/null | sed -n '/EXTENTS/{n;s/.*://;p}')
first=${extent%-*}
[ "$extent" = "$first-$((first + 255))" ] || stop 2 "the file is not in one piece: $extent"

# The file's data goes to its place, what changed besides is a transaction in the journal.
blocks=$(cmp -l live later | awk -v first="$first" '{ b = int(($1 - 1) / 4096) }
	b != last || !n { if (b < first || b > first + 255) printf "%s%d", n++ ? "," : "", b; last = b }')
for block in $(echo "$blocks" | tr , ' '); do
	dd status=none if=later bs=4096 skip="$block" count=1 >>transaction
done
dd status=none if=later of=live bs=4096 skip="$first" seek="$first" count=256 conv=notrunc
printf 'jo\njw -b %s transaction\njc\n' "$blocks" | debugfs -w live >tool.log 2>&1 || stop 2 "debugfs: $(cat tool.log)"
dumpe2fs -h live 2>/dev/null | grep -q needs_recovery || stop 2 "the journal has nothing to replay"

cp live replayed
checked replayed
debugfs -R "cat file" replayed 2>/dev/null | cmp -s - file || stop 2 "the file is not there after the replay"
echo "the snapshot, replayed: the file is right"

partclone.ext4 -q -D -s live -o map >tool.log 2>&1 || stop 1 "partclone makes no map any more: $(cat tool.log)"
# used FROM LENGTH, in blocks
awk '$3 == "+" { print $1, $2 }' map | while read -r from length; do
	echo $((from / 4096)) $((length / 4096))
done >used
awk -v first="$first" '$1 < first + 256 && $1 + $2 > first { found = 1 } END { exit found }' used ||
	stop 1 "the map knows blocks of the file: $(cat map)"
echo "the map: every block of the file is free"

truncate -s 32M kept
while read -r from length; do
	dd status=none if=live of=kept bs=4096 skip="$from" seek="$from" count="$length" conv=notrunc
done <used
checked kept
debugfs -R "cat file" kept 2>/dev/null >found
head -c 1M /dev/zero | cmp -s - found || stop 1 "the file that was kept is not zeros"
echo "what the map calls used, replayed: e2fsck finds nothing wrong, the file is $(wc -c <found) zeros"
