#ifndef NBD_TLS_MEMORY_H
#define NBD_TLS_MEMORY_H

/* From now on GnuTLS waits for memory instead of ending the program. */
void tls_memory_start(void);

#endif
