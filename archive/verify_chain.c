#include "archive/verify_chain.h"

#include "reader/reader.h"

int verify_chain_open(struct verify_chain *out, const struct strings *names, struct error *err)
{
	int code;

	*out = (struct verify_chain){0};
	code = chain_find(&out->chain, names, err);
	if (code != 0 && !out->chain.parent_missing)
		return code;
	if (code != 0) {
		out->missing = *err;
		if (!out->chain.parent_unread)
			out->missing.code = ERR_INCOMPLETE;
		*err = (struct error){0};
	}
	TRY(chain_open(&out->newest, &out->chain, 0, 0, err));
	TRY(proved_open(&out->proved, out->newest.archive, err));
	return layers_open(&out->layers, out->newest.archive, err);
}

/* The clusters of a drive, run by run. */
static int add_drive(struct layers *layers, const struct reader *reader, uint32_t drive,
		     struct error *err)
{
	const struct cluster_set *seen = reader_seen(reader, drive);
	uint64_t n_all = clusters_of(reader_archive(reader)->drives[drive].size_bytes);
	struct slot run = {.drive = drive};
	uint32_t to;
	bool in;

	for (; run.cluster < n_all; run.cluster += run.n_clusters) {
		run.n_clusters = cluster_set_run(seen, run.cluster, n_all - run.cluster, &in);
		uint64_t n = in ? layers_wanted(layers, &run, &to) : 0;
		if (n > 0)
			TRY(cluster_set_include(&layers->held[to], run.cluster, n, err));
	}
	return 0;
}

int verify_chain_add(struct verify_chain *chain, const struct opened_archive *link,
		     struct error *err)
{
	TRY(layers_begin(&chain->layers, link->archive, err));
	TRY(proved_link(&chain->proved, link->archive, err));
	for (uint32_t i = 0; i < link->archive->n_drives; i++)
		TRY(add_drive(&chain->layers, link->reader, i, err));
	return 0;
}

int verify_chain_end(const struct verify_chain *chain, struct error *err)
{
	if (chain->missing.code != 0) {
		*err = chain->missing;
		return err->code;
	}
	return layers_check(&chain->layers, chain->newest.name, false, err);
}

void verify_chain_close(struct verify_chain *chain)
{
	layers_close(&chain->layers);
	proved_close(&chain->proved);
	archive_close(&chain->newest);
	chain_free(&chain->chain);
}
