# Web servers in trouble, and some that lie: either all is right in the end, or it fails, and says of what.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web.sh"

make_random drive.raw 9000000 1
mkdir www
echo config >conf
expect_code 0 "$VMABAK" backup -o www/a.vmab --config conf root=drive.raw

# reads CODE TEXT FAULT...
reads()
{
	code=$1 text=$2
	shift 2
	web "$@"
	expect_code "$code" "$VMABAK" restore --force "$url/a.vmab" -C restored
	[ "$code" != 0 ] || same_file drive.raw restored/root.raw
	expect_text "$err" "$text"
	end_web
}
# Trouble that passes.
reads 0 restored 500:bytes=0 503+3 drop+4 cut+5
reads 0 restored short+2
reads 0 restored cut drop:bytes=131072
reads 0 restored no-etag no-dates
reads 0 restored weak
# Also in the very first request, of which nothing is left then.
web 503:GET
expect_code 0 "$VMABAK" config "$url/a.vmab"
expect_text requests ' 503'
same_file conf "$out"
end_web
# One that says nothing, and one that hardly says anything.
VMABAK_STALL_S=1
reads 0 restored stall
reads 0 restored drip:bytes=131072
VMABAK_STALL_S=3
# Trouble that does not.
reads 1 'answers 500 (tried 8 times)' 500+1
reads 1 'answers 403, access denied' 403
reads 1 'there is no such file' 404+2
# What is not the range.
reads 1 'but with everything: curl -L' whole+3
for lie in other other+3 long long+3 bare+3 star multipart+2; do
	reads 1 'does not answer with the range that was asked for' "$lie"
done
reads 1 'does not answer with the range that was asked for' huge+1
reads 1 'replaced while it was read' huge+3
# Other bytes under the right range.
reads 4 'damaged' wrong+3
reads 4 'damaged' shifted+3
# Another file: by its tag, whether the server looks at If-Match or not, or by its date.
reads 1 'replaced while it was read' etag+3
reads 1 'replaced while it was read' etag+3 ignore-match
reads 1 'replaced while it was read' replaced weak

# Redirections: followed, without the user and password; not for ever.
web
first=$url first_pid=$web_pid
web away="$first"
: >requests
expect_code 0 "$VMABAK" verify "http://tester:hush@localhost:$port/a.vmab"
given=$(grep -c 'by Basic' requests) all=$(grep -c . requests)
[ "$all" -gt 0 ] && [ "$all" = $((given * 2)) ] || fail "a password went to another host: $(cat requests)"
end_web
web loop
expect_error 1 'redirects' "$VMABAK" list "$url/a.vmab"
end_web
kill "$first_pid"
