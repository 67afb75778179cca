# SIGKILL of a pull from a machine with a drive in an iothread, at VMABAK_KILLS moments (5): QEMU, which before 8.2 does not
# outlive a client that hangs up there, goes on, its machine writes on, and nothing is left; the next backup is right.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/iothread.sh"

start_writing_machine 16M
pull() { expect_code 0 "$VMABAK" backup -q "qemu:$qmp" --pull --scratch "$TMPDIR" "$@"; }
pull -o a.vmab
machine_is_well
killed_at_moments machine_is_well nothing_in_qemu "$VMABAK" backup -q "qemu:$qmp" --pull --scratch "$TMPDIR" --rate 20M --no-sync -o killed.vmab
writes_on
ask_qmp stop >/dev/null
pull -o last.vmab
expect_code 0 "$VMABAK" restore -q last.vmab -C restored
same_file root.raw restored/root.raw
same_file data.raw restored/data.raw
machine_is_well
