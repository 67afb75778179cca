# What is no drive, and what is no config, is refused before the archive is begun.
. "$(dirname "$0")/lib.sh"

need mkfifo
make_random drive.raw 100000 1
echo text >a.conf
mkdir folder
mkfifo pipe
ln -s nowhere link
all=$(ls -A)

while read -r code words arguments; do
	words=$(echo "$words" | tr _ ' ')
	eval "expect_error $code \"\$words\" \"\$VMABAK\" backup -o a.vmab $arguments"
	[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
done <<'END'
2 folder:_is_a_folder folder
2 pipe:_is_a_pipe pipe
2 /dev/null:_is_a_character_device /dev/null
2 /dev/zero:_is_a_character_device x=/dev/zero
1 missing.raw:_No_such_file missing.raw
1 link:_No_such_file link
1 missing.qcow2:_No_such_file missing.qcow2
1 missing/x:_No_such_file drive.raw missing/x
1 drive.raw/x:_Not_a_directory drive.raw/x
1 config_missing.conf:_No_such_file -c missing.conf drive.raw
1 config_folder:_Is_a_directory -c folder drive.raw
END

# What is written cannot be a source at once.
cp drive.raw a.vmab
expect_error 2 'is the output itself' "$VMABAK" backup --force -o a.vmab a.vmab,format=raw
expect_error 2 'is the output itself' "$VMABAK" backup --force -o a.vmab -c a.vmab drive.raw
same_file drive.raw a.vmab
rm a.vmab
if [ "$(id -u)" != 0 ]; then
	chmod 0 drive.raw
	expect_error 1 'drive.raw: Permission denied' "$VMABAK" backup -o a.vmab drive.raw
	[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
fi
