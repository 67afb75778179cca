/*
 * Where an archive comes from: a file, a device, a pipe; compressed or not.
 *
 * Compression of the whole archive (zstd, gzip, lzop, xz, bzip2) is recognised by content and
 * undone. Not for several threads at once.
 */
#ifndef READER_INPUT_INPUT_H
#define READER_INPUT_INPUT_H

#include "base/error.h"

struct input;

/* path "-" is standard input, "exec:COMMAND" the output of a command (base/command.h),
 * "s3://BUCKET/KEY" an object (store/store.h). */
int input_open(struct input **out, const char *path, struct error *err);
/* The same for a damaged archive: if it is compressed with zstd, every intact frame is read, and
 * the error is returned after that; a name that ends in .zst suffices to be taken for zstd. */
int input_open_damaged(struct input **out, const char *path, struct error *err);
void input_close(struct input *in);

/* Exactly n bytes. An archive that ends before is ERR_INCOMPLETE. */
int input_read(struct input *in, void *buffer, size_t n, struct error *err);
/* Up to n bytes, fewer only at the end of the archive; *got: how many. */
int input_read_some(struct input *in, void *buffer, size_t n, size_t *got, struct error *err);

/* Checks by the first bytes, which remain to be read, whether this can be an archive, possibly a
 * damaged one. Otherwise ERR_UNSUPPORTED, with what it is and what helps. To be called before
 * anything is read. */
int input_check(struct input *in, struct error *err);

/* The position of the next byte. */
uint64_t input_position(const struct input *in);

/* Total bytes if the input is an uncompressed file and input_seek works; otherwise 0. */
uint64_t input_size(const struct input *in);
/* What lies from end on will not be wanted soon: it is read only when it is asked for. UINT64_MAX:
 * it is not known. */
int input_seek(struct input *in, uint64_t position, uint64_t end, struct error *err);

/* Whether what is read is fetched from elsewhere: what is left out saves time. */
bool input_is_far(const struct input *in);

/* Where input_seek will lead next, each for at most 4096 bytes: what is far comes at the same time.
 * At most INPUT_EXPECTED_MAX. */
#define INPUT_EXPECTED_MAX 32u
void input_expect(struct input *in, const uint64_t *positions, unsigned n);

/* n bytes from a position on, if input_size is not 0, whatever is read otherwise. Any thread, several
 * at the same time. An archive that ends before is ERR_INCOMPLETE. */
int input_read_at(struct input *in, uint64_t position, void *to, size_t n, struct error *err);
/* From now on it is read so: the system reads nothing ahead. */
void input_expect_random(struct input *in);

/* For a progress display, of the file as it is, before decompression: how much of it was read, and
 * its size; 0: unknown. */
uint64_t input_taken(const struct input *in);
uint64_t input_file_size(const struct input *in);

/* Most bytes per second; 0: no limit. */
void input_limit(struct input *in, uint64_t bytes_per_s);

/* The compression of the whole archive ("zstd", "gzip", ...), or NULL. Static text. */
const char *input_filter(const struct input *in);

#endif
