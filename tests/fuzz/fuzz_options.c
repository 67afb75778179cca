/* A command line, one word to a line, and each word as a number, size, rate, compression, uuid. */
#include "cli/commands.h"
#include "cli/options.h"
#include "base/parse.h"
#include "tests/fuzz/fuzz.h"

#include <getopt.h>
#include <string.h>

#define WORDS_MAX 64

static void try_values(const char *word)
{
	uint64_t number = 0, size = 0;
	uint8_t uuid[UUID_SIZE];
	char text[UUID_TEXT_SIZE];
	struct compress compress;
	if (parse_number(word, &number))
		MUST(parse_size(word, &size) && size == number);
	parse_rate(word, &size);
	if (parse_compress(word, &compress))
		MUST(compress.level >= 0 && compress.level <= 19);
	if (parse_uuid(word, uuid))
		MUST(strcasecmp(format_uuid(text, uuid), word) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[WORDS_MAX + 1] = {0}, *rest, *text = malloc(size + 1);
	int n = 0;
	MUST(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	for (rest = text; rest != NULL && n < WORDS_MAX;) {
		words[n] = strsep(&rest, "\n");
		try_values(words[n++]);
	}
	optind = 0; /* the C library keeps where it was in the last command line; the program has
		       one */
	getopt(1, words, "");
	const struct command *command = command_find(commands, words[0]);
	struct error err = {0};
	if (command == NULL)
		command = &command_none;
	void *options = malloc(command->options_size);
	MUST(options != NULL);
	int code = options_parse(command, n, words, options, &err);
	MUST(code == 0 || (code == ERR_USAGE && err.text[0] != '\0'));
	options_free(command, options);
	free(options);
	free(text);
	return 0;
}
