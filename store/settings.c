#include "store/settings.h"

#include "store/store.h"

#include <string.h>

const char *store_endpoint;

bool store_is_name(const char *name)
{
	return strncmp(name, "s3://", 5) == 0;
}

void store_set_endpoint(const char *endpoint)
{
	store_endpoint = endpoint;
}
