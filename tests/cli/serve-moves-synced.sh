# A checkpoint that goes into a file is on the disk when the command ends well, also by standard output.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
need_strace
make_random a.raw 200000 1
start_serve --map a.map a=a.raw
expect_code 0 live 0.vmab -q
stop_serve
# written WORD...: to a file by standard output, where it cannot be made durable.
written()
{
	strace -f -qq -o "$TMPDIR/trace" -e trace=fsync -e inject=fsync:error=EIO "$VMABAK" checkpoint "$@" >a.ckpt
}
expect_code 1 written send a.map
expect_text "$err" 'standard output: syncing'
expect_code 1 written export -o - a.map
expect_code 1 written export -o b.ckpt a.map
[ ! -e b.ckpt ] || fail 'a file is left'
