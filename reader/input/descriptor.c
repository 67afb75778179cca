#include "reader/input/parts.h"

#include "base/command.h"
#include "base/tape.h"
#include "store/store.h"

#include <errno.h>
#include <unistd.h>

#define UNIT (64u << 10)

struct descriptor descriptor_of(int fd, const char *name)
{
	struct descriptor from = {.fd = fd, .name = name, .unit = UNIT, .largest = SIZE_MAX};
	struct tape tape = tape_of(fd);

	from.is_tape = tape.is_tape;
	from.block_size = tape.block_size;
	if (tape.block_size != 0)
		from.unit = (UNIT + tape.block_size - 1) / tape.block_size * tape.block_size;
	if (tape.is_tape)
		from.largest = TAPE_READ - TAPE_READ % from.unit;
	return from;
}

/* After a read of n bytes failed. EINVAL costs nothing, and the drive's limit may be any number, so
 * the next smaller size is tried. The other errors cost st an allocation or a line in the kernel's
 * log: there the next smaller power of two is tried, as most block sizes are. */
static bool try_smaller(struct descriptor *from, size_t n)
{
	if ((errno != EINVAL && errno != EOVERFLOW && errno != EBUSY) || n <= from->unit)
		return false;
	size_t next = n - 1;
	if (errno != EINVAL)
		for (next = 1; next < (n + 1) / 2;)
			next *= 2;
	from->largest = next - next % from->unit;
	if (from->largest == 0)
		from->largest = from->unit;
	return true;
}

static int fail_tape(const struct descriptor *from, int sys, size_t n, struct error *err)
{
	if (sys == ENOMEM)
		return fail_system(
			err, sys,
			"%s: a block of the tape is larger than %zu bytes, the largest read: "
			"rewind the tape, then dd if=TAPE ibs=SIZE | vmabak restore - with "
			"the size of its blocks",
			from->name, n);
	if (sys == EIO && from->block_size != 0)
		return fail_system(err, sys,
				   "%s: cannot be read; the drive is set to blocks of %u bytes: if "
				   "those of the tape have another size, mt -f TAPE setblk 0",
				   from->name, from->block_size);
	if (sys == EINVAL)
		return fail_system(
			err, sys,
			"%s: the tape drive refuses to read, even %zu bytes at once: try "
			"dd if=TAPE ibs=SIZE | vmabak restore - with the size of its blocks",
			from->name, n);
	return fail_system(err, sys, "%s: cannot be read", from->name);
}

int descriptor_read(struct descriptor *from, void *buffer, size_t n, size_t *got, struct error *err)
{
	return from->volumes != NULL ? from->read_volumes(from->volumes, buffer, n, got, err)
				     : descriptor_read_below(from, buffer, n, got, err);
}

int descriptor_read_below(struct descriptor *from, void *buffer, size_t n, size_t *got,
			  struct error *err)
{
	ssize_t result = 0;

	*got = 0;
	if (from->ended)
		return 0;
	if (from->store != NULL) {
		TRY(store_read(from->store, buffer, n, got, err));
		from->ended = *got == 0 && n > 0;
		from->taken += *got;
		return 0;
	}
	do {
		n = n < from->largest ? n : from->largest;
		result = read(from->fd, buffer, n);
	} while (result < 0 && (errno == EINTR || try_smaller(from, n)));
	if (result < 0 && from->is_tape)
		return fail_tape(from, errno, n, err);
	if (result < 0)
		return fail_system(err, errno, "%s: cannot be read", from->name);
	from->ended = result == 0 && n > 0;
	from->taken += (uint64_t)result;
	*got = (size_t)result;
	return from->ended && from->command != NULL ? command_finish(from->command, err) : 0;
}

int compressed_read(struct compressed *in, size_t *got, struct error *err)
{
	*got = in->n_buffered;
	in->n_buffered = 0;
	if (*got == 0)
		TRY(descriptor_read(in->from, in->buffer, in->buffer_size, got, err));
	in->ended = *got == 0;
	return 0;
}
