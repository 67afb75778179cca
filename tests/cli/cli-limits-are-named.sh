# When a limit of the process or the folder for temporary files is the cause, the message says so.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 3000000 1
expect_code 0 "$VMABAK" backup -o good.vmab d=drive.raw

limited()
{
	# shellcheck disable=SC2016 # for that shell
	sh -c 'ulimit "$1" "$2" && shift 2 && exec "$@"' - "$@"
}
expect_error 6 'RLIMIT_FSIZE' limited -f 100 "$VMABAK" backup -o a.vmab d=drive.raw
expect_error 6 'RLIMIT_FSIZE' limited -f 100 "$VMABAK" restore good.vmab -d d=back
expect_error 1 'RLIMIT_NOFILE' limited -n 5 "$VMABAK" backup -o a.vmab a=drive.raw b=drive.raw c=drive.raw
if [ "$(id -u)" = 0 ] && command -v setpriv prlimit >/dev/null; then
	chmod 755 "$base" "$base/work" 2>/dev/null
	cp "$VMABAK" program
	chmod 755 program
	chmod 644 good.vmab
	as_other="setpriv --reuid 54321 --clear-groups prlimit --nproc=1"
	# shellcheck disable=SC2086 # words
	if $as_other ./program --version >/dev/null 2>&1; then
		expect_error 1 'RLIMIT_NPROC' $as_other ./program verify --threads 4 good.vmab
		expect_text "$err" TasksMax
	fi
fi

need_images
qemu-img convert -O qcow2 drive.raw image.qcow2
expect_error 1 'TMPDIR' env TMPDIR=/nowhere "$VMABAK" backup -o a.vmab d=image.qcow2
expect_text "$err" '/nowhere'
# Few descriptors are enough to start a helper.
expect_code 0 limited -n 18 "$VMABAK" backup -o few.vmab d=image.qcow2
rm few.vmab
limited -f 100 "$VMABAK" restore good.vmab -d d=back.qcow2 2>"$err" && fail "restored"
expect_text "$err" 'RLIMIT_FSIZE'
[ ! -e a.vmab ] && [ ! -e back ] && [ ! -e back.qcow2 ] || fail "something is left"
