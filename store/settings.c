#include "store/settings.h"

#include "store/http.h"
#include "store/store.h"

#include <string.h>

const char *store_endpoint;

bool store_is_name(const char *name)
{
	return strncmp(name, "s3://", 5) == 0 || store_is_web(name);
}

bool store_is_web(const char *name)
{
	return strncmp(name, "https://", 8) == 0 || strncmp(name, "http://", 7) == 0;
}

uint64_t store_fetched_bytes(void)
{
	return http_fetched();
}

void store_set_endpoint(const char *endpoint)
{
	store_endpoint = endpoint;
}
