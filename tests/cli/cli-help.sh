# Every command explains itself, on standard output.
. "$(dirname "$0")/lib.sh"

expect_code 0 "$VMABAK" commands
cut -f 1 "$out" >names
for verb in backup restore list config verify convert merge salvage serve status stop qemu-drives help; do
	grep -qx "$verb" names || fail "no command $verb"
done
while read -r verb; do
	expect_code 0 "$VMABAK" "$verb" --help
	[ ! -s "$err" ] || fail "$verb --help wrote to standard error"
	expect_text "$out" "Usage: vmabak $verb" --quiet --help
	# What serves has no result that could be printed, and what is in a file or folder is printed as it is.
	case $verb in serve | export | snapshot | mount | test | ls | get) ;; *) expect_text "$out" --json ;; esac
	! grep -n '.\{80\}' "$out" || fail "help of $verb: a line is too wide for a terminal"
	cp "$out" one
	expect_code 0 "$VMABAK" help "$verb"
	same_file one "$out"
	expect_code 0 "$VMABAK" "$verb" -h
	same_file one "$out"
done <names

expect_code 0 "$VMABAK" --help
expect_text "$out" backup restore list config verify convert completion 'Exit codes:' ' 5 salvage: ' '128+n'
! grep -n '.\{80\}' "$out" || fail "a line is too wide for a terminal"
cp "$out" one
expect_code 0 "$VMABAK" help
same_file one "$out"
# Help wins over what is missing or wrong besides.
expect_code 0 "$VMABAK" backup --help --rate 1
