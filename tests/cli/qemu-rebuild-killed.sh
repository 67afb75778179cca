# A checkpoint rebuild of a QEMU that is killed after any of its commands leaves nothing that makes an increment wrong, and
# the next one does it. VMABAK_KILLS=N: after each N-th command.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
small_drives
killer=$TMPDIR/killer
expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -o 0.vmab
no_guard_here()
{
	! pgrep -f "^vmabak guard .*-- qemu:$killer" >/dev/null
}
# killed_after COMMANDS: $given is how many commands it gave, at most that many.
killed_after()
{
	rm -f "$killer" given
	"$PYTHON" -S "$CLI/qmp_killer.py" "$killer" "$qmp" "$1" >given &
	lib_killer=$!
	on_exit "kill -9 $lib_killer 2>/dev/null"
	wait_until test -S "$killer"
	"$VMABAK" checkpoint rebuild --parent 0.vmab "qemu:$killer" --state state >killed.out 2>&1 || true
	wait_until test -s given
	given=$(cat given)
	wait_until no_guard_here
	kill -9 $lib_killer 2>/dev/null || true
	wait $lib_killer 2>/dev/null || true
}
moment=1 n=0
while :; do
	n=$((n + 1))
	rm -rf state
	write_A $n 5M 64k
	killed_after $moment
	[ "$given" -gt 0 ] || break
	write_B $n 9M 128k
	rm -f 1.vmab*
	lib_code=0
	"$VMABAK" backup -q "qemu:$qmp" --track --state state -o 1.vmab --parent 0.vmab 2>"$err" || lib_code=$?
	[ $lib_code = 0 ] || [ $lib_code = 3 ] || fail "backup after $moment: exit code $lib_code: $(cat "$err")"
	expect_no_text "$err" 'is wrong'
	is_live 1.vmab
	[ -z "$(ls -d "$TMPDIR"/vmabak-* 2>/dev/null)" ] || fail "left: $(ls -d "$TMPDIR"/vmabak-*) at $moment"
	moment=$((moment + ${VMABAK_KILLS:-9}))
done
[ $moment -gt 20 ] || fail "it gave $moment commands at most"
# What the last one that was killed has left is put right by the next.
killed_after $((moment / 2))
expect_code 0 "$VMABAK" checkpoint rebuild --parent 0.vmab "qemu:$qmp" --state state
write_A 99 7M 64k
track 0 -q -o 2.vmab --parent 0.vmab --json
is_increment - A=3 B=3
is_live 2.vmab
nothing_in_qemu
