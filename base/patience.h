/*
 * For how long other programs are waited for before they are given up, with exit code 1. Here are
 * all limits of cli/; those for NBD servers are in nbd/client_private.h, of clients of a serve in
 * nbd/listen.c and nbd/server.c. The manual pages state them.
 */
#ifndef BASE_PATIENCE_H
#define BASE_PATIENCE_H

#define PATIENCE_CONNECT_S    5	   /* for a place in the queue of a socket */
#define PATIENCE_QUIET_MS     1500 /* a serve: then it is asked whether it lives */
#define PATIENCE_CONTROL_S    5	   /* and must answer that */
#define PATIENCE_SERVE_S      1800 /* one that lives: all that is in caches may have to be written */
#define PATIENCE_ANSWER_S     120  /* where a checkpoint goes: its map takes a part */
#define PATIENCE_GREETING_S   15   /* QEMU's monitor: it may wait 10 s for a push that was killed */
#define PATIENCE_QMP_S	      60   /* a drain waits for what the machine has in flight */
#define PATIENCE_AGENT_S      5	   /* the guest agent, when nothing is to be done */
#define PATIENCE_AGENT_THAW_S 30
#define PATIENCE_FREEZE_COMMAND_S 10 /* a freeze, and then the instant, if the user gives no limit */
#define PATIENCE_FREEZE_GUEST_S	  30 /* the same for the guest's file systems, by agent or libvirt */
#define PATIENCE_THAW_S	      65 /* a thaw, by command, agent or libvirt; it goes on then */
#define PATIENCE_GUARD_S      15 /* the guard process, more than freezing may take */
#define PATIENCE_LIBVIRT_S    90 /* libvirt itself waits 30 s for a domain that is busy */

/* Of sendmsg, and of connect on a unix socket: EAGAIN after that. */
int patience_for_sending(int fd, int seconds);

#endif
