#include "archive/changes_qcow2.h"

#include "archive/marks.h"
#include "archive/qcow2_backing.h"
#include "base/identity.h"
#include "base/text.h"
#include "drive/qcow2bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES 8192u /* of a table, read in one go */
#define ENTRY	8u

/* ---- tokens ---- */

/* All images of a run have bitmaps of one name, and all of a machine snapshots of one name, id and
 * date: the identity of the file or device tells them apart. An image that was copied is another
 * one. */
static int make_token(const struct qcow2_file *file, char *name, char **out, struct error *err)
{
	char *below = NULL;
	char identity[IDENTITY_SIZE];
	struct stat found;
	int code = name == NULL ? fail_memory(err) : backing_token(file, &below, err);

	if (code == 0 && fstat(file->fd, &found) != 0)
		code = fail_system(err, errno, "%s", file->path);
	if (code == 0 && !identity_find(identity, &found))
		code = fail(err, ERR_UNSUPPORTED, "%s: is neither a file nor a block device",
			    file->path);
	if (code == 0) {
		*out = text_make("qcow2:%s/%s%s%s", name, identity, *below == '\0' ? "" : "/below-",
				 below);
		code = *out != NULL ? 0 : fail_memory(err);
	}
	free(below);
	free(name);
	return code;
}

/* An id is given again, and a name, but not with the same date. */
int snapshot_token(const struct qcow2_file *file, const struct qcow2_snapshot *snapshot, char **out,
		   struct error *err)
{
	char id[40], name[100];

	escape_text(id, sizeof(id), snapshot->id.bytes, snapshot->id.length);
	escape_text(name, sizeof(name), snapshot->name.bytes, snapshot->name.length);
	return make_token(file,
			  text_make("snapshot/%s/%s/%u.%09u/%" PRIu64, name, id, snapshot->date_s,
				    snapshot->date_ns, snapshot->clock_ns),
			  out, err);
}

int bitmap_token(const struct qcow2_file *file, const char *name, char **out, struct error *err)
{
	return make_token(file, text_make("bitmap/%s", name), out, err);
}

/* ---- bitmaps ---- */

static int add_range(void *context, uint64_t from, uint64_t to, struct error *err)
{
	return marks_add(context, from, to, err);
}

int changes_of_bitmap(struct changes *out, struct qcow2_file *file,
		      const struct qcow2_bitmap *bitmap, struct error *err)
{
	struct marks marks = {.changes = out, .size_bytes = file->head.size_bytes};
	int code;

	*out = (struct changes){0};
	code = qcow2_file_bits(file, bitmap, add_range, &marks, err);
	if (code == 0)
		code = marks_end(&marks, err);
	if (code != 0)
		changes_free(out);
	return code;
}

/* ---- snapshots ---- */

struct side {
	const struct qcow2_l1 *l1;
	uint8_t *l1_part; /* owned: entries from a multiple of ENTRIES on */
	uint8_t *l2;	  /* owned: a table */
};

struct comparison {
	const struct qcow2_file *file;
	struct marks marks;
	uint64_t size_bytes; /* that both have */
	struct side old, now;
};

/* Zeros past the end of the L1 table. */
static int read_l1_part(const struct comparison *comparison, struct side *side, uint64_t first,
			struct error *err)
{
	uint64_t n = side->l1->n_entries < first ? 0 : side->l1->n_entries - first;

	n = least(n, ENTRIES);
	memset(side->l1_part, 0, ENTRIES * ENTRY);
	if (n == 0)
		return 0;
	return qcow2_file_read(comparison->file, side->l1->at + first * ENTRY, side->l1_part,
			       (size_t)n * ENTRY, err);
}

static int find_l2(const struct comparison *comparison, const struct side *side, uint64_t i,
		   uint64_t *at, struct error *err)
{
	const struct qcow2_file *file = comparison->file;

	if (qcow2_l1_parse(&file->head, side->l1->at + i * ENTRY,
			   side->l1_part + i % ENTRIES * ENTRY, at, err) != 0)
		return qcow2_file_fault(file, err);
	return 0;
}

static int compare_l2(struct comparison *comparison, uint64_t i, const uint8_t *old,
		      const uint8_t *now, struct error *err)
{
	const struct qcow2_head *head = &comparison->file->head;
	uint32_t n = qcow2_l2_entries(head);
	uint64_t cluster = qcow2_cluster(head), at = i * n * cluster;

	for (uint32_t k = 0; k < n && at < comparison->size_bytes; k++, at += cluster) {
		if (qcow2_l2_differs(head, old, now, k))
			TRY(marks_add(&comparison->marks, at,
				      least(at + cluster, comparison->size_bytes), err));
	}
	return 0;
}

static int compare_entry(struct comparison *comparison, uint64_t i, struct error *err)
{
	struct side *old = &comparison->old, *now = &comparison->now;
	size_t n = qcow2_cluster(&comparison->file->head);
	uint64_t old_at, now_at;

	if (i % ENTRIES == 0) {
		TRY(read_l1_part(comparison, old, i, err));
		TRY(read_l1_part(comparison, now, i, err));
	}
	TRY(find_l2(comparison, old, i, &old_at, err));
	TRY(find_l2(comparison, now, i, &now_at, err));
	if (old_at == now_at)
		return 0;
	if (old_at != 0)
		TRY(qcow2_file_read(comparison->file, old_at, old->l2, n, err));
	if (now_at != 0)
		TRY(qcow2_file_read(comparison->file, now_at, now->l2, n, err));
	return compare_l2(comparison, i, old_at == 0 ? NULL : old->l2, now_at == 0 ? NULL : now->l2,
			  err);
}

static int make_side(const struct comparison *comparison, struct side *side)
{
	side->l1_part = malloc(ENTRIES * ENTRY);
	side->l2 = malloc(qcow2_cluster(&comparison->file->head));
	return side->l1_part != NULL && side->l2 != NULL ? 0 : ERR_SYSTEM;
}

static int compare(struct comparison *comparison, uint64_t size_bytes, struct error *err)
{
	const struct qcow2_head *head = &comparison->file->head;
	uint64_t per_entry = (uint64_t)qcow2_l2_entries(head) << head->cluster_bits;

	if (make_side(comparison, &comparison->old) != 0 ||
	    make_side(comparison, &comparison->now) != 0)
		return fail_memory(err);
	for (uint64_t i = 0; i * per_entry < comparison->size_bytes; i++)
		TRY(compare_entry(comparison, i, err));
	TRY(marks_add(&comparison->marks, comparison->size_bytes, size_bytes, err));
	return marks_end(&comparison->marks, err);
}

int changes_of_snapshots(struct changes *out, struct qcow2_file *file,
			 const struct qcow2_snapshot *from, const struct qcow2_snapshot *to,
			 struct error *err)
{
	uint64_t size_bytes = to == NULL ? file->head.size_bytes : to->size_bytes;
	struct comparison comparison = {
		.file = file,
		.marks = {.changes = out, .size_bytes = size_bytes},
		.size_bytes = least(from->size_bytes, size_bytes),
		.old.l1 = &from->l1,
		.now.l1 = to == NULL ? &file->head.l1 : &to->l1,
	};
	int code;

	*out = (struct changes){0};
	code = compare(&comparison, size_bytes, err);
	if (code == 0)
		code = snapshot_token(file, from, &out->since, err);
	if (code == 0 && to != NULL)
		code = snapshot_token(file, to, &out->until, err);
	if (code != 0)
		changes_free(out);
	free(comparison.old.l1_part);
	free(comparison.old.l2);
	free(comparison.now.l1_part);
	free(comparison.now.l2);
	return code;
}
