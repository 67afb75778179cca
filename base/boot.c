#include "base/boot.h"

#include <stdio.h>
#include <string.h>

void read_boot_id(uint8_t out[BOOT_ID_SIZE])
{
	char text[64] = "";
	unsigned n = 0;
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	memset(out, 0, BOOT_ID_SIZE);
	if (file == NULL)
		return;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	for (const char *at = text; *at != '\0' && n < BOOT_ID_SIZE;) {
		unsigned byte;
		if (*at == '-') {
			at++;
			continue;
		}
		if (sscanf(at, "%2x", &byte) != 1)
			break;
		out[n++] = (uint8_t)byte;
		at += 2;
	}
	if (n != BOOT_ID_SIZE)
		memset(out, 0, BOOT_ID_SIZE);
}
