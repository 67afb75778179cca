/*
 * A file without a name, for what a run keeps for itself: a kill leaves nothing of it.
 */
#ifndef BASE_UNNAMED_H
#define BASE_UNNAMED_H

/* In this folder, for its owner alone. A descriptor, or -1 and errno. */
int unnamed_open(const char *folder);
/* The folder for scratch files: $TMPDIR, or /var/tmp. */
const char *unnamed_folder(void);

#endif
