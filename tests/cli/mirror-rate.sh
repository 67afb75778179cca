# A mirror whose rate is as low as it can be keeps nobody waiting: the rate can be changed, and the mirror ended and followed by another.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 4000000 1
mirror() { "$VMABAK" mirror "$@"; }
has() { mirror status serve:c.sock --json | grep -q "$1"; }

start_serve a=a.raw
expect_code 0 mirror start serve:c.sock -d a=one.raw --rate 1
wait_until has '"copied_bytes": [1-9]'
has '"state": "copying"' || fail "the rate does not count"
expect_code 0 mirror set serve:c.sock --rate 100M
expect_code 0 mirror wait serve:c.sock
same_file a.raw one.raw
expect_code 0 mirror abort serve:c.sock
expect_code 0 mirror start serve:c.sock -d a=two.raw --rate 1
wait_until has '"copied_bytes": [1-9]'
expect_code 0 mirror abort serve:c.sock
expect_code 0 mirror start serve:c.sock -d a=three.raw
expect_code 0 mirror wait serve:c.sock
