#include "device/hardware.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_DEFAULT 1024u /* MiB */
#define MEMORY_MIN     64u
#define CONFIG_MAX     (1u << 20)

static const struct archive_config *find_config(const struct archive *archive, const char *name)
{
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		const struct text *found = &archive->configs[i].name;

		if (found->length == strlen(name) && memcmp(found->bytes, name, found->length) == 0)
			return &archive->configs[i];
	}
	return NULL;
}

/* The text of a config, ended by a NUL; owned. NULL: there is none, or it is no text. */
static char *config_text(const struct archive *archive, const char *name)
{
	const struct archive_config *config = find_config(archive, name);

	if (config == NULL || config->data.length > CONFIG_MAX ||
	    memchr(config->data.bytes, 0, config->data.length) != NULL)
		return NULL;
	return strndup((const char *)config->data.bytes, config->data.length);
}

/* The value of "KEY: VALUE" in the part of qemu-server.conf before its snapshots; NULL: none. */
static const char *conf_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line != NULL && *line != '['; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line == '[')
			break;
		if (strncmp(line, key, n) == 0 && line[n] == ':')
			return line + n + 1 + strspn(line + n + 1, " ");
	}
	return NULL;
}

static uint64_t conf_number(const char *text, const char *key, uint64_t otherwise)
{
	const char *value = conf_value(text, key);

	return value != NULL && isdigit((unsigned char)*value) ? strtoull(value, NULL, 10)
							       : otherwise;
}

static bool begins(const char *text, const char *with)
{
	return text != NULL && strncmp(text, with, strlen(with)) == 0;
}

static void read_conf(struct hardware *out, const char *text)
{
	out->memory_mib = conf_number(text, "memory", out->memory_mib);
	out->n_processors = (unsigned)(conf_number(text, "cores", 1) % 1000 *
				       (conf_number(text, "sockets", 1) % 1000));
	out->uefi = begins(conf_value(text, "bios"), "ovmf");
	out->q35 = begins(conf_value(text, "machine"), "q35") ||
		   begins(conf_value(text, "machine"), "pc-q35");
}

/* <memory unit='KiB'>N</memory>: libvirt always writes KiB. */
static void read_xml(struct hardware *out, const char *text)
{
	const char *memory = strstr(text, "<memory unit='KiB'>"), *vcpu = strstr(text, "<vcpu");

	if (memory != NULL)
		out->memory_mib = strtoull(memory + strlen("<memory unit='KiB'>"), NULL, 10) / 1024;
	if (vcpu != NULL && (vcpu = strchr(vcpu, '>')) != NULL)
		out->n_processors = (unsigned)(strtoul(vcpu + 1, NULL, 10) % 1000000);
	out->uefi = strstr(text, "type='pflash'") != NULL || strstr(text, "firmware='efi'") != NULL;
	out->q35 = strstr(text, "machine='pc-q35") != NULL || strstr(text, "machine='q35'") != NULL;
}

/* No more than half of what this host has. */
static void limit(struct hardware *hardware)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t half_mib = (uint64_t)pages * (uint64_t)page / 2 / (1u << 20);

	if (hardware->memory_mib > half_mib)
		hardware->memory_mib = half_mib;
	if (hardware->memory_mib < MEMORY_MIN)
		hardware->memory_mib = MEMORY_MIN;
	if (hardware->n_processors < 1)
		hardware->n_processors = 1;
	if (n > 0 && hardware->n_processors > (unsigned)n)
		hardware->n_processors = (unsigned)n;
}

void hardware_of(struct hardware *out, const struct archive *archive)
{
	char *conf = config_text(archive, "qemu-server.conf");
	char *xml = config_text(archive, "libvirt.xml");

	*out = (struct hardware){.memory_mib = MEMORY_DEFAULT, .n_processors = 1};
	if (conf != NULL)
		read_conf(out, conf);
	else if (xml != NULL)
		read_xml(out, xml);
	limit(out);
	free(conf);
	free(xml);
}

static const struct {
	const char *prefix; /* of a drive's name, of Proxmox VE and of libvirt */
	enum hardware_bus bus;
} by_name[] = {
	{"efidisk", BUS_VARIABLES}, {"tpmstate", BUS_NONE},
	{"tpm", BUS_NONE},	    {"virtio", BUS_VIRTIO},
	{"scsi", BUS_SCSI},	    {"sata", BUS_SATA},
	{"ide", BUS_IDE},	    {"vd", BUS_VIRTIO},
	{"sd", BUS_SCSI},	    {"hd", BUS_IDE},
};

static enum hardware_bus bus_by_name(const char *drive)
{
	if (begins(drive, "drive-"))
		drive += strlen("drive-");
	for (size_t i = 0; i < sizeof(by_name) / sizeof(by_name[0]); i++)
		if (begins(drive, by_name[i].prefix))
			return by_name[i].bus;
	return BUS_VIRTIO;
}

enum hardware_bus hardware_bus(const struct archive *archive, const char *drive)
{
	static const char *const words[] = {"virtio", "scsi", "sata", "ide"};
	char *xml = config_text(archive, "libvirt.xml"), wanted[300];
	enum hardware_bus bus = bus_by_name(drive);
	const char *found = NULL;

	snprintf(wanted, sizeof(wanted), "<target dev='%.255s' bus='", drive);
	if (xml != NULL)
		found = strstr(xml, wanted);
	for (unsigned i = 0; found != NULL && i < 4; i++)
		if (begins(found + strlen(wanted), words[i]))
			bus = (enum hardware_bus)i;
	free(xml);
	return bus;
}
