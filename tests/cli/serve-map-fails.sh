# The file of a map cannot be written any more, or is cut or deleted: the guest goes on, status and backups say so, and what
# the next serve finds is not trusted unless all was saved at the end.
# long: many servers
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh nbdinfo qemu-img
truncate -s 1G a.raw

# n_dirty BITMAP: how many clusters it has.
n_dirty()
{
	nbdinfo --json --map="qemu:dirty-bitmap:$1" 'nbd+unix:///a?socket=n.sock' | "$PYTHON" -c 'import json, sys
print(sum(e["length"] // 65536 for e in json.load(sys.stdin) if e["type"]))'
}
# Clusters in all groups; the tenth is written again and again.
writes='
for i in range(0, 1 << 30, 16 << 20):
    h.pwrite(b"x" * 512, i + (10 << 16))
    h.pwrite(b"y" * 512, 10 << 16)
h.flush()'
# expect_failed REASON: of the map of the serve that runs.
expect_failed()
{
	guest a "$writes"
	status "s['drives'][0]['map']['trust'] == 'failed'" "s['drives'][0]['map']['generation'] == 1"
	"$VMABAK" status c.sock >said
	expect_text said 'map a.map, failed'
	[ "$(n_dirty since-0)" = 64 ] || fail "not all is known: $(n_dirty since-0)"
	rm -f a.vmab
	expect_code 3 "$VMABAK" backup serve:c.sock -o a.vmab
	expect_text "$err" "drive a: map a.map: $1" 'tracked only until the server ends'
	guest a "$writes"
	expect_code 0 "$VMABAK" restore -q --force a.vmab -d a=restored.raw
	# Which does not read holes.
	expect_code 0 qemu-img compare -U -f raw -F raw a.raw restored.raw
	status "s['drives'][0]['map']['trust'] == 'failed'" "s['drives'][0]['map']['generation'] == 2"
}
# expect_begun TRUST N: of the next serve. Several reasons may hold; which one is told depends on the time.
expect_begun()
{
	start_serve --map a.map a=a.raw
	grep -q "map a.map: $1" serve.err || fail "$(cat serve.err)"
	[ "$(n_dirty since-0)" = "$2" ] || fail "$1, and $(n_dirty since-0) clusters"
	stop_serve
	rm -f a.map
}

# Cut: saved anew at the end. Deleted: that cannot be. Something else in its place: that stays.
start_serve --map a.map a=a.raw
truncate -s 0 a.map
expect_failed 'was truncated'
stop_serve
expect_begun clean 64

start_serve --map a.map a=a.raw
truncate -s 5000 a.map
expect_failed 'was truncated'
kill_serve
expect_begun ".*, begun anew" 0

start_serve --map a.map a=a.raw
rm a.map
expect_failed 'was truncated, replaced or deleted'
expect_code 3 "$VMABAK" stop c.sock
expect_text "$err" 'map a.map' 'begins anew'
ended_with 3 $serve
[ ! -e a.map ] || fail "it was made again"

start_serve --map a.map a=a.raw
echo 'precious data' >a.map
expect_failed 'was truncated'
expect_code 3 "$VMABAK" stop c.sock
ended_with 3 $serve
[ "$(cat a.map)" = 'precious data' ] || fail "it was overwritten"
rm a.map

# Pages of it are lost before it is killed: by sums, and by its header's time.
for page in 1 2; do
	start_serve --map a.map a=a.raw
	cp a.map old.map
	guest a "$writes"
	kill_serve
	dd if=old.map of=a.map bs=4096 skip=$page seek=$page count=1 conv=notrunc status=none
	expect_begun '.*, begun anew' 0
done
start_serve --map a.map a=a.raw
cp a.map old.map
sleep 0.6
guest a "$writes"
kill_serve
dd if=old.map of=a.map conv=notrunc status=none
expect_begun '.*, begun anew' 0

# serve_with PATH CALL:error=ERRNO:when=N: a serve in which these calls on the file fail.
need_strace
real=$VMABAK
serve_with()
{
	cat >traced <<END
#!/bin/sh
# -D: the process of this number is the serve.
[ "\$1" = serve ] || exec "$real" "\$@"
exec strace -D -f -qq -o trace -P "$PWD/$1" -e trace=${2%%:*} -e inject=$2 "$real" "\$@"
END
	chmod +x traced
	VMABAK=$PWD/traced
	start_serve --map a.map a=a.raw
	VMABAK=$real
}

# The drive cannot be flushed, so data that a backup has may be gone from it, in clusters that count as unchanged.
serve_with a.raw fdatasync:error=EIO
guest a '
h.pwrite(b"x" * 512, 0)
try:
    h.flush()
    sys.exit("the flush does not fail")
except nbd.Error:
    pass'
status "s['drives'][0]['map']['trust'] == 'failed'"
kill_serve
expect_begun new 0
serve_with a.raw fdatasync:error=EIO
guest a 'h.pwrite(b"x" * 512, 0)'
expect_code 1 "$VMABAK" stop c.sock
ended_with 1 $serve
expect_begun new 0

# It cannot be written: from the sixth page on, for ever.
: >a.map
serve_with a.map pwrite64:error=ENOSPC:when=6+
expect_failed 'writing: No space left on device'
expect_code 3 "$VMABAK" stop c.sock
expect_text "$err" 'No space left on device'
ended_with 3 $serve
expect_begun new 0

# The log of hot regions cannot be written: the drive says that it does not count, should older pages of the map be back after
# a crash of the host.
told_lost()
{
	"$PYTHON" -c 'import os, sys; sys.exit("user.vmabak.map-lost" not in os.listxattr("a.raw"))'
}
: >a.map
serve_with a.map pwritev2:error=EIO
expect_failed 'writing: Input/output error'
told_lost || fail "the drive does not tell that the log was lost"
kill_serve
expect_begun 'new\|damaged' 0
told_lost && fail "the drive tells of a log that there is none of"

# Marks that the kernel could not write are told by a sync: before a backup, and at the end.
: >a.map
serve_with a.map fdatasync:error=EIO
guest a "$writes"
expect_code 3 "$VMABAK" backup serve:c.sock -q --force -o a.vmab
expect_text "$err" 'map a.map: writing: Input/output error'
status "s['drives'][0]['map']['trust'] == 'failed'"
stop_serve
expect_begun clean 64

: >a.map
# The first two syncs are those of opening it.
serve_with a.map fsync:error=EIO:when=3
guest a "$writes"
stop_serve
expect_begun clean 64

: >a.map
serve_with a.map fsync:error=EIO:when=3+
guest a "$writes"
expect_code 3 "$VMABAK" stop c.sock
ended_with 3 $serve
expect_begun new 0
