# Power cuts while the map of a tracked QEMU's drive is written to: whatever is left of it names all that changed between
# archives, or it begins anew. The next backup then compares, and is right. VMABAK_CUTS=N: so many.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
: "${LIVE_TOOLS:=$SRC/build/release}"
for program in journal.so cut; do
	[ -e "$LIVE_TOOLS/$program" ] || fail "no $LIVE_TOOLS/$program: run make live-tools"
done
small_drives
mkdir state
: >state/B.map
: >journal
: >dummy
real=$VMABAK
cat >journaled <<END
#!/bin/sh
export JOURNAL="$PWD/journal" JOURNAL_DRIVE="$PWD/dummy" JOURNAL_MAP="$PWD/state/B.map" LD_PRELOAD="$LIVE_TOOLS/journal.so"
exec "$real" "\$@"
END
chmod +x journaled

# complete ARCHIVE: the journal is told, and what it restores to is kept.
complete()
{
	rm -rf back
	expect_code 0 "$real" restore -q "$1.vmab" -d "B=$1.img"
	"$PYTHON" -S -c 'import json, struct, sys
token = json.loads(sys.stdin.read())["drives"][0]["token"]
text = f"{token} {sys.argv[1]}.img".encode()
open("journal", "ab").write(struct.pack("<IIQQ", 8, 0, 0, len(text)) + text)' "$1" <<-END
	$("$real" list --json "$1.vmab")
	END
}

VMABAK=$PWD/journaled
track 0 -q -o 0.vmab -d B
complete 0
for n in 1 2 3 4 5; do
	write_B $n $((n * 3))M 128k
	write_B $n $((n * 128))k 4k
	if [ $n = 2 ]; then
		expect_code 0 "$VMABAK" checkpoint create here "qemu:$qmp" --state state
		write_B 77 20M 64k
	fi
	if [ $n = 4 ]; then
		! "$VMABAK" backup -q "qemu:$qmp" --track --state state -d B -o none/4.vmab --parent 3.vmab 2>/dev/null || fail "no folder"
		write_B 78 20M 64k
	fi
	track 0 -q -o $n.vmab -d B --parent $((n / 2)).vmab
	complete $n
done
VMABAK=$real
"$LIVE_TOOLS/cut" journal 33554432 "${VMABAK_CUTS:-150}" "${VMABAK_SEED:-1}" elsewhere >cuts || fail "$(cat cuts)"
cat cuts
! grep -q '^0 maps\| 0 began' cuts || fail "not both: $(cat cuts)"

# After the next start: QEMU is new, too.
end_process "$daemon"
[ -s map.left ] || fail "no map was left open"
cp map.left state/B.map
start_drives
write_B 99 5M 64k
track 3 -o after.vmab --parent 5.vmab -d B
expect_text "$err" 'drive B: all of it is compared with the parent: its changes were not recorded: the machine crashed while its map was open'
expect_code 0 "$VMABAK" restore -q after.vmab -C back
qemu-img convert -f raw -O raw "$uri_B" now.B
same_file back/B.raw now.B
write_B 98 6M 64k
track 0 -o more.vmab --parent after.vmab -d B --json
is_increment - B=2
