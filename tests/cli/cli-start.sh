# The program starts without the libraries that few runs need: to load them would take most of the time of --help. One
# that cannot be loaded is named when it is needed.
. "$(dirname "$0")/lib.sh"

LD_TRACE_LOADED_OBJECTS=1 "$VMABAK" >"$out"
! grep -E 'lib(archive|nbd|gnutls|xml2|virt)\.so' "$out" || fail "loaded at the start: $(cat "$out")"

make_random a.raw 100000 1
expect_code 0 "$VMABAK" backup -q -o a.vma a.raw
xz a.vma
mkdir "$TMPDIR/libraries"
for file in $(grep -ao 'libarchive\.so[.0-9]*' "$VMABAK"); do
	echo 'not a library' >"$TMPDIR/libraries/$file"
done
expect_code 0 env LD_LIBRARY_PATH="$TMPDIR/libraries" "$VMABAK" --help
expect_error 1 'libarchive cannot be loaded' env LD_LIBRARY_PATH="$TMPDIR/libraries" "$VMABAK" verify a.vma.xz
expect_code 0 "$VMABAK" verify -q a.vma.xz
