# QEMU itself is killed in the middle of a live restore and started again, at the export or, once that has ended, at the new disk; and
# the restore is killed from the moment on that all is there, in the midst of the move. What a guest was answered is there each time.
# VMABAK_KILLS=N: so many of each. VMABAK_SEED=N: at other moments.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64
need_python nbd

make_random a.raw 3000000 5
truncate -s 4M a.raw
"$VMABAK" backup -q -o a.vmab root=a.raw
for killed in qemu move; do
	"$PYTHON" "$CLI/live_kills.py" "$VMABAK" $killed "${VMABAK_KILLS:-3}" "${VMABAK_SEED:-1}" || fail "$killed is killed"
done
