#include "machine/libvirt/vtpm.h"

#include <stdlib.h>

/* libvirt's own folder for a user's domains. */
static char *session_folder(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config != NULL && *config != '\0')
		return text_make("%s/libvirt/qemu/swtpm", config);
	return text_make("%s/.config/libvirt/qemu/swtpm", home == NULL ? "" : home);
}

char *vtpm_file(const struct domain_tpm *tpm, const char *uuid, bool session)
{
	const char *version = tpm->is_1_2 ? "1.2" : "2", *digit = tpm->is_1_2 ? "" : "2";
	char *folder, *file;

	if (tpm->place != NULL && tpm->in_file)
		return text_make("%s", tpm->place);
	if (tpm->place != NULL)
		return text_make("%s/tpm%s-00.permall", tpm->place, digit);
	folder = session ? session_folder() : text_make("/var/lib/libvirt/swtpm");
	if (folder == NULL)
		return NULL;
	file = text_make("%s/%s/tpm%s/tpm%s-00.permall", folder, uuid, version, digit);
	free(folder);
	return file;
}
