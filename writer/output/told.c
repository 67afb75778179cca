#include "writer/output/told.h"

#include "base/command.h"
#include "base/grain.h"
#include "base/parse.h"
#include "store/memo.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUM_BYTES   32u
#define ANSWER_MAX  4096u
#define SHOWN_BYTES 100

struct answer {
	uint64_t n_bytes;
	uint8_t sum[SUM_BYTES];
};

struct told {
	const char *text, *check;
	struct told_to to;
	struct answer there;
	EVP_MD_CTX *sum; /* of all until now */
	struct upload_note *memo;
	bool differs;
};

/* ---- what CHECK says ---- */

static bool parse_sum(const char *word, uint8_t out[SUM_BYTES])
{
	if (strlen(word) != 2 * (size_t)SUM_BYTES ||
	    strspn(word, "0123456789abcdefABCDEF") != 2 * (size_t)SUM_BYTES)
		return false;
	for (unsigned i = 0; i < SUM_BYTES; i++) {
		const char digits[3] = {word[2 * i], word[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

/* What follows the two words, as a name, does not count. */
static bool parse_answer(char *text, struct answer *out)
{
	char *rest = NULL, *size = strtok_r(text, " \t\r\n", &rest);
	char *sum = size != NULL ? strtok_r(NULL, " \t\r\n", &rest) : NULL;

	return sum != NULL && parse_number(size, &out->n_bytes) && parse_sum(sum, out->sum);
}

/* All of it is read, so that the command does not break off. */
static int read_answer(int fd, char out[ANSWER_MAX], struct error *err)
{
	char part[ANSWER_MAX];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, part, sizeof(part))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_system(err, errno, "reading what it says");
		size_t taken = least((size_t)got, ANSWER_MAX - 1 - n);
		memcpy(out + n, part, taken);
		n += taken;
	}
	out[n] = '\0';
	return 0;
}

static int ask(const char *check, struct answer *out, struct error *err)
{
	struct command *command;
	char text[ANSWER_MAX];
	int fd;

	TRY(command_read(&command, check, &fd, err));
	int code = read_answer(fd, text, err);
	if (code == 0)
		code = command_finish(command, err);
	command_free(command);
	if (code != 0) {
		error_prefix(err, "--resume-check");
		return code;
	}
	return parse_answer(text, out)
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "--resume-check: %.*s: does not print a number of bytes and their "
			      "SHA-256",
			      SHOWN_BYTES, check);
}

/* ---- sums ---- */

static int add(struct told *told, const void *bytes, size_t n, struct error *err)
{
	return EVP_DigestUpdate(told->sum, bytes, n) == 1 ? 0 : fail_memory(err);
}

/* Of all until now, which goes on. */
static int is_sum(const struct told *told, const uint8_t sum[SUM_BYTES], bool *is,
		  struct error *err)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	uint8_t found[EVP_MAX_MD_SIZE];
	bool ok = copy != NULL && EVP_MD_CTX_copy_ex(copy, told->sum) == 1 &&
		  EVP_DigestFinal_ex(copy, found, NULL) == 1;

	EVP_MD_CTX_free(copy);
	if (!ok)
		return fail_memory(err);
	*is = memcmp(found, sum, SUM_BYTES) == 0;
	return 0;
}

static int differ(struct told *told, struct error *err)
{
	told->differs = true;
	return fail(err, ERR_SYSTEM,
		    "exec:%.*s: the %" PRIu64 " bytes that are there are not what is written now",
		    SHOWN_BYTES, told->text, told->there.n_bytes);
}

/* ---- the course of it ---- */

static int start(struct told *told, struct error *err)
{
	return command_write_from(told->to.command, told->text, told->there.n_bytes, told->to.fd,
				  err);
}

static int set_up(struct told *told, bool asks, struct error *err)
{
	told->sum = EVP_MD_CTX_new();
	if (told->sum == NULL || EVP_DigestInit_ex(told->sum, EVP_sha256(), NULL) != 1)
		return fail_memory(err);
	if (asks)
		TRY(ask(told->check, &told->there, err));
	return told->there.n_bytes == 0 ? start(told, err) : 0;
}

int told_open(struct told **out, const char *name, struct output_resume *resume,
	      const struct told_to *to, struct error *err)
{
	struct told *told = calloc(1, sizeof(*told));

	if (told == NULL)
		return fail_memory(err);
	*told = (struct told){
		.text = command_of(name), .check = resume->check, .to = *to, .memo = resume->memo};
	resume->memo = NULL;
	*to->mode = S_IFIFO;
	if (set_up(told, resume->asks, err) != 0) {
		told_free(told);
		return err->code;
	}
	*out = told;
	return 0;
}

uint64_t told_there(const struct told *told)
{
	return told->there.n_bytes;
}

bool told_differs(const struct told *told)
{
	return told->differs;
}

int told_compare(struct told *told, uint64_t position, const struct iovec *bytes, size_t *done,
		 struct error *err)
{
	bool is = true;

	*done = least(bytes->iov_len, told->there.n_bytes - position);
	TRY(add(told, bytes->iov_base, *done, err));
	if (position + *done < told->there.n_bytes)
		return 0;
	TRY(is_sum(told, told->there.sum, &is, err));
	return is ? start(told, err) : differ(told, err);
}

int told_follow(struct told *told, const struct iovec *vector, size_t n, struct error *err)
{
	for (; n > 0; vector++) {
		size_t part = least(n, vector->iov_len);

		TRY(add(told, vector->iov_base, part, err));
		n -= part;
	}
	return 0;
}

int told_finish(struct told *told, uint64_t n_bytes, struct error *err)
{
	struct answer now;
	bool is;

	if (n_bytes < told->there.n_bytes)
		return differ(told, err);
	TRY(command_finish(*told->to.command, err));
	TRY(ask(told->check, &now, err));
	TRY(is_sum(told, now.sum, &is, err));
	if (!is || now.n_bytes != n_bytes)
		return fail(err, ERR_SYSTEM,
			    "exec:%.*s: what is there at the end, %" PRIu64
			    " bytes, is not the archive, of %" PRIu64 " bytes",
			    SHOWN_BYTES, told->text, now.n_bytes, n_bytes);
	memo_forget(told->memo);
	told->memo = NULL;
	return 0;
}

void told_free(struct told *told)
{
	if (told == NULL)
		return;
	if (told->differs)
		memo_forget(told->memo);
	else
		memo_leave(told->memo);
	EVP_MD_CTX_free(told->sum);
	free(told);
}
