# Checkpoints that came from another map are listed by their instants, the oldest first, though the latest comes first; in the file
# of a map, too.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

names()
{
	expect_code 0 "$VMABAK" checkpoint list "$1"
	awk '{ print $NF }' "$out" | tr '\n' ' '
}

make_random a.raw 200000 1
start_serve --map a.map a=a.raw
for name in one two three; do
	expect_code 0 "$VMABAK" checkpoint create $name serve:c.sock
done
expect_code 0 "$VMABAK" checkpoint export -o all.ckpt serve:c.sock
stop_serve
start_serve --map b.map a=a.raw
expect_code 0 "$VMABAK" checkpoint import all.ckpt --unwritten serve:c.sock
expect_code 0 "$VMABAK" checkpoint create four serve:c.sock
[ "$(names serve:c.sock)" = "one two three four " ] || fail "the server: $(cat "$out")"
stop_serve
[ "$(names b.map)" = "one two three four " ] || fail "the file: $(cat "$out")"
