/* What salvage makes of any bytes: memory_salvage.c holds it to its promises. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_salvage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	memory_salvage(data, size, NULL, NULL, &err);
	return 0;
}
