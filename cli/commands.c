#include "cli/commands.h"

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
	       "zeros"),
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

static const struct option_spec program[] = {
	FLAG("help", 'h', help, "print this and exit"),
	FLAG("version", 'V', version, "print the version, features and libraries, and exit"),
	FLAG("json", 0, json, "print the version as one JSON object"),
	NO_MORE,
};

static const char backup_help[] =
	"Back up the drives and configuration files of a virtual machine into one archive.\n"
	"\n"
	"A DRIVE is a raw image, a block device, or a qcow2, vmdk, vdi or vhdx image (those\n"
	"through qemu-nbd). Its format is told by the ending of its name or by ,format=FMT, never\n"
	"by its content. Drives without a NAME are called disk0, disk1 and so on, by position.\n"
	"The archive appears under its name only when it is complete.\n"
	"\n"
	"Example:\n"
	"  vmabak backup -o web.vmab -c web.conf root=/dev/vg0/web data=web-data.qcow2\n";

static const char restore_help[] =
	"Restore drives and configs from an archive: each drive to DIR/NAME.raw or to the TARGET\n"
	"given with --drive, each config to DIR/NAME. Zeros become holes. Every checksum is\n"
	"verified before its data is written, and new files appear only when all went well.\n"
	"\n"
	"A TARGET is a file or, with --force, a block device. A drive whose name is not usable as\n"
	"a file name is reached by its number: --drive @2=TARGET.\n"
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

static const char convert_help[] =
	"Write an archive again in another format or compression. The uuid, the time, notes and\n"
	"configs stay; every checksum is verified on the way. What VMA cannot carry is left out\n"
	"with a warning.\n"
	"\n"
	"Example:\n"
	"  vmabak convert vzdump-qemu-100.vma.zst -o web.vmab\n";

const struct command commands[] = {
	{"backup",
	 cmd_backup,
	 "[-o ARCHIVE|-] [OPTION]... [NAME=]DRIVE[,format=FMT]...",
	 "back up drives and configs into an archive",
	 backup_help,
	 {output, backup, writing, common},
	 0,
	 DRIVES_MAX,
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
