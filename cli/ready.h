/*
 * Tells systemd that a command that serves is ready: Type=notify.
 */
#ifndef CLI_READY_H
#define CLI_READY_H

void ready_notify(void);

#endif
