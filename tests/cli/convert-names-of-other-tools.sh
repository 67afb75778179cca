# Names that the genuine tool makes and reads, with blanks, in UTF-8, longer than ours: a VMA that is written again as
# VMA keeps them. So does VMAB, and what was VMA before.
. "$(dirname "$0")/lib.sh"

long=$(printf '%0255d' 0)
compile - a.vma <<END
format vma
drive 'my disk' 65536
drive "Platte gr\xc3\xb6\xc3\x9fer" 65536
drive $long 65536
config 'the machine.conf' text hello
config "gr\xc3\xb6\xc3\x9fe.conf" text hello
extent
data 'my disk' 0 random 1
data "Platte gr\xc3\xb6\xc3\x9fer" 0 random 2
data $long 0 random 3
END
names()
{
	"$VMABAK" list --json "$1" | "$PYTHON" -c 'import json, sys
d = json.load(sys.stdin)
print([x["name"] for x in d["drives"] + d["configs"]])'
}
mkdir back
names a.vma >expected
grep -q 'my disk.*größer.*machine.conf' expected || fail "$(cat expected)"
for steps in 'b.vma' 'b.vma.zst' 'b.vmab' 'b.vmab c.vma'; do
	from=a.vma
	for to in $steps; do
		expect_code 0 "$VMABAK" convert $from -o $to
		[ ! -s "$err" ] || expect_no_text "$err" warning 'left out'
		from=$to
	done
	names $from >found
	same_file expected found
	expect_code 0 "$VMABAK" verify $from
	expect_code 0 "$VMABAK" restore $from -d 'my disk=back/1' -d @2=back/2 -d @3=back/3
	for n in 1 2 3; do
		[ "$(size_of back/$n)" = 65536 ] || fail "drive $n"
	done
	# shellcheck disable=SC2086 # words
	rm back/* $steps
done
# Proxmox VE is the exception: it finds no name with a blank.
expect_code 3 "$VMABAK" convert a.vma -o vzdump-qemu-100.vma
expect_text "$err" 'Proxmox VE will not restore it'
