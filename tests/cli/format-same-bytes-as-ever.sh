# What is written is, byte for byte, what the first version wrote, as far as no compressor has a say.
. "$(dirname "$0")/lib.sh"

"$PYTHON" -c '
data = bytearray(700001)
for i in range(0, 70000, 7):
    data[i] = i * 31 % 251
data[300000:300005] = b"hello"
data[-1] = 1
open("a.raw", "wb").write(data)
open("b.raw", "wb").write(bytes(65536) + b"b" * 4096)
open("vm.conf", "wb").write(b"memory: 2048\n")'
SOURCE_DATE_EPOCH=1700000000
export SOURCE_DATE_EPOCH
# written NAME SHA256 OPTION...
written()
{
	name=$1 sum=$2
	shift 2
	expect_code 0 "$VMABAK" backup -q --uuid 00112233-4455-6677-8899-aabbccddeeff -o "$name" \
		--compress none -c vm.conf "$@" b=b.raw
	[ "$(sha256sum <"$name")" = "$sum  -" ] || fail "$name became $(sha256sum <"$name")"
}
written a.vmab 1849642984fb371c2c85903d7bfe12e08154df656fba0c61bf76e9281f57ce4b --note "as ever" a=a.raw
truncate -s 700416 a.raw
written a.vma 8649033dfe2b031b9adf93c5a2d79cb6ea0df1399bc537391f7886715ce088fb a=a.raw
written b.vma ef57094f760c37ce848cb0196c9087d26626fd2023b853163d5ec2ecdcfc4e86 --no-vma-checksums a=a.raw
