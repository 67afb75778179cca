# Any format to any other and back: the same drives, configs, uuid and time.
. "$(dirname "$0")/lib.sh"

make_random one.raw 1500000 1
truncate -s 9000448 one.raw
make_random two.raw 70144 2
echo text >a.conf
kinds='vmab vma vma.zst vma.gz'
export SOURCE_DATE_EPOCH=1700000000
for from in $kinds; do
	expect_code 0 "$VMABAK" backup --no-sync -o from.$from -c a.conf root=one.raw two.raw
	expect_code 0 "$VMABAK" list --json from.$from
	cp "$out" head.json
	for to in $kinds; do
		expect_code 0 "$VMABAK" convert --no-sync from.$from -o to.$to
		expect_code 0 "$VMABAK" verify to.$to
		expect_text "$out" 'every checksum matches'
		expect_code 0 "$VMABAK" list --json to.$to
		expect_json "$out" "all(d[key] == json.load(open('head.json'))[key] \
			for key in ('uuid', 'created_ns', 'drives', 'configs'))"
		expect_code 0 "$VMABAK" restore --no-sync to.$to -C there
		same_file one.raw there/root.raw
		same_file two.raw there/disk1.raw
		same_file a.conf there/a.conf
		# There and back again through pipes: the same bytes as at first.
		expect_code 0 sh -c "\"\$VMABAK\" convert - -o - --format vmab <to.$to |
			\"\$VMABAK\" convert - -o back.$from"
		expect_code 0 "$VMABAK" verify back.$from
		expect_code 0 "$VMABAK" restore --no-sync back.$from -C back
		same_file one.raw back/root.raw
		same_file two.raw back/disk1.raw
		rm -r there back to.$to back.$from
	done
done
