# The number of threads changes no byte.
. "$(dirname "$0")/lib.sh"

make_image image.raw 32
cp --sparse=always image.raw drive.raw
make_random other.raw 4999999 2
# Until data is on disk a file system may tell of other holes than later.
sync drive.raw other.raw
SOURCE_DATE_EPOCH=1700000000
export SOURCE_DATE_EPOCH
uuid=01234567-89ab-cdef-0123-456789abcdef
for ending in vmab vma vma.zst vma.gz; do
	for threads in 1 2 7; do
		expect_code 0 "$VMABAK" backup --no-sync --threads $threads --uuid $uuid \
			-o $threads.$ending drive.raw other.raw
	done
	same_file 1.$ending 2.$ending
	same_file 1.$ending 7.$ending
done
for ending in vmab vma vma.zst; do
	for threads in 1 2 7; do
		expect_code 0 "$VMABAK" convert --no-sync --threads $threads 1.vma.gz \
			-o c$threads.$ending
		expect_code 0 "$VMABAK" restore --no-sync --threads $threads 1.$ending -C back
		same_file drive.raw back/disk0.raw
		rm -r back
	done
	same_file c1.$ending c2.$ending
	same_file c1.$ending c7.$ending
done
