#include "cli/groups.h"

#include "cli/sources.h"
#include "machine/options.h"
#include "machine/serve/options.h"

#include <limits.h>

const struct option_spec common_specs[] = {
	{"quiet", 'q', OPTION_FLAG, OPTION_FIELD(common_options, report.quiet),
	 .help = "print warnings and errors only"},
	{"verbose", 'v', OPTION_FLAG, OPTION_FIELD(common_options, report.verbose),
	 .help = "report details, if the command has any"},
	{"json", 0, OPTION_FLAG, OPTION_FIELD(common_options, report.json),
	 .help = "print the result as one JSON object"},
	{"progress", 0, OPTION_CHOICE, OPTION_FIELD(common_options, report.progress.when),
	 .argument = "WHEN", .choices = "auto always never",
	 .help = "show progress: auto (on a terminal, unless --quiet), always or never"},
	{"progress-fd", 0, OPTION_NUMBER, OPTION_FIELD(common_options, report.progress.fd),
	 .argument = "N", .max = INT_MAX,
	 .help = "write lines such as 42/100 to file descriptor N"},
	{"help", 'h', OPTION_FLAG, OPTION_FIELD(common_options, help),
	 .help = "print this and exit"},
	OPTIONS_END,
};

const struct option_spec brief_specs[] = {
	{"quiet", 'q', OPTION_FLAG, OPTION_FIELD(common_options, report.quiet),
	 .help = "print warnings and errors only"},
	{"help", 'h', OPTION_FLAG, OPTION_FIELD(common_options, help),
	 .help = "print this and exit"},
	OPTIONS_END,
};

const struct option_spec serving_specs[] = {
	{"quiet", 'q', OPTION_FLAG, OPTION_FIELD(common_options, report.quiet),
	 .help = "print warnings and errors only"},
	{"verbose", 'v', OPTION_FLAG, OPTION_FIELD(common_options, report.verbose),
	 .help = "report details, such as clients that come and go"},
	{"help", 'h', OPTION_FLAG, OPTION_FIELD(common_options, help),
	 .help = "print this and exit"},
	OPTIONS_END,
};

const struct option_spec result_specs[] = {
	{"json", 0, OPTION_FLAG, OPTION_FIELD(common_options, report.json),
	 .help = "print the result as one JSON object"},
	OPTIONS_END,
};

const struct option_spec place_specs[] = {
	{"nbd", 0, OPTION_LIST, OPTION_FIELD(serve_options, nbd), .argument = "PLACE",
	 .help = "where to serve the drives: unix:PATH or HOST:PORT; may be repeated"},
	{"tls-certificates", 0, OPTION_TEXT, OPTION_FIELD(serve_options, tls_certificates),
	 .argument = "DIR",
	 .help = "TLS with ca-cert.pem, server-cert.pem and server-key.pem of DIR"},
	{"tls-psk", 0, OPTION_TEXT, OPTION_FIELD(serve_options, tls_psk), .argument = "FILE",
	 .help = "TLS with the keys of FILE"},
	{"tls-verify-peer", 0, OPTION_FLAG, OPTION_FIELD(serve_options, tls_verify_peer),
	 .help = "require a certificate of clients"},
	{"plain-loopback", 0, OPTION_FLAG, OPTION_FIELD(serve_options, plain_loopback),
	 .help = "allow HOST:PORT without TLS for addresses of this host"},
	OPTIONS_END,
};

const struct option_spec tape_specs[] = {
	{"next-volume", 0, OPTION_TEXT, OPTION_FIELD(common_options, next_volume),
	 .argument = "COMMAND",
	 .help = "run this to put the next tape of an archive into the drive (default: ask at the "
		 "terminal)"},
	OPTIONS_END,
};

const struct option_spec store_specs[] = {
	{"s3-endpoint", 0, OPTION_TEXT, OPTION_FIELD(common_options, s3_endpoint),
	 .argument = "URL",
	 .help = "of the object store of s3://BUCKET/KEY (default: AWS_ENDPOINT_URL)"},
	OPTIONS_END,
};

const struct plain_options plain_defaults = {.common = {COMMON_DEFAULTS}};

const struct option_spec output_specs[] = {
	{"output", 'o', OPTION_OUTPUT, OPTION_FIELD(create_options, name), .argument = "ARCHIVE",
	 .help = "where to write (required); - is standard output, exec:COMMAND the input of a "
		 "command, s3://BUCKET/KEY an object. The name determines the format: .vmab, .vma, "
		 ".vma.zst or .vma.gz"},
	{"format", 0, OPTION_CHOICE, OPTION_FIELD(create_options, format), .argument = "FORMAT",
	 .choices = "vmab vma",
	 .help = "vmab or vma, where the name does not determine it (default: vmab)"},
	{"compress", 0, OPTION_TEXT, OPTION_FIELD(create_options, compress),
	 .argument = "METHOD[:LEVEL]", .choices = "zstd gzip none",
	 .help = "zstd (1 to 19), none, or gzip (1 to 9) for .vma.gz (default: zstd:1; .vma: "
		 "none)"},
	{"no-vma-checksums", 0, OPTION_FLAG, OPTION_FIELD(create_options, no_vma_checksums),
	 .help = "write plain VMA, without checksums of the data"},
	{"record-size", 0, OPTION_SIZE, OPTION_FIELD(create_options, record_size),
	 .argument = "SIZE", .min = SECTOR_SIZE, .max = PADDING_SIZE_MAX,
	 .help = "for tapes: write records of exactly this size, up to 16M, the last padded with "
		 "zeros (default: 256K on a tape)"},
	{"force", 0, OPTION_FLAG, OPTION_FIELD(create_options, force),
	 .help = "replace an existing archive of that name; on a tape, write where it is"},
	{"s3-parts", 0, OPTION_NUMBER, OPTION_FIELD(create_options, s3_parts), .argument = "N",
	 .min = 1, .max = 10000,
	 .help = "the most parts of an object that the store takes (default: 10000; Swift: 1000)"},
	{"retain-until", 0, OPTION_TEXT, OPTION_FIELD(create_options, retain_until),
	 .argument = "YYYY-MM-DD",
	 .help = "of an object: before that day nobody can delete it (object lock)"},
	{"no-sync", 0, OPTION_FLAG, OPTION_FIELD(create_options, no_sync),
	 .help = "do not wait until the archive is safe on disk"},
	OPTIONS_END,
};

const struct option_spec extent_specs[] = {
	{"extent-size", 0, OPTION_SIZE, OPTION_FIELD(create_options, extent_size),
	 .argument = "SIZE", .min = CLUSTER_SIZE, .max = PAYLOAD_SIZE_MAX,
	 .help = "VMAB: compress this much data together, 64K to 4M (default: 1M, or as it is in "
		 "what "
		 "is converted)"},
	OPTIONS_END,
};

const struct option_spec writing_specs[] = {
	{"rate", 0, OPTION_PACE, OPTION_FIELD(create_options, rate), .argument = "RATE",
	 .help = "write at most this much per second, such as 10M, or by local time "
		 "20M@08:00-18:00,0 (default: 0, no limit)"},
	OPTION_THREADS(create_options, threads),
	OPTIONS_END,
};

const struct option_spec consistency_specs[] = {
	{"quiesce", 0, OPTION_CHOICE, OPTION_FIELD(machine_options, quiesce), .argument = "[=try]",
	 .choices = "must try",
	 .help = "libvirt: freeze the guest's file systems while the snapshot is taken; with "
		 "=try continue if that is impossible",
	 .sources = SOURCE_LIBVIRT},
	{"guest-agent", 0, OPTION_TEXT, OPTION_FIELD(machine_options, guest_agent),
	 .argument = "SOCKET",
	 .help = "qemu: freeze the guest's file systems while the snapshot is taken, by its agent",
	 .sources = SOURCE_QEMU},
	{"freeze-command", 0, OPTION_TEXT, OPTION_FIELD(machine_options, freeze_command),
	 .argument = "COMMAND", .help = "run this before the snapshot; needs --thaw-command",
	 .sources = SOURCE_MACHINE},
	{"thaw-command", 0, OPTION_TEXT, OPTION_FIELD(machine_options, thaw_command),
	 .argument = "COMMAND",
	 .help = "run this after the snapshot, even if that fails; needs --freeze-command",
	 .sources = SOURCE_MACHINE},
	{"freeze-timeout", 0, OPTION_NUMBER, OPTION_FIELD(machine_options, freeze_timeout),
	 .argument = "SECONDS", .min = 1, .max = 3600,
	 .help = "how long freezing may take, and then last (default: 10, or 30 for the guest's "
		 "file systems)",
	 .sources = SOURCE_MACHINE},
	OPTIONS_END,
};

const struct option_spec running_specs[] = {
	{"pull", 0, OPTION_FLAG, OPTION_FIELD(machine_options, pull),
	 .help = "qemu: read a snapshot that QEMU keeps on disk: guest writes never wait for "
		 "vmabak, but it takes space",
	 .sources = SOURCE_QEMU},
	{"nbd-server", 0, OPTION_TEXT, OPTION_FIELD(machine_options, qemu_server),
	 .argument = "SOCKET", .help = "with --pull: the NBD server that QEMU already runs",
	 .sources = SOURCE_PULL},
	{"sync", 0, OPTION_CHOICE, OPTION_FIELD(machine_options, sync_mode), .argument = "WHAT",
	 .choices = "top full",
	 .help = "qemu: skip unallocated areas of a qcow2 (top, default), or send everything "
		 "(full)",
	 .sources = SOURCE_PUSH},
	{"connect", 0, OPTION_TEXT, OPTION_FIELD(machine_options, connect), .argument = "URI",
	 .help = "libvirt: the libvirt to connect to, such as qemu:///session (default: that of "
		 "virsh)",
	 .sources = SOURCE_LIBVIRT},
	{"scratch", 0, OPTION_TEXT, OPTION_FIELD(machine_options, scratch), .argument = "DIR",
	 .help = "libvirt, --pull: where QEMU saves what the guest overwrites during the backup "
		 "(default: beside the drives; with --pull /var/tmp)",
	 .sources = SOURCE_LIBVIRT | SOURCE_PULL},
	OPTIONS_END,
};

const struct option_spec resume_specs[] = {
	{"resume", 0, OPTION_FLAG, OPTION_FIELD(create_options, resume),
	 .help = "keep what is written if this breaks off, and go on with what is kept"},
	{"resume-check", 0, OPTION_TEXT, OPTION_FIELD(create_options, resume_check),
	 .argument = "COMMAND",
	 .help = "-o exec: with --resume: prints how many bytes are there, and their SHA-256"},
	OPTIONS_END,
};
