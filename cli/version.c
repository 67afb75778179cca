/*
 * The versions of everything. The one file that includes all libraries: it prints the versions
 * found at run time, which may differ from those of the build.
 */
#include "cli/command.h"

#include "base/json.h"

#include <archive.h>
#if HAVE_GNUTLS
#include <gnutls/gnutls.h>
#endif
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>
#if HAVE_LIBNBD
#include <libnbd.h>
#endif
#if HAVE_LIBVIRT
#include <libvirt/libvirt.h>
#include <libxml/parser.h>
#endif

struct library {
	const char *name;
	char version[64];
};

#define LIBRARIES_MAX 12

static unsigned get_libraries(struct library out[LIBRARIES_MAX])
{
	unsigned n = 0, xxhash = XXH_versionNumber(), archive = (unsigned)archive_version_number();

	out[n].name = "zstd";
	snprintf(out[n++].version, sizeof(out->version), "%s", ZSTD_versionString());
	out[n].name = "xxhash";
	snprintf(out[n++].version, sizeof(out->version), "%u.%u.%u", xxhash / 10000,
		 xxhash / 100 % 100, xxhash % 100);
	out[n].name = "libarchive";
	snprintf(out[n++].version, sizeof(out->version), "%u.%u.%u", archive / 1000000,
		 archive / 1000 % 1000, archive % 1000);
	out[n].name = "openssl";
	snprintf(out[n++].version, sizeof(out->version), "%s",
		 OpenSSL_version(OPENSSL_VERSION_STRING));
	out[n].name = "zlib";
	snprintf(out[n++].version, sizeof(out->version), "%s", zlibVersion());
	out[n].name = "jansson";
	snprintf(out[n++].version, sizeof(out->version), "%s", jansson_version_str());
#if HAVE_LIBNBD
	struct nbd_handle *nbd = nbd_create();
	const char *version = nbd == NULL ? NULL : nbd_get_version(nbd);

	out[n].name = "libnbd";
	snprintf(out[n++].version, sizeof(out->version), "%s", version == NULL ? "?" : version);
	nbd_close(nbd);
#endif
#if HAVE_GNUTLS
	out[n].name = "gnutls";
	snprintf(out[n++].version, sizeof(out->version), "%s", gnutls_check_version(NULL));
#endif
#if HAVE_LIBVIRT
	out[n].name = "libvirt"; /* the version of the build: it is loaded when needed */
	snprintf(out[n++].version, sizeof(out->version), "%d.%d.%d",
		 LIBVIR_VERSION_NUMBER / 1000000, LIBVIR_VERSION_NUMBER / 1000 % 1000,
		 LIBVIR_VERSION_NUMBER % 1000);
	out[n].name = "libxml2";
	snprintf(out[n++].version, sizeof(out->version), "%s", LIBXML_DOTTED_VERSION);
#endif
	return n;
}

static void put_json(struct json_t *result, const struct library *libraries, unsigned n)
{
	struct json_t *list = json_put_array(result, "features"), *versions;

	json_put_text(result, "version", VERSION);
	json_add_text(list, "vma1");
	json_add_text(list, "vmab");
	if (HAVE_LIBNBD)
		json_add_text(list, "libnbd");
	if (HAVE_GNUTLS)
		json_add_text(list, "tls");
	if (HAVE_LIBVIRT)
		json_add_text(list, "libvirt");
	versions = json_put_object(result, "libraries");
	for (unsigned i = 0; i < n; i++)
		json_put_text(versions, libraries[i].name, libraries[i].version);
}

void version_print(struct report *report)
{
	struct library libraries[LIBRARIES_MAX];
	unsigned n = get_libraries(libraries);

	if (report->result != NULL) {
		put_json(report->result, libraries, n);
		return;
	}
	printf("vmabak %s\nfeatures: vma1 vmab libnbd=%s tls=%s libvirt=%s\nlibraries:", VERSION,
	       HAVE_LIBNBD ? "yes" : "no", HAVE_GNUTLS ? "yes" : "no", HAVE_LIBVIRT ? "yes" : "no");
	for (unsigned i = 0; i < n; i++)
		printf(" %s %s%s", libraries[i].name, libraries[i].version, i + 1 < n ? "," : "\n");
}
