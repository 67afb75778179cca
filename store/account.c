#include "store/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 16384

/* What is looked for in a file. */
struct wanted {
	const char *file; /* for messages */
	const char *profile;
	bool inside; /* its section */
	bool in_s3;  /* its lines that are moved in, after "s3 =" */
	struct account *account;
	char **style; /* of addresses */
};

/* ---- texts ---- */

static int set(char **to, const char *value, struct error *err)
{
	if (*to != NULL || value == NULL || *value == '\0')
		return 0;
	*to = strdup(value);
	return *to != NULL ? 0 : fail_memory(err);
}

static char *trim(char *text)
{
	size_t n;

	while (*text == ' ' || *text == '\t')
		text++;
	n = strlen(text);
	while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
		text[--n] = '\0';
	return text;
}

/* ---- the files ---- */

/* "[NAME]", and in the config "[profile NAME]". */
static bool is_section(const char *line, const char *profile)
{
	size_t n = strlen(profile);

	line += strncmp(line, "[profile ", 9) == 0 ? 9 : 1;
	while (*line == ' ')
		line++;
	return strncmp(line, profile, n) == 0 && strcmp(line + n, "]") == 0;
}

static int take_pair(struct wanted *wanted, const char *key, const char *value, struct error *err)
{
	struct account *account = wanted->account;
	const struct {
		const char *key;
		char **to;
	} keys[] = {
		{"aws_access_key_id", &account->user},	{"aws_secret_access_key", &account->secret},
		{"aws_session_token", &account->token}, {"region", &account->region},
		{"endpoint_url", &account->endpoint},
	};

	if (strcmp(key, "addressing_style") == 0)
		return set(wanted->style, value, err);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(key, keys[i].key) == 0 && (!wanted->in_s3 || i == 4))
			return set(keys[i].to, value, err);
	}
	return 0;
}

static int take_line(struct wanted *wanted, char *raw, struct error *err)
{
	bool moved_in = *raw == ' ' || *raw == '\t';
	char *line = trim(raw), *equals = strchr(line, '=');

	if (*line == '#' || *line == ';' || *line == '\0')
		return 0;
	if (*line == '[') {
		wanted->inside = is_section(line, wanted->profile);
		wanted->in_s3 = false;
		return 0;
	}
	if (!wanted->inside || equals == NULL)
		return 0;
	*equals = '\0';
	line = trim(line);
	if (!moved_in)
		wanted->in_s3 = strcmp(line, "s3") == 0;
	else if (!wanted->in_s3)
		return 0;
	return take_pair(wanted, line, trim(equals + 1), err);
}

/* A key of a set is not mixed with the secret of another. */
static int read_file(struct wanted *wanted, struct error *err)
{
	FILE *file = fopen(wanted->file, "re");
	char line[LINE_MAX_BYTES];
	unsigned n = 0;
	int code = 0;

	if (file == NULL)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : fail_system(err, errno, "%s", wanted->file);
	wanted->inside = wanted->in_s3 = false;
	while (code == 0 && fgets(line, sizeof(line), file) != NULL) {
		n++;
		code = strlen(line) == sizeof(line) - 1
			       ? fail(err, ERR_USAGE, "%s: line %u is longer than %d bytes",
				      wanted->file, n, LINE_MAX_BYTES - 2)
			       : take_line(wanted, line, err);
	}
	if (code == 0 && ferror(file))
		code = fail_system(err, EIO, "%s", wanted->file);
	explicit_bzero(line, sizeof(line));
	fclose(file);
	return code;
}

static int read_home(struct wanted *wanted, const char *variable, const char *name,
		     struct error *err)
{
	const char *path = getenv(variable), *home = getenv("HOME");
	char *made = NULL;
	int code;

	if (path == NULL || *path == '\0') {
		if (home == NULL)
			return 0;
		path = made = text_make("%s/.aws/%s", home, name);
		if (made == NULL)
			return fail_memory(err);
	}
	wanted->file = path;
	code = read_file(wanted, err);
	free(made);
	return code;
}

/* ---- the whole ---- */

static int from_environment(struct account *account, struct error *err)
{
	const char *user = getenv("AWS_ACCESS_KEY_ID");

	if (user != NULL && *user != '\0') {
		TRY(set(&account->user, user, err));
		TRY(set(&account->secret, getenv("AWS_SECRET_ACCESS_KEY"), err));
		TRY(set(&account->token, getenv("AWS_SESSION_TOKEN"), err));
		if (account->secret == NULL)
			return fail(err, ERR_USAGE,
				    "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not");
	}
	TRY(set(&account->endpoint, getenv("AWS_ENDPOINT_URL_S3"), err));
	TRY(set(&account->endpoint, getenv("AWS_ENDPOINT_URL"), err));
	TRY(set(&account->region, getenv("AWS_REGION"), err));
	return set(&account->region, getenv("AWS_DEFAULT_REGION"), err);
}

/* A token goes with its own key only. */
static int from_files(struct account *account, char **style, struct error *err)
{
	const char *profile = getenv("AWS_PROFILE");
	struct account found = {.endpoint = account->endpoint, .region = account->region};
	struct wanted wanted = {
		.profile = profile != NULL && *profile != '\0' ? profile : "default",
		.account = &found,
		.style = style,
	};
	int code = read_home(&wanted, "AWS_SHARED_CREDENTIALS_FILE", "credentials", err);

	if (code == 0)
		code = read_home(&wanted, "AWS_CONFIG_FILE", "config", err);
	account->endpoint = found.endpoint;
	account->region = found.region;
	if (account->user == NULL) {
		account->user = found.user;
		account->secret = found.secret;
		account->token = found.token;
	} else {
		free(found.user);
		free(found.secret);
		free(found.token);
	}
	return code;
}

static int check_endpoint(struct account *account, struct error *err)
{
	char *url = account->endpoint;
	size_t n, begin;

	if (url == NULL)
		return 0;
	/* It is shown only once it cannot hold a password. */
	if (strpbrk(url, "@?#") != NULL)
		return fail(err, ERR_USAGE,
			    "the endpoint of the object store must be a host, with nothing "
			    "before or after it");
	begin = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
	if (begin == 0 || url[begin] == '/' || url[begin] == '\0')
		return fail(
			err, ERR_USAGE,
			"the endpoint of the object store, '%.100s': must be http://HOST[:PORT] "
			"or https://HOST[:PORT]",
			url);
	for (n = strlen(url); n > 0 && url[n - 1] == '/'; n--)
		url[n - 1] = '\0';
	return 0;
}

static int choose_style(struct account *account, const char *style, struct error *err)
{
	account->bucket_in_host = account->endpoint == NULL;
	if (style == NULL || strcmp(style, "auto") == 0)
		return 0;
	if (strcmp(style, "path") != 0 && strcmp(style, "virtual") != 0)
		return fail(err, ERR_USAGE,
			    "addressing_style '%.40s': must be path, virtual or auto", style);
	account->bucket_in_host = strcmp(style, "virtual") == 0;
	return 0;
}

int account_find(struct account *out, const char *endpoint, struct error *err)
{
	char *style = NULL;
	int code;

	*out = (struct account){0};
	code = set(&out->endpoint, endpoint, err);
	if (code == 0)
		code = from_environment(out, err);
	if (code == 0)
		code = from_files(out, &style, err);
	if (code == 0)
		code = set(&out->region, "us-east-1", err);
	if (code == 0)
		code = check_endpoint(out, err);
	if (code == 0)
		code = choose_style(out, style, err);
	free(style);
	if (code == 0 && (out->user == NULL || out->secret == NULL))
		code = fail(err, ERR_USAGE,
			    "no credentials for the object store: set AWS_ACCESS_KEY_ID and "
			    "AWS_SECRET_ACCESS_KEY, or write them to ~/.aws/credentials");
	return code;
}

void account_free(struct account *account)
{
	if (account->secret != NULL)
		explicit_bzero(account->secret, strlen(account->secret));
	free(account->endpoint);
	free(account->region);
	free(account->user);
	free(account->secret);
	free(account->token);
	*account = (struct account){0};
}
