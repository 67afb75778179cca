# An NBD server that offers no flush can promise nothing: no target, unless without a promise.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_libnbd
need nbdkit
nbdkit --dump-plugin sh >/dev/null 2>&1 || skip "nbdkit takes no scripts here"
make_random drive.raw 1048576 1
make_full far.raw 1048576
serve_nbdkit far sh - <<END
case \$1 in
get_size) echo 1048576 ;;
can_write | can_multi_conn) exit 0 ;;
pread) dd if='$PWD/far.raw' iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none ;;
pwrite) dd of='$PWD/far.raw' oflag=seek_bytes seek=\$4 conv=notrunc bs=1M iflag=fullblock status=none ;;
*) exit 2 ;;
esac
END
far=$(nbd_uri far)
no_flush="$far: the server offers no flush"
cp drive.raw served.raw
expect_code 0 "$VMABAK" backup -o a.vmab d=drive.raw

expect_error 2 "$no_flush" "$VMABAK" restore --force a.vmab -d "d=$far"
expect_text "$err" '; --no-sync writes'
expect_error 2 "$no_flush" "$VMABAK" copy --force drive.raw "$far"
"$VMABAK" serve --nbd "unix:$TMPDIR/n" --control "$TMPDIR/c" d=served.raw 2>serve.err &
on_exit "kill $! 2>/dev/null"
wait_until test -S "$TMPDIR/c"
expect_error 2 "$no_flush" "$VMABAK" mirror start "serve:$TMPDIR/c" --force -d "d=$far"
tr -d '\377' <far.raw | cmp - /dev/null || fail 'something was written'

expect_code 0 "$VMABAK" copy --no-sync --force drive.raw "$far"
same_file drive.raw far.raw
make_full far.raw 1048576
expect_code 0 "$VMABAK" restore --no-sync --force a.vmab -d "d=$far"
same_file drive.raw far.raw
# To read from it is another thing.
expect_code 0 "$VMABAK" backup -o b.vmab "d=$far"
