# vmabak ls and get: partitions, folders and files of a drive, and names that would lead elsewhere.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
need grub-fstest debugfs mkfs.ext4

mkdir -p tree/etc/sub out
echo hello >tree/etc/hostname
seq 1 200000 >tree/etc/numbers
{ cat tree/etc/numbers && head -c 3000000 /dev/zero; } >tree/etc/zeros
: >tree/etc/empty
: >tree/etc/.hidden
: >"tree/etc/$(printf 'esc\033[2Jape')"
ln -s /etc/hostname tree/link
ln -s '(host)/etc/passwd' tree/etc/host
ln -s ../../../../../../../etc/passwd tree/etc/up
truncate -s 16M root.raw
mkfs.ext4 -q -F -L 'name' -d tree root.raw
# A disk with a partition table, of one partition.
{
	head -c 446 /dev/zero
	printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\200\0\0'
	head -c 48 /dev/zero
	printf '\125\252'
} >disk.raw
truncate -s 1M disk.raw
cat root.raw >>disk.raw
TMPDIR=$PWD/scratch
export TMPDIR
mkdir scratch
expect_code 0 "$VMABAK" backup -o a.vmab root=root.raw disk=disk.raw
put disk.raw 10 changed
expect_code 0 "$VMABAK" backup -o b.vmab --parent a.vmab root=root.raw disk=disk.raw

# What is on a drive.
expect_code 0 "$VMABAK" ls a.vmab root
expect_text "$out" 'root  Filesystem type ext' "Label \`name'"
expect_code 0 "$VMABAK" ls b.vmab disk
expect_text "$out" 'disk  No known filesystem' 'disk:msdos1  Filesystem type ext'
[ "$(wc -l <"$out")" = 2 ] || fail "not two lines: $(cat "$out")"
expect_no_text "$out" host proc
expect_code 0 "$VMABAK" ls a.vmab root:/etc
expect_text "$out" ' hostname' ' numbers' ' sub/' ' .hidden' '1288895 ' 'esc\x1b[2Jape'
expect_code 0 "$VMABAK" ls b.vmab disk:msdos1
expect_text "$out" ' etc/' ' link'
expect_error 1 "file \`/none' not found" "$VMABAK" ls a.vmab root:/none
expect_error 1 'unknown filesystem' "$VMABAK" ls a.vmab disk:/
# grub-fstest 2.06 lists no files, 2.12 does.
for file in numbers empty; do
	code=0
	"$VMABAK" ls a.vmab root:/etc/$file >"$out" 2>"$err" || code=$?
	case $code in
	0) expect_text "$out" $file ;;
	2) expect_text "$err" 'is a file, no folder' ;;
	*) fail "exit code $code: $(cat "$err")" ;;
	esac
done

# One file.
expect_code 0 "$VMABAK" get a.vmab root:/etc/numbers -C out
expect_text "$err" 'out/numbers: 1.2 MiB, read by debugfs; '
same_file tree/etc/numbers out/numbers
expect_code 0 "$VMABAK" get -q b.vmab disk:msdos1:/etc/zeros -o out/zeros
[ ! -s "$err" ] || fail "says with -q: $(cat "$err")"
same_file tree/etc/zeros out/zeros
[ "$(allocated out/zeros)" -lt 3000 ] || fail "no hole for zeros"
expect_code 0 "$VMABAK" get a.vmab root:/etc/empty -C out
[ -f out/empty ] && [ ! -s out/empty ] || fail "not an empty file"
expect_code 0 "$VMABAK" get a.vmab root:/link -o -
same_file tree/etc/hostname "$out"
# Where standard output stands, as all that writes to it.
for place in root:/etc/hostname root:/link; do
	{ echo before && "$VMABAK" get a.vmab $place -o - && echo after; } >log
	[ "$(cat log)" = "$(printf 'before\nhello\nafter')" ] || fail "in between: $(cat log)"
	"$VMABAK" get a.vmab $place -o - >>log
	[ "$(cat log)" = "$(printf 'before\nhello\nafter\nhello')" ] || fail "after the rest: $(cat log)"
done
"$VMABAK" get a.vmab root:/etc/zeros -o - >log
same_file tree/etc/zeros log
expect_code 0 "$VMABAK" get a.vmab root:/link -C out
expect_text "$err" 'out/link: 6 B, read by grub-fstest; owner, mode and times are not kept'
rm out/link
expect_error 2 'out/numbers: exists already; --force replaces it' "$VMABAK" get a.vmab root:/etc/numbers -C out
expect_code 0 "$VMABAK" get --force a.vmab root:/etc/hostname -o out/numbers
same_file tree/etc/hostname out/numbers
rm out/*

# Never a file of this host.
for place in 'root:/etc/host' root:/etc/up 'root:/(host)/etc/passwd' root:host:/etc/passwd root:/../../../etc/passwd; do
	expect_error 1 'grub-fstest: ' "$VMABAK" get a.vmab "$place" -o out/x
done
for place in 'root:(host)/etc/passwd' 'root:(host):/etc/passwd' 'root:gpt1)/x(:/etc/passwd' root:lvm/../x:/etc/passwd \
	'root:a b:/etc/passwd' root::/etc/passwd root: root root:/ root:/etc/.. none:/etc/passwd ro:/etc/passwd; do
	expect_error 2 "$place: " "$VMABAK" get a.vmab "$place" -o out/x
done

# A file whole, or none.
expect_error 1 'is longer than 1000000 bytes; --max-size' "$VMABAK" get --max-size 1000000 a.vmab root:/etc/numbers -C out
expect_error 2 'root:/etc: is no regular file; with --recursive a folder' "$VMABAK" get a.vmab root:/etc -C out
expect_error 2 'exclude each other' "$VMABAK" get a.vmab root:/etc/numbers -C out -o out/x
[ -z "$(ls -A out)" ] || fail "in it: $(ls -A out)"
[ -z "$(ls -A scratch)" ] || fail "left: $(ls -A scratch)"
