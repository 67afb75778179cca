/*
 * Where names have line feeds the long listing has parts of them, which the short one has nowhere.
 * To look through all of it for each of these would take hours, so its words are sorted.
 */
#include "device/grub_unread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 64u /* names that begin with the same word, before one is given up */

/* Words are what blanks end; the slash of a folder is no part of them. */
static size_t word_length(const char *at)
{
	size_t n = strcspn(at, " ");

	return n > 0 && at[n - 1] == '/' ? n - 1 : n;
}

static int compare_words(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

	return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare(const void *a, const void *b, void *listing)
{
	uint32_t at[2] = {*(const uint32_t *)a, *(const uint32_t *)b};
	const char *one = (const char *)listing + at[0], *other = (const char *)listing + at[1];
	int order = compare_words(one, word_length(one), other, word_length(other));

	return order != 0 ? order : (at[0] > at[1]) - (at[0] < at[1]);
}

/* Where each begins, by the words and then by the places. */
static uint32_t *sort_words(const char *listing, size_t *n)
{
	size_t room = 1, n_words = 0;
	uint32_t *words;

	for (const char *at = listing; *at != '\0'; at++)
		room += *at == ' ';
	words = malloc(room * sizeof(*words));
	if (words == NULL)
		return NULL;
	words[n_words++] = 0;
	for (const char *at = listing; *at != '\0'; at++) {
		if (*at == ' ')
			words[n_words++] = (uint32_t)(at + 1 - listing);
	}
	qsort_r(words, n_words, sizeof(*words), compare, (void *)(uintptr_t)listing);
	*n = n_words;
	return words;
}

struct search {
	const char *listing;
	const uint32_t *words;
	size_t n_words;
	uint64_t n_looks;
};

/* The first place, from there on, of a word. */
static size_t find_word(const struct search *search, const char *word, size_t n, const char *from)
{
	size_t low = 0, high = search->n_words;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *at = search->listing + search->words[middle];
		int order = compare_words(at, word_length(at), word, n);

		if (order < 0 || (order == 0 && at < from))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* "NAME " or "NAME/ " from there on; NULL: not in it. */
static const char *find_name(struct search *search, const char *name, const char *from,
			     const char **after)
{
	size_t n = strlen(name), first = word_length(name);
	size_t i = find_word(search, name, first, from);

	for (unsigned tries = 0; i < search->n_words && tries < TRIES_MAX; i++, tries++) {
		const char *at = search->listing + search->words[i];

		search->n_looks++;
		if (compare_words(at, word_length(at), name, first) != 0)
			return NULL;
		if (strncmp(at, name, n) != 0)
			continue;
		*after = at + n + (at[n] == '/');
		if (**after == ' ') {
			++*after;
			return at;
		}
	}
	return NULL;
}

/* The words from one place to another, without those of the folder itself. Returns their new end.
 */
static char *keep_words(char *to, const char *from, const char *end)
{
	while (from < end) {
		size_t n = strcspn(from, " \n");
		bool own = (n == 2 && memcmp(from, "./", 2) == 0) ||
			   (n == 3 && memcmp(from, "../", 3) == 0) || n == 0;

		if (n > (size_t)(end - from))
			n = (size_t)(end - from);
		if (!own) {
			memcpy(to, from, n);
			to[n] = ' ';
			to += n + 1;
		}
		from += n + 1;
	}
	return to;
}

static void find_all(struct search *search, const struct entries *entries, char *unread)
{
	const char *from = search->listing, *after;
	char *to = unread;

	for (size_t i = 0; i < entries->n; i++) {
		const char *at = find_name(search, entries->of[i].name, from, &after);

		if (at == NULL)
			continue;
		to = keep_words(to, from, at);
		from = after;
	}
	to = keep_words(to, from, from + strlen(from));
	if (to > unread)
		to--;
	*to = '\0';
}

int grub_unread(const char *listing, const struct entries *entries, char **out, uint64_t *n_looks)
{
	struct search search = {.listing = listing};
	char *unread = malloc(strlen(listing) + 2);
	uint32_t *words = sort_words(listing, &search.n_words);

	if (unread != NULL && words != NULL) {
		search.words = words;
		find_all(&search, entries, unread);
		*n_looks = search.n_looks;
	}
	free(words);
	if (unread == NULL || words == NULL || *unread == '\0') {
		bool good = unread != NULL && words != NULL;

		free(unread);
		*out = NULL;
		return good ? 0 : ENOMEM;
	}
	*out = unread;
	return 0;
}
