# What lies inside a drive is not a part of the archive, even if it claims the same uuid, and even
# where the archive is damaged.
. "$(dirname "$0")/lib.sh"

uuid=01234567-89ab-cdef-0123-456789abcdef
make_random a.raw 3000000 1
for how in '--compress none --no-vma-checksums' '--compress none'; do
	format=vmab
	case $how in *vma*) format=vma ;; esac
	# shellcheck disable=SC2086 # words
	"$VMABAK" backup -q $how --uuid $uuid -o inner.$format a=a.raw
	cp inner.$format inner.raw
	truncate -s 4M inner.raw
	# shellcheck disable=SC2086
	"$VMABAK" backup -q $how --uuid $uuid -o outer.$format a=inner.raw,format=raw
	expect_code 0 "$VMABAK" salvage outer.$format -C whole
	same_file inner.raw whole/a.raw
	rm -r whole
done
# bytes are missing before, or behind, the headers of the inner one: all sections of it are met
for at in 1700 1000000; do
	{ head -c $at outer.vmab && tail -c +$((at + 513)) outer.vmab; } >bad.vmab
	expect_code 5 "$VMABAK" salvage bad.vmab -C bad
	expect_text "$out" ' 64.0 KiB lost'
	"$PYTHON" - <<'EOF' || fail "something else came there"
inner, bad = open("inner.raw", "rb").read(), open("bad/a.raw", "rb").read()
parts = [at for at in range(0, len(inner), 65536) if inner[at:at + 65536] != bad[at:at + 65536]]
assert len(inner) == len(bad) and len(parts) == 1, parts
assert not any(bad[parts[0]:parts[0] + 65536])
EOF
	rm -r bad
done
