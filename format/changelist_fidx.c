/*
 * Two indexes of Proxmox Backup Server, which are compared: each has the SHA-256 of every chunk of
 * a drive. Source: spec/changes.md, section 4.
 */
#include "base/bytes.h"
#include "format/changelist.h"

#include <openssl/sha.h>
#include <stdio.h>

#define HEAD	  4096u
#define DIGEST	  SHA256_DIGEST_LENGTH
#define CHUNK_MIN 4096u
#define CHUNK_MAX (1u << 30)

struct index {
	struct changelist *bytes;
	char token[CHANGELIST_TOKEN + 1];
	uint8_t checksum[DIGEST]; /* of all digests */
	uint64_t size_bytes, chunk_bytes, n_chunks;
	SHA256_CTX hash;
};

static int take_head(struct index *out, struct changelist *bytes, struct error *err)
{
	static const uint8_t magic[8] = {0x2f, 0x7f, 0x41, 0xed, 0x91, 0xfd, 0x0f, 0xcd};
	const uint8_t *head;
	size_t used;

	*out = (struct index){.bytes = bytes};
	TRY(changelist_take(bytes, HEAD, &head, err));
	DEMAND(memcmp(head, magic, sizeof(magic)) == 0, 0,
	       "is no fixed index (.fidx) of Proxmox Backup Server");
	used = (size_t)snprintf(out->token, sizeof(out->token), "pbs:");
	for (unsigned i = 0; i < 16; i++)
		used += (size_t)snprintf(out->token + used, sizeof(out->token) - used, "%02x",
					 head[8 + i]);
	memcpy(out->checksum, head + 32, DIGEST);
	out->size_bytes = get_le(head + 64, 8);
	out->chunk_bytes = get_le(head + 72, 8);
	DEMAND(out->size_bytes <= INT64_MAX && out->chunk_bytes >= CHUNK_MIN &&
		       out->chunk_bytes <= CHUNK_MAX,
	       64, "%llu bytes in chunks of %llu", (unsigned long long)out->size_bytes,
	       (unsigned long long)out->chunk_bytes);
	out->n_chunks =
		out->size_bytes / out->chunk_bytes + (out->size_bytes % out->chunk_bytes != 0);
	SHA256_Init(&out->hash);
	return 0;
}

static int take_digest(struct index *index, const uint8_t **digest, struct error *err)
{
	TRY(changelist_take(index->bytes, DIGEST, digest, err));
	SHA256_Update(&index->hash, *digest, DIGEST);
	return 0;
}

static int check_end(struct index *index, struct error *err)
{
	uint8_t checksum[DIGEST];

	SHA256_Final(checksum, &index->hash);
	DEMAND(memcmp(checksum, index->checksum, DIGEST) == 0, 32,
	       "the checksum of its digests is wrong");
	return changelist_nothing_more(index->bytes, err);
}

/* An error of the older one must not seem to be in the other. */
static int in_older(int code, struct error *err)
{
	if (code != 0)
		error_in_file(err, "the older index");
	return code;
}

static int compare(struct changelist *list, struct index *new, struct index *old, struct error *err)
{
	uint64_t n = new->n_chunks > old->n_chunks ? new->n_chunks : old->n_chunks;

	for (uint64_t i = 0; i < n; i++) {
		const uint8_t *digest = NULL, *before = NULL;

		if (i < old->n_chunks)
			TRY(in_older(take_digest(old, &before, err), err));
		if (i >= new->n_chunks)
			continue;
		TRY(take_digest(new, &digest, err));
		if (before == NULL || memcmp(digest, before, DIGEST) != 0)
			TRY(changelist_blocks(list, i, 1, new->chunk_bytes, err));
	}
	return 0;
}

int changelist_fidx(struct changelist *list, struct error *err)
{
	struct index new, old;

	TRY(take_head(&new, list, err));
	DEMAND_ELSE(ERR_USAGE, list->older != NULL, NO_PLACE,
		    "is a list of checksums, not of changes: say ,older=FILE, the index of the "
		    "parent's instant, to compare the two");
	TRY(changelist_size(list, new.size_bytes, err));
	TRY(in_older(take_head(&old, list->older, err), err));
	DEMAND(old.chunk_bytes == new.chunk_bytes, 72, "the older index has other chunks");
	TRY(compare(list, &new, &old, err));
	TRY(in_older(check_end(&old, err), err));
	TRY(check_end(&new, err));
	memcpy(list->since, old.token, sizeof(list->since));
	memcpy(list->until, new.token, sizeof(list->until));
	return 0;
}
