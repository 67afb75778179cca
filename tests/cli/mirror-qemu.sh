# A mirror of drives of a QEMU: copied while it is written to, in sync, aborted, and started again with the changes alone; then
# the guest is led to the targets, and back. What is sparse stays so, and nothing is left in QEMU but what a restart needs.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

mirrored_drives

expect_code 0 mirror status
expect_text "$out" 'mirror: none'
expect_error 2 'no mirror is running' mirror wait
expect_error 2 'no mirror is running' mirror pivot
expect_error 2 'no mirror is running' mirror abort
expect_error 2 'no mirror is running' mirror set --rate 1M
expect_error 2 'has none of that name' mirror_start -d C=c.raw
expect_error 2 'must be NAME=TARGET' mirror_start -d c.raw
expect_error 7 'is in use' mirror_start -d B=a.raw --force
expect_error 2 'target of two drives' mirror_start -d A=ta.raw -d B=ta.raw
expect_error 2 'is the state, and no target' mirror_start -d A=ta.raw --state ta.raw --force
expect_error 2 'nbd:// and nbd+unix://' mirror_start -d A=nbds://host/x --force
expect_error 2 'does not slow a guest down' mirror_start -d A=ta.raw --on-slow wait
echo precious >old
expect_error 2 'exists already; --force' mirror_start -d A=old --state s.json
[ "$(cat old)" = precious ] || fail "it was overwritten"
echo '{"a": 1}' >other.json
expect_error 2 'not the state of a mirror' mirror_start -d A=ta.raw --state other.json
! [ -e ta.raw ] || fail "a start that failed has left its target"
nothing_of_mirrors
rm -f s.json

expect_code 0 mirror_start -d A=ta.raw -d B=tb.raw --state s.json --json
expect_json "$out" "[x['known'] for x in d['drives']] == [False, False]"
expect_error 7 'is running; abort ends it' mirror_start -d A=other.raw
write_A 5 5M 300K
write_B 6 3M 100K
in_sync
same_drives ta.raw tb.raw
[ "$(allocated ta.raw)" -lt 4000 ] || fail "not sparse: $(allocated ta.raw) KiB"
qemu-io -f raw -c 'write -q -z 1M 1M' -c 'discard -q 0 200K' "$uri_A"
expect_code 0 mirror set --rate 100M
expect_code 0 mirror status --json
expect_json "$out" "d['mirror']['rate_bytes_per_s'] == 104857600" "d['mirror']['phase'] == 'running'" \
	"[x['state'] for x in d['mirror']['drives']] == ['in sync'] * 2"
in_sync
same_drives ta.raw tb.raw

# left_is BYTES: what the start in $out says is left to be copied, with the last cluster of both, by which a bitmap is known.
left_is() { expect_json "$out" "all(x['known'] for x in d['drives'])" "sum(x['left_bytes'] for x in d['drives']) == $1 + 2 * 65536"; }
again() { expect_code 0 mirror_start -d A=ta.raw -d B=tb.raw --state s.json --json; }
expect_code 0 mirror abort
expect_error 2 'no mirror is running' mirror abort
nothing_of_mirrors
one_generation
same_drives ta.raw tb.raw
cp ta.raw then.raw
write_A 9 10M 4K
write_B 9 20M 4K
same_file ta.raw then.raw
# A target that is mistyped, and refused, does not cost what is known of the right one.
expect_error 2 'exists already; --force' mirror_start -d A=ta.raw -d B=old --state s.json
# Nor does an export that is not there, though all of it may be overwritten.
expect_code 1 mirror_start -d A=ta.raw -d "B=$(nbd_uri mistyped.nbd x)" --state s.json --force
again
left_is 131072
in_sync
same_drives ta.raw tb.raw
expect_code 0 mirror abort

# Another target under the same name is not taken for that one.
mv tb.raw away.raw
cp away.raw tb.raw
expect_error 2 'exists already; --force' mirror_start -d A=ta.raw -d B=tb.raw --state s.json
expect_error 2 'has drive B, too' mirror_start -d A=ta.raw --state s.json
mv away.raw tb.raw

# A first copy that was ended goes on where it was.
expect_code 0 mirror_start -d A=part.raw --state part.json --rate 1M
wait_until some_copied
expect_code 0 mirror abort
expect_code 0 mirror_start -d A=part.raw --state part.json --json
expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] < 16 << 20"
in_sync
same_drives part.raw
truncate -s 1M part.raw
expect_error 1 'was made shorter meanwhile: it has 1048576 bytes' mirror pivot
expect_code 0 mirror abort
expect_error 2 'exists already; --force' mirror_start -d A=part.raw --state part.json
expect_code 0 mirror_start -d A=part.raw --state part.json --force --json
expect_json "$out" "not d['drives'][0]['known']"
in_sync
same_drives part.raw
expect_code 0 mirror abort

# To the targets, and back.
expect_code 0 mirror_start -d A=ta.raw -d B=tb.raw --state s.json --force
in_sync
mv ta.raw away.raw
expect_error 1 'was removed, renamed or replaced' mirror pivot
echo another >ta.raw
expect_error 1 'was removed, renamed or replaced' mirror pivot
mv away.raw ta.raw
expect_code 0 mirror pivot --json
expect_json "$out" "0 < d['standstill_ns'] < 10**11"
nothing_of_mirrors
cp a.raw then.raw
write_A 3 2M 4K
write_B 3 2M 4K
same_file a.raw then.raw
[ "$(qemu-io -f raw -r -U -c 'read -v 2M 1' ta.raw | head -c 11)" = '00200000:  ' ] || fail "the guest is not at the target"
qemu-io -f raw -r -U -c 'read -q -P 3 2M 4K' ta.raw
now=$(ask_qmp query-block-exports | grep -o 'vmabak-mirror-[0-9a-f]*-0')
expect_code 0 "$VMABAK" mirror start "qemu:$qmp" --nbd-server "$exports" -d "$now=a.raw" -d "${now%0}1=new.raw" --state s.json --json
expect_json "$out" "d['drives'][0]['known'] and d['drives'][0]['left_bytes'] == 2 * 65536" "not d['drives'][1]['known']"
in_sync
same_drives a.raw new.raw
expect_code 0 mirror pivot -q
write_A 4 3M 4K
qemu-io -f raw -r -U -c 'read -q -P 4 3M 4K' a.raw
