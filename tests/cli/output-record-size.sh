# With --record-size every write is of exactly that size; the padding hurts no reader.
. "$(dirname "$0")/lib.sh"

need_strace
make_random drive.raw 3000001 1
truncate -s 9000000 drive.raw

# The sizes of the writes to standard output; a file a thread, so that no line is broken in two.
sizes_of_writes()
{
	cat "$TMPDIR"/trace.* | sed -nE 's/^p?writev?\(1, .* = ([0-9]+)$/\1/p' | sort -u
}

for format in vmab vma; do
	for size in 512 64K 10240 1MiB; do
		case $size in 64K) bytes=65536 ;; 1MiB) bytes=1048576 ;; *) bytes=$size ;; esac
		# In VMA the padding is something that others refuse.
		case $format in vma) warned=3 ;; *) warned=0 ;; esac
		expect_code 0 sh -c "{ strace -ff -o \"\$TMPDIR/trace\" -e trace=write,writev \
			\"\$VMABAK\" backup -q -o - --format $format --record-size $size drive.raw
			echo \$? >code; } | cat >a"
		[ "$(cat code)" = $warned ] || fail "code $(cat code)"
		[ $warned = 0 ] || expect_text "$err" 'warning: --record-size'
		[ $warned = 3 ] || expect_no_text "$err" warning
		[ "$(sizes_of_writes)" = $bytes ] || fail "writes of $(sizes_of_writes | tr '\n' ' ')"
		[ $(($(size_of a) % bytes)) = 0 ] || fail "$(size_of a) bytes are no records"
		rm "$TMPDIR"/trace.*
		expect_code 0 "$VMABAK" verify a
		expect_code 0 sh -c '"$VMABAK" verify - <a'
		expect_code 0 "$VMABAK" restore --no-sync a -C back
		cmp -n "$(size_of drive.raw)" drive.raw back/disk0.raw || fail "differs"
		rm -r back
	done
done
# Records of convert, to a file.
expect_code 0 "$VMABAK" convert a -o b.vmab --record-size 16M
[ "$(size_of b.vmab)" = 16777216 ] || fail "$(size_of b.vmab) bytes"
expect_code 0 "$VMABAK" list b.vmab
expect_text "$out" 'complete    end mark found'
expect_code 0 "$VMABAK" verify --quick b.vmab
