# The kernel of a test's guest may have its modules plain, compressed or built in: what insmod takes is
# the plain file, and what is nowhere is told before the guest boots.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need gzip xz zstd

lib_modules=$PWD/modules
lib_root=$PWD/root
mkdir -p modules/kernel/drivers root/modules
for module in plain gzip xz zstd; do
	make_random modules/kernel/drivers/$module.ko 30000 $module
	cp modules/kernel/drivers/$module.ko $module
	case $module in
	zstd) zstd -q --rm modules/kernel/drivers/zstd.ko ;;
	gzip | xz) $module modules/kernel/drivers/$module.ko ;;
	esac
done
echo kernel/drivers/builtin.ko >modules/modules.builtin
add_modules plain gzip xz zstd builtin
for module in plain gzip xz zstd; do
	same_file $module root/modules/$module.ko
done
[ ! -e root/modules/builtin.ko ] || fail "a copy of what is built in"
(trap - EXIT; add_modules none) >"$out" && fail "a module that is nowhere was found"
expect_text "$out" "no none in $lib_modules"
