#include "cli/commands.h"
#include "machine/serve/client.h"
#include "machine/serve/serve.h"

#include "format/format.h"

#include <limits.h>
#include <string.h>

/* A flag, an option with a text, one with a number; each names its field in struct options. */
#define FLAG(long_name, short_name, in, text)                                 \
	{                                                                     \
		.name = long_name, .letter = short_name, .kind = OPTION_FLAG, \
		.field = offsetof(struct options, in), .help = text           \
	}
#define TEXT(long_name, short_name, of_kind, in, value, text)                          \
	{                                                                              \
		.name = long_name, .letter = short_name, .kind = of_kind,              \
		.field = offsetof(struct options, in), .argument = value, .help = text \
	}
#define CHOICE(long_name, in, value, words, text)                                                \
	{                                                                                        \
		.name = long_name, .kind = OPTION_CHOICE, .field = offsetof(struct options, in), \
		.argument = value, .choices = words, .help = text                                \
	}
#define NUMBER(long_name, of_kind, in, value, from, to, text)                              \
	{                                                                                  \
		.name = long_name, .kind = of_kind, .field = offsetof(struct options, in), \
		.argument = value, .min = from, .max = to, .help = text                    \
	}
#define NO_MORE              \
	{                    \
		.name = NULL \
	}
#define THREADS                                                \
	NUMBER("threads", OPTION_NUMBER, threads, "N", 1, 256, \
	       "use N threads, 1 to 256 (default: one a processor)")
#define READ_RATE                                               \
	NUMBER("rate", OPTION_RATE, rate, "RATE", 0, INT64_MAX, \
	       "read at most this much a second, such as 10M (default: 0, no limit)")

static const struct option_spec common[] = {
	FLAG("quiet", 'q', quiet, "say nothing but warnings and errors"),
	FLAG("verbose", 'v', verbose, "say more"),
	FLAG("json", 0, json, "print the result as one JSON object"),
	CHOICE("progress", progress, "WHEN", "auto always never",
	       "show progress: auto (on a terminal), always or never"),
	NUMBER("progress-fd", OPTION_NUMBER, progress_fd, "N", 0, INT_MAX,
	       "write lines PERCENT/100 to file descriptor N"),
	FLAG("help", 'h', help, "print this and exit"),
	NO_MORE,
};

/* What commands that write an archive have in common. */
static const struct option_spec output[] = {
	TEXT("output", 'o', OPTION_TEXT, output, "ARCHIVE",
	     "where to write (default: -, standard output); the name tells the format: .vmab, "
	     ".vma, "
	     ".vma.zst or "
	     ".vma.gz"),
	CHOICE("format", format, "FORMAT", "vmab vma",
	       "vmab or vma, where the name does not tell (default: vmab)"),
	TEXT("compress", 0, OPTION_TEXT, compress, "METHOD[:LEVEL]",
	     "zstd (1 to 19), none, or for .vma.gz gzip (1 to 9) (default: zstd:1; .vma: none)"),
	NO_MORE,
};

static const struct option_spec writing[] = {
	FLAG("no-vma-checksums", 0, no_vma_checksums,
	     "write plain VMA, without checksums of the data"),
	NUMBER("record-size", OPTION_SIZE, record_size, "SIZE", SECTOR_SIZE, PADDING_SIZE_MAX,
	       "for tapes: write records of exactly this size, up to 16M, the last padded with "
	       "zeros (default: 256K on a tape)"),
	NUMBER("rate", OPTION_RATE, rate, "RATE", 0, INT64_MAX,
	       "write at most this much a second, such as 10M (default: 0, no limit)"),
	THREADS,
	FLAG("force", 0, force, "replace an archive of that name"),
	FLAG("no-sync", 0, no_sync, "do not wait until the archive is safe on disk"),
	NO_MORE,
};

static const struct option_spec backup[] = {
	TEXT("config", 'c', OPTION_LIST, config_files, "[NAME=]FILE",
	     "store a file with the drives, under NAME or its own name; may be repeated"),
	TEXT("note", 0, OPTION_TEXT, note, "TEXT", "store a note for people (not in VMA)"),
	TEXT("uuid", 0, OPTION_TEXT, uuid, "UUID", "identify the archive (default: random)"),
	FLAG("allow-writers", 0, allow_writers,
	     "go on though another program has a drive open for writing"),
	FLAG("direct", 0, direct, "read raw images and devices past the page cache (O_DIRECT)"),
	NO_MORE,
};

/* Of machines that run. */
static const struct option_spec live[] = {
	TEXT("serve", 0, OPTION_TEXT, serve, "SOCKET",
	     "back up drives of a running vmabak serve, by its control socket"),
	TEXT("qmp", 0, OPTION_TEXT, qmp, "SOCKET",
	     "back up drives of a running QEMU, by the socket of its monitor (QMP)"),
	TEXT("libvirt", 0, OPTION_TEXT, libvirt, "DOMAIN",
	     "back up drives of a running domain of libvirt"),
	TEXT("connect", 0, OPTION_TEXT, connect, "URI",
	     "with --libvirt: where libvirt is, such as qemu:///session (default: as for virsh)"),
	TEXT("scratch", 0, OPTION_TEXT, scratch, "DIR",
	     "with --libvirt or --pull: where QEMU saves what the guest overwrites meanwhile "
	     "(default: beside the drives; /var/tmp)"),
	FLAG("quiesce", 0, quiesce,
	     "with --libvirt: have the guest's file systems stand still for the instant"),
	TEXT("drive", 'd', OPTION_LIST, drives, "[NAME=]DRIVE",
	     "of a machine that runs: this drive only; may be repeated (default: all that are written)"),
	TEXT("guest-agent", 0, OPTION_TEXT, guest_agent, "SOCKET",
	     "with --qmp: have the guest's file systems stand still for the instant"),
	FLAG("pull", 0, pull,
	     "with --qmp: have QEMU keep a snapshot, and read that, not what its jobs push"),
	TEXT("nbd-server", 0, OPTION_TEXT, pull_server, "SOCKET", "with --pull: where QEMU has one"),
	CHOICE("sync", sync_mode, "WHAT", "top full",
	       "with --qmp: have QEMU leave out what a qcow2 never held (top, default), or tell all"),
	NUMBER("buffer", OPTION_SIZE, buffer, "SIZE", 16u << 20, LIVE_BUFFER_MAX,
	       "with --serve or --qmp: memory for what waits to be written, from 16M (default: 64M)"),
	NUMBER("spill", OPTION_SIZE, spill, "SIZE", 0, INT64_MAX,
	       "with --serve or --qmp: disk for what the memory cannot hold (default: 1G)"),
	TEXT("spill-dir", 0, OPTION_TEXT, spill_dir, "DIR",
	     "with --serve or --qmp: where that disk space is taken (default: /var/tmp)"),
	CHOICE("on-full", on_full, "ACTION", "abort wait",
	       "with --serve or --qmp: when both are full, abort (default), or have the guest wait"),
	TEXT("freeze-command", 0, OPTION_TEXT, freeze_command, "COMMAND",
	     "with --serve, --qmp or --libvirt: run before the instant that is backed up"),
	TEXT("thaw-command", 0, OPTION_TEXT, thaw_command, "COMMAND",
	     "with --serve, --qmp or --libvirt: run right after it, whatever happens"),
	NUMBER("freeze-timeout", OPTION_NUMBER, freeze_timeout, "SECONDS", 1, 3600,
	       "with --serve, --qmp or --libvirt: how long freezing may take, and last (default: 10)"),
	NO_MORE,
};

static const struct option_spec serve[] = {
	TEXT("control", 0, OPTION_TEXT, control, "SOCKET",
	     "make a control socket there, for backup, status and stop"),
	TEXT("nbd", 0, OPTION_LIST, nbd, "PLACE",
	     "serve the drives there: unix:PATH or HOST:PORT; may be repeated"),
	FLAG("read-only", 0, read_only, "refuse all writes"),
	TEXT("map", 0, OPTION_LIST, maps, "[NAME=]FILE",
	     "keep the map of what changes on a drive in FILE; may be repeated"),
	TEXT("tls-certificates", 0, OPTION_TEXT, tls_certificates, "DIR",
	     "TLS with ca-cert.pem, server-cert.pem and server-key.pem of DIR"),
	TEXT("tls-psk", 0, OPTION_TEXT, tls_psk, "FILE", "TLS with the keys of FILE"),
	FLAG("tls-verify-peer", 0, tls_verify_peer, "clients must show a certificate"),
	FLAG("plain-loopback", 0, plain_loopback, "allow HOST:PORT without TLS on this host alone"),
	FLAG("quiet", 'q', quiet, "say nothing but warnings and errors"),
	FLAG("verbose", 'v', verbose, "also tell of clients that come and go"),
	FLAG("help", 'h', help, "print this and exit"),
	NO_MORE,
};

static const struct option_spec stop[] = {
	FLAG("force", 0, force, "also when clients are connected or a backup runs"),
	NO_MORE,
};

static const struct option_spec restore[] = {
	TEXT("directory", 'C', OPTION_TEXT, directory, "DIR",
	     "restore into DIR, made if missing (default: .)"),
	TEXT("drive", 'd', OPTION_LIST, drives, "NAME[=TARGET]",
	     "restore this drive only, to TARGET if given; may be repeated; @N is the N-th drive"),
	FLAG("configs", 0, configs, "restore configs too, even with --drive"),
	FLAG("no-configs", 0, no_configs, "do not restore configs"),
	FLAG("force", 0, force, "overwrite existing files, and allow block devices"),
	THREADS,
	READ_RATE,
	FLAG("no-sync", 0, no_sync, "do not wait until the data is safe on disk"),
	NO_MORE,
};

static const struct option_spec verify[] = {
	FLAG("quick", 0, quick, "check what is stored without decompressing it"),
	THREADS,
	READ_RATE,
	NO_MORE,
};

static const struct option_spec salvage[] = {
	TEXT("directory", 'C', OPTION_TEXT, directory, "DIR",
	     "salvage into DIR, made if missing (default: .)"),
	TEXT("drive", 'd', OPTION_LIST, drives, "NAME[=FILE]",
	     "salvage this drive only, to FILE if given; may be repeated; @N is the N-th drive"),
	TEXT("map", 0, OPTION_TEXT, map, "FILE|DIR",
	     "write what was had of the drive, as a mapfile of ddrescue; of several into DIR"),
	TEXT("donor", 0, OPTION_LIST, donors, "ARCHIVE|NAME=IMAGE",
	     "fill holes from another archive, or an image of drive NAME, where checksums match; "
	     "may be repeated"),
	TEXT("uuid", 0, OPTION_TEXT, uuid, "UUID",
	     "look for this archive (default: the first that is met)"),
	FLAG("configs", 0, configs, "salvage configs too, even with --drive"),
	FLAG("no-configs", 0, no_configs, "do not salvage configs"),
	READ_RATE,
	FLAG("no-sync", 0, no_sync, "do not wait until the data is safe on disk"),
	NO_MORE,
};

static const struct option_spec qemu_drives[] = {
	TEXT("qmp", 0, OPTION_TEXT, qmp, "SOCKET", "the socket of QEMU's monitor (QMP)"),
	NO_MORE,
};

static const struct option_spec qemu_guard[] = {
	TEXT("qmp", 0, OPTION_TEXT, qmp, "SOCKET", "the socket of QEMU's monitor (QMP)"),
	TEXT("guest-agent", 0, OPTION_TEXT, guest_agent, "SOCKET", "the guest agent, for messages"),
	NUMBER("freeze-timeout", OPTION_NUMBER, freeze_timeout, "SECONDS", 1, 3600,
	       "to freeze, and then until the guest is thawed in any case"),
	TEXT("scratch", 0, OPTION_TEXT, scratch, "DIR", "where the scratch images of a pull are"),
	NO_MORE,
};

static const struct option_spec libvirt_helper[] = {
	TEXT("connect", 0, OPTION_TEXT, connect, "URI", "where libvirt is"),
	FLAG("thaw", 0, thaw, "thaw instead"),
	NO_MORE,
};

static const struct option_spec program[] = {
	FLAG("help", 'h', help, "print this and exit"),
	FLAG("version", 'V', version, "print the version, features and libraries, and exit"),
	FLAG("json", 0, json, "print the version as one JSON object"),
	NO_MORE,
};

static const char backup_help[] =
	"Back up the drives and configuration files of a virtual machine into one archive.\n"
	"\n"
	"A DRIVE is a raw image, a block device, a qcow2, vmdk, vdi or vhdx image (those through\n"
	"qemu-nbd), or an NBD URI such as nbd+unix:///EXPORT?socket=PATH. Its format is told by\n"
	"the ending of its name or by ,format=FMT, never by its content. Drives without a NAME "
	"are\n"
	"called disk0, disk1 and so on, by position.\n"
	"The archive appears under its name only when it is complete.\n"
	"\n"
	"Example:\n"
	"  vmabak backup -o web.vmab -c web.conf root=/dev/vg0/web data=web-data.qcow2\n"
	"  vmabak backup -o web.vmab --libvirt web\n";

static const char restore_help[] =
	"Restore drives and configs from an archive: each drive to DIR/NAME.raw or to the TARGET\n"
	"given with --drive, each config to DIR/NAME. Zeros become holes. Every checksum is\n"
	"verified before its data is written, and new files appear only when all went well.\n"
	"\n"
	"A TARGET is a file, raw or an image by its ending or ,format=FMT, or with --force a "
	"block\n"
	"device or an NBD URI. A drive whose name is not usable as a file name is reached by its\n"
	"number: --drive @2=TARGET.\n"
	"\n"
	"Example:\n"
	"  vmabak restore web.vmab -C /var/tmp/web\n"
	"  vmabak restore web.vmab --force -d root=/dev/vg0/web\n";

static const char list_help[] =
	"List what an archive holds, and whether it is complete where that can be told without\n"
	"reading all of it. ARCHIVE may be compressed; - is standard input.\n"
	"\n"
	"Example:\n"
	"  vmabak list web.vmab\n";

static const char config_help[] =
	"Print a config of an archive as it is. Without NAME: the only one, or qemu-server.conf.\n"
	"\n"
	"Example:\n"
	"  vmabak config web.vmab web.conf > web.conf\n";

static const char verify_help[] =
	"Read archives to their end and prove that they are whole: every checksum, every cluster\n"
	"exactly once, the end. Stock VMA archives carry no checksums of their data; they are\n"
	"checked for completeness, and the result says so.\n"
	"\n"
	"Example:\n"
	"  vmabak verify /backup/*.vmab\n";

static const char salvage_help[] =
	"Get out of a damaged or incomplete archive every cluster that still proves good, and "
	"tell\n"
	"which bytes of which drives are lost: they are holes in the files. Drives go to\n"
	"DIR/NAME.raw, configs to DIR/NAME; no file is ever overwritten. Exit code 5 when\n"
	"something is lost.\n"
	"\n"
	"Example:\n"
	"  vmabak salvage bad.vmab -C salvaged --map salvaged\n";

static const char convert_help[] =
	"Write an archive again in another format or compression. The uuid, the time, notes and\n"
	"configs stay; every checksum is verified on the way. What VMA cannot carry is left out\n"
	"with a warning.\n"
	"\n"
	"Example:\n"
	"  vmabak convert vzdump-qemu-100.vma.zst -o web.vmab\n";

static const char serve_help[] =
	"Serve raw images and block devices over NBD. A hypervisor that uses them from here can "
	"be\n"
	"backed up at any time: vmabak backup --serve SOCKET. Runs until vmabak stop SOCKET or\n"
	"SIGTERM. Drives without a NAME are called disk0, disk1 and so on.\n"
	"\n"
	"Example:\n"
	"  vmabak serve --control web.sock --nbd unix:web-nbd.sock --map root=web.map "
	"root=web.raw\n";

static const char status_help[] =
	"Tell what a running serve does: its drives, who is connected, the backup that runs.\n"
	"\n"
	"Example:\n"
	"  vmabak status web.sock\n";

static const char stop_help[] =
	"End a running serve: requests in flight are answered, drives flushed, maps closed.\n"
	"Refused while clients are connected or a backup runs, unless --force.\n"
	"\n"
	"Example:\n"
	"  vmabak stop web.sock\n";

static const char qemu_drives_help[] =
	"List the drives of a running QEMU, or of a qemu-storage-daemon: names as an archive would\n"
	"have them, sizes, formats, and which are backed up if none is named.\n"
	"\n"
	"Example:\n"
	"  vmabak qemu-drives --qmp /run/web.qmp\n";

const struct command commands[] = {
	{"backup",
	 cmd_backup,
	 "[-o ARCHIVE|-] [OPTION]... [NAME=]DRIVE[,format=FMT]...",
	 "back up drives and configs into an archive",
	 backup_help,
	 {output, backup, live, writing, common},
	 0,
	 DRIVES_MAX,
	 false},
	{"serve",
	 cmd_serve,
	 "--control SOCKET --nbd PLACE [OPTION]... [NAME=]DRIVE[,format=raw]...",
	 "serve drives over NBD, to be backed up while they are written to",
	 serve_help,
	 {serve},
	 1,
	 SERVED_MAX,
	 false},
	{"status",
	 cmd_status,
	 "SOCKET [OPTION]...",
	 "tell what a running serve does",
	 status_help,
	 {common},
	 1,
	 1,
	 false},
	{"stop",
	 cmd_stop,
	 "SOCKET [--force] [OPTION]...",
	 "end a running serve in order",
	 stop_help,
	 {stop, common},
	 1,
	 1,
	 false},
	{"restore",
	 cmd_restore,
	 "ARCHIVE|- [-C DIR] [-d NAME[=TARGET]]... [OPTION]...",
	 "restore drives and configs from an archive",
	 restore_help,
	 {restore, common},
	 1,
	 1,
	 false},
	{"list",
	 cmd_list,
	 "ARCHIVE|- [OPTION]...",
	 "show what an archive holds",
	 list_help,
	 {common},
	 1,
	 1,
	 false},
	{"config",
	 cmd_config,
	 "ARCHIVE|- [NAME] [OPTION]...",
	 "print a config of an archive",
	 config_help,
	 {common},
	 1,
	 2,
	 false},
	{"verify",
	 cmd_verify,
	 "[--quick] ARCHIVE|-... [OPTION]...",
	 "prove that archives are whole and intact",
	 verify_help,
	 {verify, common},
	 1,
	 UINT_MAX,
	 false},
	{"convert",
	 cmd_convert,
	 "ARCHIVE|- [-o ARCHIVE|-] [OPTION]...",
	 "write an archive again in another format",
	 convert_help,
	 {output, writing, common},
	 1,
	 1,
	 false},
	{"salvage",
	 cmd_salvage,
	 "ARCHIVE|- [-C DIR] [-d NAME[=FILE]]... [OPTION]...",
	 "get what is still good out of a damaged archive",
	 salvage_help,
	 {salvage, common},
	 1,
	 1,
	 false},
	{"qemu-drives",
	 cmd_qemu_drives,
	 "--qmp SOCKET [OPTION]...",
	 "list the drives of a running QEMU",
	 qemu_drives_help,
	 {qemu_drives, common},
	 0,
	 0,
	 false},
	{"qemu-guard",
	 cmd_qemu_guard,
	 "--qmp SOCKET [--guest-agent SOCKET] [--freeze-timeout SECONDS] [--scratch DIR] ID",
	 "clean up in QEMU when a backup is killed; started by backup --qmp",
	 "Freeze and thaw the guest for a backup at descriptor 3; clean up in QEMU if it is killed.\n",
	 {qemu_guard, common},
	 1,
	 1,
	 true},
	{"libvirt-guard",
	 cmd_libvirt_guard,
	 "[--connect URI] DOMAIN ID",
	 "end a backup in libvirt; started by backup --libvirt",
	 "Wait at descriptor 3 for the end of a backup, and end its job in libvirt.\n",
	 {libvirt_helper, common},
	 2,
	 2,
	 true},
	{"libvirt-freeze",
	 cmd_libvirt_freeze,
	 "[--connect URI] [--thaw] DOMAIN",
	 "freeze or thaw a guest; started by backup --libvirt",
	 "Have the file systems of a domain of libvirt stand still, or go on.\n",
	 {libvirt_helper, common},
	 1,
	 1,
	 true},
	{"help",
	 cmd_help,
	 "[COMMAND]",
	 "explain a command",
	 "Print what there is to know about a command, or list all commands.\n"
	 "\n"
	 "Example:\n"
	 "  vmabak help restore\n",
	 {common},
	 0,
	 1,
	 false},
	{"completion",
	 cmd_completion,
	 "bash",
	 "print a completion script for a shell",
	 "Print a script that completes commands, options and archives.\n"
	 "\n"
	 "Example:\n"
	 "  . <(vmabak completion bash)\n",
	 {common},
	 1,
	 1,
	 true},
	{"commands",
	 cmd_commands,
	 "",
	 "print each command and its options, for checks",
	 "Print a line for each command: its name, then its options, separated by tabs.\n",
	 {common},
	 0,
	 0,
	 true},
	NO_MORE,
};

const struct command commands_none = {
	.name = "vmabak",
	.usage = "COMMAND [OPTION]... [ARGUMENT]...",
	.help = "Back up the drives of virtual machines into one archive, and restore them.\n",
	.options = {program},
	.max_arguments = UINT_MAX,
};

const struct command *commands_find(const char *name)
{
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return NULL;
}
