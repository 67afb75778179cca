# A backup through serve holds what one of the files holds, in each format; options mean the same.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

make_image a.raw 16
make_random b.raw 3000001 2
: >empty.raw
truncate -s 300M holes.raw
echo 'cores: 2' >web.conf
start_serve root=a.raw data=b.raw empty.raw holes.raw
for name in a.vmab a.vma a.vma.zst; do
	# VMA has no empty drives.
	if [ $name = a.vmab ]; then drives=4; else drives='3 -d root -d data -d disk3'; fi
	# shellcheck disable=SC2086 # words
	expect_code 0 live $name -c web.conf ${drives#?}
	expect_text "$err" "$name: " " of data from ${drives%% *} drive" 'the snapshot took'
	expect_code 0 "$VMABAK" verify $name
	expect_code 0 "$VMABAK" restore $name -C back
	same_file web.conf back/web.conf
	same_file a.raw back/root.raw
	same_file holes.raw back/disk3.raw
	if [ $name = a.vmab ]; then
		same_file b.raw back/data.raw
		same_file empty.raw back/disk2.raw
	fi
	[ "$(allocated back/disk3.raw)" -lt 100 ] || fail "no holes"
	rm -r back $name
done

# The numbers are those of a backup of the files.
expect_code 0 live a.vmab --json -d data -d root
expect_json "$out" "d['n_drives'] == 2" "d['capture']['n_clusters'] == 256 + 46" "d['capture']['todo_clusters'] == 0" \
	"d['capture']['guest_clusters'] == 0" "d['capture']['spilled_clusters'] == 0" \
	"d['capture']['sweep_clusters'] + d['capture']['zero_clusters'] == 302" \
	"d['capture']['read_bytes'] == d['capture']['sweep_clusters'] * 65536" \
	"d['capture']['buffer_peak_bytes'] <= 67108864" "0 < d['capture']['quiesce_ns'] < 60 * 10**9" \
	"d['data_clusters'] + d['zero_clusters'] == 302"
cp "$out" live.json
restored_is a.vmab data b.raw
expect_code 0 "$VMABAK" list --json a.vmab
expect_json "$out" "[x['name'] for x in d['drives']] == ['data', 'root']"
expect_code 0 sh -c '"$VMABAK" backup -q serve:c.sock -o - -d root --compress none --threads 3 | "$VMABAK" restore -q - -C piped'
same_file a.raw piped/root.raw

expect_error 2 "drive 'other': not served here; the drives are: root" live b.vmab -d other
expect_error 2 'named twice' live b.vmab -d root -d root
expect_error 2 'chosen by --drive' live b.vmab a.raw
expect_error 2 '--direct is for drives' live b.vmab --direct
expect_error 2 '--spill is for qemu:SOCKET without --pull and serve:SOCKET' "$VMABAK" backup -o b.vmab --spill 1G a.raw
expect_error 2 'both are needed' live b.vmab --freeze-command true
expect_error 2 'exists already' live a.vmab
expect_error 2 'is the output itself' live b.raw -d data --force --format vmab
expect_error 1 'no vmabak serve listens there' "$VMABAK" backup serve:none.sock -o b.vmab
expect_error 2 '--buffer' live b.vmab --buffer 1M
stop_serve
expect_code 0 "$VMABAK" backup --json -o direct.vmab data=b.raw root=a.raw
expect_json "$out" "all(d[k] == v for k, v in json.load(open('live.json')).items() if k in ('data_bytes', 'data_clusters', 'zero_clusters', 'drives_bytes'))"
