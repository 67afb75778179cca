# What Xen's block backend or the kernel's SCSI target hands on is in use, though they claim nothing; so is a device over one that is.
. "$(dirname "$0")/lib.sh"

need_root
make_random drive.raw 2097152 1
expect_code 0 "$VMABAK" backup -q -o a.vmab drive.raw
loop_device drive.raw
number=${loop#/dev/loop}
[ -d /sys/bus ] && [ -d /sys/kernel ] || skip "no sysfs here"

# busy DRIVE WHO: in a mount namespace of its own.
busy='busy() {
	for code in "backup -q -o /dev/null --format vmab $1" "restore -q a.vmab --force -d disk0=$1"; do
		result=0
		"$VMABAK" $code 2>said || result=$?
		[ $result = 7 ] && grep -qF "$1: is in use: $2" said || { echo "$code: $result"; cat said; exit 1; }
	done
}'
export loop number
expect_code 0 in_private_mounts sh -ec "$busy"'
	mount -t tmpfs none /sys/bus || exit 77
	mkdir -p /sys/bus/xen-backend/devices/vbd-3-51712 /sys/bus/xen-backend/devices/vif-3-0
	cd /sys/bus/xen-backend/devices/vbd-3-51712
	printf "7:%x\n" $number >physical_device
	echo r >mode
	cd "$OLDPWD"
	"$VMABAK" backup -q -o read.vmab $loop
	echo w >/sys/bus/xen-backend/devices/vbd-3-51712/mode
	busy $loop "used by a guest of Xen: vbd-3-51712"'
expect_code 0 in_private_mounts sh -ec "$busy"'
	mount -t tmpfs none /sys/kernel || exit 77
	store=/sys/kernel/config/target/core/iblock_0/web
	mkdir -p $store
	echo $loop >$store/udev_path
	busy $loop "a backstore of LIO: web"
	cp drive.raw file.raw
	store=/sys/kernel/config/target/core/fileio_1/data
	mkdir -p $store
	{
		echo "Status: ACTIVATED  Max Queue Depth: 128  SectorSize: 512  HwMaxSectors: 16384"
		echo "        TCM FILEIO ID: 0        File: $PWD/file.raw  Size: 2097152  Mode: Buffered-WCE Async: 0"
	} >$store/info
	busy file.raw "a backstore of LIO: data"'

# What lies under a device of the device mapper counts: here a device over a loop device whose file another one has.
cp drive.raw under.raw
top=$loop
loop_device under.raw
middle=$loop
export top middle
expect_code 0 sh -c '"$VMABAK" backup -q -o free.vmab $top'
loop_device under.raw
other=$loop
expect_code 0 in_private_mounts sh -ec "$busy"'
	mount -t tmpfs none /sys/dev/block || exit 77
	cd /sys/dev/block
	mkdir -p 7:${top#/dev/loop}/slaves/middle
	ln -s ../../devices/virtual/block/${middle#/dev/} 7:${middle#/dev/loop}
	echo 7:${middle#/dev/loop} >7:${top#/dev/loop}/slaves/middle/dev
	cd "$OLDPWD"
	busy $top "attached to '"$other"'"'
