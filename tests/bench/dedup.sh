#!/bin/sh
# What a repository of borg or restic grows by when a second archive of a drive that has changed goes into it.
#
#   tests/bench/dedup.sh VMABAK BEFORE.raw AFTER.raw
#
# Works in the current folder, which needs room for a few copies.
set -eu
vmabak=$(realpath "$1") before=$(realpath "$2") after=$(realpath "$3")
work=$(mktemp -d ./dedup.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_BASE_DIR="$PWD/home"
export RESTIC_PASSWORD=x RESTIC_CACHE_DIR="$PWD/home"

# way NAME ENDING OPTION...: raw images themselves, or archives with these options.
way()
{
	name=$1 ending=$2
	shift 2
	if [ "$ending" = raw ]; then
		cp --sparse=always "$before" 1
		cp --sparse=always "$after" 2
	else
		"$vmabak" backup -q --no-sync -o "1.$ending" "$@" root="$before"
		"$vmabak" backup -q --no-sync -o "2.$ending" "$@" root="$after"
		mv "1.$ending" 1
		mv "2.$ending" 2
	fi
	size=$(($(stat -c '%b * %B' 2) >> 20))
	for tool in borg restic; do
		rm -rf repo home
		sizes=
		case $tool in borg) borg init -e none repo ;; restic) restic -q -r repo init ;; esac
		for i in 1 2; do
			mv $i x
			case $tool in borg) borg create repo::$i x ;; restic) restic -q -r repo backup x ;; esac
			mv x $i
			sizes="$sizes $(($(du -sk repo | cut -f 1) >> 10))"
		done
		echo "$name, $tool: $size MiB, repository:$sizes MiB"
	done
	rm -f 1 2
}

way 'raw image' raw
way vmab vmab
way vma vma
way 'vma --dedup' vma --dedup
way 'vma --dedup --no-vma-checksums' vma --dedup --no-vma-checksums
way 'vma.zst --dedup' vma.zst --dedup
