#include "archive/sums_find.h"

#include "archive/sums_make.h"

#include <stdlib.h>
#include <string.h>

/* Sums beside an archive count if they are of the same one; then its parents need not be there. */
static bool open_beside(struct found_sums *out, const char *name)
{
	uint8_t uuid[UUID_SIZE];
	struct opened_archive opened;
	struct error ignored = {0};
	bool read = archive_open(&opened, name, 0, &ignored) == 0;

	if (read)
		memcpy(uuid, opened.archive->uuid, UUID_SIZE);
	archive_close(&opened);
	if (!read)
		return false;
	out->beside = text_make("%s.sums", name);
	if (out->beside == NULL || sums_open(&out->sums, out->beside, &ignored) != 0)
		return false;
	if (memcmp(sums_archive(out->sums)->uuid, uuid, UUID_SIZE) == 0)
		return true;
	sums_close(out->sums);
	out->sums = NULL;
	return false;
}

static int make_sums(struct found_sums *out, const char *name, const char *scratch,
		     const struct watcher *watcher, struct error *err)
{
	const char *names[] = {name};
	struct chain chain;
	uint64_t n_data;
	int code = chain_find(&chain, &(struct strings){names, 1}, err);

	if (code == 0)
		code = sums_make(&out->made, scratch, &chain, &n_data, watcher, err);
	if (code == 0)
		code = sums_finish(out->made, false, err);
	if (code == 0)
		code = sums_of_writer(&out->sums, out->made, name, err);
	chain_free(&chain);
	return code;
}

int sums_find(struct found_sums *out, const char *name, const char *scratch,
	      const struct watcher *watcher, struct error *err)
{
	*out = (struct found_sums){0};
	if (sums_is(name))
		return sums_open(&out->sums, name, err);
	return open_beside(out, name) ? 0 : make_sums(out, name, scratch, watcher, err);
}

void found_sums_close(struct found_sums *found)
{
	sums_close(found->sums);
	sums_writer_free(found->made);
	free(found->beside);
	*found = (struct found_sums){0};
}

const char *sums_scratch_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder != NULL && *folder != '\0' ? folder : "/var/tmp";
}
