# A checkpoint of a serve goes to another serve of the same drives, through a file and through a pipe, while that one records: the
# next increment there takes it by itself, and is right; what is incomplete, forged, or of another drive is not taken.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
checkpoint() { "$VMABAK" checkpoint "$@"; }
state_of()
{
	expect_code 0 checkpoint list --json serve:d.sock
	"$PYTHON" -c 'import json, sys
print(*[c["state"] for c in json.load(open(sys.argv[1]))["checkpoints"] if c["name"] == sys.argv[2]])' "$out" "$1"
}
# increment CODE NAME PARENT LISTED: of the other serve; LISTED: its drives' lists of changes, in Python.
increment()
{
	expect_code "$1" "$VMABAK" backup -q --json serve:d.sock -o "$2.vmab" --parent "$3.vmab"
	expect_json "$out" "[x['proof'] and x['proof']['listed_clusters'] for x in d['drives']] == $4"
	restored_is "$2.vmab" a there.raw
}
restored_is()
{
	rm -rf restored
	expect_code 0 "$VMABAK" restore -q --parents . "$1" -d "$2=restored.raw"
	same_file "$3" restored.raw
	rm restored.raw
}

make_random a.raw 20000001 1
start_serve --map a.map a=a.raw
expect_code 0 live 0.vmab -q
name=$("$VMABAK" list --json 0.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')
guest a 'h.pwrite(b"x" * 512, 5 * 65536); h.pwrite(b"x", 20000000); h.flush()'
# What a disk may have of it when the power was cut: what was written since is missing.
cp a.map left.map
guest a 'h.pwrite(b"x" * 512, 6 * 65536); h.flush()'
expect_error 2 'left.map: was not closed in order' checkpoint export "$name" -o left.ckpt left.map
expect_error 2 'left.map: was not closed in order' checkpoint send left.map
[ ! -e left.ckpt ] || fail 'it was exported'

# The machine moves: the other side records before the last request here.
guest a 'h.pwrite(b"y" * 512, 6 * 65536); h.flush()'
cp a.raw there.raw
start_other --map there.map a=there.raw
guest a 'h.flush()'
guest_there 'h.pwrite(b"z" * 512, 9 * 65536)'
expect_code 0 checkpoint export "$name" -o a.ckpt --chunk-size 64 serve:c.sock --json
expect_json "$out" "d['changed_clusters'] == 3" "d['n_parts'] == 1" "d['n_chunks'] == 1"
increment 3 lost 0 '[None]'
head -c $(($(stat -c %s a.ckpt) - 60)) a.ckpt >cut.ckpt
expect_error 4 'ends' checkpoint import cut.ckpt serve:d.sock
expect_text "$err" 'cut.ckpt'
[ "$(state_of "$name")" = incomplete ] || fail "it is $(state_of "$name")"
increment 3 incomplete 0 '[None]'
expect_code 3 "$VMABAK" backup serve:d.sock -o said.vmab --parent 0.vmab
expect_text "$err" 'is incomplete'
expect_code 0 checkpoint import a.ckpt serve:d.sock
[ "$(state_of "$name")" = good ] || fail "it is $(state_of "$name")"
guest_there 'h.pwrite(b"w" * 512, 11 * 65536)'
increment 0 moved 0 '[5]'
# Once more, and into itself.
expect_code 0 checkpoint import a.ckpt serve:d.sock
expect_error 2 'very map' checkpoint import a.ckpt serve:c.sock
[ "$(state_of "$name")" = good ] || fail "it is $(state_of "$name")"
increment 0 again moved '[0]'

# Kept by a stop and by a kill of the other, and sent on from there: the token stays right.
stop_other
start_other --map there.map a=there.raw
increment 0 stopped 0 '[5]'
kill -9 $other
wait $other 2>/dev/null || :
start_other --map there.map a=there.raw
increment 0 killed 0 '[5]'
guest_there 'h.pwrite(b"v" * 512, 12 * 65536); h.flush()'
expect_code 0 checkpoint delete "$name" serve:d.sock
increment 3 deleted 0 '[None]'
checkpoint send "$name" serve:c.sock | checkpoint receive serve:d.sock --json >received || fail 'send'
expect_json received "d['changed_clusters'] == 3"
increment 0 sent 0 '[6]'
checkpoint export "$name" -o on.ckpt serve:d.sock || fail 'export of an import'
stop_other
cp there.raw third.raw
mv third.raw there.raw
start_other a=there.raw
expect_error 1 'unwritten' checkpoint import on.ckpt serve:d.sock
[ "$(state_of "$name")" = incomplete ] || fail "it is $(state_of "$name")"
increment 3 doubted 0 '[None]'
expect_code 0 checkpoint import on.ckpt serve:d.sock --unwritten
increment 0 third 0 '[6]'
stop_other

# A machine that can still write where it comes from: a first pass, which the second completes.
cp a.raw there.raw
start_other a=there.raw
mkfifo hold
"$PYTHON" -c 'import nbd, sys
h = nbd.NBD()
h.connect_uri("nbd+unix:///a?socket=n.sock")
h.pread(512, 0)
open("up", "w")
open("hold").read()' &
holder=$!
on_exit "kill $holder 2>/dev/null"
wait_until [ -e up ]
expect_error 1 'can still write' checkpoint migrate "$name" serve:c.sock serve:d.sock
[ "$(state_of "$name")" = incomplete ] || fail "it is $(state_of "$name")"
: >hold
wait $holder
wait_until sh -c '"$VMABAK" status --json c.sock | grep -q "\"n_connections\": 0"'
expect_code 0 checkpoint migrate serve:c.sock serve:d.sock --json
expect_json "$out" "d['changed_clusters'] == 3" "d['kept_chunks'] == 1"
increment 0 migrated 0 '[3]'

# What cannot come: another size, another name, a name that is taken, what is no checkpoint, and another granularity.
stop_other
truncate -s 30M there.raw
start_other a=there.raw
expect_error 2 'has 20000001 bytes' checkpoint import a.ckpt serve:d.sock
stop_other
start_other b=there.raw
expect_error 2 'drive a: there is none of that name where it goes, but b' checkpoint import a.ckpt serve:d.sock
expect_error 2 'drive a: there is none of that name where it goes, but b' checkpoint migrate serve:c.sock serve:d.sock
expect_no_text "$err" 'NAME=FILE'
stop_other
cp a.raw there.raw
start_other a=there.raw
expect_code 0 checkpoint create "$name" serve:d.sock
expect_error 2 'exists already' checkpoint import a.ckpt serve:d.sock
expect_error 4 'no checkpoint' checkpoint import a.raw serve:d.sock
expect_error 1 'No such file' checkpoint import none serve:d.sock
expect_error 2 'of that name' checkpoint export none -o none serve:c.sock
[ ! -e none ] || fail "there is a file"
expect_error 2 '-o FILE' checkpoint export "$name" serve:c.sock
cp a.raw before.raw
expect_error 2 'exists already, and is no checkpoint' checkpoint export "$name" -o a.raw serve:c.sock
same_file a.raw before.raw
rm before.raw
stop_serve
expect_code 0 checkpoint export "$name" -o off.ckpt a.map
# A map that is called otherwise than its drive.
mkdir called
cp a.map called/web.map
expect_code 0 checkpoint export "$name" -o web.ckpt called/web.map
expect_error 2 "drive web: there is none of that name where it goes, but a; if it is of a map's file, export that as NAME=FILE" checkpoint import web.ckpt serve:d.sock
expect_code 0 checkpoint export "$name" -o named.ckpt a=called/web.map
expect_error 2 'no checkpoint can come' checkpoint import off.ckpt a.map
expect_code 0 checkpoint delete "$name" serve:d.sock --force
expect_code 0 checkpoint import named.ckpt serve:d.sock --unwritten
increment 0 off 0 '[3]'
