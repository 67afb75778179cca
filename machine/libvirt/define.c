#include "machine/libvirt/define.h"

#include "machine/libvirt/deadline.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/vtpm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct libvirt_define {
	const struct libvirt_define_options *options;
	struct definition *definition;
	struct domain *connection;
	char *tpm; /* the file with its state, or NULL */
};

static int check_new(struct libvirt_define *define, struct error *err)
{
	return domain_check_new(define->connection, definition_name(define->definition),
				definition_uuid(define->definition), define->options->replace, err);
}

static int prepare(struct libvirt_define *define, struct text xml, const struct watcher *watcher,
		   struct error *err)
{
	const struct libvirt_define_options *options = define->options;

	TRY(definition_parse(&define->definition, xml, watcher, err));
	if (options->name != NULL &&
	    !(options->same_name &&
	      strcmp(options->name, definition_name(define->definition)) == 0))
		TRY(definition_rename(define->definition, options->name, err));
	TRY(deadlines_start(watcher, err));
	define->connection = options->connection;
	if (define->connection == NULL)
		TRY(domain_connect(&define->connection, options->connect, err));
	return check_new(define, err);
}

int libvirt_define_open(struct libvirt_define **out, struct text xml,
			const struct libvirt_define_options *options, const struct watcher *watcher,
			struct error *err)
{
	struct libvirt_define *define = calloc(1, sizeof(*define));

	if (define == NULL)
		return fail_memory(err);
	define->options = options;
	if (prepare(define, xml, watcher, err) < 0) {
		libvirt_define_close(define);
		return err->code;
	}
	*out = define;
	return 0;
}

const char *libvirt_define_name(const struct libvirt_define *define)
{
	return definition_name(define->definition);
}

const char *libvirt_define_uuid(const struct libvirt_define *define)
{
	return definition_uuid(define->definition);
}

/* With the modes that libvirt gives its folders; it makes the files its own at the start. */
static int make_folders(char *path, struct error *err)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		mode_t mode = strchr(slash + 1, '/') == NULL ? 0700 : 0711;
		int result;

		*slash = '\0';
		result = mkdir(path, mode) == 0 || errno == EEXIST ? 0 : errno;
		if (result != 0)
			fail_system(err, result, "the folder of the TPM's state, %s", path);
		*slash = '/';
		if (result != 0)
			return err->code;
	}
	return 0;
}

bool libvirt_define_has_drive(const struct libvirt_define *define, const char *name)
{
	return definition_has(define->definition, name);
}

bool libvirt_define_has_tpm(const struct libvirt_define *define)
{
	return definition_tpm(define->definition)->is_there;
}

int libvirt_define_tpm(struct libvirt_define *define, const char **out, struct error *err)
{
	const struct domain_tpm *tpm = definition_tpm(define->definition);

	*out = NULL;
	if (!tpm->is_there || tpm->in_file)
		return 0;
	define->tpm = vtpm_file(tpm, definition_uuid(define->definition),
				domain_is_in_session(define->connection));
	if (define->tpm == NULL)
		return fail_memory(err);
	TRY(make_folders(define->tpm, err));
	*out = define->tpm;
	return 0;
}

int libvirt_define_run(struct libvirt_define *define, const struct placed *placed,
		       struct error *err)
{
	char *xml;
	int code;

	TRY(definition_place(define->definition, placed, err));
	TRY(check_new(define, err)); /* the restore may have taken hours */
	xml = definition_text(define->definition);
	code = xml == NULL ? fail_memory(err) : domain_define(define->connection, xml, err);
	free(xml);
	return code;
}

void libvirt_define_close(struct libvirt_define *define)
{
	if (define == NULL)
		return;
	if (define->options->connection == NULL)
		domain_close(define->connection);
	definition_free(define->definition);
	free(define->tpm);
	free(define);
}
