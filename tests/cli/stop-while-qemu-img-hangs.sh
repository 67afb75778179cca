# A qemu-img that hangs, as on a disk that does not answer, ends with the program, which ends by a signal.
. "$(dirname "$0")/lib.sh"
need_images

qemu-img create -q -f qcow2 a.qcow2 1M
mkdir bin
cat >bin/qemu-img <<'SCRIPT'
#!/bin/sh
[ "$1" = "$HANGS" ] || exec "$REAL" "$@"
echo $$ >"$HERE/pid.new"
mv "$HERE/pid.new" "$HERE/pid"
exec sleep 1000
SCRIPT
chmod +x bin/qemu-img
REAL=$(command -v qemu-img) HERE=$PWD
export REAL HERE
# One that has ended may still be a zombie, whose parent has gone.
ended()
{
	! grep -qs '^State:.[^ZX]' "/proc/$(cat pid)/status"
}
on_exit 'kill -9 $(cat pid) 2>/dev/null'
for command in info map check; do
	for signal in INT TERM; do
		rm -f pid
		export HANGS=$command
		PATH=$PWD/bin:$PATH in_background "$VMABAK" backup a.qcow2 -o x.vmab
		wait_until test -e pid
		kill -$signal $pid
		case $signal in
		INT) ended_with 130 $pid ;;
		TERM) ended_with 143 $pid ;;
		esac
		wait_until ended
		nothing_but a.qcow2 bin pid
	done
done
