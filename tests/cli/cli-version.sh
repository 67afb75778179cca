# The version tells features and libraries, in words and as JSON.
. "$(dirname "$0")/lib.sh"

expect_code 0 "$VMABAK" --version
head -n 1 "$out" | grep -qE '^vmabak [0-9]+\.[0-9]+\.[0-9]+$' || fail "no version: $(cat "$out")"
expect_text "$out" vma1 vmab zstd xxhash libarchive openssl zlib jansson libcurl
version=$(sed -n '1s/vmabak //p' "$out")
expect_code 0 "$VMABAK" -V
expect_code 0 "$VMABAK" --version --json
expect_json "$out" "d['version'] == '$version'" "'vmab' in d['features']" \
	"{'zstd', 'xxhash', 'libarchive'} <= set(d['libraries'])" "d['exit_code'] == 0"
