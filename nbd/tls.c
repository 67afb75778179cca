/*
 * TLS for the NBD server, by GnuTLS: X.509 certificates, pre-shared keys, or both. One thread reads
 * a session's records while another writes them: GnuTLS allows that much.
 */
#include "nbd/state.h"

#if HAVE_GNUTLS

#include "base/clock.h"
#include "base/library.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUNCTIONS(X)                                   \
	X(gnutls_bye)                                  \
	X(gnutls_certificate_allocate_credentials)     \
	X(gnutls_certificate_free_credentials)         \
	X(gnutls_certificate_server_set_request)       \
	X(gnutls_certificate_set_x509_key_file)        \
	X(gnutls_certificate_set_x509_trust_file)      \
	X(gnutls_credentials_set)                      \
	X(gnutls_deinit)                               \
	X(gnutls_error_is_fatal)                       \
	X(gnutls_handshake)                            \
	X(gnutls_init)                                 \
	X(gnutls_priority_set_direct)                  \
	X(gnutls_psk_allocate_server_credentials)      \
	X(gnutls_psk_free_server_credentials)          \
	X(gnutls_psk_set_server_credentials_function2) \
	X(gnutls_record_recv)                          \
	X(gnutls_record_send)                          \
	X(gnutls_session_get_ptr)                      \
	X(gnutls_session_set_ptr)                      \
	X(gnutls_session_set_verify_cert)              \
	X(gnutls_strerror)                             \
	X(gnutls_transport_set_errno)                  \
	X(gnutls_transport_set_ptr)                    \
	X(gnutls_transport_set_pull_function)          \
	X(gnutls_transport_set_pull_timeout_function)  \
	X(gnutls_transport_set_push_function)          \
	X(gnutls_malloc)

static struct {
	FUNCTIONS(LIBRARY_MEMBER)
} lib;

static struct library library = LIBRARY(FILE_gnutls, FUNCTIONS, lib);

#define GOODBYE_MS 1000 /* the client may no longer be listening */

struct tls {
	gnutls_certificate_credentials_t x509; /* or NULL */
	gnutls_psk_server_credentials_t psk;   /* or NULL */
	struct psk *keys;		       /* of psk */
	bool verify_peer;
};

struct tls_session {
	gnutls_session_t session;
	struct connection *connection;
	const struct psk *keys;
};

/* ---- credentials ---- */

static int load_certificates(struct tls *tls, const char *folder, bool verify_peer,
			     struct error *err)
{
	char ca[PATH_MAX], certificate[PATH_MAX], key[PATH_MAX];

	snprintf(ca, sizeof(ca), "%s/ca-cert.pem", folder);
	snprintf(certificate, sizeof(certificate), "%s/server-cert.pem", folder);
	snprintf(key, sizeof(key), "%s/server-key.pem", folder);
	if (access(certificate, R_OK) != 0 || access(key, R_OK) != 0)
		return fail_system(err, errno, "tls: %s and %s", certificate, key);
	if (lib.gnutls_certificate_allocate_credentials(&tls->x509) != 0)
		return fail_memory(err);
	int loaded = lib.gnutls_certificate_set_x509_key_file(tls->x509, certificate, key,
							      GNUTLS_X509_FMT_PEM);
	if (loaded < 0)
		return fail(err, ERR_USAGE, "tls: %s and %s: %s", certificate, key,
			    lib.gnutls_strerror(loaded));
	if (!verify_peer && access(ca, F_OK) != 0)
		return 0;
	if (access(ca, R_OK) != 0)
		return fail_system(err, errno, "tls: %s", ca);
	loaded = lib.gnutls_certificate_set_x509_trust_file(tls->x509, ca, GNUTLS_X509_FMT_PEM);
	if (loaded <= 0)
		return fail(err, ERR_USAGE, "tls: %s: %s", ca,
			    loaded == 0 ? "no certificate in it" : lib.gnutls_strerror(loaded));
	return 0;
}

static int find_key(gnutls_session_t gnutls, const gnutls_datum_t *user, gnutls_datum_t *key)
{
	const struct tls_session *session = lib.gnutls_session_get_ptr(gnutls);
	const struct psk *found = psk_find(session->keys, user->data, user->size);

	/* GnuTLS then goes on with a random key, so strangers cannot find out which names exist. */
	if (found == NULL)
		return 1;
	key->size = (unsigned)found->key_size;
	key->data = (*lib.gnutls_malloc)(key->size);
	if (key->data == NULL)
		return -1;
	memcpy(key->data, found->bytes + found->name_size, key->size);
	return 0;
}

static int load_keys(struct tls *tls, const char *path, struct error *err)
{
	TRY(psk_read(&tls->keys, path, err));
	if (lib.gnutls_psk_allocate_server_credentials(&tls->psk) != 0)
		return fail_memory(err);
	lib.gnutls_psk_set_server_credentials_function2(tls->psk, find_key);
	return 0;
}

static int load(struct tls *tls, const struct nbdserver_tls *options, struct error *err)
{
	if (options->certificates == NULL && options->psk == NULL)
		return fail(err, ERR_USAGE, "tls: neither certificates nor keys are given");
	if (options->verify_peer && options->certificates == NULL)
		return fail(err, ERR_USAGE,
			    "tls: clients are verified by certificates, and none are given");
	/* A client could choose a key instead and would need no certificate. */
	if (options->verify_peer && options->psk != NULL)
		return fail(err, ERR_USAGE,
			    "tls: clients are verified by certificates or by keys, not both");
	if (options->certificates != NULL)
		TRY(load_certificates(tls, options->certificates, options->verify_peer, err));
	if (options->psk != NULL)
		TRY(load_keys(tls, options->psk, err));
	tls->verify_peer = options->verify_peer;
	return 0;
}

int tls_new(struct tls **out, const struct nbdserver_tls *options, struct error *err)
{
	struct tls *tls;

	TRY(library_load(&library, err));
	TRY(tls_memory_start(err));
	tls = calloc(1, sizeof(*tls));
	if (tls == NULL)
		return fail_memory(err);
	int code = load(tls, options, err);
	if (code != 0) {
		tls_free(tls);
		return code;
	}
	*out = tls;
	return 0;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	if (tls->x509)
		lib.gnutls_certificate_free_credentials(tls->x509);
	if (tls->psk)
		lib.gnutls_psk_free_server_credentials(tls->psk);
	psk_free(tls->keys);
	free(tls);
}

/* ---- a session ---- */

static ssize_t pull(gnutls_transport_ptr_t pointer, void *to, size_t n)
{
	struct tls_session *session = pointer;
	ssize_t got = connection_receive(session->connection, to, n);

	if (got < 0)
		lib.gnutls_transport_set_errno(session->session, EIO);
	return got;
}

static ssize_t push(gnutls_transport_ptr_t pointer, const void *from, size_t n)
{
	struct tls_session *session = pointer;
	struct iovec part = {.iov_base = (void *)from, .iov_len = n};
	ssize_t sent = connection_send(session->connection, &part, 1);

	if (sent < 0)
		lib.gnutls_transport_set_errno(session->session, EIO);
	return sent;
}

/* connection_receive has the deadline. */
static int pull_timeout(gnutls_transport_ptr_t pointer, unsigned ms)
{
	(void)pointer;
	(void)ms;
	return 1;
}

static int prepare(struct tls_session *session, const struct tls *tls)
{
	/* Cipher suites without certificates only if there are keys. */
	const char *priority = tls->psk ? "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:"
					  "+ECDHE-PSK:+DHE-PSK"
					: "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
	int code = lib.gnutls_priority_set_direct(session->session, priority, NULL);

	if (code == 0 && tls->x509)
		code = lib.gnutls_credentials_set(session->session, GNUTLS_CRD_CERTIFICATE,
						  tls->x509);
	if (code == 0 && tls->psk)
		code = lib.gnutls_credentials_set(session->session, GNUTLS_CRD_PSK, tls->psk);
	if (code == 0 && tls->verify_peer) {
		lib.gnutls_certificate_server_set_request(session->session, GNUTLS_CERT_REQUIRE);
		lib.gnutls_session_set_verify_cert(session->session, NULL, 0);
	}
	session->keys = tls->keys;
	lib.gnutls_session_set_ptr(session->session, session);
	lib.gnutls_transport_set_ptr(session->session, session);
	lib.gnutls_transport_set_pull_function(session->session, pull);
	lib.gnutls_transport_set_push_function(session->session, push);
	lib.gnutls_transport_set_pull_timeout_function(session->session, pull_timeout);
	return code;
}

bool tls_accept(struct tls *tls, struct connection *connection)
{
	struct tls_session *session = calloc(1, sizeof(*session));

	tls_memory_prepare_thread();
	if (session == NULL)
		return false;
	session->connection = connection;
	int code = lib.gnutls_init(&session->session, GNUTLS_SERVER);
	if (code != 0) {
		free(session);
		return false;
	}
	code = prepare(session, tls);
	while (code == 0 && (code = lib.gnutls_handshake(session->session)) < 0 &&
	       !lib.gnutls_error_is_fatal(code))
		code = 0;
	if (code != 0) {
		connection_log(connection, "tls: %s", lib.gnutls_strerror(code));
		lib.gnutls_deinit(session->session);
		free(session);
		return false;
	}
	connection->tls = session;
	return true;
}

ssize_t tls_receive(struct tls_session *session, void *to, size_t n)
{
	ssize_t got;

	tls_memory_prepare_thread();
	do
		got = lib.gnutls_record_recv(session->session, to, n);
	while (got < 0 && !lib.gnutls_error_is_fatal((int)got));
	return got;
}

ssize_t tls_send(struct tls_session *session, const void *from, size_t n)
{
	ssize_t sent;

	tls_memory_prepare_thread();
	do
		sent = lib.gnutls_record_send(session->session, from, n);
	while (sent < 0 && !lib.gnutls_error_is_fatal((int)sent));
	return sent;
}

void tls_close(struct tls_session *session)
{
	if (session == NULL)
		return;
	session->connection->deadline_ms = clock_ms() + GOODBYE_MS;
	lib.gnutls_bye(session->session, GNUTLS_SHUT_WR);
	lib.gnutls_deinit(session->session);
	free(session);
}

#else

int tls_new(struct tls **out, const struct nbdserver_tls *options, struct error *err)
{
	(void)out;
	(void)options;
	return fail(err, ERR_UNSUPPORTED, "tls: this program was built without GnuTLS");
}

void tls_free(struct tls *tls)
{
	(void)tls;
}

bool tls_accept(struct tls *tls, struct connection *connection)
{
	(void)tls;
	(void)connection;
	return false;
}

ssize_t tls_receive(struct tls_session *session, void *to, size_t n)
{
	(void)session;
	(void)to;
	(void)n;
	return -1;
}

ssize_t tls_send(struct tls_session *session, const void *from, size_t n)
{
	(void)session;
	(void)from;
	(void)n;
	return -1;
}

void tls_close(struct tls_session *session)
{
	(void)session;
}

#endif
