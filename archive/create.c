#include "archive/create.h"

#include "archive/configs.h"
#include "archive/open.h"
#include "base/bytes.h"
#include "base/parse.h"
#include "base/watcher.h"
#include "writer/output/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Data clusters in an extent. */
#define VMA1_PLAIN_DATA	 58u /* without checksums: as many as the genuine writer puts in */
#define VMAB_DATA	 64u /* read together, and cut */
#define VMAB_LITTLE_DATA 16u
#define VMAB_LITTLE	 2048u /* clusters in all */
#define VMAB_PLAIN_DATA	 16u   /* data that is only copied should stay in the processor's caches */

/* Bytes of data that are compressed together, in what is made of drives. Four times as much would
 * save less than 1 in 100 of the archive; but of a chain all of an extent is read and decoded for
 * the sake of one cluster. */
#define VMAB_EXTENT (1u << 20)

int create_time(int64_t *time_ns, struct error *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct timespec now;
	uint64_t seconds;

	if (epoch == NULL) {
		clock_gettime(CLOCK_REALTIME, &now);
		*time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		return 0;
	}
	if (!parse_number(epoch, &seconds) || seconds > INT64_MAX / 1000000000)
		return fail(err, ERR_USAGE, "SOURCE_DATE_EPOCH '%s': not a number of seconds",
			    epoch);
	*time_ns = (int64_t)seconds * 1000000000;
	return 0;
}

static int set_uuid(struct archive *archive, const char *text, struct error *err)
{
	if (text != NULL) {
		if (!parse_uuid(text, archive->uuid))
			return fail(err, ERR_USAGE,
				    "--uuid '%s': must be as 01234567-89ab-cdef-0123-456789abcdef, "
				    "not all zero",
				    text);
		return 0;
	}
	if (getrandom(archive->uuid, UUID_SIZE, 0) != UUID_SIZE)
		return fail_system(err, errno, "random numbers");
	/* Version 4, variant 1: RFC 9562. */
	archive->uuid[6] = (uint8_t)((archive->uuid[6] & 0x0f) | 0x40);
	archive->uuid[8] = (uint8_t)((archive->uuid[8] & 0x3f) | 0x80);
	return 0;
}

/* Each extent holds the uuid; one of VMAB holds its place, too, and so differs after any change
 * before it. */
static int check_dedup(struct create *create, const struct head_options *head, struct error *err)
{
	if (head->dedup && create->plan.format != FORMAT_VMA1)
		return fail(err, ERR_USAGE,
			    "--dedup is for VMA: each part of a VMAB holds its own position; end "
			    "the name in .vma or give --format vma");
	create->dedup = head->dedup;
	return 0;
}

/* Version 8, variant 1: RFC 9562. */
static void set_names_uuid(struct archive *archive)
{
	uint8_t bytes[CHECKSUM_SIZE + UINT8_MAX] = "vmabak --dedup";

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const struct text *name = &archive->drives[i].name;

		memcpy(bytes + CHECKSUM_SIZE, name->bytes, name->length);
		checksum_bytes(bytes, CHECKSUM_SIZE + name->length, bytes);
	}
	memcpy(archive->uuid, bytes, UUID_SIZE);
	archive->uuid[6] = (uint8_t)((archive->uuid[6] & 0x0f) | 0x80);
	archive->uuid[8] = (uint8_t)((archive->uuid[8] & 0x3f) | 0x80);
}

static int set_note(struct archive *archive, const char *note, struct error *err)
{
	if (note == NULL || *note == '\0')
		return 0;
	if (archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "--note: VMA cannot store notes, VMAB can");
	if (strlen(note) > CONFIGS_SIZE_MAX / 16)
		return fail(err, ERR_USAGE, "--note: too long");
	archive->note = (struct text){(const uint8_t *)note, (uint32_t)strlen(note)};
	return 0;
}

int create_begin(struct create *out, const struct create_options *options,
		 const struct head_options *head, struct error *err)
{
	struct archive *archive;

	*out = (struct create){.options = options, .name = options->name};
	TRY(create_plan_make(&out->plan, options, err));
	archive = out->archive = calloc(1, sizeof(*archive));
	if (archive == NULL)
		return fail_memory(err);
	archive->format = out->plan.format;
	out->extent_size = (uint32_t)options->extent_size;
	archive->cluster_checksum = out->plan.cluster_checksum;
	if (head == NULL)
		return 0;
	out->head = head;
	if (archive->format == FORMAT_VMAB && out->plan.level != 0 && out->extent_size == 0)
		out->extent_size = VMAB_EXTENT;
	TRY(check_dedup(out, head, err));
	TRY(create_time(&archive->created_ns, err));
	if (head->uuid != NULL || !head->dedup)
		TRY(set_uuid(archive, head->uuid, err));
	return set_note(archive, head->note, err);
}

int create_take_up(struct create *create, const struct watcher *watcher, struct error *err)
{
	const struct head_options *head = create->head;

	if (!create->options->resume)
		return 0;
	TRY(kept_find(&create->kept, create->name, create->options, watcher, err));
	if (!create->kept.found.any)
		return 0;
	if (head->uuid == NULL && !head->dedup)
		memcpy(create->archive->uuid, create->kept.found.uuid, UUID_SIZE);
	if (getenv("SOURCE_DATE_EPOCH") == NULL)
		create->archive->created_ns = create->kept.found.created_ns;
	return 0;
}

static bool is_named(const struct archive_drive *drive, const char *name)
{
	return drive->name.length == strlen(name) &&
	       memcmp(drive->name.bytes, name, drive->name.length) == 0;
}

int create_add_drive(struct create *create, const char *name, const char *path, struct error *err)
{
	struct archive *archive = create->archive;
	struct stat found;

	if (archive->n_drives == DRIVES_MAX)
		return fail(err, ERR_USAGE, "more than %u drives", DRIVES_MAX);
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		if (is_named(&archive->drives[i], name))
			return fail(err, ERR_USAGE, "drive %s: that name is taken already", name);
	}
	if (path != NULL && stat(path, &found) == 0 && create_plan_overwrites(create->name, &found))
		return fail(err, ERR_USAGE, "drive %s: %s is the output itself", name, path);
	archive->drives[archive->n_drives++].name =
		(struct text){(const uint8_t *)name, (uint32_t)strlen(name)};
	return 0;
}

void create_set_size(struct create *create, uint32_t drive, uint64_t size_bytes,
		     const struct watcher *watcher)
{
	struct archive_drive *it = &create->archive->drives[drive];
	char name[120];

	if (create->plan.format == FORMAT_VMA1 && size_bytes % SECTOR_SIZE != 0) {
		size_bytes += SECTOR_SIZE - size_bytes % SECTOR_SIZE;
		watcher_detail(watcher,
			       "drive %s: stored as %llu bytes: sizes in VMA are multiples of %u",
			       escape_text(name, sizeof(name), it->name.bytes, it->name.length),
			       (unsigned long long)size_bytes, SECTOR_SIZE);
	}
	it->size_bytes = size_bytes;
}

/* By lists, few clusters will come: in large pieces some threads would have nothing to do. What is
 * read in full is better read in large pieces, of which a server sends several parts at once. */
static bool is_little(const struct create *create)
{
	uint64_t n_listed = 0;

	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		if (create->marks == NULL || create->marks[i].proof.verdict != PROOF_RIGHT)
			return false;
		n_listed += create->marks[i].proof.n_listed;
	}
	return n_listed <= VMAB_LITTLE && create->extent_size <= VMAB_LITTLE_DATA * CLUSTER_SIZE;
}

uint32_t create_piece(const struct create *create)
{
	const struct create_plan *plan = &create->plan;

	if (plan->format == FORMAT_VMAB && is_little(create))
		return VMAB_LITTLE_DATA;
	if (plan->format == FORMAT_VMAB)
		return plan->level != 0 || create->extent_size != 0 ? VMAB_DATA : VMAB_PLAIN_DATA;
	return plan->cluster_checksum == CLUSTER_UNPROTECTED ? VMA1_PLAIN_DATA : VMA1_CHECKED_DATA;
}

/* What the archive is likely to be for, but will not be good for. */
static int check_use(struct create *create, const struct watcher *watcher, struct error *err)
{
	if (create->plan.format == FORMAT_VMA1 && create->options->record_size != 0)
		watcher_warn(watcher,
			     "--record-size: the zeros that fill the last record make other tools "
			     "than vmabak refuse a VMA archive");
	return proxmox_prepare(&create->proxmox, create->archive, create->name, watcher, err);
}

static int open_parent(struct create *create, const struct watcher *watcher, struct error *err)
{
	const struct head_options *head = create->head;
	struct strings names;
	int code;

	if (head == NULL || head->parent == NULL)
		return 0;
	if (!strings_join(&names, head->parent, &head->parents, NULL))
		return fail_memory(err);
	code = parent_open(&create->parent, &names, create->archive, create->name, watcher, err);
	free(names.items);
	if (code == 0 || code == ERR_USAGE || !head->parent_optional)
		return code;
	watcher_warn(watcher, "a full backup is made, because the parent cannot be used: %s",
		     err->text);
	*err = (struct error){0};
	parent_close(&create->parent);
	memset(create->archive->parent, 0, UUID_SIZE);
	create->archive->parent_checkpoint = (struct text){0};
	return 0;
}

int create_prepare(struct create *create, const struct watcher *watcher, struct error *err)
{
	create->marks = calloc(create->archive->n_drives + 1, sizeof(*create->marks));
	if (create->marks == NULL)
		return fail_memory(err);
	TRY(check_use(create, watcher, err));
	return open_parent(create, watcher, err);
}

int create_set_token(struct create *create, uint32_t drive, const char *token, struct error *err)
{
	const struct text *name = &create->archive->drives[drive].name;
	struct text *own = &create->marks[drive].token;
	size_t length = strlen(token);

	if (create->archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "drive %.*s: VMA cannot store tokens, VMAB can",
			    (int)name->length, (const char *)name->bytes);
	if (length < 1 || length > TOKEN_MAX)
		return fail(err, ERR_USAGE, "drive %.*s: a token has 1 to %u bytes",
			    (int)name->length, (const char *)name->bytes, TOKEN_MAX);
	if (own->length > 0 && drive_mark_names(&create->marks[drive], token))
		return 0;
	if (own->length > 0 && (own->length != length || memcmp(own->bytes, token, length) != 0))
		return fail(
			err, ERR_USAGE,
			"drive %.*s: by its list or image it has another token than --token says",
			(int)name->length, (const char *)name->bytes);
	*own = (struct text){(const uint8_t *)token, (uint32_t)length};
	return 0;
}

void create_renew_token(struct create *create, uint32_t drive, const char *token)
{
	create->marks[drive].token = (struct text){(const uint8_t *)token, (uint32_t)strlen(token)};
}

/* An archive that is converted has records already. */
static int make_records(struct create *create, struct error *err)
{
	uint64_t size = drive_marks_size(create->marks, create->archive->n_drives);

	if (size == 0)
		return 0;
	create->records = malloc(size);
	if (create->records == NULL)
		return fail_memory(err);
	drive_marks_build(create->marks, create->archive->n_drives, create->records);
	create->archive->records = (struct text){create->records, (uint32_t)size};
	return 0;
}

/* Whether increments can be told what changed since. */
static bool has_tokens(const struct create *create)
{
	for (uint32_t i = 0; create->marks != NULL && i < create->archive->n_drives; i++) {
		if (create->marks[i].token.length > 0)
			return true;
	}
	return false;
}

static struct sums_options sums_options(const struct create *create)
{
	const struct head_options *head = create->head;

	return (struct sums_options){
		.path = head != NULL ? head->sums : NULL,
		.beside = head != NULL && !head->no_sums &&
			  (head->sums_beside || head->parent != NULL || has_tokens(create)),
		.replace = create->options->force,
		.sync = !create->options->no_sync,
	};
}

int create_open(struct create *create, const struct watcher *watcher, struct error *err)
{
	const struct create_options *options = create->options;
	struct output_options to = {
		.force = options->force,
		.sync = !options->no_sync,
		.record_size = (uint32_t)options->record_size,
		.no_padding = create->plan.wrap != WRAP_NONE,
		.uuid = create->archive->uuid,
		.bytes_per_s = options->rate,
		.expected_bytes = archive_drive_bytes(create->archive),
		.n_parts_max = options->s3_parts,
		.retain_until = options->retain_until,
		.resume = options->resume ? &create->kept.to : NULL,
	};
	struct sums_options sums = sums_options(create);

	if (create->marks == NULL)
		TRY(create_prepare(create, watcher, err));
	if (create->dedup && all_zero(create->archive->uuid, UUID_SIZE))
		set_names_uuid(create->archive);
	/* An archive that cannot be written must not leave even an empty file. */
	TRY(archive_check(create->archive, err));
	TRY(new_sums_check(&sums, create->name, create->archive, err));
	create->kept.to.created_ns = create->archive->created_ns;
	if (options->resume)
		TRY(kept_begin(&create->kept, create->name, create->archive->uuid, err));
	return output_open(&create->output, create->name, &to, err);
}

void create_expect(struct create *create, const struct cluster_set *const *sets)
{
	create->expected = sets;
}

/* The marks are known. */
static int write_head(struct create *create, const struct watcher *watcher, struct error *err)
{
	struct sums_options sums = sums_options(create);
	struct writer_options how = {
		.level = create->plan.level,
		.wrap = create->plan.wrap,
		.by_place = create->dedup,
		.extent_size = create->extent_size,
		.counts = &create->counts,
	};

	TRY(make_records(create, err));
	TRY(archive_check(create->archive, err));
	if (create->parent.found.sums != NULL)
		how.parent = &create->parent.sums;
	TRY(new_sums_open(&create->sums, &sums, create->name, create->archive, &create->parent,
			  watcher, err));
	how.checksums = new_sums_sink(create->sums);
	TRY(writer_open(&create->writer, create->archive, create->output, &how, err));
	writer_expect(create->writer, create->expected);
	return 0;
}

static int write_all(struct create *create, const struct feed *feed, struct error *err)
{
	TRY(writer_run(create->writer, feed, threads_wanted(create->options->threads), err));
	TRY(writer_finish(create->writer, err));
	/* Not before: if this fails, the old archive stays, and so do its sums. */
	if (create->head != NULL && create->options->force)
		TRY(new_sums_forget(create->name, create->archive, err));
	return output_finish(create->output, err);
}

int create_write(struct create *create, const struct feed *feed, const struct watcher *watcher,
		 struct error *err)
{
	struct progress_view view = {
		.label = strcmp(create->name, "-") == 0 ? "standard output" : create->name,
		.done_bytes = feed->has_places ? &create->counts.place : &create->counts.data_bytes,
		.total_bytes = feed->total_bytes,
		.survey = feed->survey,
		.survey_context = feed->context,
		.covered_bytes = &create->counts.covered_bytes,
		.drives_bytes = archive_drive_bytes(create->archive),
		.of_drives = !feed->has_places,
		.drive = &create->counts.drive,
		.drive_name = archive_drive_name,
		.drives = create->archive,
	};
	int code;

	TRY(write_head(create, watcher, err));
	watcher_begin(watcher, &view);
	code = write_all(create, feed, err);
	if (code == 0)
		new_sums_finish(create->sums, create->archive, create->writer, watcher);
	watcher_end(watcher, code == 0);
	return code;
}

bool create_differs(const struct create *create)
{
	return create->output != NULL && output_differs(create->output);
}

void create_close(struct create *create)
{
	if (create->writer != NULL)
		writer_free(create->writer);
	output_close(create->output);
	kept_close(&create->kept);
	new_sums_free(create->sums);
	parent_close(&create->parent);
	free(create->marks);
	free(create->records);
	proxmox_close(&create->proxmox);
	if (create->archive != NULL)
		configs_free(create->archive);
	free(create->archive);
	*create = (struct create){0};
}
