# --json of ls, get, export and mount: what was found, and what failed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
need grub-fstest debugfs mkfs.ext4 nbdcopy

mkdir -p tree/sub
echo hello >tree/hello
: >"tree/$(printf 'esc\033[2Jape')"
: >"tree/$(printf 'latin\344')"
truncate -s 4M root.raw
mkfs.ext4 -q -F -L name -d tree root.raw
expect_code 0 "$VMABAK" backup -o a.vmab root=root.raw

expect_code 0 "$VMABAK" ls --json a.vmab root
expect_json "$out" "d['place'] == 'root'" "[p['place'] for p in d['partitions']] == ['root']" \
	"'name' in d['partitions'][0]['about']" "'entries' not in d"
expect_code 0 "$VMABAK" ls --json a.vmab root:/
expect_json "$out" "d['archive'] == 'a.vmab'" "'partitions' not in d" \
	"[(e['size_bytes'], e['folder']) for e in d['entries'] if e['name'] == 'hello'] == [(6, False)]" \
	"[e['folder'] for e in d['entries'] if e['name'] == 'sub'] == [True]" \
	"[e for e in d['entries'] if e['name'] == 'esc\\x1b[2Jape']" \
	"[e for e in d['entries'] if e.get('name_hex') == '6c6174696ee4']" \
	"not [e for e in d['entries'] if e['name'] in ('.', '..')]" \
	"all(e['changed'][4] == '-' and e['changed'][-1] == 'Z' for e in d['entries'])"
expect_code 1 "$VMABAK" ls --json a.vmab root:/none
expect_json "$out" "'not found' in d['error']['message']" "'entries' not in d"

expect_code 0 "$VMABAK" get --json a.vmab root:/hello
same_file tree/hello hello
expect_json "$out" "d['target'] == './hello'" "d['size_bytes'] == 6" "d['program'] == 'debugfs'" "d['keeps_owners']"
expect_code 0 "$VMABAK" get --json a.vmab root:/hello -o -
same_file tree/hello "$out"
expect_json "$err" "d['target'] is None" "d['place'] == 'root:/hello'"
expect_code 0 "$VMABAK" get --json -r a.vmab root:/ -o got
expect_json "$out" "d['target'] == 'got'" "d['n_files'] == 3" "d['size_bytes'] == 6" "d['n_left_out'] == 0"
expect_code 2 "$VMABAK" get --json a.vmab root:/hello
expect_json "$out" "d['error']['code'] == 'usage'" "'target' not in d"

mkdir mnt
on_exit "fusermount3 -uz '$PWD/mnt' 2>/dev/null"
expect_code 0 "$VMABAK" mount --json a.vmab mnt
expect_json "$out" "d['folder'] == 'mnt'" "d['archive'] == 'a.vmab'"
same_file root.raw mnt/root.raw
fusermount3 -u mnt
wait_until sh -c '! mountpoint -q mnt'
cp a.vmab bad.vmab
put bad.vmab 5 x
expect_code 4 "$VMABAK" mount --json bad.vmab mnt
expect_json "$out" "d['exit_code'] == 4" "d['error']['code'] == 'damaged'" "'bad.vmab' in d['error']['message']" "'folder' not in d"
expect_code 1 "$VMABAK" mount --json a.vmab none/such
expect_json "$out" "d['error']['message'].count('none/such') == 1"

"$VMABAK" export --json -q a.vmab --nbd unix:sock >told &
exported=$!
on_exit "kill $exported 2>/dev/null"
wait_until test -S sock
nbdcopy 'nbd+unix:///root?socket=sock' copy.raw
same_file root.raw copy.raw
kill $exported
code=0
wait $exported || code=$?
[ $code = 0 ] || fail "exit code $code of the export"
expect_json told "d['archive'] == 'a.vmab'" "d['decoded_extents'] > 0" "d['read_bytes'] > 0" "d['damaged_extents'] == 0"
