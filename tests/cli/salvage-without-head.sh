# The head is destroyed: VMAB has a copy; else drives go by number, and sizes by what is found.
. "$(dirname "$0")/lib.sh"

make_random a.raw 3000000 1
truncate -s 3300000 a.raw
make_random b.raw 500000 2
echo 'cores: 2' >x.conf
"$VMABAK" backup -q -o a.vmab -c x.conf root=a.raw data=b.raw
"$VMABAK" backup -q -o a.vma -c x.conf root=a.raw data=b.raw
"$VMABAK" backup -q --no-vma-checksums -o plain.vma root=a.raw data=b.raw

# without_head FILE BYTES OUT: its first BYTES are others, and 100 bytes more come before them
without_head()
{
	{ make_random junk $(($2 + 100)) 9 && cat junk && tail -c +$(($2 + 1)) "$1"; } >"$3"
}
without_head a.vmab 512 h.vmab
expect_code 0 "$VMABAK" salvage --json h.vmab -C copy
expect_json "$out" 'd["head"] == "moved"' 'd["passed_bytes"] == 612' 'd["drives"][0]["size_known"]' \
	'[one["name"] for one in d["drives"]] == ["root", "data"]'
same_file a.raw copy/root.raw
same_file b.raw copy/data.raw
same_file x.conf copy/x.conf

# neither can it be found in a pipe, nor is a file that standard input is read twice a problem
expect_error 4 'cannot be read twice' sh -c 'cat h.vmab | "$VMABAK" salvage - -C pipe'
expect_code 0 "$VMABAK" salvage - -C stdin <h.vmab
same_file a.raw stdin/root.raw

# the copy is gone too
head -c $(($(size_of h.vmab) - 1500)) h.vmab >hh.vmab
expect_code 5 "$VMABAK" salvage --json hh.vmab -C numbers
expect_json "$out" 'd["head"] == "lost"' 'not d["drives"][0]["size_known"]' 'd["configs"] == []' \
	'[one["name"] for one in d["drives"]] == ["drive1", "drive2"]' \
	'[one["size_bytes"] for one in d["drives"]] == [51 * 65536, 8 * 65536]'
cmp -n 3300000 a.raw numbers/drive1.raw || fail "drive 1 differs"
cmp -n 500000 b.raw numbers/drive2.raw || fail "drive 2 differs"
expect_code 5 "$VMABAK" salvage hh.vmab -d drive2=two.raw
expect_text "$err" 'the head is lost'
same_file two.raw numbers/drive2.raw

# VMA has no copy; whether it has checksums is seen
for archive in a.vma plain.vma; do
	without_head $archive 12288 h.vma
	expect_code 5 "$VMABAK" salvage --json h.vma -C "of $archive"
	expect_json "$out" 'd["head"] == "lost"' 'd["drives"][1]["size_bytes"] == 8 * 65536' \
		"(d['drives'][1]['unverified_bytes'] > 0) == ('$archive' == 'plain.vma')"
	cmp -n 3300000 a.raw "of $archive/drive1.raw" || fail "drive 1 of $archive differs"
	cmp -n 500000 b.raw "of $archive/drive2.raw" || fail "drive 2 of $archive differs"
done

# what comes before the archive may be another one
"$VMABAK" backup -q -o b.vmab data=b.raw
cat b.vmab h.vmab >two.vmab
expect_code 0 "$VMABAK" salvage two.vmab -C first
expect_text "$out" 'data: 488 KiB recovered'
uuid=$("$VMABAK" list --json a.vmab | sed -n 's/.*"uuid": "\(.*\)",/\1/p')
expect_code 0 "$VMABAK" salvage --uuid "$uuid" two.vmab -C second
same_file a.raw second/root.raw
expect_error 4 'no part of the archive of that uuid found' \
	"$VMABAK" salvage --uuid 11111111-2222-3333-4444-555555555555 two.vmab -C third
