#include "archive/match.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	struct text name;
	uint32_t number;
};

static int compare(const void *left, const void *right)
{
	const struct text *a = &((const struct entry *)left)->name;
	const struct text *b = &((const struct entry *)right)->name;

	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return memcmp(a->bytes, b->bytes, a->length);
}

static int sort(const struct archive *archive, struct entry *entries, struct error *err)
{
	char name[80];

	for (uint32_t i = 0; i < archive->n_drives; i++)
		entries[i] = (struct entry){archive->drives[i].name, i};
	qsort(entries, archive->n_drives, sizeof(*entries), compare);
	for (uint32_t i = 1; i < archive->n_drives; i++)
		if (compare(&entries[i - 1], &entries[i]) == 0)
			return fail(err, ERR_DAMAGED, "two drives are called %s",
				    escape_text(name, sizeof(name), entries[i].name.bytes,
						entries[i].name.length));
	return 0;
}

static int match(const struct archive *from, struct entry *a, const struct archive *to,
		 struct entry *b, uint32_t *out, struct error *err)
{
	TRY(sort(from, a, err));
	TRY(sort(to, b, err));
	for (uint32_t i = 0, j = 0; i < from->n_drives; i++) {
		while (j < to->n_drives && compare(&b[j], &a[i]) < 0)
			j++;
		bool found = j < to->n_drives && compare(&b[j], &a[i]) == 0;
		out[a[i].number] = found ? b[j].number : to->n_drives;
	}
	return 0;
}

int match_drives(const struct archive *from, const struct archive *to, uint32_t *out,
		 struct error *err)
{
	struct entry *a = calloc((size_t)from->n_drives + 1, sizeof(*a));
	struct entry *b = calloc((size_t)to->n_drives + 1, sizeof(*b));
	int code = a == NULL || b == NULL ? fail_memory(err) : match(from, a, to, b, out, err);

	free(a);
	free(b);
	return code;
}
