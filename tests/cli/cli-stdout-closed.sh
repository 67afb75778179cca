# A network file system tells of a full disk or a quota only when the file is closed: results on standard output count as
# written only then.
. "$(dirname "$0")/lib.sh"

need_strace
make_random drive.raw 100000 1
echo 'cores: 1' >web.conf
expect_code 0 "$VMABAK" backup -q -c web.conf -o a.vmab drive.raw
for arguments in 'list a.vmab' 'config a.vmab' 'verify --json a.vmab' 'backup -q --no-sync -o - drive.raw'; do
	# The shell's own descriptor of the file is another one: only closing it in the program fails.
	expect_code 6 sh -c "strace -qq -o trace -P result -e trace=close -e inject=close:error=EDQUOT \"\$VMABAK\" $arguments >result"
	expect_text "$err" 'Disk quota exceeded'
done
