/* spec/vmab.md, sections 4.2 to 4.4. */
#include "format/drive_marks.h"

#include "format/layout.h"

#define TOKEN_TEXT 8u /* in the value of a token: drive, reserved, token */

enum vmab_proof {
	PROOF_DRIVE = 0x00,
	PROOF_VERDICT = 0x04,
	PROOF_RESERVED = 0x06,
	PROOF_SLICES = 0x08,
	PROOF_FROM = 0x0c,
	PROOF_POINTS = 0x10,
	PROOF_SINCE = 0x18,
	PROOF_LISTED = 0x20,
	PROOF_UNCHANGED = 0x28,
	PROOF_READ_RIGHT = 0x30,
	PROOF_READ_WRONG = 0x38,
	PROOF_SIZE = 0x40,
};

enum vmab_left_out { LEFT_OUT_BYTES = 0x08, LEFT_OUT_SIZE = 0x10 };

/* The record at *at, which moves past it; false: no more. The records were checked when the head
 * was parsed, or are ours. */
static bool next_record(struct text records, uint32_t *at, uint32_t *type, struct text *value)
{
	const uint8_t *record = records.bytes + *at;

	if (*at >= records.length)
		return false;
	*type = (uint32_t)get_le(record, 2);
	*value = (struct text){record + RECORD_HEADER, (uint32_t)get_le(record + 4, 4)};
	*at += (uint32_t)vmab_record_size(value->length);
	return true;
}

static void read_token(struct text value, struct drive_mark *out)
{
	struct text token = {value.bytes + TOKEN_TEXT, value.length - TOKEN_TEXT};

	if (out->token.length == 0 && token.length >= 1 && token.length <= TOKEN_MAX &&
	    all_zero(value.bytes + 4, 4) && memchr(token.bytes, 0, token.length) == NULL)
		out->token = token;
}

static void read_proof(struct text value, struct drive_mark *out)
{
	const uint8_t *bytes = value.bytes;
	struct drive_proof proof;

	if (out->proof.verdict != PROOF_NONE || value.length != PROOF_SIZE)
		return;
	proof = (struct drive_proof){
		.verdict = (enum proof_verdict)get_le(bytes + PROOF_VERDICT, 2),
		.slices = (uint32_t)get_le(bytes + PROOF_SLICES, 4),
		.from = (uint32_t)get_le(bytes + PROOF_FROM, 4),
		.n_points = get_le(bytes + PROOF_POINTS, 8),
		.since_ns = (int64_t)get_le(bytes + PROOF_SINCE, 8),
		.n_listed = get_le(bytes + PROOF_LISTED, 8),
		.n_unchanged = get_le(bytes + PROOF_UNCHANGED, 8),
		.n_right = get_le(bytes + PROOF_READ_RIGHT, 8),
		.n_wrong = get_le(bytes + PROOF_READ_WRONG, 8),
	};
	if (proof.verdict >= PROOF_RIGHT && proof.verdict <= PROOF_WRONG &&
	    all_zero(bytes + PROOF_RESERVED, 2) && proof.n_points <= PROOF_CIRCLE &&
	    (proof.verdict == PROOF_WRONG || proof.n_wrong == 0))
		out->proof = proof;
}

static void read_left_out(struct text value, struct drive_mark *out)
{
	if (out->left_out_bytes == 0 && value.length == LEFT_OUT_SIZE &&
	    all_zero(value.bytes + 4, 4))
		out->left_out_bytes = get_le(value.bytes + LEFT_OUT_BYTES, 8);
}

static bool is_mark(uint32_t type)
{
	return type == RECORD_TOKEN || type == RECORD_PROOF || type == RECORD_LEFT_OUT;
}

bool drive_mark_names(const struct drive_mark *mark, const char *name)
{
	const uint8_t *line = mark->token.bytes, *end = line + mark->token.length;
	size_t length = strlen(name);

	while (line < end) {
		const uint8_t *next = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((next != NULL ? next : end) - line);

		if (n > 0 && n == length && memcmp(line, name, n) == 0)
			return true;
		line += n + 1;
	}
	return false;
}

void drive_marks_read(const struct archive *archive, struct drive_mark *out)
{
	struct text value;
	uint32_t at = 0, type, drive;

	memset(out, 0, archive->n_drives * sizeof(*out));
	while (next_record(archive->records, &at, &type, &value)) {
		if (!is_mark(type) || value.length < TOKEN_TEXT)
			continue;
		drive = (uint32_t)get_le(value.bytes, 4);
		if (drive >= archive->n_drives)
			continue;
		if (type == RECORD_TOKEN)
			read_token(value, &out[drive]);
		else if (type == RECORD_PROOF)
			read_proof(value, &out[drive]);
		else
			read_left_out(value, &out[drive]);
	}
}

uint64_t drive_marks_size(const struct drive_mark *marks, uint32_t n_drives)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < n_drives; i++) {
		if (marks[i].token.length > 0)
			size += vmab_record_size(TOKEN_TEXT + marks[i].token.length);
		if (marks[i].proof.verdict != PROOF_NONE)
			size += vmab_record_size(PROOF_SIZE);
		if (marks[i].left_out_bytes > 0)
			size += vmab_record_size(LEFT_OUT_SIZE);
	}
	return size;
}

/* As put_record of vmab_build.c does; the bytes are zero before. */
static uint8_t *put_header(uint8_t *at, uint16_t type, uint32_t length)
{
	put_le(at, 2, type);
	put_le(at + 4, 4, length);
	return at + RECORD_HEADER;
}

static void put_proof(const struct drive_proof *proof, uint8_t *value)
{
	put_le(value + PROOF_VERDICT, 2, proof->verdict);
	put_le(value + PROOF_SLICES, 4, proof->slices);
	put_le(value + PROOF_FROM, 4, proof->from);
	put_le(value + PROOF_POINTS, 8, proof->n_points);
	put_le(value + PROOF_SINCE, 8, (uint64_t)proof->since_ns);
	put_le(value + PROOF_LISTED, 8, proof->n_listed);
	put_le(value + PROOF_UNCHANGED, 8, proof->n_unchanged);
	put_le(value + PROOF_READ_RIGHT, 8, proof->n_right);
	put_le(value + PROOF_READ_WRONG, 8, proof->n_wrong);
}

void drive_marks_build(const struct drive_mark *marks, uint32_t n_drives, uint8_t *out)
{
	memset(out, 0, drive_marks_size(marks, n_drives));
	for (uint32_t i = 0; i < n_drives; i++) {
		const struct text *token = &marks[i].token;
		uint8_t *value;

		if (token->length > 0) {
			value = put_header(out, RECORD_TOKEN, TOKEN_TEXT + token->length);
			put_le(value, 4, i);
			memcpy(value + TOKEN_TEXT, token->bytes, token->length);
			out += vmab_record_size(TOKEN_TEXT + token->length);
		}
		if (marks[i].proof.verdict != PROOF_NONE) {
			value = put_header(out, RECORD_PROOF, PROOF_SIZE);
			put_le(value, 4, i);
			put_proof(&marks[i].proof, value);
			out += vmab_record_size(PROOF_SIZE);
		}
		if (marks[i].left_out_bytes > 0) {
			value = put_header(out, RECORD_LEFT_OUT, LEFT_OUT_SIZE);
			put_le(value, 4, i);
			put_le(value + LEFT_OUT_BYTES, 8, marks[i].left_out_bytes);
			out += vmab_record_size(LEFT_OUT_SIZE);
		}
	}
}

uint64_t drive_marks_copy(struct text records, uint8_t *out)
{
	struct text value;
	uint32_t at = 0, type;
	uint64_t size = 0;

	while (next_record(records, &at, &type, &value)) {
		uint64_t n = vmab_record_size(value.length);

		if (!is_mark(type))
			continue;
		if (out != NULL)
			memcpy(out + size, value.bytes - RECORD_HEADER, n);
		size += n;
	}
	return size;
}
