#ifndef NBD_TLS_MEMORY_H
#define NBD_TLS_MEMORY_H

/* From here on computing waits for memory, where the library would abort the program. */
void tls_memory_start(void);

#endif
