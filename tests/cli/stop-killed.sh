# Even a kill leaves nothing under a final name.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 20000000 1
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
n_parts=0
for delay in 0.001 0.005 0.01 0.015 0.02 0.03 0.05 0.1; do
	timeout -s KILL $delay "$VMABAK" backup --force --rate 200M -o b.vmab drive.raw 2>"$err" || true
	timeout -s KILL $delay "$VMABAK" restore --rate 200M a.vmab -C back 2>"$err" || true
	if [ -e b.vmab ]; then
		expect_code 0 "$VMABAK" verify b.vmab
	fi
	if [ -e back/disk0.raw ]; then
		same_file drive.raw back/disk0.raw
	fi
	n_parts=$((n_parts + $(find . -name '.*.part' | wc -l)))
	find . -name '.*.part' -delete
	rm -rf b.vmab back
done
[ $n_parts -gt 0 ] || fail "none was killed in the middle"
