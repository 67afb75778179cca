# A damaged cluster is never written as if it were good, wherever the target.
. "$(dirname "$0")/lib.sh"

# Ten clusters; the sixth is damaged: in what is stored, or against its own checksum.
make_random drive.raw 655360 1
expect_code 0 "$VMABAK" backup -o good.vmab --compress none drive.raw
expect_code 0 "$VMABAK" backup -o good.vma drive.raw
cp good.vmab stored.vmab
cp good.vma stored.vma
where()
{
	"$PYTHON" -c 'import sys
drive, archive = (open(name, "rb").read() for name in sys.argv[1:])
print(archive.index(drive[327680:331776]) + 77)' drive.raw "$1"
}
flip stored.vmab "$(where good.vmab)"
flip stored.vma "$(where good.vma)"
compile - own.vmab <<'END'
format vmab
drive disk0 655360
extent
times 10 data disk0 {} random {}
set extent0.slot5.checksum 00112233445566778899aabbccddeeff
END
expect_code 4 "$VMABAK" verify own.vmab

make_full full.raw 655360
for archive in stored.vmab stored.vma own.vmab; do
	for target in file device; do
		cp full.raw target.raw
		to=target.raw
		if [ $target = device ]; then
			[ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1 || continue
			cp full.raw "device-$archive"
			loop_device "device-$archive"
			to=$loop
		fi
		expect_error 4 "$archive: damaged at byte " "$VMABAK" restore $archive --force -d disk0="$to"
		# Whatever else was written: of the damaged cluster nothing, or zeros at most.
		dd if="$to" bs=65536 skip=5 count=1 status=none | tr -d '\0\377' >rest
		[ ! -s rest ] || fail "$archive: $(wc -c <rest) bytes of the damaged cluster in the $target"
	done
done
