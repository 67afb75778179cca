# Clients of other makers read and write a drive that vmabak serves, and agree on what is in it.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools
need nbdinfo nbdcopy qemu-img qemu-io fio
need_python nbd
fio --enghelp | grep -qw nbd || lacks "a fio with nbd"

make_drives 20975104
cp A.raw want.raw
start_serve A=A.raw
uri=$uri_A

nbdinfo --json "$uri" >info
expect_json info 'd["protocol"] == "newstyle-fixed"' \
	'[e["export-size"] for e in d["exports"]] == [20975104]' \
	'all(d["exports"][0][k] for k in ("can_multi_conn", "can_flush", "can_fua", "can_trim", "can_zero"))' \
	'"base:allocation" in d["exports"][0]["contexts"]' 'not d["exports"][0]["is_read_only"]'
[ "$(nbdinfo --list --json 'nbd+unix:///?socket=nbd.sock' | grep -c '"export-name"')" = 1 ] || fail "nbdinfo --list"
# Half of the drive is a hole.
nbdinfo --map --totals "$uri" >map
expect_text map '50.0%   3 hole,zero'
nbdcopy "$uri" copy.raw
same_file want.raw copy.raw
make_random new.raw 20975104 7
nbdcopy new.raw "$uri"
nbdcopy --requests=64 --connections=4 "$uri" copy.raw
same_file new.raw copy.raw
qemu-img convert -n -f raw -O raw want.raw "$uri" || fail "qemu-img convert"
qemu-img compare -f raw -F raw want.raw "$uri" >/dev/null || fail "qemu-img compare"
qemu-img convert -f raw -O qcow2 "$uri" copy.qcow2
qemu-img compare -f raw -F qcow2 "$uri" copy.qcow2 >/dev/null || fail "qemu-img convert to qcow2"
qemu-io -f raw -c 'write -P 0x61 1000 70000' -c 'write -z 200000 100001' -c 'discard 390000 80000' -c 'write -P 0x64 390000 80000' \
	-c 'write -f -P 0x62 20975000 104' -c 'aio_write -P 0x63 500000 300000' -c 'aio_flush' -c 'flush' \
	-c 'read -P 0x61 1000 70000' -c 'read -P 0 200000 100001' -c 'read -P 0x62 20975000 104' \
	-c 'read -P 0x63 500000 300000' "$uri" >qemu-io.out
! grep -qi 'fail\|error' qemu-io.out || fail "qemu-io: $(cat qemu-io.out)"
"$PYTHON" - <<-END
	with open("want.raw", "r+b") as file:
	    for at, byte, n in (1000, 0x61, 70000), (200000, 0, 100001), (390000, 0x64, 80000), (20975000, 0x62, 104), (500000, 0x63, 300000):
	        file.seek(at)
	        file.write(bytes([byte]) * n)
END
qemu-img compare -f raw -F raw want.raw "$uri" >/dev/null || fail "qemu-io wrote something else"
fio --name=verify --ioengine=nbd --uri="$uri" --rw=randwrite --bsrange=512-200k --bs_unaligned --size=16M \
	--iodepth=16 --verify=crc32c --do_verify=1 >fio.out 2>&1 || fail "fio: $(cat fio.out)"
"$PYTHON" -c 'import nbd, sys
h = nbd.NBD()
h.connect_uri(sys.argv[1])
size = h.get_size()
h.pwrite(b"abc", size - 3, nbd.CMD_FLAG_FUA)
h.zero(70001, 65535, nbd.CMD_FLAG_NO_HOLE)
h.trim(65536, 131072)
h.flush()
assert h.pread(3, size - 3) == b"abc" and h.pread(70001, 65535) == bytes(70001)
for bad in (lambda: h.pread(4, size - 3), lambda: h.pwrite(b"x", size)):
    h.set_strict_mode(0)
    try:
        bad()
        sys.exit("past the end, and no error")
    except nbd.Error:
        pass
assert h.pread(3, size - 3) == b"abc"	# the connection lives
h.shutdown()' "$uri" || fail "libnbd in Python"
stop_serve
