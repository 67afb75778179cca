# What is written as VMA is what the genuine tool demands, with and without checksums.
. "$(dirname "$0")/lib.sh"

make_image drive.raw 16
make_random odd.raw 70001 2
make_random state.raw 9000000 3
truncate -s 20M state.raw
echo text >a.conf
size=$(size_of drive.raw)

# check CHECKSUMS FILE NAME=SIZE...: CHECKSUMS yes or no
check()
{
	checksums=$1
	shift
	expect_code 0 "$PYTHON" "$CLI/genuine.py" "$@"
	if [ "$checksums" = yes ]; then
		expect_no_text "$out" ' 0'
	else
		expect_text "$out" ' 0'
	fi
}

expect_code 0 "$VMABAK" backup -o all.vmab -c a.conf root=drive.raw odd.raw vmstate=state.raw
for checksums in yes no; do
	[ $checksums = yes ] && option=--verbose || option=--no-vma-checksums
	for ending in vma vma.zst vma.gz; do
		expect_code 0 "$VMABAK" backup $option -o a.$ending -c a.conf root=drive.raw \
			odd.raw vmstate=state.raw
		expect_code 0 "$VMABAK" convert $option all.vmab -o c.$ending
		for archive in a.$ending c.$ending; do
			case $ending in
			vma) mv $archive plain ;;
			vma.zst) zstd -qdc $archive >plain ;;
			vma.gz) gzip -dc $archive >plain ;;
			esac
			check $checksums plain root="$size" disk1=70144 vmstate=20971520
			rm -f $archive
		done
	done
	# With nothing in it, too.
	expect_code 0 "$VMABAK" backup $option -o empty.vma -c a.conf
	check no empty.vma
	rm empty.vma
done
