#include "machine/qemu/clean_up.h"

#include "base/clock.h"
#include "machine/guard.h"
#include "machine/qemu/fleece.h"
#include "machine/qemu/leftovers.h"
#include "machine/qemu/mirror.h"
#include "machine/qemu/qmp.h"
#include "machine/rundir.h"

#include <stdlib.h>

#define TRIES 30 /* a second apart: the next run of the same user may be at the monitor */

static int clean_up(const char *monitor, const char *id, char last, struct error *err)
{
	struct qmp *qmp;
	unsigned n;
	int code;

	TRY(qmp_open(&qmp, monitor, err));
	code = last == GUARD_READS ? mirror_unread(qmp, id, err)
				   : mirror_release(qmp, id, last == GUARD_PENDING, err);
	if (code == 0)
		code = leftovers_remove(qmp, id, &n, err);
	qmp_close(qmp);
	return code;
}

/* QEMU may not even have been told of them. */
static void remove_files(const struct machine_options *options, const char *id)
{
	const char *scratch = options->scratch == NULL ? SCRATCH_FOLDER : options->scratch;
	struct error ignored;
	char *path = NULL;

	if (!options->pull)
		path = rundir_path(id);
	else if (rundir_path_in(&path, scratch, id, &ignored) < 0)
		return;
	if (path != NULL)
		fleece_remove_files(path);
	free(path);
}

int qemu_clean_up(const struct machine_options *options, const char *id, char last,
		  struct error *err)
{
	int code = clean_up(options->place, id, last, err);

	for (int i = 1; i < TRIES && code < 0; i++) {
		clock_sleep_ms(1000);
		code = clean_up(options->place, id, last, err);
	}
	remove_files(options, id);
	return code;
}
