#include "device/grub.h"

#include "base/child.h"
#include "device/helper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM	  "grub-fstest"
#define END_MS	  10000 /* after its output has ended */
#define PART_SIZE (256u << 10)

static int start(struct child *child, const struct grub_run *run, struct error *err)
{
	const char *argv[2 + GRUB_WORDS] = {PROGRAM, run->image};
	const struct child_options how = {
		.argv = argv, .out = CHILD_PIPE, .err = CHILD_PIPE, .dies_with_us = true};

	for (unsigned i = 0; i < GRUB_WORDS && run->words[i] != NULL; i++)
		argv[2 + i] = run->words[i];
	if (child_start(child, &how, err) != 0)
		return err->sys != ENOENT
			       ? err->code
			       : fail(err, ERR_UNSUPPORTED,
				      "there is no " PROGRAM " here, which reads file systems; "
				      "Debian has it in grub-common");
	helper_limit(child);
	return 0;
}

/* Until it closes its output. */
static int take_output(const struct child *child, const struct grub_run *run, uint8_t *part,
		       struct error *err)
{
	uint64_t n = 0;

	for (;;) {
		size_t got;
		int sys;

		TRY(helper_read(child, PROGRAM, part, PART_SIZE, &got, err));
		if (got == 0)
			return 0;
		n += got;
		if (n > run->most_bytes)
			return 1;
		sys = run->take(run->context, part, got);
		if (sys != 0)
			return fail_system(err, sys, "writing it");
	}
}

/* What it said of its failure, which has names of the drive in it. */
static int fail_words(const struct child *child, struct error *err)
{
	static const char before[] = PROGRAM ": error: ";
	char words[400], clean[600];
	const char *from = words;

	child_words(child, 0, words, sizeof(words));
	words[strcspn(words, "\n")] = '\0';
	if (strncmp(words, before, sizeof(before) - 1) == 0)
		from += sizeof(before) - 1;
	escape_text(clean, sizeof(clean), (const uint8_t *)from, strlen(from));
	if (clean[0] == '\0')
		return fail(err, ERR_SYSTEM, PROGRAM " ended with %d", child->status);
	return fail(err, ERR_SYSTEM, PROGRAM ": %s", clean);
}

int grub_run(const struct grub_run *run, struct error *err)
{
	struct child child = CHILD_NONE;
	uint8_t *part = malloc(PART_SIZE);
	int code = part == NULL ? fail_memory(err) : start(&child, run, err);

	if (code == 0)
		code = take_output(&child, run, part, err);
	if (code == 0 && !child_wait(&child, END_MS))
		code = fail(err, ERR_SYSTEM, PROGRAM " does not end");
	if (code == 0 && child.status != 0)
		code = fail_words(&child, err);
	child_close(&child);
	free(part);
	return code;
}
