#include "store/memo.h"

#include "store/uploads.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES (sizeof("exec:") + 2 * (size_t)SHA256_DIGEST_LENGTH)

static void name_of(char out[NAME_MAX_BYTES], const char *command)
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	size_t n = sizeof("exec:") - 1;

	SHA256((const uint8_t *)command, strlen(command), sum);
	memcpy(out, "exec:", n);
	for (unsigned i = 0; i < sizeof(sum); i++)
		snprintf(out + n + 2 * (size_t)i, 3, "%02x", sum[i]);
}

int memo_find(struct upload_note **out, const char *command, struct store_found *found,
	      struct error *err)
{
	char name[NAME_MAX_BYTES];
	struct upload_kept kept;

	name_of(name, command);
	int code = upload_find_kept(out, name, &kept, err);
	if (code == ERR_LOCKED)
		return fail(err, ERR_LOCKED, "exec:%.100s: another run is writing to it", command);
	if (code <= 0)
		return code;
	found->any = true;
	memcpy(found->uuid, kept.uuid, sizeof(found->uuid));
	found->created_ns = kept.created_ns;
	return 0;
}

int memo_make(struct upload_note **out, const char *command, const struct store_found *of,
	      struct error *err)
{
	char name[NAME_MAX_BYTES];
	struct upload_kept kept = {.mark = "-", .created_ns = of->created_ns};

	name_of(name, command);
	memcpy(kept.uuid, of->uuid, sizeof(kept.uuid));
	*out = upload_note(name, "-", &kept);
	return *out != NULL ? 0
			    : fail(err, ERR_SYSTEM,
				   "exec:%.100s: --resume: no file for notes can be made in "
				   "$XDG_STATE_HOME/vmabak/uploads",
				   command);
}

void memo_leave(struct upload_note *memo)
{
	upload_leave(memo);
}

void memo_forget(struct upload_note *memo)
{
	upload_forget(memo);
}
