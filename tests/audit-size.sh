#!/bin/sh
# Counts the lines of code of the audit set (headers other than bytes.h only declare and name things), and shows by linking that it is all there is between
# the bytes of an archive and a verified cluster: what it leaves undefined are the C library, zstd, xxhash, MD5
# the functions of input.h by which bytes come in, and the set of clusters that were seen (base/clusterset.h).
#
#   tests/audit-size.sh BUILD-FOLDER SOURCE...
set -eu
build=$1
shift
limit=700

objects=
for source; do
	objects="$objects $build/${source%.c}.o"
done
# shellcheck disable=SC2086 # a list
ld -r -o "$build/audit.o" $objects
foreign=$(nm -u "$build/audit.o" | awk '{print $2}' | sort -u |
	grep -vE '^(mem[a-z]+|calloc|malloc|free|vsnprintf|ZSTD_[A-Za-z_]+|XXH[0-9A-Za-z_]+|MD5|input_(read|read_some|position)|cluster_set_(add|run|free)|_GLOBAL_OFFSET_TABLE_|__[a-z_0-9]+)$' || true)
if [ -n "$foreign" ]; then
	echo "audit-size: the set is not closed, it uses:" $foreign >&2
	exit 1
fi

total=0
for source in base/bytes.h "$@"; do
	n=$(${CC:-cc} -fpreprocessed -dD -E -P "$source" | grep -c '[^[:space:]]')
	total=$((total + n))
	[ -z "${V:-}" ] || echo "$n $source" >&2
done
echo "$total"
[ $total -le $limit ] || { echo "audit-size: more than $limit lines" >&2; exit 1; }
