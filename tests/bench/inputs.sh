# The inputs of the measurements, sourced by bench.sh and profile.sh in their work folder, with
# $quick set for small ones. Each is made once, under a temporary name first.

if [ -n "$quick" ]; then
	system_mib=256 content_mib=150 half_mib=64 packed_mib=64 pages_mib=32 room_mib=3000
else
	system_mib=4096 content_mib=2750 half_mib=2048 packed_mib=1024 pages_mib=1024 room_mib=32000
fi

check_tools()
{
	for tool in mkfs.ext4 zstd /usr/bin/python3; do
		command -v $tool >/dev/null || { echo "bench: $tool is missing" >&2; exit 1; }
	done
}

# What is there already, of an earlier run, counts as room.
check_room()
{
	free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
	mine=$(du -sm . | cut -f 1)
	echo "work folder $PWD: needs $room_mib MiB, $((free + mine)) MiB are free or in use by it" >&2
	[ $((free + mine)) -ge $room_mib ] || {
		echo "bench: $PWD: no room for $room_mib MiB: name another folder with BENCH_DIR" >&2
		exit 1
	}
}

# The inputs stay; what a run leaves behind when it is stopped goes.
clean_up()
{
	rm -rf out.* in.* new.* content
}

# Folders of the system, as they come, until the image holds as much as it should.
choose_content()
{
	used=0
	rm -rf content
	mkdir content
	for folder in /usr/bin /usr/include /usr/share/* /usr/lib/* /usr/libexec /usr/local/*; do
		[ -d "$folder" ] && [ ! -L "$folder" ] || continue
		size=$(du -smx "$folder" 2>/dev/null | cut -f 1)
		[ $((used + size)) -le $content_mib ] || continue
		mkdir -p "content$(dirname "$folder")"
		cp -a "$folder" "content$folder" 2>/dev/null || true
		used=$((used + size))
	done
}

make_system()
{
	[ ! -e system.raw ] || return 0
	echo "making system.raw, an ext4 of $system_mib MiB with files of /usr" >&2
	choose_content
	truncate -s ${system_mib}M new.system
	mkfs.ext4 -q -F -d content new.system
	rm -rf content
	mv new.system system.raw
}

# KIND as inputs.py knows it.
make_generated()
{
	[ ! -e "$1.raw" ] || return 0
	echo "making $1.raw, $2 MiB" >&2
	/usr/bin/python3 "$here/inputs.py" "$1" "$2" >"new.$1"
	mv "new.$1" "$1.raw"
}

# What is compressed already: the system through zstd, and random bytes for what is left.
make_packed()
{
	[ ! -e packed.raw ] || return 0
	echo "making packed.raw, $packed_mib MiB" >&2
	{ zstd -q -3 -T0 -c system.raw; head -c ${packed_mib}M /dev/urandom; } |
		head -c ${packed_mib}M >new.packed
	mv new.packed packed.raw
}

make_inputs()
{
	make_system
	make_generated half $half_mib
	make_packed
	make_generated pages $pages_mib
	[ -e hole.raw ] || truncate -s 64G hole.raw
	[ -e sample.bin ] || /usr/bin/python3 "$here/inputs.py" sample system.raw >new.sample
	[ -e sample.bin ] || mv new.sample sample.bin
}
