# A build has what pkg-config finds now, not what it found when some of the objects were made; and says what it lacks.
. "$(dirname "$0")/lib.sh"
need make pkg-config

mkdir -p tree/machine tree/tests
# Not all, but enough.
(cd "$SRC" && cp -r Makefile base format "$OLDPWD/tree" && cp -r machine/libvirt "$OLDPWD/tree/machine" && cp tests/missing.sh "$OLDPWD/tree/tests")
cd tree
mkdir bin
# A compiler that only makes what it is to make, and a pkg-config that does not know what $HIDDEN names.
cat >bin/cc <<'END'
#!/bin/sh
while [ "$1" != -o ]; do shift; done
: >"$2"
END
cat >bin/pkg-config <<'END'
#!/bin/sh
for name; do
	[ "$name" != "$HIDDEN" ] || exit 1
done
exec pkg-config "$@"
END
chmod +x bin/cc bin/pkg-config

# compiled: how many sources a make compiles.
compiled()
{
	make -j2 CC=bin/cc AR=true PKG_CONFIG=bin/pkg-config >"$out" 2>&1 || fail "make: $(cat "$out")"
	grep -c '^  CC ' "$out"
}

HIDDEN=libvirt
export HIDDEN
all=$(compiled) || :
[ "$all" -gt 30 ] || fail "compiled only $all"
[ "$(compiled)" = 0 ] || fail "compiled again, though nothing changed"
if pkg-config --exists libvirt libxml-2.0; then
	HIDDEN=
	with=$((all + $(ls machine/libvirt/*.c | wc -l)))
	[ "$(compiled)" = "$with" ] || fail "not all was made anew with libvirt"
	[ "$(compiled)" = 0 ] || fail "compiled again, though nothing changed"
fi

HIDDEN=libarchive
expect_code 2 make CC=bin/cc AR=true PKG_CONFIG=bin/pkg-config
expect_text "$err" "vmabak needs libarchive: pkg-config does not find it" "'make demo' installs what is missing"
expect_code 0 make PKG_CONFIG=bin/pkg-config help
expect_code 0 make PKG_CONFIG=bin/pkg-config clean
