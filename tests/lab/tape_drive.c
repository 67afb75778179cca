/*
 * A tape drive (SSC) in user space, for the kernel's own st: it answers SCSI commands that
 * target_core_user passes on. It runs in the guest of tape.sh.
 *
 *   tape_drive UIO-DEVICE MAP-SIZE SETTINGS
 *
 * The tapes are in memory. SETTINGS is a file of "NAME NUMBER" lines, read anew for each command:
 *
 *   largest N     bytes of the largest block (1048576)
 *   room N        bytes that go on the tape (67108864); the last sixteenth is behind early warning
 *   protected 1   it is not to be written
 *   absent 1      no tape is in the drive
 *   tape N        which of six tapes is in the drive (0)
 *   late 1        what was written since the last filemark is lost, and the next filemark tells
 */
#define _DEFAULT_SOURCE /* with more of it struct iovec is defined twice */
#include <fcntl.h>
#include <linux/target_core_user.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_BLOCKS 200000u

enum key {
	NO_SENSE,
	NOT_READY = 2,
	MEDIUM_ERROR,
	ILLEGAL = 5,
	ATTENTION = 6,
	PROTECTED = 7,
	BLANK,
	OVERFLOW = 13
};

#define FILEMARK 0x80u
#define EOM	 0x40u
#define ILI	 0x20u

struct settings {
	long largest, room, protected, absent, late, tape;
};

/* A command, its data, and what it is answered. */
struct command {
	const uint8_t *cdb;
	struct iovec *parts;
	unsigned n_parts;
	uint32_t room;	/* bytes in parts */
	uint32_t moved; /* bytes that went into them */
	uint8_t *sense; /* 18 bytes */
	bool failed;
};

static struct tape {
	struct {
		uint8_t *bytes;
		uint32_t size; /* 0: a filemark */
	} blocks[N_BLOCKS];
	uint32_t n_blocks;
	uint64_t on_tape;
} tapes[6];
static struct tape *tape = tapes; /* in the drive */
static bool attention;		  /* it is another one, which is yet to be told */
static uint32_t at, since_mark;
static uint32_t block_size; /* 0: any */
static uint8_t *shared;
static struct settings settings;

static void read_settings(const char *path)
{
	char name[16];
	long value;
	FILE *file = fopen(path, "r");
	settings = (struct settings){.largest = 1 << 20, .room = 64 << 20};
	while (file != NULL && fscanf(file, "%15s %ld", name, &value) == 2) {
		if (strcmp(name, "largest") == 0)
			settings.largest = value;
		if (strcmp(name, "room") == 0)
			settings.room = value;
		if (strcmp(name, "protected") == 0)
			settings.protected = value;
		if (strcmp(name, "absent") == 0)
			settings.absent = value;
		if (strcmp(name, "late") == 0)
			settings.late = value;
		if (strcmp(name, "tape") == 0)
			settings.tape = value % 6;
	}
	if (file != NULL)
		fclose(file);
	attention = attention || tape != &tapes[settings.tape];
	at = tape != &tapes[settings.tape] ? 0 : at;
	tape = &tapes[settings.tape];
}

/* ---- answers ---- */

static void put24(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 16);
	to[1] = (uint8_t)(value >> 8);
	to[2] = (uint8_t)value;
}

static uint32_t get24(const uint8_t *from)
{
	return (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
}

/* asc: code and qualifier. information: what was not transferred. */
static void complain(struct command *command, unsigned key_and_flags, unsigned asc,
		     int32_t information)
{
	uint8_t *sense = command->sense;
	memset(sense, 0, 18);
	sense[0] = 0xf0;
	sense[2] = (uint8_t)key_and_flags;
	sense[3] = (uint8_t)((uint32_t)information >> 24);
	put24(sense + 4, (uint32_t)information);
	sense[7] = 10;
	sense[12] = (uint8_t)(asc >> 8);
	sense[13] = (uint8_t)asc;
	command->failed = true;
}

/* Between bytes and the parts, from byte `moved` of them on. */
static void transfer(struct command *command, uint8_t *bytes, uint32_t n, bool to_parts)
{
	uint32_t skip = command->moved;
	command->moved += n;
	for (unsigned i = 0; i < command->n_parts && n > 0; i++) {
		uint32_t length = (uint32_t)command->parts[i].iov_len;
		uint8_t *part = shared + (uintptr_t)command->parts[i].iov_base;
		if (skip >= length) {
			skip -= length;
			continue;
		}
		uint32_t some = length - skip < n ? length - skip : n;
		if (to_parts)
			memcpy(part + skip, bytes, some);
		else
			memcpy(bytes, part + skip, some);
		bytes += some;
		n -= some;
		skip = 0;
	}
}

static void answer(struct command *command, uint8_t *bytes, uint32_t n)
{
	transfer(command, bytes, n < command->room ? n : command->room, true);
}

/* ---- reading and writing ---- */

static void read_blocks(struct command *command)
{
	bool fixed = (command->cdb[1] & 1) != 0, silent = (command->cdb[1] & 2) != 0;
	uint32_t n = get24(command->cdb + 2), size = fixed ? block_size : n;
	for (uint32_t left = fixed ? n : 1; left > 0; left--) {
		int32_t residue = (int32_t)(fixed ? left : n);
		if (at >= tape->n_blocks) {
			complain(command, BLANK, 0x0005, residue);
			return;
		}
		uint32_t length = tape->blocks[at].size;
		uint8_t *bytes = tape->blocks[at++].bytes;
		if (length == 0) {
			complain(command, NO_SENSE | FILEMARK, 0x0001, residue);
			return;
		}
		transfer(command, bytes, length < size ? length : size, true);
		if (length != size && !(silent && length < size && !fixed)) {
			complain(command, NO_SENSE | ILI, 0,
				 fixed ? residue : residue - (int32_t)length);
			return;
		}
	}
}

/* What lay behind is gone. */
static void cut_here(void)
{
	while (tape->n_blocks > at) {
		tape->n_blocks--;
		tape->on_tape -= tape->blocks[tape->n_blocks].size;
		free(tape->blocks[tape->n_blocks].bytes);
	}
}

static bool append(const uint8_t *bytes, uint32_t size)
{
	cut_here();
	if (tape->n_blocks >= N_BLOCKS || tape->on_tape + size > (uint64_t)settings.room)
		return false;
	tape->blocks[at].bytes = malloc(size + 1);
	tape->blocks[at].size = size;
	if (tape->blocks[at].bytes == NULL)
		return false;
	memcpy(tape->blocks[at].bytes, bytes, size);
	tape->n_blocks = ++at;
	tape->on_tape += size;
	return true;
}

static bool warns(void)
{
	return tape->on_tape > (uint64_t)(settings.room - settings.room / 16);
}

static void write_blocks(struct command *command)
{
	bool fixed = (command->cdb[1] & 1) != 0;
	uint32_t n = get24(command->cdb + 2), size = fixed ? block_size : n;
	uint8_t *bytes = malloc(size + 1);
	if (settings.protected) {
		complain(command, PROTECTED, 0x2700, (int32_t)n);
	} else if (size > (uint32_t)settings.largest || bytes == NULL) {
		complain(command, ILLEGAL, 0x2400, (int32_t)n);
	} else {
		for (uint32_t left = fixed ? n : 1; left > 0 && !command->failed; left--) {
			transfer(command, bytes, size, false);
			if (append(bytes, size))
				since_mark++;
			else
				complain(command, OVERFLOW | EOM, 0x0002,
					 (int32_t)(fixed ? left : n));
		}
		if (!command->failed && warns())
			complain(command, NO_SENSE | EOM, 0x0002, 0);
	}
	free(bytes);
}

static void write_filemarks(struct command *command)
{
	bool immediate = (command->cdb[1] & 1) != 0;
	if (settings.protected) {
		complain(command, PROTECTED, 0x2700, 0);
		return;
	}
	if (settings.late && since_mark > 0 && !immediate) {
		at -= since_mark;
		since_mark = 0;
		cut_here();
		complain(command, MEDIUM_ERROR, 0x0c00, 0);
		command->sense[0] = 0x71; /* of an earlier command */
		return;
	}
	since_mark = 0;
	for (uint32_t n = get24(command->cdb + 2); n > 0; n--)
		if (!append(NULL, 0))
			complain(command, OVERFLOW | EOM, 0x0002, (int32_t)n);
	if (!command->failed && warns())
		complain(command, NO_SENSE | EOM, 0x0002, 0);
}

/* ---- moving ---- */

static void space(struct command *command)
{
	unsigned what = command->cdb[1] & 7u;
	int32_t n = (int32_t)(get24(command->cdb + 2) << 8) / 256;
	for (; what < 2 && n > 0; n -= what == 1 ? tape->blocks[at - 1].size == 0 : 1) {
		if (at >= tape->n_blocks) {
			complain(command, BLANK, 0x0005, n);
			return;
		}
		if (tape->blocks[at++].size == 0 && what == 0) {
			complain(command, FILEMARK, 0x0001, n);
			return;
		}
	}
	for (; what < 2 && n < 0; n += what == 1 ? tape->blocks[at].size == 0 : 1) {
		if (at == 0) {
			complain(command, EOM, 0x0004, -n);
			return;
		}
		if (tape->blocks[--at].size == 0 && what == 0) {
			complain(command, FILEMARK, 0x0001, -n);
			return;
		}
	}
	if (what == 3)
		at = tape->n_blocks;
}

static void tell_position(struct command *command)
{
	uint8_t bytes[20] = {at == 0 ? 0x80 : 0};
	put24(bytes + 5, at);
	put24(bytes + 9, at);
	answer(command, bytes, sizeof bytes);
}

/* ---- what it is ---- */

static void inquiry(struct command *command)
{
	uint8_t bytes[36] = {0x01, 0x80, 4, 2, 31};
	memcpy(bytes + 8, "VMABAK  LAB TAPE        1   ", 28);
	if ((command->cdb[1] & 1) != 0)
		complain(command, ILLEGAL, 0x2400, 0);
	else
		answer(command, bytes, sizeof bytes);
}

static void block_limits(struct command *command)
{
	uint8_t bytes[6] = {0, 0, 0, 0, 0, 1};
	put24(bytes + 1, (uint32_t)settings.largest);
	answer(command, bytes, sizeof bytes);
}

static void mode_sense(struct command *command)
{
	uint8_t bytes[12] = {11, 0, (uint8_t)((settings.protected ? 0x80 : 0) | 0x10), 8, 0x40};
	put24(bytes + 9, block_size);
	answer(command, bytes, sizeof bytes);
}

static void mode_select(struct command *command)
{
	uint8_t bytes[12] = {0};
	transfer(command, bytes, command->room < 12 ? command->room : 12, false);
	command->moved = 0;
	if (bytes[3] == 8)
		block_size = get24(bytes + 9);
}

static void run(struct command *command)
{
	bool medium = command->cdb[0] != 0x12 && command->cdb[0] != 0x05 && command->cdb[0] != 0x03;
	if (settings.absent && medium) {
		complain(command, NOT_READY, 0x3a00, 0);
		return;
	}
	if (attention && medium) {
		attention = false;
		complain(command, ATTENTION, 0x2800, 0);
		return;
	}
	switch (command->cdb[0]) {
	case 0x00: /* test unit ready */
	case 0x1b: /* load */
	case 0x1e: /* prevent removal */
		break;
	case 0x01:
		at = 0;
		break;
	case 0x05:
		block_limits(command);
		break;
	case 0x08:
		read_blocks(command);
		break;
	case 0x0a:
		write_blocks(command);
		break;
	case 0x10:
		write_filemarks(command);
		break;
	case 0x11:
		space(command);
		break;
	case 0x12:
		inquiry(command);
		break;
	case 0x15:
		mode_select(command);
		break;
	case 0x1a:
		mode_sense(command);
		break;
	case 0x34:
		tell_position(command);
		break;
	default:
		complain(command, ILLEGAL, 0x2000, 0);
	}
	if (command->cdb[0] == 0x01 || command->cdb[0] == 0x11)
		since_mark = 0;
}

/* ---- the ring ---- */

static void answer_entry(struct tcmu_cmd_entry *entry)
{
	uint8_t sense[18] = {0};
	struct command command = {
		.cdb = shared + entry->req.cdb_off,
		.parts = (void *)((uint8_t *)entry + offsetof(struct tcmu_cmd_entry, req.iov)),
		.n_parts = entry->req.iov_cnt,
		.sense = sense};
	for (unsigned i = 0; i < command.n_parts; i++)
		command.room += (uint32_t)command.parts[i].iov_len;
	run(&command);
	entry->hdr.uflags |= TCMU_UFLAG_READ_LEN;
	entry->rsp.read_len = command.moved;
	entry->rsp.scsi_status = command.failed ? 2 : 0;
	memcpy(entry->rsp.sense_buffer, sense, sizeof sense);
}

static void answer_all(const char *path)
{
	struct tcmu_mailbox *mailbox = (struct tcmu_mailbox *)shared;
	while (mailbox->cmd_tail != __atomic_load_n(&mailbox->cmd_head, __ATOMIC_ACQUIRE)) {
		struct tcmu_cmd_entry *entry =
			(void *)(shared + mailbox->cmdr_off + mailbox->cmd_tail);
		if (tcmu_hdr_get_op(entry->hdr.len_op) == TCMU_OP_CMD) {
			read_settings(path);
			answer_entry(entry);
		}
		uint32_t tail = mailbox->cmd_tail + tcmu_hdr_get_len(entry->hdr.len_op);
		__atomic_store_n(&mailbox->cmd_tail, tail % mailbox->cmdr_size, __ATOMIC_RELEASE);
	}
}

int main(int argc, char **argv)
{
	int fd = argc == 4 ? open(argv[1], O_RDWR) : -1;
	uint32_t word;
	if (fd < 0)
		return 1;
	shared = mmap(NULL, strtoul(argv[2], NULL, 0), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return 1;
	for (;;) {
		answer_all(argv[3]);
		word = 0;
		if (write(fd, &word, sizeof word) != sizeof word ||
		    read(fd, &word, sizeof word) != sizeof word)
			return 1;
	}
}
