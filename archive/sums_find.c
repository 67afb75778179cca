#include "archive/sums_find.h"

#include "archive/open.h"
#include "archive/sums_make.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static bool same_drive(const struct archive_drive *a, const struct archive_drive *b)
{
	return a->size_bytes == b->size_bytes && a->name.length == b->name.length &&
	       memcmp(a->name.bytes, b->name.bytes, a->name.length) == 0;
}

/* Not the uuid alone, which may be given by --uuid. */
static bool same_archive(const struct archive *a, const struct archive *b)
{
	bool same = memcmp(a->uuid, b->uuid, UUID_SIZE) == 0 &&
		    memcmp(a->parent, b->parent, UUID_SIZE) == 0 &&
		    a->created_ns == b->created_ns && a->n_drives == b->n_drives;

	for (uint32_t i = 0; same && i < a->n_drives; i++)
		same = same_drive(&a->drives[i], &b->drives[i]);
	return same;
}

/* Sums beside an archive count if they are of the same one and undamaged: nobody named them, and
 * what they were made of is there. Then its parents need not be there. */
static bool open_beside(struct found_sums *out, const char *name)
{
	struct opened_archive opened = {0};
	struct error ignored = {0};
	struct stat status;
	uint64_t n_data;
	bool good = false;

	out->beside = text_make("%s.sums", name);
	if (out->beside == NULL || (!store_is_name(name) && stat(out->beside, &status) != 0))
		return false;
	if (archive_open(&opened, name, 0, &ignored) == 0 &&
	    sums_open(&out->sums, out->beside, &ignored) == 0)
		good = same_archive(sums_archive(out->sums), opened.archive) &&
		       sums_verify(out->sums, &n_data, &ignored) == 0;
	archive_close(&opened);
	if (!good) {
		sums_close(out->sums);
		out->sums = NULL;
	}
	return good;
}

static int make_sums(struct found_sums *out, const struct strings *names, const char *folder,
		     const struct watcher *watcher, struct error *err)
{
	const struct sums_place place = {.folder = folder};
	const char *name = names->items[0];
	struct chain chain;
	uint64_t n_data;
	int code = chain_find(&chain, names, err);

	if (code == 0)
		code = sums_make(&out->made, &place, &chain, &n_data, watcher, err);
	if (code == 0)
		code = sums_finish(out->made, false, err);
	if (code == 0)
		code = sums_of_writer(&out->sums, out->made, name, err);
	chain_free(&chain);
	return code;
}

int sums_find(struct found_sums *out, const struct strings *names, const char *folder,
	      const struct watcher *watcher, struct error *err)
{
	const char *name = names->items[0];
	int is;

	*out = (struct found_sums){0};
	is = archive_is_stream(name) ? 0 : sums_is(name, err);
	if (is != 0)
		return is < 0 ? is : sums_open(&out->sums, name, err);
	return open_beside(out, name) ? 0 : make_sums(out, names, folder, watcher, err);
}

void found_sums_close(struct found_sums *found)
{
	sums_close(found->sums);
	sums_writer_free(found->made);
	free(found->beside);
	*found = (struct found_sums){0};
}
