/* clang-format off */
/*
 * What a run tells: errors, warnings and notes on standard error, the JSON result, the exit code.
 *
 * With --json each command prints one object on standard output, or on standard error when the
 * archive itself goes to standard output; then nothing else goes to standard error. Fields stay;
 * new ones may come.
 *
 *   all        command, exit_code, warnings (array of texts),
 *              error: only when something failed, an object: message,
 *                code (system damaged incomplete unsupported usage full locked),
 *                byte (where in the archive; only when that is known)
 *   backup,    archive, format (vmab vma), uuid, n_drives, n_configs, drives_bytes (their sizes),
 *   convert    data_bytes (blocks stored, before compression), written_bytes, data_clusters,
 *              zero_clusters, duration_s; backup of what runs also capture: see vmabak-backup(1)
 *   qemu-drives  drives: array: name, device, qdev, node, format, file, iothread (each but name and
 *              node or null), size_bytes, read_only, removable, backing, by_default
 *   restore    archive, archive_bytes, duration_s,
 *              drives: array: name, size_bytes, target, excess_bytes,
 *              configs: array: name, size_bytes, target
 *   list       archive, format, filter (compression around it, or null), uuid, parent_uuid (or
 *              null), created (ISO 8601, UTC), created_ns (since 1970), checksum (of each cluster:
 *              xxh3-128 xxh3-64 none), complete (true false, null: not known), note, checkpoint,
 *              parent_checkpoint (each or null),
 *              drives: array: name, size_bytes; configs: array: name, size_bytes;
 *              only when complete is true: archive_bytes, data_bytes, data_clusters, zero_clusters
 *   config     archive, name, size_bytes, data
 *   verify     archives: array: archive, ok, and either error as above, or format, uuid, quick,
 *              data_checksums, incremental, n_drives, n_configs, drives_bytes, data_bytes,
 *              archive_bytes, data_clusters, zero_clusters, duration_s
 *   salvage    archive, archive_bytes, format, uuid, head (found moved lost), head_at, tail, sections,
 *              damaged_sections, passed_bytes, read_error (or null),
 *              duration_s, drives: array: name, size_bytes, size_known, target, map (or null),
 *              good_bytes, donated_bytes (of those), unverified_bytes, absent_bytes, lost_bytes,
 *              n_lost, lost: array, at most 10000: offset, size_bytes,
 *              configs: as restore
 *   --version  version, features (array), libraries (object: name to version)
 *
 * A text of an archive that is not UTF-8 is given escaped, and X_hex beside field X has its bytes.
 */
/* clang-format on */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "base/error.h"
#include "base/watcher.h"
#include "cli/progress.h"

struct json_t;

/* design: frozen. 128 + n when signal n ended the program. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_WARNINGS = 3,
	EXIT_DAMAGED = 4,
	EXIT_LOST = 5,
	EXIT_FULL = 6,
	EXIT_LOCKED = 7,
};

struct report_options {
	bool quiet;
	bool verbose;
	bool json;
	struct progress_options progress;
};

struct report {
	struct report_options options;
	bool json;
	bool text_off;	  /* the JSON goes to standard error, which then holds nothing else */
	bool no_document; /* standard output is not for JSON here (completion and the like) */
	struct json_t
		*result; /* owned; an object; NULL without json: the put functions take that */
	unsigned n_warnings;
	int output_errno; /* why standard output could not be written; 0: it could */
	struct watcher watcher; /* tells warnings, notes and details as below, and shows progress */
};

void report_begin(struct report *report, const char *command, bool json);
/* output: where the archive that is written goes, or NULL: with "-" the JSON goes to standard error. */
void report_use(struct report *report, const struct report_options *options, const char *output);

/* "vmabak: ARCHIVE: byte N: text" or "vmabak: text". Returns the exit code that fits. */
int report_error(struct report *report, const char *archive, const struct error *err);
/* The same line without putting it into the result, for commands that go on. */
int report_error_line(struct report *report, const char *archive, const struct error *err);
/* {"code": ..., "message": ..., "byte": ...}; NULL without json. Owned by whoever it is put into.
 */
struct json_t *report_error_object(const struct report *report, const struct error *err);

/* Done, but the user must know: exit code 3. */
void report_warning(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* To be known, not to be worried about; not with --quiet. */
void report_note(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* With --verbose only. */
void report_detail(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Has what was printed so far come before what goes to standard error. A failure is told by
 * report_end. */
void report_flush(struct report *report);

/* Prints the JSON result, checks standard output, frees. Returns the exit code of the program. */
int report_end(struct report *report, int exit_code);

#endif
