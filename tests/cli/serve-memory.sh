# 16 TiB of which little is written take little memory, idle and during a backup, and every cluster of the map if all is.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
# As large as a file of ext4 can be.
truncate -s $(((16 << 40) - 4096)) a.raw
start_serve a=a.raw

# peak_below MIB: the most memory that serve has had.
peak_below()
{
	lib_peak=$(awk '$1 == "VmHWM:" { print int($2 / 1024) }' /proc/$serve/status)
	[ "$lib_peak" -le "$1" ] || fail "serve took $lib_peak MiB, more than $1"
}

guest a '
for at in range(0, 16 << 40, 1 << 36):
    h.pwrite(b"x" * 512, at)'
expect_code 0 live a.vmab --json
expect_json "$out" "d['capture']['n_clusters'] == 1 << 28" "d['data_clusters'] == 256"
rm a.vmab
peak_below 150
# A backup that has everything pending, while the guest writes here and there.
live b.vmab --rate 1M -q &
backup=$!
guest a '
for at in range(1 << 35, 16 << 40, 1 << 36):
    h.pwrite(b"x" * 512, at)'
ended_with 0 $backup
peak_below 200
# All of the map.
guest a '
for at in range(0, 16 << 40, 1 << 31):
    h.trim(min(1 << 31, (16 << 40) - 4096 - at), at)'
status "s['drives'][0]['map']['changed_clusters'] == 1 << 28"
peak_below 600
expect_code 0 live c.vmab -q
peak_below 620

# Checkpoints are names and numbers: 100 of them take less than 1 MiB.
resident() { awk '$1 == "VmRSS:" { print $2 }' /proc/$serve/status; }
before=$(resident)
for i in $(seq 100); do
	"$VMABAK" checkpoint create "c$i" serve:c.sock || fail "checkpoint c$i"
done
[ $(($(resident) - before)) -le 1024 ] || fail "100 checkpoints take $(($(resident) - before)) KiB"
guest a 'h.pwrite(b"x" * 512, 1 << 40)'
expect_code 0 "$VMABAK" checkpoint size c1 serve:c.sock --json
expect_json "$out" "d['drives'][0]['changed_bytes'] == 65536"
stop_serve
