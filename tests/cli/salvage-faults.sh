# Where reading fails is the end of the archive; where writing fails nothing is left.
. "$(dirname "$0")/lib.sh"

need_strace
make_random a.raw 40000000 1
"$VMABAK" backup -q --compress none -o a.vmab a=a.raw
# the calls before it are those of the loader, and the first MiB; a read takes some 17 MiB
in_reads()
{
	strace -qq -e trace=read -e "inject=read:error=EIO:when=$1+" -P "$PWD/a.vmab" -o /dev/null \
		"$VMABAK" salvage --json a.vmab -C "eio $1"
}
expect_code 5 in_reads 3
expect_json "$out" '"cannot be read" in d["read_error"]' 'd["drives"][0]["lost_bytes"] > 0' \
	'd["drives"][0]["good_bytes"] > 10000000'
expect_code 1 in_reads 1
expect_json "$out" 'd["error"]["code"] == "system"'
[ ! -e "eio 1" ] || fail "a folder for nothing"

expect_code 6 strace -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:error=ENOSPC:when=100 \
	"$VMABAK" salvage a.vmab -C full --map full.map
[ ! -e full ] && [ ! -e full.map ] || fail "something is left: $(ls -A full full.map)"
