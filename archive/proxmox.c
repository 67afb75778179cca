#include "archive/proxmox.h"

#include "base/name.h"
#include "base/watcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG	   "qemu-server.conf"
#define NAME_BEGIN "vzdump-qemu-"
#define MAP_BEGIN  "#qmdump#map:"
#define ADVICE                                                                       \
	"it needs the file of the machine in /etc/pve/qemu-server as config " CONFIG \
	", and drives "                                                              \
	"named drive-scsi0, drive-virtio1 and so on, as there"

/* A line of the config, without its end. */
struct line {
	const char *at;
	size_t n;
};

static bool next_line(struct text text, size_t *from, struct line *out)
{
	const char *bytes = (const char *)text.bytes;
	const char *end;

	if (*from >= text.length)
		return false;
	end = memchr(bytes + *from, '\n', text.length - *from);
	out->at = bytes + *from;
	out->n = end == NULL ? text.length - *from : (size_t)(end - out->at);
	*from += out->n + 1;
	if (out->n > 0 && out->at[out->n - 1] == '\r')
		out->n--;
	return true;
}

static bool begins(struct line line, const char *with)
{
	return line.n >= strlen(with) && memcmp(line.at, with, strlen(with)) == 0;
}

/* Cuts off what is before the separator; all of it if there is none. */
static struct line cut(struct line *line, char separator)
{
	const char *end = memchr(line->at, separator, line->n);
	struct line part = {line->at, end == NULL ? line->n : (size_t)(end - line->at)};
	size_t used = end == NULL ? line->n : part.n + 1;

	line->at += used;
	line->n -= used;
	return part;
}

static bool same(struct line word, struct text text)
{
	return word.n == text.length && memcmp(word.at, text.bytes, word.n) == 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* scsi0, virtio1, efidisk0, ...: digits behind a bus of Proxmox VE. */
static bool is_bus(struct line word)
{
	static const char *const buses[] = {"ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"};

	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
		size_t n = strlen(buses[i]);

		if (begins(word, buses[i]) && (word.n == n + 1 || word.n == n + 2) &&
		    is_digit(word.at[n]) && is_digit(word.at[word.n - 1]))
			return true;
	}
	return false;
}

/* The drive's name in archives of vzdump is drive-BUS, of a TPM drive-BUS-backup; BUS alone is
 * understood, too. */
static bool is_drive(struct text name, struct line bus)
{
	static const char begin[] = "drive-", end[] = "-backup";
	struct line rest = {(const char *)name.bytes, name.length};

	if (begins(rest, begin)) {
		rest.at += sizeof(begin) - 1;
		rest.n -= sizeof(begin) - 1;
	}
	if (begins(bus, "tpmstate") && rest.n == bus.n + sizeof(end) - 1 &&
	    memcmp(rest.at + bus.n, end, sizeof(end) - 1) == 0)
		rest.n = bus.n;
	return rest.n == bus.n && memcmp(rest.at, bus.at, bus.n) == 0;
}

static const char *format_of(struct line volume)
{
	static const char *const formats[] = {"qcow2", "vmdk"};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		size_t n = strlen(formats[i]);

		if (volume.n > n && volume.at[volume.n - n - 1] == '.' &&
		    memcmp(volume.at + volume.n - n, formats[i], n) == 0)
			return formats[i];
	}
	return "raw";
}

/* ---- the lines that are there ---- */

/* The drive that the next map line names. */
static bool next_map(struct text config, size_t *from, struct line *name)
{
	struct line line;

	while (next_line(config, from, &line)) {
		if (!begins(line, MAP_BEGIN))
			continue;
		for (unsigned i = 0; i < 2; i++)
			cut(&line, ':');
		*name = cut(&line, ':');
		return true;
	}
	return false;
}

static bool has_map(struct text config, struct text drive)
{
	struct line name;
	size_t from = 0;

	while (next_map(config, &from, &name)) {
		if (same(name, drive))
			return true;
	}
	return false;
}

static bool has_drive(const struct archive *archive, struct line name)
{
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		if (same(name, archive->drives[i].name))
			return true;
	}
	return false;
}

/* The first map line for a drive that is not in the archive. */
static bool find_idle_map(const struct archive *archive, struct text config, struct line *name)
{
	size_t from = 0;

	while (next_map(config, &from, name)) {
		if (!has_drive(archive, *name))
			return true;
	}
	return false;
}

/* ---- those that are missing ---- */

/* "scsi0: local-lvm:vm-100-disk-0,size=20M" in the part of the config before snapshots. */
static bool find_volume(struct text config, struct text drive, struct line *bus,
			struct line *volume)
{
	struct line line;
	size_t from = 0;

	while (next_line(config, &from, &line) && !begins(line, "[")) {
		*bus = cut(&line, ':');
		if (!is_bus(*bus) || !is_drive(drive, *bus))
			continue;
		while (line.n > 0 && *line.at == ' ')
			cut(&line, ' ');
		*volume = cut(&line, ',');
		return true;
	}
	return false;
}

static void add_map(FILE *to, struct text config, struct text drive)
{
	struct line bus, volume, storage = {"", 0};

	if (has_map(config, drive) || !find_volume(config, drive, &bus, &volume))
		return;
	if (volume.n > 0 && *volume.at != '/' && memchr(volume.at, ':', volume.n) != NULL) {
		struct line rest = volume;

		storage = cut(&rest, ':');
	}
	fprintf(to, MAP_BEGIN "%.*s:%.*s:%.*s:%s:\n", (int)bus.n, bus.at, (int)drive.length,
		(const char *)drive.bytes, (int)storage.n, storage.at, format_of(volume));
}

static int add_maps(struct proxmox *proxmox, const struct archive *archive, struct error *err)
{
	struct text config = proxmox->config->data;
	size_t size = 0;
	bool failed;
	FILE *to = open_memstream(&proxmox->text, &size);

	if (to == NULL)
		return fail_memory(err);
	fwrite(config.bytes, 1, config.length, to);
	if (config.length > 0 && config.bytes[config.length - 1] != '\n')
		fputc('\n', to);
	for (uint32_t i = 0; i < archive->n_drives; i++)
		add_map(to, config, archive->drives[i].name);
	/* That there was no memory for a part shows in the stream, not when it is closed. */
	failed = ferror(to) != 0;
	if (fclose(to) != 0 || failed || proxmox->text == NULL)
		return fail_memory(err);
	proxmox->before = config;
	if (strstr(proxmox->text + config.length, MAP_BEGIN) != NULL)
		proxmox->config->data = (struct text){(uint8_t *)proxmox->text, (uint32_t)size};
	return 0;
}

/* ---- the whole ---- */

static bool is_named_so(const char *name)
{
	static const char *const endings[] = {".vma", ".vma.zst", ".vma.gz"};
	const char *base = base_name(name);

	if (strncmp(base, NAME_BEGIN, sizeof(NAME_BEGIN) - 1) != 0)
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (has_ending(base, endings[i]))
			return true;
	}
	return false;
}

static struct archive_config *find_config(struct archive *archive)
{
	struct line name = {CONFIG, sizeof(CONFIG) - 1};

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		if (same(name, archive->configs[i].name))
			return &archive->configs[i];
	}
	return NULL;
}

static void warn(const struct archive *archive, struct text config, const char *name,
		 const struct watcher *watcher)
{
	struct line idle;
	char shown[120];

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		struct text drive = archive->drives[i].name;

		if (has_map(config, drive))
			continue;
		watcher_warn(watcher,
			     "%s: Proxmox VE will not restore it, as " CONFIG
			     " does not have drive %s: " ADVICE,
			     name, escape_text(shown, sizeof(shown), drive.bytes, drive.length));
		return;
	}
	if (find_idle_map(archive, config, &idle))
		watcher_warn(watcher,
			     "%s: Proxmox VE will not restore it, as " CONFIG
			     " maps drive %s, which is not in the archive",
			     name,
			     escape_text(shown, sizeof(shown), (const uint8_t *)idle.at, idle.n));
}

int proxmox_prepare(struct proxmox *out, struct archive *archive, const char *name,
		    const struct watcher *watcher, struct error *err)
{
	*out = (struct proxmox){0};
	if (archive->format != FORMAT_VMA1 || !is_named_so(name))
		return 0;
	out->config = find_config(archive);
	if (out->config == NULL) {
		watcher_warn(watcher, "%s: Proxmox VE will not restore it: " ADVICE, name);
		return 0;
	}
	TRY(add_maps(out, archive, err));
	warn(archive, out->config->data, name, watcher);
	return 0;
}

void proxmox_close(struct proxmox *proxmox)
{
	if (proxmox->text != NULL && proxmox->config->data.bytes == (uint8_t *)proxmox->text)
		proxmox->config->data = proxmox->before;
	free(proxmox->text);
	*proxmox = (struct proxmox){0};
}
