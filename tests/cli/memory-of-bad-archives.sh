# Whatever an archive claims, a reader stays within its memory and time.
# long: gigabytes of zeros
. "$(dirname "$0")/lib.sh"

ulimit -c 0
# measured MIB ARCHIVE: refused, or read, within that: 64, and a bit for each cluster it claims.
measured()
{
	for command in verify 'verify --quick' list; do
		code=0
		# shellcheck disable=SC2086 # words
		"$PYTHON" "$CLI/measure.py" --processor 20 --memory "$1" "$VMABAK" $command "$2" \
			>"$out" 2>"$err" || code=$?
		case $code in
		0) ;;
		1 | 4) [ "$(wc -l <"$err")" = 1 ] || fail "not one line: $(cat "$err")" ;;
		*) fail "code $code of $command $2: $(cat "$err")" ;;
		esac
	done
}
compile - largest.vmab <<'END'
format vmab
drive disk0 0x7fffffffffffffff
extent
zeros disk0 0 0x800000000000
END
measured 64 largest.vmab
compile - many.vmab <<'END'
format vmab
times 60000 drive disk{} 64M
extent
zeros disk0 0 1
END
measured 72 many.vmab
compile - large.vma <<'END'
format vma
times 250 drive disk{} 128T
extent
zeros disk0 0 1
END
measured 192 large.vma
# Compressed around, a few bytes become very many: zeros, and an archive with its zeros.
head -c 1000000000 /dev/zero | zstd -q >zeros.zst
measured 64 zeros.zst
truncate -s 100K drive.raw
expect_code 0 "$VMABAK" backup -o good.vmab drive.raw
{ cat good.vmab && head -c 1000000000 /dev/zero; } | zstd -q >padded.zst
expect_error 4 'byte' "$VMABAK" verify padded.zst
measured 64 padded.zst
