/* Runs a target over files, and over the files of folders, without a fuzzer. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static unsigned long n_inputs;

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	if (file == NULL || stat(path, &st) != 0) {
		perror(path);
		return 1;
	}
	size_t size = (size_t)st.st_size;
	uint8_t *bytes = malloc(size + 1);
	MUST(bytes != NULL && fread(bytes, 1, size, file) == size);
	fclose(file);
	/* exactly as large as the input: a sanitizer sees what is read past it */
	uint8_t *exact = malloc(size);
	MUST(exact != NULL || size == 0);
	if (size > 0)
		memcpy(exact, bytes, size);
	free(bytes);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	n_inputs++;
	return 0;
}

static int replay(const char *path)
{
	DIR *folder = opendir(path);
	char inner[4096];
	int failed = 0;
	if (folder == NULL)
		return replay_file(path);
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			failed |= replay_file(inner);
	}
	closedir(folder);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	printf("%lu inputs\n", n_inputs);
	return failed || n_inputs == 0;
}
