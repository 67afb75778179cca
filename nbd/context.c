/*
 * Metadata contexts: "base:allocation", and "qemu:dirty-bitmap:NAME" for the bitmaps of an export.
 * A query that ends with a colon lists everything below it; it never selects anything: only
 * contexts that are named in full are selected.
 */
#include "nbd/state.h"

#include "nbd/protocol.h"

#include <errno.h>

#define BASE	    "base:"
#define ALLOCATION  "base:allocation"
#define QEMU	    "qemu:"
#define BITMAP	    "qemu:dirty-bitmap:"
#define BITMAPS_MAX 65536u /* listed at most */

struct query {
	const char *text; /* no NUL at its end */
	size_t n;
};

/* The option being processed. */
struct selection {
	struct connection *connection;
	const struct nbdserver_export *export;
	uint32_t option;
	bool sent; /* every reply so far was sent */
};

static bool is(const struct query *query, const char *text)
{
	return query->n == strlen(text) && memcmp(query->text, text, query->n) == 0;
}

static void offer(struct selection *selection, uint32_t id, const char *prefix, const char *name)
{
	uint8_t data[4 + sizeof(BITMAP) + NAME_MAX_BYTES];
	size_t n = strlen(prefix), more = strlen(name);

	put_be(data, 4, id);
	memcpy(data + 4, prefix, n);
	memcpy(data + 4 + n, name, more);
	if (selection->sent)
		selection->sent = reply_option(selection->connection, selection->option,
					       REP_META_CONTEXT, data, 4 + n + more);
}

/* ---- lists ---- */

static void list_allocation(struct selection *selection)
{
	if (selection->export->ops->status != NULL)
		offer(selection, 0, ALLOCATION, "");
}

static void list_bitmaps(struct selection *selection)
{
	const struct nbdserver_export *export = selection->export;
	char name[256];

	if (export->ops->bitmap == NULL || export->ops->bitmap_name == NULL)
		return;
	for (unsigned i = 0; i < BITMAPS_MAX && selection->sent; i++) {
		if (!export->ops->bitmap_name(export->context, i, name))
			return;
		offer(selection, 0, BITMAP, name);
	}
}

/* ---- one query ---- */

static int bitmap_of(const struct nbdserver_export *export, const struct query *query,
		     char name[256])
{
	size_t prefix = strlen(BITMAP);

	if (export->ops->bitmap == NULL || export->ops->find_bitmap == NULL || query->n <= prefix ||
	    query->n - prefix > 255 || memcmp(query->text, BITMAP, prefix) != 0)
		return -1;
	memcpy(name, query->text + prefix, query->n - prefix);
	name[query->n - prefix] = '\0';
	if (strlen(name) != query->n - prefix)
		return -1;
	return export->ops->find_bitmap(export->context, name);
}

static void list_query(struct selection *selection, const struct query *query)
{
	char name[256];

	if (is(query, BASE) || is(query, ALLOCATION))
		list_allocation(selection);
	else if (is(query, QEMU) || is(query, BITMAP))
		list_bitmaps(selection);
	else if (bitmap_of(selection->export, query, name) >= 0)
		offer(selection, 0, BITMAP, name);
}

static void choose(struct selection *selection, const struct context *context, const char *prefix,
		   const char *name)
{
	struct connection *connection = selection->connection;
	unsigned n = connection->n_contexts;

	for (unsigned i = 0; i < n; i++)
		if (connection->contexts[i].allocation == context->allocation &&
		    connection->contexts[i].bitmap == context->bitmap)
			return;
	if (n == CONTEXTS_MAX)
		return;
	connection->contexts[n] = *context;
	connection->n_contexts++;
	offer(selection, n, prefix, name);
}

static void choose_query(struct selection *selection, const struct query *query)
{
	struct context context = {.allocation = true};
	char name[256];

	if (is(query, ALLOCATION)) {
		if (selection->export->ops->status != NULL)
			choose(selection, &context, ALLOCATION, "");
		return;
	}
	int bitmap = bitmap_of(selection->export, query, name);
	if (bitmap < 0)
		return;
	context = (struct context){.bitmap = (unsigned)bitmap};
	choose(selection, &context, BITMAP, name);
}

/* ---- the option ---- */

/* Name length, name, number of queries, then each query with its length, and nothing after it. */
static bool queries_are_whole(const uint8_t *data, size_t n, size_t *name_length,
			      uint32_t *n_queries)
{
	if (n < 8 || get_be(data, 4) > n - 8)
		return false;
	*name_length = get_be(data, 4);
	size_t at = 4 + *name_length;
	*n_queries = get_be(data + at, 4);
	at += 4;
	for (uint32_t i = 0; i < *n_queries; i++) {
		if (n - at < 4 || get_be(data + at, 4) > n - at - 4)
			return false;
		at += 4 + get_be(data + at, 4);
	}
	return at == n;
}

static void each_query(struct selection *selection, const uint8_t *data, uint32_t n_queries)
{
	for (uint32_t i = 0; i < n_queries && selection->sent; i++) {
		struct query query = {(const char *)data + 4, get_be(data, 4)};
		if (selection->option == OPT_LIST_META_CONTEXT)
			list_query(selection, &query);
		else
			choose_query(selection, &query);
		data += 4 + query.n;
	}
}

bool context_option(struct connection *connection, uint32_t option, const uint8_t *data, size_t n)
{
	struct selection selection = {.connection = connection, .option = option, .sent = true};
	size_t name_length;
	uint32_t n_queries;

	if (option == OPT_SET_META_CONTEXT) /* even if it fails, it replaces the selection before */
		connection->n_contexts = 0;
	if (!connection->structured || !queries_are_whole(data, n, &name_length, &n_queries))
		return reply_option(connection, option, REP_ERR_INVALID, NULL, 0);
	selection.export = exports_find(connection->server, data + 4, name_length);
	if (selection.export == NULL)
		return reply_option(connection, option, REP_ERR_UNKNOWN, NULL, 0);
	if (option == OPT_SET_META_CONTEXT)
		connection->contexts_of = selection.export;
	each_query(&selection, data + 8 + name_length, n_queries);
	if (option == OPT_LIST_META_CONTEXT && n_queries == 0) {
		list_allocation(&selection);
		list_bitmaps(&selection);
	}
	return selection.sent && reply_option(connection, option, REP_ACK, NULL, 0);
}

/* ---- asking ---- */

static int ask_one(const struct nbdserver_export *export, const struct context *context,
		   uint64_t offset, uint64_t *n, uint32_t *state)
{
	bool set = false;
	int error = context->allocation ? export->ops->status(export->context, offset, n, &set)
					: export->ops->bitmap(export->context, context->bitmap,
							      offset, n, &set);

	*state = !set ? 0 : context->allocation ? STATE_HOLE_ZERO : 1;
	return error == 0 && *n == 0 ? EIO : error;
}

static int confirm(const struct connection *connection, unsigned context, int n_found)
{
	const struct nbdserver_export *export = connection->export;
	int error = connection->contexts[context].allocation && export->ops->confirm != NULL
			    ? export->ops->confirm(export->context)
			    : 0;

	return error != 0 ? -error : n_found;
}

/* Adjacent ranges of equal state become one descriptor. */
int context_ask(const struct connection *connection, unsigned context, uint64_t offset,
		uint64_t length, uint8_t *out, unsigned max)
{
	unsigned n_found = 0;
	uint32_t last = 0;

	for (uint64_t at = 0; at < length;) {
		uint64_t n = length - at;
		uint32_t state;
		int error = ask_one(connection->export, &connection->contexts[context], offset + at,
				    &n, &state);
		if (error != 0 && n_found == 0)
			return -error;
		if (error != 0) /* the client will ask again from there */
			break;
		n = least(n, length - at);
		if (n_found > 0 && state == last) {
			uint8_t *before = out + 8 * (n_found - 1);
			put_be(before, 4, get_be(before, 4) + (uint32_t)n);
		} else if (n_found == max) {
			break;
		} else {
			put_be(out + 8 * n_found, 4, (uint32_t)n);
			put_be(out + 8 * n_found++ + 4, 4, state);
		}
		last = state;
		at += n;
	}
	return confirm(connection, context, (int)n_found);
}
