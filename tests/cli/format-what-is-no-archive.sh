# What is no archive is named, with the way on and exit code 1, by every command, from a file and from a pipe; 4 means
# that an archive is damaged. An empty file and one of zeros are what a crash leaves of an archive: 4. salvage, which
# found no part of an archive, says so with 4.
. "$(dirname "$0")/lib.sh"

truncate -s 100K drive.raw
expect_code 0 "$VMABAK" backup --no-sync -o good.vmab drive.raw
expect_code 0 "$VMABAK" backup --no-sync -o good.vma drive.raw

# strange CODE TEXT FILE
strange()
{
	for command in verify list 'restore -C back' config 'convert -o new.vmab'; do
		# shellcheck disable=SC2086 # words
		expect_error "$1" "$2" "$VMABAK" $command "$3"
		# shellcheck disable=SC2086 # words
		expect_error "$1" "$2" sh -c 'cat "$1" | "$VMABAK" '"$command"' -' sh "$3"
	done
	[ ! -e back ] && [ ! -e new.vmab ] || fail "something is left"
	# In small pieces.
	expect_error "$1" "$2" sh -c '{ head -c 3; sleep 0.1; head -c 30; sleep 0.1; cat; } <"$1" | "$VMABAK" verify -' \
		sh "$3"
	expect_error 4 "$2" "$VMABAK" salvage "$3" -C back
	expect_no_text "$err" 'vmabak salvage'
}

put_strange()
{
	printf -- "$2" >strange
	strange 1 "$1" strange
	# As long as a head and longer.
	{ printf -- "$2" && head -c 20000 good.vma | tr '\0' x; } >strange
	strange 1 "$1" strange
}
put_strange 'is lz4, not an archive: lz4 -dc FILE | vmabak' '\004\042\115\030dH@'
put_strange 'is 7z, not an archive: 7z x -so FILE' '7z\274\257\047\034\0\4'
put_strange 'is a zip file, not an archive: unzip -p FILE' 'PK\3\4\024\0\0\0'
put_strange 'is encrypted by gpg, not an archive: gpg -d FILE' '\214\r\4\t\3\2'
put_strange 'is encrypted by gpg, not an archive: gpg -d FILE' '\205\2\014\3ab'
put_strange 'is encrypted by gpg, not an archive: gpg -d FILE' '-----BEGIN PGP MESSAGE-----\n\nhQ'
put_strange 'is encrypted by openssl' 'Salted__abcdefgh'
put_strange 'is a qcow2 image, not an archive: is it a drive' 'QFI\373\0\0\0\3'
put_strange 'is a vhdx image, not an archive' 'vhdxfileM\0'
put_strange 'is not an archive' '\177ELF\2\1\1\0'
for page in '<!DOCTYPE html><html><body>Sign in</body></html>\n' '\n <HTML><head>'; do
	put_strange 'is an HTML page, not an archive: was it downloaded without' "$page"
done
printf 'Permission denied\n' >strange
strange 1 'is text, not an archive' strange
tar -cf strange drive.raw
strange 1 'is a tar file, not an archive: tar -xOf FILE NAME | vmabak' strange
{ head -c 510 /dev/urandom | tr '\0-\377' a; printf '\125\252'; head -c 30000 /dev/zero; } >strange
strange 1 'is a disk, not an archive' strange
zstd -q -f strange -o strange.zst
strange 1 'is a disk, not an archive' strange.zst

# Sums, whose magic is nearly that of an archive.
expect_code 0 "$VMABAK" sums -q good.vmab -o good.sums
strange 1 "is a sums file, not an archive: 'backup --parent' and 'diff' take it" good.sums

# A banner: the command named gives the archive, and so does salvage.
for archive in good.vmab good.vma; do
	{ printf 'Welcome to this host\033[0m\nLast login: today\n'; cat $archive; } >banner
	expect_error 1 'begins at byte 43: tail -c +44 FILE | vmabak COMMAND -, or vmabak salvage FILE' \
		"$VMABAK" verify banner
	tail -c +44 banner | "$VMABAK" verify -q - || fail "tail"
	expect_code 0 "$VMABAK" salvage --no-sync banner -C back
	same_file drive.raw back/disk0.raw
	rm -r back
	{ printf 'Welcome to this host\033[0m\nLast login: today\n'; zstd -qc $archive; } >banner
	expect_error 1 'begins at byte 43' "$VMABAK" list banner
done

# Damage, and what a crash leaves.
for archive in good.vmab good.vma; do
	{ head -c 512 /dev/zero; tail -c +513 $archive; } >bad.vmab
	put bad.vmab 100 something
	expect_error 4 'not a VMAB or VMA archive' "$VMABAK" verify bad.vmab
done
rm bad.vmab
: >nothing
strange 4 i nothing
# salvage says what is true of it.
truncate -s 20K zeros
expect_error 4 'not a VMAB or VMA archive' "$VMABAK" verify zeros
expect_error 4 'not a VMAB or VMA archive' sh -c '"$VMABAK" verify - <zeros'
for at in 0 3 7; do
	cp good.vmab bad.vmab
	flip bad.vmab $at
	expect_error 4 'not a VMAB or VMA archive' "$VMABAK" verify bad.vmab
	expect_code 0 "$VMABAK" salvage --no-sync -q bad.vmab -C back
	rm -r back
done
# A transfer in text mode.
sed 's/\r$//' good.vmab >text.vmab
expect_error 4 'not a VMAB or VMA archive' "$VMABAK" verify text.vmab
for n in 1 3 8 100; do
	head -c $n good.vmab >cut
	expect_error 4 'incomplete' "$VMABAK" list cut
	head -c $n good.vma >cut
	expect_error 4 'incomplete' "$VMABAK" list cut
done
