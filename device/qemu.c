#include "device/qemu.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes over the word. */
static void add_owned(struct qemu_line *line, char *word)
{
	if (word == NULL || line->n == QEMU_WORDS_MAX) {
		line->failed = true;
		free(word);
		return;
	}
	line->words[line->n++] = word;
}

static void add(struct qemu_line *line, const char *word)
{
	add_owned(line, strdup(word));
}

static void add_pair(struct qemu_line *line, const char *option, char *value)
{
	add(line, option);
	add_owned(line, value);
}

/* Names of exports are as an archive has them: JSON keeps them from being read as options. */
static void add_node(struct qemu_line *line, unsigned number, const char *nbd, const char *export)
{
	char node[32];
	struct json_t *object;

	snprintf(node, sizeof(node), "drive%u", number);
	object = json_make("{s:s, s:s, s:{s:s, s:s}, s:s, s:i}", "driver", "nbd", "node-name", node,
			   "server", "type", "unix", "path", nbd, "export", export,
			   "reconnect-delay", 0);
	add_pair(line, "-blockdev", json_line(object));
	json_free(object);
}

static const char *device_of(enum hardware_bus bus)
{
	return bus == BUS_SCSI			   ? "scsi-hd"
	       : bus == BUS_SATA || bus == BUS_IDE ? "ide-hd"
						   : "virtio-blk-pci";
}

/* What drives hang on so far. */
struct buses {
	bool scsi;
	unsigned n_sata, n_ide, n_drives;
	int variables; /* the number of the drive of UEFI's variables; -1: none */
};

static void add_drive(struct qemu_line *line, unsigned number, enum hardware_bus bus, bool q35,
		      struct buses *buses)
{
	char more[64] = "";

	if (bus == BUS_SCSI && !buses->scsi)
		add_pair(line, "-device", strdup("virtio-scsi-pci,id=scsi"));
	buses->scsi |= bus == BUS_SCSI;
	if (bus == BUS_SATA && buses->n_sata == 0)
		add_pair(line, "-device", strdup("ich9-ahci,id=sata"));
	if (bus == BUS_SCSI)
		snprintf(more, sizeof(more), ",bus=scsi.0");
	else if (bus == BUS_SATA)
		snprintf(more, sizeof(more), ",bus=sata.%u", buses->n_sata++ % 6);
	else if (bus == BUS_IDE && !q35)
		snprintf(more, sizeof(more), ",bus=ide.%u,unit=%u", buses->n_ide / 2 % 2,
			 buses->n_ide % 2);
	else if (bus == BUS_IDE)
		snprintf(more, sizeof(more), ",bus=ide.%u", buses->n_ide % 6);
	buses->n_ide += bus == BUS_IDE;
	add_pair(line, "-device",
		 text_make("%s,drive=drive%u%s,bootindex=%u", device_of(bus), number, more,
			   ++buses->n_drives));
}

/* Its variables fill what its code leaves of a whole number of this: 528 KiB of 4 MiB, or, of old
 * ones, 128 KiB of 2. */
#define FLASH_BYTES (2u << 20)

struct firmware {
	const char *code;
	uint64_t variables_bytes;
};

/* One whose variables are in a drive of this size, if there is one. False: there is none. */
static bool find_firmware(struct firmware *out, uint64_t drive_bytes)
{
	static const char *const places[] = {
		"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd",
		"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
		"/usr/share/qemu/ovmf-x86_64-code.bin"};
	struct stat found;

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint64_t over;

		if (access(places[i], R_OK) != 0 || stat(places[i], &found) != 0)
			continue;
		over = (uint64_t)found.st_size % FLASH_BYTES;
		*out = (struct firmware){places[i], over == 0 ? 0 : FLASH_BYTES - over};
		if (out->variables_bytes <= drive_bytes)
			return true;
	}
	return false;
}

/* Storage may have made the drive larger than what QEMU was given of it. */
static void add_variables(struct qemu_line *line, int drive, uint64_t bytes)
{
	add_pair(line, "-blockdev",
		 text_make("driver=raw,node-name=variables,file=drive%d,size=%llu", drive,
			   (unsigned long long)bytes));
}

static int add_machine(struct qemu_line *line, const struct hardware *hardware,
		       const struct archive *archive, const struct buses *buses, struct error *err)
{
	bool kept = hardware->uefi && buses->variables >= 0;
	uint64_t size = kept ? archive->drives[buses->variables].size_bytes : UINT64_MAX;
	struct firmware firmware;

	if (hardware->uefi && !find_firmware(&firmware, size))
		return fail(err, ERR_UNSUPPORTED,
			    "the machine boots by UEFI, and no firmware for that, with variables "
			    "as it has them, is installed (OVMF, package ovmf)");
	if (hardware->uefi)
		add_pair(line, "-blockdev",
			 text_make("driver=file,node-name=code,read-only=on,filename=%s",
				   firmware.code));
	if (kept)
		add_variables(line, buses->variables, firmware.variables_bytes);
	add_pair(line, "-machine",
		 text_make("%s%s%s", hardware->q35 || hardware->uefi ? "q35" : "pc",
			   hardware->uefi ? ",pflash0=code" : "",
			   kept ? ",pflash1=variables" : ""));
	return 0;
}

static void add_rest(struct qemu_line *line, const struct qemu_wish *wish,
		     const struct hardware *hardware)
{
	static const char *const rest[] = {"-display", "none",
					   "-vga",     "std",
					   "-nic",     "none",
					   "-monitor", "none",
					   "-chardev", "stdio,id=console,signal=off",
					   "-serial",  "chardev:console",
					   "-device",  "virtio-rng-pci"};

	for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
		add(line, rest[i]);
	add_pair(line, "-accel", strdup(wish->kvm ? "kvm" : "tcg"));
	add_pair(line, "-cpu", strdup(wish->kvm ? "host" : "max"));
	add_pair(line, "-m",
		 text_make("%llu",
			   (unsigned long long)(wish->memory_mib != 0 ? wish->memory_mib
								      : hardware->memory_mib)));
	add_pair(line, "-smp", text_make("%u", hardware->n_processors));
	if (wish->agent != NULL) {
		add_pair(line, "-chardev",
			 text_make("socket,id=agent,server=on,wait=off,path=%s", wish->agent));
		add_pair(line, "-device", strdup("virtio-serial-pci"));
		add_pair(line, "-device",
			 strdup("virtserialport,chardev=agent,name=org.qemu.guest_agent.0"));
	}
	for (unsigned i = 0; i < wish->more->n; i++)
		add(line, wish->more->items[i]);
}

int qemu_line_make(struct qemu_line *out, const struct qemu_wish *wish,
		   const struct archive *archive, char *const *names, struct error *err)
{
	struct buses buses = {.variables = -1};
	struct hardware hardware;
	int code;

	*out = (struct qemu_line){0};
	hardware_of(&hardware, archive);
	add(out, wish->program);
	add(out, "-nodefaults");
	add(out, "-no-user-config");
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		enum hardware_bus bus = hardware_bus(archive, names[i]);

		if (bus == BUS_NONE || (bus == BUS_VARIABLES && !hardware.uefi))
			continue;
		add_node(out, i, wish->nbd, names[i]);
		if (bus != BUS_VARIABLES)
			add_drive(out, i, bus, hardware.q35 || hardware.uefi, &buses);
		else if (buses.variables < 0)
			buses.variables = (int)i;
	}
	code = add_machine(out, &hardware, archive, &buses, err);
	add_rest(out, wish, &hardware);
	TRY(code);
	return out->failed ? fail_memory(err) : 0;
}

void qemu_line_free(struct qemu_line *line)
{
	for (unsigned i = 0; i < line->n; i++)
		free(line->words[i]);
	line->n = 0;
}
