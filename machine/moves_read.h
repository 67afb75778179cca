/*
 * Records from a descriptor, one after the other: spec/moves.md, section 1.
 */
#ifndef MACHINE_MOVES_READ_H
#define MACHINE_MOVES_READ_H

#include "cow/mapstream.h"

/* Made of a struct that holds fd, and perhaps is_awaited, alone. */
struct move_reader {
	int fd;
	bool is_awaited; /* what is read is an answer: it has to come within PATIENCE_ANSWER_S */
	bool begun;	 /* the head of the stream was read */
	uint64_t id;
	uint8_t *buffer; /* owned */
	size_t at, end;	 /* what is in it and was not given out */
};

/* 1: a record, borrowed until the next call; 0: the stream ends before a record; negative: as
 * mapstream_get, ERR_INCOMPLETE within one, or an error of reading. */
int move_read(struct move_reader *reader, struct mapstream_record *out, struct error *err);
/* Whether the next record is here already, so that move_read will not wait. */
bool move_is_ready(const struct move_reader *reader);
void move_reader_free(struct move_reader *reader);

#endif
