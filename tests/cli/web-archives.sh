# http://...: archives of a web server, read in ranges.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web.sh"
web

make_random root.raw 20480000 1
make_random data.raw 1024000 2
echo 'one = 1' >web.conf
expect_code 0 "$VMABAK" backup -o www/a.vmab -c web.conf root=root.raw data=data.raw
a=$url/a.vmab

# All that reads, reads from there.
expect_code 0 "$VMABAK" verify "$a"
expect_code 0 "$VMABAK" verify --quick "$a"
[ "$(ask most)" -gt 1 ] || fail "one request at a time"
expect_code 0 "$VMABAK" restore "$a" -C restored
same_file root.raw restored/root.raw
same_file data.raw restored/data.raw
expect_text "$err" 'fetched'
expect_code 0 "$VMABAK" config "$a" web.conf
same_file "$out" web.conf
expect_code 0 "$VMABAK" convert "$a" -o www/copy.vma.gz
expect_code 0 "$VMABAK" verify "$url/copy.vma.gz"
expect_code 0 "$VMABAK" salvage "$url/copy.vma.gz" -C salvaged
same_file root.raw salvaged/root.raw

# Little is fetched for little, and told.
before=$(ask taken)
expect_code 0 "$VMABAK" list --json "$a"
fetched=$(($(ask taken) - before))
expect_json "$out" "d['fetched_bytes'] == $fetched" "$fetched < 200000"
before=$(ask taken)
expect_code 0 "$VMABAK" restore --json "$a" -d data=one.raw
same_file data.raw one.raw
fetched=$(($(ask taken) - before))
expect_json "$out" "d['fetched_bytes'] <= $fetched" "$fetched < 4000000"

# An increment, and its parent beside it.
cp www/a.vmab full.vmab
put root.raw 5000000 change
expect_code 0 "$VMABAK" backup -o www/b.vmab --parent "$a" root=root.raw data=data.raw
expect_code 0 "$VMABAK" restore "$url/b.vmab" "$a" -C chain
same_file root.raw chain/root.raw
expect_code 0 "$VMABAK" convert www/a.vmab -o www/c.vmab
expect_code 0 "$VMABAK" diff "$url/c.vmab" "$a"
expect_error 1 'is not named' "$VMABAK" restore "$url/b.vmab" -C alone
mkdir here
cp www/a.vmab here
expect_code 0 "$VMABAK" restore "$url/b.vmab" --parents here -C here
expect_code 0 "$VMABAK" verify --chain "$url/b.vmab" "$a"

# What cannot be.
expect_error 1 'answers 404, there is no such file' "$VMABAK" list "$url/none.vmab"
expect_error 1 'connect' "$VMABAK" list http://127.0.0.1:1/a.vmab
: >www/empty
expect_error 4 'it is empty' "$VMABAK" list "$url/empty"
for target in -o\ "$url/new.vmab" --force\ -o\ "$a"; do
	# shellcheck disable=SC2086 # two words
	expect_error 2 'cannot be written' "$VMABAK" backup $target data.raw
done
expect_error 2 'cannot be written' "$VMABAK" merge "$url/b.vmab" "$a" -o "$url/new.vmab"
end_web

# A user and password: of the URL, of which no list of processes and no message has them, and of ~/.netrc.
web user
expect_error 1 '401, access denied' "$VMABAK" list "$url/a.vmab"
secret=http://tester:hush@127.0.0.1:$port/a.vmab?key=topsecret
expect_code 0 "$VMABAK" list -v "$secret"
expect_text requests 'GET /a.vmab?key=topsecret bytes=0-131071 by Basic'
expect_code 0 "$VMABAK" verify --json "$secret"
expect_json "$out" "d['archives'][0]['archive'] == '$url/a.vmab'"
expect_error 1 "$url/none: the server answers 404" "$VMABAK" list "http://tester:hush@127.0.0.1:$port/none?key=topsecret"
expect_no_text "$err" hush topsecret
expect_error 2 'is there twice, with another user or query' "$VMABAK" list "$secret" "$secret"2
expect_no_text "$err" hush topsecret
in_background "$VMABAK" verify --rate 1M "$secret"
wait_until grep -qsF "$url/a.vmab" "/proc/$pid/cmdline"
! grep -qaE "hush|topsecret" "/proc/$pid/cmdline" || fail "a password is in the list of processes"
kill -9 "$pid"
expect_code 0 "$VMABAK" backup --force -o new.vmab --parent="$secret" data=data.raw
echo 'machine 127.0.0.1 login tester password hush' >.netrc
chmod 600 .netrc
expect_code 0 "$VMABAK" verify "$url/a.vmab"
