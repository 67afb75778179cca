# A QEMU that refuses to start says nothing of the backup.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64

truncate -s 1M a.raw
"$VMABAK" backup -q -o a.vmab root=a.raw
printf '#!/bin/sh\necho "more words" >&2\necho "-bogus: invalid option" >&2\nexit 1\n' >refuses
chmod 755 refuses
expect_code 1 "$VMABAK" test a.vmab --qemu ./refuses
expect_text "$err" 'the machine did not start: ./refuses ended with 1: more words -bogus: invalid option'
expect_no_text "$err" '\x0a'
expect_code 1 "$VMABAK" test a.vmab --qemu-argument -bogus
expect_text "$err" 'the machine did not start: ' '-bogus: invalid option'
