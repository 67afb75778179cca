#include "cli/checkpoint_task.h"

#include "cli/sources.h"

int checkpoint_find_kind(const char *word, struct machine_options *machine,
			 const struct checkpoint_kind **out, struct error *err)
{
	enum source_kind kind = source_of(word, &machine->place);

	*out = kind == SOURCE_SERVE ? &checkpoint_serve : &checkpoint_map;
	if (kind == SOURCE_SERVE || kind == SOURCE_DRIVES)
		return 0;
	*out = &checkpoint_qemu;
	if (kind == SOURCE_QEMU)
		return 0;
#if HAVE_LIBVIRT
	*out = &checkpoint_libvirt;
	if (kind == SOURCE_LIBVIRT)
		return 0;
#endif
	return fail(
		err, ERR_USAGE,
		"%s: checkpoints are those of serve:SOCKET, qemu:SOCKET, libvirt:DOMAIN, or of the "
		"file of a map, or a folder of such",
		word);
}
