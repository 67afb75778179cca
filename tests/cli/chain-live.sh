# Increments of what runs: served drives, a QEMU that pushes and one that is read. They hold what was written since, and
# restore to the whole; a parent whose sums are damaged fails the backup, not the guest.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/serve.sh"

need_images
make_image s.raw 40
make_random t.raw 3000001 2
truncate -s 300M holes.raw
start_serve s=s.raw t=t.raw h=holes.raw
expect_code 0 live 0.vmab
guest s 'h.pwrite(b"guest" * 1000, 1000001); h.zero(131072, 655360)'
guest t 'h.pwrite(b"end", 2999998)'
guest h 'h.pwrite(b"in a hole", 200000000)'
expect_code 0 live 1.vmab --parent 0.vmab --json
expect_json "$out" "2 <= d['data_clusters'] <= 4" "d['zero_clusters'] <= 16"
expect_code 0 live 2.vmab --parent 1.vmab --threads 3 --compress none
[ "$(size_of 2.vmab)" -lt 5000 ] || fail "an increment of nothing has $(size_of 2.vmab) bytes"
expect_code 0 "$VMABAK" restore 2.vmab -C back
same_file back/s.raw s.raw
same_file back/t.raw t.raw
same_file back/h.raw holes.raw
expect_code 0 "$VMABAK" sums -q 2.vmab -o again.sums
same_file 2.vmab.sums again.sums
flip 2.vmab.sums 5000
flip 2.vmab.sums 45000
guest s 'h.pwrite(b"to be compared", 0)'
expect_code 4 live 3.vmab --parent 2.vmab.sums
expect_text "$err" '2.vmab.sums' damaged
[ ! -e 3.vmab ] || fail "left an archive"
# Beside its archive a damaged sums file is ignored.
expect_code 0 live 3.vmab --parent 2.vmab
[ "$(size_of 3.vmab)" -lt 70000 ] || fail "an increment of one cluster has $(size_of 3.vmab) bytes"
guest s 'h.pwrite(b"goes on", 0)'
stop_serve
rm -r back ./*.vmab ./*.sums

two_drives
mkdir scratch
backup()
{
	expect_code 0 "$VMABAK" backup -q "qemu:$qmp" "$@"
}
backup -o 0.vmab
expect_code 0 qemu-io -f raw -c 'write -q -P 9 5M 100k' "$uri_A"
backup -o 1.vmab --parent 0.vmab
backup -o 2.vmab --parent 1.vmab --pull --nbd-server "$exports" --scratch "$PWD/scratch"
backup -o 3.vmab --parent 2.vmab --sync full
for n in 1 2 3; do
	expect_code 0 "$VMABAK" list --json $n.vmab
	expect_json "$out" "d['data_clusters'] + d['zero_clusters'] < 20"
done
expect_code 0 "$VMABAK" restore 3.vmab -C out
expect_code 0 qemu-img compare -U -f raw a.raw out/A.raw
expect_code 0 qemu-img compare -U -f qcow2 -F raw b.qcow2 out/B.raw
expect_code 0 "$VMABAK" sums -q 3.vmab -o again.sums
same_file 3.vmab.sums again.sums
nothing_in_qemu
