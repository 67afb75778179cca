/*
 * The versions of everything: of libraries that are loaded only when they are needed, those of the
 * build; of others those found at run time, which may differ.
 */
#include "cli/command.h"

#include "base/json.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

struct version {
	const char *library;
	char text[64];
};

#define VERSIONS_MAX 12

static void add(struct version *out, unsigned *n, const char *library, const char *text)
{
	out[*n].library = library;
	snprintf(out[(*n)++].text, sizeof(out->text), "%s", text);
}

static unsigned get_versions(struct version out[VERSIONS_MAX])
{
	unsigned n = 0, xxhash = XXH_versionNumber();
	char text[32];

	snprintf(text, sizeof(text), "%u.%u.%u", xxhash / 10000, xxhash / 100 % 100, xxhash % 100);
	add(out, &n, "zstd", ZSTD_versionString());
	add(out, &n, "xxhash", text);
	add(out, &n, "libarchive", VERSION_archive);
	add(out, &n, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
	add(out, &n, "zlib", zlibVersion());
	add(out, &n, "jansson", jansson_version_str());
	add(out, &n, "libcurl", VERSION_curl);
	if (HAVE_LIBNBD)
		add(out, &n, "libnbd", VERSION_nbd);
	if (HAVE_GNUTLS)
		add(out, &n, "gnutls", VERSION_gnutls);
	if (HAVE_LIBVIRT)
		add(out, &n, "libvirt", VERSION_virt);
	if (HAVE_LIBVIRT)
		add(out, &n, "libxml2", VERSION_xml2);
	return n;
}

static void put_json(struct json_t *result, const struct version *versions, unsigned n)
{
	struct json_t *list = json_put_array(result, "features"), *libraries;

	json_put_text(result, "version", VERSION);
	json_add_text(list, "vma1");
	json_add_text(list, "vmab");
	if (HAVE_LIBNBD)
		json_add_text(list, "libnbd");
	if (HAVE_GNUTLS)
		json_add_text(list, "tls");
	if (HAVE_LIBVIRT)
		json_add_text(list, "libvirt");
	libraries = json_put_object(result, "libraries");
	for (unsigned i = 0; i < n; i++)
		json_put_text(libraries, versions[i].library, versions[i].text);
}

void version_print(struct report *report)
{
	struct version versions[VERSIONS_MAX];
	unsigned n = get_versions(versions);

	if (report->result != NULL) {
		put_json(report->result, versions, n);
		return;
	}
	printf("vmabak %s\nfeatures: vma1 vmab libnbd=%s tls=%s libvirt=%s\nlibraries:", VERSION,
	       HAVE_LIBNBD ? "yes" : "no", HAVE_GNUTLS ? "yes" : "no", HAVE_LIBVIRT ? "yes" : "no");
	for (unsigned i = 0; i < n; i++)
		printf(" %s %s%s", versions[i].library, versions[i].text, i + 1 < n ? "," : "\n");
}
