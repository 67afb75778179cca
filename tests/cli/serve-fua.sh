# A write that is to be durable (FUA) syncs, and takes the file's write-back error with it: from then on no flush may say
# that all is well. One that found no room has lost nothing, and flushes go on.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
need_strace
truncate -s 8M a.raw
real=$VMABAK
# served_with CALL:error=ERRNO[:when=N]: from the next start_serve on.
served_with()
{
	cat >traced <<END
#!/bin/sh
# -D: the process of this number is the serve.
[ "\$1" = serve ] || exec "$real" "\$@"
exec strace -D -f -qq -o trace -e trace=${1%%:*} -e inject=$1 "$real" "\$@"
END
	chmod +x traced
	VMABAK=$PWD/traced
}
# The rest of a serve whose drive failed: it ends with 1, and says why.
stop_failed()
{
	"$VMABAK" stop --force c.sock >said 2>&1 || true
	lib_code=0
	wait $serve || lib_code=$?
	[ $lib_code = "$1" ] || fail "serve ended with code $lib_code: $(cat serve.err)"
}
asks='
def errno(request):
    try:
        request()
    except nbd.Error as e:
        return e.errno
    return None
def fua(at):
    return errno(lambda: h.pwrite(b"x" * 4096, at, nbd.CMD_FLAG_FUA))
'

served_with pwritev2:error=EIO:when=1
start_serve a=a.raw
guest a "$asks"'
assert fua(0) == "EIO", "the call does not fail"
assert errno(h.flush) == "EIO", "a flush forgot it"
assert errno(h.flush) == "EIO", "a second flush forgot it"
assert fua(8192) == "EIO"
assert errno(lambda: h.zero(4096, 0, nbd.CMD_FLAG_FUA)) == "EIO"
assert errno(lambda: h.trim(4096, 0, nbd.CMD_FLAG_FUA)) == "EIO"'
stop_failed 1
expect_text serve.err 'drive a: flushing: Input/output error'

# Zeros and trims that are to be durable.
for request in 'h.zero(4096, 0, nbd.CMD_FLAG_FUA)' 'h.trim(4096, 0, nbd.CMD_FLAG_FUA)'; do
	served_with fdatasync:error=ENOSPC:when=1
	start_serve a=a.raw
	guest a "$asks"'
h.pwrite(b"y" * 8192, 0)
assert errno(lambda: '"$request"') == "ENOSPC"
assert errno(h.flush) == "ENOSPC", "a flush forgot it"
assert fua(8192) == "ENOSPC"'
	stop_failed 6
done

served_with pwrite64:error=ENOSPC:when=1
start_serve a=a.raw
guest a "$asks"'
assert fua(0) == "ENOSPC"
# The first call of each thread fails.
for i in range(20):
    assert errno(h.flush) is None
    if fua(0) is None:
        break
assert h.pread(4096, 0) == b"x" * 4096'
stop_serve
