#!/bin/sh
# Proves that includes between the folders point one way, and that nothing but what is named here is included.
#
#   format  uses nothing         reader  uses format, base    writer  uses format, base
#   base    uses base/error.h (files that come whole or not at all, NBD connections, qemu-nbd, background work)
#   cow     uses base, base/error.h, base/bytes.h (grain, errors, byte order; no archive)
#   cli     may use everything
set -eu
cd "$(dirname "$0")/.."

failed=0
# $1: folder, $2: extended regular expression of the project's headers it may include
allow()
{
	bad=$(grep -rnE '^#include "' --include='*.[ch]' "$1" | grep -vE "#include \"($2)\"" || true)
	[ -z "$bad" ] && return
	echo "arrows: $1/ must not include:" >&2
	echo "$bad" >&2
	failed=1
}
allow base 'format/common\.h|base/[a-z0-9_]+\.h'
allow format 'format/[a-z0-9_]+\.h'
allow reader 'format/[a-z0-9_]+\.h|base/[a-z]+\.h|reader/[a-z0-9_/]+\.h'
allow writer 'format/[a-z0-9_]+\.h|base/[a-z]+\.h|writer/[a-z0-9_/]+\.h'
allow cow 'format/(common|bytes)\.h|base/[a-z]+\.h|cow/[a-z0-9_/]+\.h'
allow cli 'cli/[a-z0-9_]+\.h|base/[a-z]+\.h|format/(format|common)\.h|reader/(reader|salvage)\.h|reader/input/input\.h|reader/target/target\.h|writer/writer\.h|writer/output/output\.h|cow/(cow|buffer|capture|generation|nbd/server|qemu/swallow)\.h'

# Each foreign library is behind one header and one .c file (zlib: one to write and one to read gzip, one for a cluster of a qcow2; libnbd: one to connect and one to ask; gnutls: its memory apart; jansson: one for what is ours and one for what qemu-img says); zstd, xxhash and libcrypto belong to the format.
behind()
{
	users=$(grep -rlE "^#include <($1)[./]" --include='*.[ch]' base format reader writer cow cli | sort -u | grep -v '^cli/version.c$' || true)
	[ "$(echo "$users" | wc -w)" -le "${2:-1}" ] && return
	echo "arrows: <$1> is included by too many files:" $users >&2
	failed=1
}
behind 'archive'
behind 'jansson' 2
behind 'zlib' 3
behind 'gnutls' 2
behind 'libnbd' 2
behind 'libvirt'
behind 'libxml'
# What goes to a terminal is cleaned in one place (cli/say.c). JSON and completion are ASCII of our own; help and version
# are texts of our own; a config goes out as it is unless that is to a terminal; the bar is drawn of numbers.
bad=$(grep -rnE --include='*.c' '(^|[^a-z_])(printf|puts|putchar|perror|psignal)\(|(fprintf|fputs|fputc|fwrite|vfprintf|dprintf)\(.*(stdout|stderr|STD(OUT|ERR)_)' \
	base format reader writer cow cli |
	grep -vE '^cli/(say|json|completion|cmd_help|version|progress)\.c:|^cli/(cmd_config|report)\.c:[0-9]+:.*(fwrite\(config->data|fputc\(.*stdout)' || true)
[ -z "$bad" ] || {
	echo "arrows: text goes out by say() alone (cli/say.h):" >&2
	echo "$bad" >&2
	failed=1
}

# nbd_ and NBD_ are libnbd's, and each of its versions has more of them: no name of ours begins so, in a file that knows libnbd or in another.
ours=$(nm -A --defined-only "${1:-build/release}/libvmabak.a" | grep ' nbd_' || true
	grep -rLE '^#include <libnbd' --include='*.[ch]' base format reader writer cow cli tests |
		xargs grep -nwE '(nbd|NBD)_[A-Za-z0-9_]+' | grep -vE '#include |struct nbd_handle' || true)
if [ -n "$ours" ]; then
	echo "arrows: names that begin with nbd_ or NBD_ are libnbd's:" >&2
	echo "$ours" >&2
	failed=1
fi
[ $failed = 0 ] && echo "arrows: ok"
exit $failed
