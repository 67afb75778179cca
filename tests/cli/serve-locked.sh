# What a serve has, nobody else gets: drive, map, sockets, backup. Exit code 7.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"
need qemu-io

make_random a.raw 20000000 1
make_random b.raw 1000000 2
start_serve --map a.map a=a.raw
expect_error 7 'a.raw' "$VMABAK" serve --control d.sock --nbd unix:m.sock a.raw
expect_error 7 'a.raw' "$VMABAK" serve --control d.sock --nbd unix:m.sock --read-only a.raw
expect_error 7 'c.sock' "$VMABAK" serve --control c.sock --nbd unix:m.sock b.raw
expect_error 7 'n.sock' "$VMABAK" serve --control d.sock --nbd unix:n.sock b.raw
expect_code 7 "$VMABAK" serve --control d.sock --nbd unix:m.sock --map a.map b.raw
expect_text "$err" 'a.map'
expect_error 7 'a.raw' "$VMABAK" backup -o x.vmab a.raw
expect_code 0 "$VMABAK" backup -q -o b.vmab b.raw
expect_error 7 'a.raw' "$VMABAK" restore b.vmab --force -d disk0=a.raw
qemu-io -f raw -c 'write 0 512' a.raw >said 2>&1 && fail "a QEMU could write to it"
rm said

stalled_backup -q --buffer 16M
expect_error 7 'another backup' live c.vmab
expect_code 7 live c.vmab --json
expect_json "$out" "d['error']['code'] == 'locked'"
cat <&5 >a.vmab
ended_with 0 $backup
exec 5<&-
rm pipe said
wait_until no_backup
expect_code 0 live c.vmab
nothing_but a.map a.raw a.vmab b.raw b.vmab c.sock c.vmab c.vmab.sums n.sock serve.err
stop_serve
