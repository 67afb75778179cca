# Drives that NBD servers have: content, odd sizes, holes that are not read, TLS or nothing.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_libnbd
make_random drive.raw 9000000 1
truncate -s 40M drive.raw
make_random end 3000001 2
cat end >>drive.raw
rm end

backed_up()
{
	expect_code 0 "$VMABAK" backup --force -o a.vmab "d=$2"
	expect_code 0 "$VMABAK" restore --force a.vmab
	cmp -n "$(size_of drive.raw)" drive.raw d.raw || fail "not what $1 has"
}
serve_nbdkit file file drive.raw
backed_up nbdkit "$(nbd_uri file)"
serve_nbdkit single --filter=multi-conn file drive.raw multi-conn-mode=disable
backed_up "nbdkit with one connection" "$(nbd_uri single)"
serve_nbdkit slow --filter=delay file drive.raw rdelay=50ms
backed_up "slow nbdkit" "$(nbd_uri slow)"
# One client at a time, though it says that several would see the same.
serve_qemu_nbd one -r -f raw drive.raw
backed_up "qemu-nbd for one" "$(nbd_uri one)"
serve_qemu_nbd qemu -r -e 5 -x 'some export' -f raw drive.raw
backed_up qemu-nbd "$(nbd_uri qemu some%20export)"
[ "$(size_of d.raw)" = $((($(size_of drive.raw) + 511) / 512 * 512)) ] || fail "qemu-nbd rounds up to 512"

# With a server that tells of holes they are not asked for.
serve_nbdkit huge --filter=delay memory 1T rdelay=1
expect_code 0 timeout 120 "$VMABAK" backup -o huge.vmab --json "$(nbd_uri huge)"
expect_json "$out" "d['zero_clusters'] == 1 << 24" "d['data_bytes'] == 0"

# Refused before the archive is begun.
uri=$(nbd_uri file)
expect_error 2 raw "$VMABAK" backup -o no.vmab "$uri,format=qcow2"
expect_error 2 --direct "$VMABAK" backup -o no.vmab --direct "$uri"
expect_error 1 "$(nbd_uri none)" "$VMABAK" backup -o no.vmab "$(nbd_uri none)"
expect_error 1 "$(nbd_uri qemu wrong)" "$VMABAK" backup -o no.vmab "$(nbd_uri qemu wrong)"

# TLS, with a key that both have. Neither side is content with less.
if nbdkit --dump-config | grep -q '^tls=yes'; then
	echo "vmabak:$(printf %064d 7)" >"$TMPDIR/psk"
	chmod 600 "$TMPDIR/psk"
	serve_nbdkit tls --tls=require --tls-psk="$TMPDIR/psk" file drive.raw
	key="tls-psk-file=$(echo "$TMPDIR/psk" | sed 's/ /%20/g')"
	backed_up "nbdkit with TLS" \
		"$(nbd_uri tls | sed 's,^nbd+unix://,nbds+unix://vmabak@,')&$key"
	expect_error 1 "$(nbd_uri tls)" "$VMABAK" backup -o no.vmab "$(nbd_uri tls)"
	secret=$(nbd_uri file | sed 's,^nbd+unix://,nbds+unix://vmabak@,')
	expect_error 1 "$secret" "$VMABAK" backup -o no.vmab "$secret&$key"
fi
nothing_but a.vmab d.raw drive.raw huge.vmab
