# A target that takes less than a guest writes: by default the guest's writes are only marked and none is slowed down, with --on-slow
# wait they are, but none fails; changed while it runs, and in the end both sides are the same.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
mirror() { "$VMABAK" mirror "$@"; }
state_is() { mirror status serve:c.sock --json >"$out" && grep -q "$1" "$out"; }
write_much() { guest a "for i in range(24): h.pwrite(b'$1' * (1 << 20), i << 20)"; }
held_some() { write_much y && state_is '"held_writes": [1-9]'; }

truncate -s 30M a.raw
start_serve a=a.raw
expect_code 0 mirror start serve:c.sock -d a=t.raw
expect_code 0 mirror wait serve:c.sock
expect_code 0 mirror set serve:c.sock --rate 2M
expect_code 0 state_is '"on_slow": "drop-to-changes"'
write_much x
expect_code 0 state_is '"held_writes": 0,'
expect_code 0 mirror set serve:c.sock --on-slow wait
wait_until held_some
expect_code 0 mirror set serve:c.sock --rate 0
wait_until state_is '"left_bytes": 0,'
same_file a.raw t.raw
expect_code 0 mirror abort serve:c.sock
stop_serve
