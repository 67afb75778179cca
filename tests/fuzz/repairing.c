/* A mutator for archives: as libFuzzer's own, and then the checksums are made right half of the
 * time. VMABAK_FUZZ_REPAIR=never leaves them alone. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/look.h"
#include "tests/unit/repair.h"

#include <string.h>

/* Of each archive, where several follow each other. */
static void repair_all(uint8_t *data, size_t size)
{
	for (size_t at = 0, length; at < size; at += length) {
		length = look_first_archive(data + at, size - at);
		repair_archive(data + at, length);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	const char *how = getenv("VMABAK_FUZZ_REPAIR");
	if (LLVMFuzzerMutate == NULL)
		return size;
	size_t n = LLVMFuzzerMutate(data, size, max_size);
	if (seed % 4 != 0 && (how == NULL || strcmp(how, "never") != 0))
		repair_all(data, n);
	return n;
}
