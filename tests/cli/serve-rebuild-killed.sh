# A checkpoint rebuild of a serve that is killed at any of its requests leaves nothing that makes an increment wrong, and the
# next one does it.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
need_strace
# killed_at N: when it sends its N-th request. False: it had all it needed before.
killed_at()
{
	lib_code=0
	strace -f -qq -o /dev/null -e trace=sendmsg,sendto -e "inject=sendmsg,sendto:signal=KILL:when=$1" \
		"$VMABAK" checkpoint rebuild --parent 0.vmab serve:c.sock >killed.out 2>&1 || lib_code=$?
	[ $lib_code -ge 128 ]
}
state_of()
{
	expect_code 0 "$VMABAK" checkpoint list --json serve:c.sock
	"$PYTHON" -S -c 'import json, sys
print(*[c["state"] for c in json.load(open(sys.argv[1]))["checkpoints"] if c["uuid"] == sys.argv[2]])' "$out" "$uuid"
}

make_random a.raw 3000001 1
expect_code 0 "$VMABAK" backup -q -o 0.vmab a=a.raw
uuid=$("$VMABAK" list --json 0.vmab | "$PYTHON" -S -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')
put a.raw 2800000 before
start_serve --map a=a.map a=a.raw
n=0 states=
while n=$((n + 1)); killed_at $n; do
	guest a "h.pwrite(b'x' * 512, $n * 65536); h.flush()"
	state=$(state_of)
	states="$states ${state:-none}"
	lib_code=0
	live 1.vmab -q --parent 0.vmab --force 2>"$err" || lib_code=$?
	case $lib_code$state in
	0 | 3incomplete | 0good) ;;
	*) fail "killed at $n: exit code $lib_code, checkpoint '$state': $(cat "$err")" ;;
	esac
	restored_is 1.vmab a a.raw
done
case "$states" in
' none'*' incomplete'*) ;;
*) fail "it was never killed when it counted: $states" ;;
esac
expect_code 0 "$VMABAK" checkpoint rebuild --parent 0.vmab serve:c.sock
guest a 'h.pwrite(b"y" * 512, 40 * 65536); h.flush()'
expect_code 0 live 1.vmab -q --json --parent 0.vmab --force
expect_json "$out" "d['drives'][0]['proof']['listed_clusters'] == 1 + $n"
restored_is 1.vmab a a.raw
stop_serve
