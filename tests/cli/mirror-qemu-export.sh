# QEMU and the process that copies are two clients of an NBD target. A server that does not announce that it shows all of them the
# same, and flushes what all of them wrote, is refused, before anything is written to it.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

need_libnbd
mirrored_drives
serve_nbdkit alone --filter=multi-conn --filter=cache memory 20M multi-conn-mode=disable
expect_error 2 'multi-conn' mirror_start -d "A=$(nbd_uri alone)" --state s.json --force
nothing_of_mirrors
serve_nbdkit shared --filter=cache memory 20M
expect_code 0 mirror_start -d "A=$(nbd_uri shared)" --state s.json --force
write_A 5 5M 300K
in_sync
expect_code 0 mirror abort
qemu-io -f raw -r -c 'read -q -P 5 5M 300K' "$(nbd_uri shared)"
