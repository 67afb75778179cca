/*
 * Exports in memory for tests of the NBD server, and bytes written down as words.
 */
#ifndef TESTS_NBD_DISK_H
#define TESTS_NBD_DISK_H

#include "nbd/server.h"

#define DISK_SIZE 1048576u /* of each export */

/* disk: all there is. ro, wo: half of it. bare: reading only. sector: blocks of 512 bytes to 64
 * KiB. fail: every operation fails with the errno value offset / 512, and reads from offset 0 on
 * fail behind 768 KiB with EIO. slow: what is asked to be done at once is not, and takes a
 * millisecond. big: 64 MiB that read as zeros. */
enum { DISK, READ_ONLY_DISK, WRITE_ONLY_DISK, BARE, SECTOR, FAIL, SLOW, BIG, N_DISKS };
extern struct nbdserver_export nbdtest_disks[N_DISKS];

/* Block k of disk, and of all but fail and big, is full of the byte k. */
void nbdtest_disks_reset(void);
extern uint8_t nbdtest_disk_bytes[DISK_SIZE];
/* What the last change was asked with: enum nbdserver_flags without NBDSERVER_NOW. */
extern _Atomic unsigned nbdtest_disk_flags;
/* How long slow takes for each request; 1000 after nbdtest_disks_reset. */
extern _Atomic unsigned nbdtest_slow_us;

/* Bytes of words: h:N w:N q:N integers of 2, 4 and 8 bytes, s:TEXT, x:COUNT,BYTE. How many; the
 * caller frees *out. */
size_t nbdtest_words(const char *words, uint8_t **out);
void nbdtest_say(int fd, const char *words);
/* Whether exactly these bytes come next. */
bool nbdtest_hear(int fd, const char *words);
/* Whether nothing comes any more, waiting for it. */
bool nbdtest_is_closed(int fd);

#define OPT(option, length)	  "s:IHAVEOPT w:" #option " w:" #length " "
#define REP(option, type, length) "q:0x3e889045565a9 w:" #option " w:" #type " w:" #length " "
#define REP_ERROR(option, n)	  REP(option, 0x8000000##n, 0)
#define REQ(flags, command, cookie, offset, length) \
	"w:0x25609513 h:" #flags " h:" #command " q:" #cookie " q:" #offset " w:" #length " "
#define SIMPLE(error, cookie) "w:0x67446698 w:" #error " q:" #cookie " "
#define CHUNK(flags, type, cookie, length) \
	"w:0x668e33ef h:" #flags " h:" #type " q:" #cookie " w:" #length " "
#define ERROR_CHUNK(error, cookie) CHUNK(1, 0x8001, cookie, 6) "w:" #error " h:0 "

#define HELLO	   "s:NBDMAGIC s:IHAVEOPT h:3 "
#define STRUCTURED OPT(8, 0)
#define GO_DISK	   OPT(7, 10) "w:4 s:disk h:0 "
#define BLOCKS	   "h:3 w:1 w:4096 w:33554432 "
#define INFO_DISK(option, flags) \
	REP(option, 3, 12) "h:0 q:1048576 h:" #flags " " REP(option, 3, 14) BLOCKS REP(option, 1, 0)

#endif
