# Random steps on a folder of archives: backups of drives that are written, zeroed, resized, added and removed, with any
# parent and anything that tells what changed, --to, merge, prune, convert, kills. After each every instant restores byte for
# byte. VMABAK_SEED and VMABAK_STEPS choose others; tests/chains.sh is the long form.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-io nbdinfo
need_python xxhash zstandard

"$PYTHON" "$CLI/chain_model.py" "$VMABAK" "${VMABAK_SEED:-1}" "${VMABAK_STEPS:-32}"
