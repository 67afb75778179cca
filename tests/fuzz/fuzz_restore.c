/* The whole way from the bytes of an archive to the drives, in memory: in sequence, and then, as
 * for one drive of several, by the index. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_restore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	bool tried;
	memory_run(MEMORY_RESTORE, data, size, &tried, &err);
	memory_run(MEMORY_RESTORE_SOME, data, size, &tried, &err);
	return 0;
}
