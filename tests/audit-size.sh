#!/bin/sh
# Counts the lines of code between the bytes of an archive and a verified cluster: for each format, those that both
# share and its own parser. Headers other than bytes.h only declare and name things. Linking shows that nothing else
# takes part: what the set leaves undefined are the C library, zstd, xxhash, MD5, the functions of input.h by which
# bytes come in, and the set of the clusters seen so far. That set is counted beside it: it sees numbers, never bytes.
#
#   tests/audit-size.sh BUILD-FOLDER SOURCE...
set -eu
build=$1
shift
limit=600
set_limit=250
set_sources='base/clusterset.c base/bits.h'

# is_closed ALLOWED OBJECT...: needs nothing but what the regular expression names.
is_closed()
{
	allowed=$1
	shift
	ld -r -o "$build/audit.o" "$@"
	foreign=$(nm -u "$build/audit.o" | awk '{print $2}' | sort -u | grep -vE "^($allowed|__[a-z_0-9]+)\$" || true)
	[ -z "$foreign" ] || {
		echo "audit-size: not closed, it uses:" $foreign >&2
		exit 1
	}
}

# count SOURCE...: lines of code, without blank lines and comments.
count()
{
	total=0
	for source; do
		n=$(${CC:-cc} -fpreprocessed -dD -E -P "$source" | grep -c '[^[:space:]]')
		total=$((total + n))
		[ -z "${V:-}" ] || echo "$n $source" >&2
	done
	echo $total
}

# at_most LIMIT N TEXT
at_most()
{
	echo "$2 $3, at most $1"
	[ "$2" -le "$1" ] || {
		echo "audit-size: more than $1 lines" >&2
		exit 1
	}
}

objects= shared= vmab= vma=
for source; do
	objects="$objects $build/${source%.c}.o"
	case $source in
	format/vmab_*) vmab="$vmab $source" ;;
	format/vma1_*) vma="$vma $source" ;;
	*) shared="$shared $source" ;;
	esac
done
# shellcheck disable=SC2086 # lists
{
	is_closed 'mem[a-z]+|calloc|malloc|free|vsnprintf|ZSTD_[A-Za-z_]+|XXH[0-9A-Za-z_]+|MD5|input_(read|read_some|position)|cluster_set_(add|run|free)|_GLOBAL_OFFSET_TABLE_' $objects
	is_closed 'calloc|free|fail_at|_GLOBAL_OFFSET_TABLE_' "$build/base/clusterset.o"
	both=$(count base/bytes.h $shared) vmab=$(count $vmab) vma=$(count $vma)
	at_most $limit $((both + vmab)) "VMAB ($both shared, $vmab of its own)"
	at_most $limit $((both + vma)) "VMA ($both shared, $vma of its own)"
	echo "$((both + vmab + vma)) in all"
	at_most $set_limit "$(count $set_sources)" "beside them: the set of clusters seen ($set_sources)"
}
