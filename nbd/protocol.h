/*
 * The numbers of the NBD protocol, by the names in its document. Its byte order is base/bytes.h's
 * big-endian. Private to nbd/.
 */
#ifndef NBD_PROTOCOL_H
#define NBD_PROTOCOL_H

#include "base/bytes.h"

/* ---- negotiation ---- */

#define MAGIC_SERVER 0x4e42444d41474943u /* "NBDMAGIC" */
#define MAGIC_OPTION 0x49484156454f5054u /* "IHAVEOPT" */
#define MAGIC_REPLY  0x0003e889045565a9u /* of replies to options */

enum handshake_flag {
	FIXED_NEWSTYLE = 1, /* the same bits from server and client */
	NO_ZEROES = 2,
};

enum option {
	OPT_EXPORT_NAME = 1,
	OPT_ABORT = 2,
	OPT_LIST = 3,
	OPT_STARTTLS = 5,
	OPT_INFO = 6,
	OPT_GO = 7,
	OPT_STRUCTURED_REPLY = 8,
	OPT_LIST_META_CONTEXT = 9,
	OPT_SET_META_CONTEXT = 10,
};

#define REP_ACK			1u
#define REP_SERVER		2u
#define REP_INFO		3u
#define REP_META_CONTEXT	4u
#define REP_ERR(n)		(0x80000000u + (n))
#define REP_ERR_UNSUP		REP_ERR(1u)
#define REP_ERR_POLICY		REP_ERR(2u)
#define REP_ERR_INVALID		REP_ERR(3u)
#define REP_ERR_TLS_REQD	REP_ERR(5u)
#define REP_ERR_UNKNOWN		REP_ERR(6u)
#define REP_ERR_SHUTDOWN	REP_ERR(7u)
#define REP_ERR_BLOCK_SIZE_REQD REP_ERR(8u)
#define REP_ERR_TOO_BIG		REP_ERR(9u)

enum info {
	INFO_EXPORT = 0,
	INFO_NAME = 1,
	INFO_DESCRIPTION = 2,
	INFO_BLOCK_SIZE = 3,
};

enum transmission_flag {
	HAS_FLAGS = 0x1,
	READ_ONLY = 0x2,
	SEND_FLUSH = 0x4,
	SEND_FUA = 0x8,
	SEND_TRIM = 0x20,
	SEND_WRITE_ZEROES = 0x40,
	SEND_DF = 0x80,
	CAN_MULTI_CONN = 0x100,
	SEND_FAST_ZERO = 0x800,
};

#define NAME_MAX_BYTES	 4096u	/* of any string in the protocol */
#define OPTION_MAX_BYTES 65536u /* of an option's data; more is skipped */
#define OPTION_SKIP_BYTES \
	1048576u /* of an option's data that is skipped; more ends the connection */

/* ---- transmission ---- */

#define MAGIC_REQUEST	 0x25609513u
#define MAGIC_SIMPLE	 0x67446698u
#define MAGIC_STRUCTURED 0x668e33efu

#define REQUEST_BYTES	 28u
#define SIMPLE_BYTES	 16u
#define STRUCTURED_BYTES 20u
#define OFFSET_BYTES	 8u /* before the data of a chunk */

enum command {
	CMD_READ = 0,
	CMD_WRITE = 1,
	CMD_DISC = 2,
	CMD_FLUSH = 3,
	CMD_TRIM = 4,
	CMD_WRITE_ZEROES = 6,
	CMD_BLOCK_STATUS = 7,
};

enum command_flag {
	FLAG_FUA = 1,
	FLAG_NO_HOLE = 2,
	FLAG_DF = 4,
	FLAG_REQ_ONE = 8,
	FLAG_FAST_ZERO = 16,
};

#define REPLY_DONE	   1u /* flag: the last chunk of a reply */
#define REPLY_OFFSET_DATA  1u
#define REPLY_BLOCK_STATUS 5u
#define REPLY_ERROR	   0x8001u

#define STATE_HOLE_ZERO 3u /* base:allocation: not allocated, reads as zeros */

/* Errors on the wire. */
enum nbdserver_error {
	NBDSERVER_EPERM = 1,
	NBDSERVER_EIO = 5,
	NBDSERVER_ENOMEM = 12,
	NBDSERVER_EINVAL = 22,
	NBDSERVER_ENOSPC = 28,
	NBDSERVER_EOVERFLOW = 75,
	NBDSERVER_ENOTSUP = 95,
	NBDSERVER_ESHUTDOWN = 108,
};

#endif
