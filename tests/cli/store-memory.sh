# The memory of a backup to an object store and of a restore from it: five parts of 16 MiB, 64 MiB of ranges, and at most 64 MiB besides.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"
store

head -c 104857600 /dev/urandom >drive.raw
expect_code 0 /usr/bin/python3 "$CLI/measure.py" --memory $((64 + 5 * 16)) "$VMABAK" backup -q -o s3://backups/a.vmab root=drive.raw
expect_code 0 /usr/bin/python3 "$CLI/measure.py" --memory $((64 + 64)) "$VMABAK" restore -q --no-sync s3://backups/a.vmab -C back
same_file drive.raw back/root.raw
expect_code 0 /usr/bin/python3 "$CLI/measure.py" --memory $((64 + 64)) "$VMABAK" restore -q --no-sync --rollback s3://backups/a.vmab -C back
