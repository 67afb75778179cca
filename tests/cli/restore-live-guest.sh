# A Linux machine boots from the archive that it is restored from, and writes to a file system and two drives, one with an iothread.
# The process of the restore is killed meanwhile and goes on; then the machine moves to the new disks while it writes. They are the machine as
# if its plug had been pulled.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_live_tools
need_guest
need mkfs.ext4 e2fsck debugfs

make_drives 20975104 12586496
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
"$VMABAK" backup -q -o a.vmab fs=fs.raw A=A.raw B=B.raw
rm fs.raw A.raw B.raw

# begin RATE
begin()
{
	"$VMABAK" restore a.vmab -C new --live "qemu:$TMPDIR/vm.qmp" --nbd unix:live.sock --rate "$1" 2>>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
	wait_until begun
}
begun()
{
	"$PYTHON" -S -c 'import socket; socket.socket(socket.AF_UNIX).connect("live.sock")' 2>/dev/null && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}
export_of() { echo "nbd+unix:///$1?socket=live.sock,file.reconnect-delay=1000"; }

begin 100k
boot_machine "$(export_of fs)" "$(export_of A)" "$(export_of B)" raw
ls new >found
for name in A B fs; do
	expect_text found "$name.raw.live"
done
kill -9 $live
wait $live 2>/dev/null || :
begin 0
ended_with 0 $live
safe=$(guest_files)
expect_text live.err ' bytes are there' 'all is there' "drive A: the machine runs from $PWD/new/A.raw" 'and the machine moved, in'
[ "$(ls new | tr '\n' ' ')" = 'A.raw B.raw fs.raw ' ] || fail "restored: $(ls new)"
ask_qmp query-named-block-nodes >nodes
expect_no_text nodes nbd live.sock
expect_text nodes "$PWD/new/A.raw" "$PWD/new/B.raw" "$PWD/new/fs.raw"
wait_until eval '[ "$(guest_files)" -gt "$safe" ]'
safe=$(guest_files)
stop_guest
check_file_system new/fs.raw "$safe"
judge new/A.raw new/B.raw || fail "$(cat judgement)"
