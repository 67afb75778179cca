/* Records of journal.c, which cut.c reads. */
#ifndef TESTS_FAULT_JOURNAL_H
#define TESTS_FAULT_JOURNAL_H

#include <stdint.h>

enum journal_kind {
	JOURNAL_WRITE = 1, /* n bytes follow */
	JOURNAL_WRITE_THROUGH,
	JOURNAL_SYNC, /* begins; offset: the thread */
	JOURNAL_SYNCED,
	JOURNAL_FSYNCED,
	JOURNAL_CUT, /* offset: the size */
	JOURNAL_ZERO,
	JOURNAL_COMPLETE, /* an archive; n bytes follow: its token, a blank, the image that it
			     restores to */
};

enum { JOURNAL_OF_DRIVE, JOURNAL_OF_MAP };

struct journal_record {
	uint32_t kind, file;
	uint64_t offset, n;
};

#endif
