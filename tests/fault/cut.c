/*
 * What power cuts leave of a served drive and its map, and whether the map names all that changed.
 *
 *   cut JOURNAL DRIVE-BYTES CUTS SEED [drop-log|drop-drive|drop-flushes|elsewhere]
 *
 * At moments of chance, the disk has of each file what was waited for, and of the rest any part, in
 * sectors of 512 bytes. The map is opened as after a restart; each cluster in which the drive
 * differs from an archive that was complete must be among what changed since. With drop-log what is
 * written through counts as written only, with drop-drive the fsyncs of the drive are left out:
 * then something is missed, or this would see nothing.
 *
 * elsewhere: the map is of a drive whose writes a hypervisor records, and which is in no journal.
 * The map has begun anew, or names each cluster in which two archives differ whose generations it
 * has both ended. The file that was left by the last cut at which it was open is map.left.
 */
#include "tests/fault/journal.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/grain.h"
#include "cow/generation.h"
#include "cow/map_parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SECTOR	     512u
#define ARCHIVES_MAX 64u

/* A file: what is on the disk, with the number of the record that each sector is of, and what is
 * not yet. */
struct file {
	uint8_t *disk;
	uint32_t *since;
	uint8_t *left; /* by the cut */
	uint64_t size;
	uint32_t *pending, n_pending;
};

struct archive {
	uint64_t id;
	uint16_t generation;
	uint8_t *image;
};

struct record {
	struct journal_record head;
	const uint8_t *data;
};

static struct record *records;
static uint32_t n_records;
static struct file files[2];
static struct archive archives[ARCHIVES_MAX];
static unsigned n_archives;
static bool drop_log, drop_drive, drop_flushes, elsewhere;
static uint64_t n_anew, n_kept;
static bool leaves_least; /* a cut: only what was waited for */
static unsigned n_wrong, n_different;
static uint64_t n_changed, n_named;

static void die(const char *what)
{
	fprintf(stderr, "cut: %s\n", what);
	exit(2);
}

static uint8_t *load(const char *path, uint64_t *size)
{
	struct stat found;
	int fd = open(path, O_RDONLY);
	uint8_t *out;

	if (fd < 0 || fstat(fd, &found) != 0 || (out = malloc((size_t)found.st_size + 1)) == NULL)
		die(path);
	*size = (uint64_t)found.st_size;
	for (uint64_t at = 0; at < *size;) {
		ssize_t got = pread(fd, out + at, *size - at, (off_t)at);
		if (got <= 0)
			die(path);
		at += (uint64_t)got;
	}
	close(fd);
	return out;
}

static void parse(const uint8_t *bytes, uint64_t size)
{
	uint64_t at = 0;

	records = calloc(size / sizeof(struct journal_record) + 1, sizeof(*records));
	if (records == NULL)
		die("memory");
	while (at + sizeof(struct journal_record) <= size) {
		struct record *record = &records[n_records++];
		uint32_t kind;

		memcpy(&record->head, bytes + at, sizeof(record->head));
		at += sizeof(record->head);
		record->data = bytes + at;
		kind = record->head.kind;
		if (kind == JOURNAL_WRITE || kind == JOURNAL_WRITE_THROUGH ||
		    kind == JOURNAL_COMPLETE)
			at += record->head.n;
	}
}

/* ---- files ---- */

/* One in chance sectors of the record stays away. */
static void apply(uint8_t *to, uint32_t *since, uint32_t number, uint64_t limit, unsigned percent)
{
	const struct record *record = &records[number];
	uint64_t end = record->head.offset + record->head.n;

	for (uint64_t at = record->head.offset; at < end;) {
		uint64_t next = (at / SECTOR + 1) * SECTOR;
		next = next < end ? next : end;
		if (next <= limit && since[at / SECTOR] <= number &&
		    (unsigned)rand() % 100 < percent) {
			if (record->head.kind == JOURNAL_ZERO)
				memset(to + at, 0, next - at);
			else
				memcpy(to + at, record->data + (at - record->head.offset),
				       next - at);
		}
		at = next;
	}
}

static void note_durable(struct file *file, uint32_t number)
{
	const struct journal_record *head = &records[number].head;

	apply(file->disk, file->since, number, file->size, 100);
	for (uint64_t at = head->offset; at < head->offset + head->n && at < file->size;
	     at += SECTOR)
		if (file->since[at / SECTOR] < number)
			file->since[at / SECTOR] = number;
}

static void sync_to(struct file *file, uint32_t begin)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < file->n_pending; i++) {
		if (file->pending[i] < begin)
			note_durable(file, file->pending[i]);
		else
			file->pending[kept++] = file->pending[i];
	}
	file->n_pending = kept;
}

/* The record with which the same thread began. */
static uint32_t begin_of(uint32_t end)
{
	uint32_t i = end;

	while (i-- > 0 && (records[i].head.kind != JOURNAL_SYNC ||
			   records[i].head.file != records[end].head.file ||
			   records[i].head.offset != records[end].head.offset))
		;
	return i;
}

static void note_archive(const struct record *record)
{
	struct archive *archive = &archives[n_archives++];
	char text[256] = "", token[64], path[128];
	uint64_t size;

	if (n_archives == ARCHIVES_MAX || record->head.n >= sizeof(text))
		die("too many archives");
	memcpy(text, record->data, record->head.n);
	if (sscanf(text, "%63s %127s", token, path) != 2 ||
	    !generation_parse_token(token, &archive->id, &archive->generation))
		die(text);
	archive->image = load(path, &size);
	if (size != files[JOURNAL_OF_DRIVE].size)
		die(path);
}

static void go_on(uint32_t number)
{
	const struct record *record = &records[number];
	struct file *file = &files[record->head.file % 2];

	switch (record->head.kind) {
	case JOURNAL_WRITE_THROUGH:
		if (!drop_log) {
			note_durable(file, number);
			break;
		} /* fall through */
	case JOURNAL_WRITE:
	case JOURNAL_ZERO:
		file->pending[file->n_pending++] = number;
		break;
	case JOURNAL_FSYNCED:
	case JOURNAL_SYNCED:
		if (file == &files[JOURNAL_OF_DRIVE] &&
		    (drop_drive || (drop_flushes && record->head.kind == JOURNAL_SYNCED)))
			break;
		sync_to(file, begin_of(number));
		break;
	case JOURNAL_COMPLETE:
		note_archive(record);
	}
}

/* ---- a cut ---- */

static uint8_t *after_cut(const struct file *file)
{
	static const unsigned percents[] = {0, 5, 50, 95, 100};
	uint8_t *out = file->left;
	unsigned percent = leaves_least ? 0 : percents[rand() % 5];

	memcpy(out, file->disk, file->size);
	for (uint32_t i = 0; i < file->n_pending; i++)
		apply(out, file->since, file->pending[i], file->size, percent);
	return out;
}

/* As if all had been a moment ago, on another boot, and on this file. */
static void make_of_today(uint8_t *map, uint64_t size, uint64_t log_at)
{
	struct map_header header;
	struct stat drive;
	struct error err;
	uint64_t now = clock_file_ns();

	if (map_header_get(&header, map, "map", &err) != 0 || stat("drive", &drive) != 0)
		die("no header");
	header.sequence++;
	if (!elsewhere) {
		header.drive.device = drive.st_dev;
		header.drive.inode = drive.st_ino;
		header.drive.mtime_ns = 0;
	}
	memset(header.boot_id, 7, sizeof(header.boot_id));
	map_header_put(map, &header);
	put_le(map + MAP_LAST_AT, 8, now);
	for (uint64_t at = log_at; at < size; at += SECTOR) {
		if (get_le(map + at + 504, 8) != XXH3_64bits(map + at, 504))
			continue;
		put_le(map + at + 8, 8, now);
		put_le(map + at + 504, 8, XXH3_64bits(map + at, 504));
	}
}

static void write_map(const char *path, const uint8_t *bytes, uint64_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		die("map");
	close(fd);
}

static void compare(const struct generation *map, const uint8_t *drive,
		    const struct archive *archive, uint32_t number)
{
	uint64_t n, size = files[JOURNAL_OF_DRIVE].size;

	if (generation_id(map) != archive->id || generation_current(map) <= archive->generation) {
		n_wrong++;
		printf("record %u: generation %u of an archive has not ended\n", number,
		       archive->generation);
		return;
	}
	for (uint64_t i = 0; i * CLUSTER_SIZE < size; i++) {
		uint64_t at = i * CLUSTER_SIZE, length = least(CLUSTER_SIZE, size - at);
		bool changed = memcmp(drive + at, archive->image + at, length) != 0;
		bool named = generation_changed(map, archive->generation, i, &n);

		n_changed += changed;
		n_named += named;
		if (changed && !named && n_wrong++ < 10)
			printf("record %u: cluster %" PRIu64
			       " changed since generation %u, and is not named\n",
			       number, i, archive->generation);
	}
}

/* Those that both were recorded when the map was left. */
static void compare_archives(const struct generation *map, uint32_t number)
{
	for (unsigned i = 0; i < n_archives; i++) {
		if (generation_id(map) == archives[i].id &&
		    generation_current(map) > archives[i].generation)
			for (unsigned j = 0; j < i; j++)
				if (archives[j].id == archives[i].id)
					compare(map, archives[i].image, &archives[j], number);
	}
}

/* A header that is not there, or of which nothing is whole, is nothing to begin with. */
static void cut_elsewhere(uint32_t number)
{
	uint8_t *bytes = after_cut(&files[JOURNAL_OF_MAP]);
	uint64_t size = files[JOURNAL_OF_MAP].size;
	struct map_header header;
	struct generation *map;
	struct error err;

	if (map_header_get(&header, bytes, "map", &err) != 0)
		return;
	make_of_today(bytes, size, size - MAP_PAGE);
	write_map("map", bytes, size);
	if (header.state == MAP_STATE_OPEN)
		write_map("map.left", bytes, size);
	if (generation_open(&map, "map", NULL, files[JOURNAL_OF_DRIVE].size, &err) != 0)
		die(err.text);
	if (generation_trust(map) == MAP_CLEAN) {
		n_kept++;
		compare_archives(map, number);
	} else {
		n_anew++;
	}
	if (generation_close(map, &err) != 0)
		die(err.text);
}

static void cut(uint32_t number)
{
	uint8_t *drive = after_cut(&files[JOURNAL_OF_DRIVE]),
		*bytes = after_cut(&files[JOURNAL_OF_MAP]);
	uint64_t size = files[JOURNAL_OF_MAP].size;
	struct generation *map;
	struct error err;

	n_different += files[JOURNAL_OF_DRIVE].n_pending > 0 && files[JOURNAL_OF_MAP].n_pending > 0;
	make_of_today(bytes, size, size - MAP_PAGE);
	write_map("map", bytes, size);
	if (generation_open(&map, "map", "drive", files[JOURNAL_OF_DRIVE].size, &err) != 0)
		die(err.text);
	if (generation_trust(map) != MAP_RECOVERED) {
		n_wrong++;
		printf("record %u: %s\n", number, map_trust_text(generation_trust(map)));
	} else {
		for (unsigned i = 0; i < n_archives; i++)
			compare(map, drive, &archives[i], number);
	}
	if (generation_close(map, &err) != 0)
		die(err.text);
}

static void make_files(void)
{
	for (uint32_t i = 0; i < n_records; i++)
		if (records[i].head.kind == JOURNAL_CUT && records[i].head.file == JOURNAL_OF_MAP &&
		    records[i].head.offset > 0)
			files[JOURNAL_OF_MAP].size = records[i].head.offset;
	for (unsigned i = 0; i < 2; i++) {
		files[i].disk = calloc(1, files[i].size);
		files[i].left = calloc(1, files[i].size);
		files[i].since = calloc(files[i].size / SECTOR + 1, sizeof(uint32_t));
		files[i].pending = calloc(n_records, sizeof(uint32_t));
		if (files[i].disk == NULL || files[i].left == NULL || files[i].since == NULL ||
		    files[i].pending == NULL)
			die("memory");
	}
	int fd = open("drive", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)files[JOURNAL_OF_DRIVE].size) != 0)
		die("drive");
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t size, n_cuts;
	uint8_t *bytes;

	if (argc < 5)
		die("usage: cut JOURNAL DRIVE-BYTES CUTS SEED "
		    "[drop-log|drop-drive|drop-flushes|elsewhere]");
	bytes = load(argv[1], &size);
	parse(bytes, size);
	files[JOURNAL_OF_DRIVE].size = strtoull(argv[2], NULL, 10);
	n_cuts = strtoull(argv[3], NULL, 10);
	srand((unsigned)atoi(argv[4]));
	drop_log = argc > 5 && strcmp(argv[5], "drop-log") == 0;
	drop_flushes = argc > 5 && strcmp(argv[5], "drop-flushes") == 0;
	drop_drive = argc > 5 && strcmp(argv[5], "drop-drive") == 0;
	elsewhere = argc > 5 && strcmp(argv[5], "elsewhere") == 0;
	make_files();
	for (uint32_t i = 0, left = n_records; i < n_records; i++, left--) {
		go_on(i);
		leaves_least = records[i].head.kind == JOURNAL_COMPLETE;
		if (n_archives > 0 && (leaves_least || (uint64_t)rand() % left < n_cuts)) {
			(elsewhere ? cut_elsewhere : cut)(i);
			n_cuts -= n_cuts > 0;
		}
	}
	printf("%u records, %u archives, %u cuts with both in flight, %" PRIu64
	       " clusters changed, %" PRIu64 " named, %u missed\n",
	       n_records, n_archives, n_different, n_changed, n_named, n_wrong);
	if (elsewhere)
		printf("%" PRIu64 " maps counted, %" PRIu64 " began anew\n", n_kept, n_anew);
	return n_wrong > 0;
}
