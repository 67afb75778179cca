#include "base/human.h"
#include "base/json.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "base/stop.h"
#include "device/boot.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct test_command {
	struct common_options common;
	struct boot_options boot;
};

static const struct test_command defaults = {
	.common = {COMMON_DEFAULTS},
	.boot = {.timeout_s = 300, .qemu = "qemu-system-x86_64"},
};

static const struct option_spec specs[] = {
	{"expect", 0, OPTION_TEXT, OPTION_FIELD(boot_options, expect), .argument = "TEXT",
	 .help = "what the serial console has to say (default: login:)"},
	{"guest-agent", 0, OPTION_FLAG, OPTION_FIELD(boot_options, guest_agent),
	 .help = "instead of that, the QEMU guest agent has to answer"},
	{"timeout", 0, OPTION_NUMBER, OPTION_FIELD(boot_options, timeout_s), .argument = "S",
	 .min = 1, .max = 86400, .help = "give up after so many seconds (default: 300)"},
	{"overlay", 0, OPTION_TEXT, OPTION_FIELD(boot_options, export.overlay), .argument = "FILE",
	 .help = "keep what the guest writes in FILE (default: memory)"},
	OPTION_CACHE(boot_options, export.view.cache_bytes),
	OPTION_PARENTS(boot_options, export.view.folders),
	{"memory", 0, OPTION_SIZE, OPTION_FIELD(boot_options, memory_bytes), .argument = "SIZE",
	 .min = 16u << 20, .max = INT64_MAX,
	 .help = "the guest's memory (default: as its config says, else 1G)"},
	{"qemu", 0, OPTION_TEXT, OPTION_FIELD(boot_options, qemu), .argument = "PROGRAM",
	 .help = "the QEMU to run (default: qemu-system-x86_64)"},
	{"qemu-argument", 0, OPTION_LIST, OPTION_FIELD(boot_options, arguments), .argument = "ARG",
	 .help = "one more argument for it; may be repeated"},
	OPTIONS_END,
};

/* Whatever came of it. */
static void put_result(const struct boot_options *options, const struct boot_result *result,
		       struct json_t *object)
{
	json_put_text(object, "archive", options->export.view.archives.items[0]);
	json_put_bool(object, "booted", result->end == BOOT_LIVES);
	json_put_real(object, "duration_s", result->seconds);
	json_put_number(object, "decoded_extents", result->counts.n_decoded);
	json_put_number(object, "damaged_extents", result->counts.n_damaged);
	json_put_number(object, "read_bytes", result->counts.read_bytes);
}

static void tell_console(struct report *report, const struct boot_result *result)
{
	const char *text = result->console, *last = text + strlen(text);
	unsigned n_lines = 0;

	/* The last ten lines that say something. */
	while (last > text && n_lines < 10)
		n_lines += *--last == '\n' && last[1] != '\n';
	for (last += *last == '\n'; *last != '\0'; last += *last == '\n') {
		size_t n = strcspn(last, "\n");

		if (n > 0)
			report_note(report, "console: %.*s", (int)n, last);
		last += n;
	}
}

static int tell(const struct boot_options *options, const struct boot_result *result,
		struct report *report)
{
	const char *name = options->export.view.archives.items[0];
	const char *what = options->guest_agent ? "its guest agent" : options->expect;
	char time[HUMAN_SIZE];
	struct error err = {0};

	human_duration(time, result->seconds);
	put_result(options, result, report->result);
	watcher_detail(&report->watcher, "%llu extents decoded, %llu bytes of archives read",
		       (unsigned long long)result->counts.n_decoded,
		       (unsigned long long)result->counts.read_bytes);
	if (result->end == BOOT_LIVES) {
		report_done(report, name, "booted: %s%s%s after %s",
			    options->guest_agent ? "" : "'", what,
			    options->guest_agent ? " answered" : "'", time);
		return result->counts.n_damaged == 0 ? EXIT_DONE : EXIT_DAMAGED;
	}
	if (result->end == BOOT_STOPPED)
		return 128 + stop_signal();
	tell_console(report, result);
	if (result->end == BOOT_SILENT)
		fail(&err, ERR_DAMAGED, "%s: no sign of life within %s: %s%s%s did not come", name,
		     time, options->guest_agent ? "an answer of " : "'", what,
		     options->guest_agent ? "" : "'");
	else
		fail(&err, ERR_DAMAGED, "%s: the machine ended after %s%s%s", name, time,
		     *result->complaint != '\0' ? ": " : "", result->complaint);
	return report_error(report, NULL, &err);
}

static int run(const void *given, struct report *report)
{
	const struct test_command *command = given;
	struct boot_options options = command->boot;
	struct boot_result result;
	struct error err = {0};

	options.export.view.archives = command->common.arguments;
	if (options.expect != NULL && options.guest_agent) {
		fail(&err, ERR_USAGE, "--expect and --guest-agent: only one of them");
		return report_error(report, NULL, &err);
	}
	if (options.expect == NULL)
		options.expect = "login:";
	if (*options.expect == '\0' || strlen(options.expect) > BOOT_TAIL) {
		fail(&err, ERR_USAGE, "--expect: 1 to %u bytes", BOOT_TAIL);
		return report_error(report, NULL, &err);
	}
	if (!signals_taken()) {
		fail_start(&err, EAGAIN, "cannot start a thread");
		return report_error(report, NULL, &err);
	}
	if (boot_run(&result, &options, &report->watcher, &err) < 0)
		return report_error(
			report, err.has_place ? options.export.view.archives.items[0] : NULL, &err);
	return tell(&options, &result, report);
}

const struct command command_test = {
	.name = "test",
	.usage = "ARCHIVE... [OPTION]...",
	.operand = "ARCHIVE",
	.summary = "boot an archive under QEMU and look for a sign of life",
	.help = "Boot the machine of an archive as it was at its instant, under QEMU, without\n"
		"restoring it: its drives are those of vmabak export, what it writes goes to\n"
		"memory, and it has no network. Once its serial console says the TEXT, or its\n"
		"guest agent answers, it is switched off, and the time is printed. With KVM\n"
		"where there is, else slowly without.\n"
		"\n"
		"Memory, processors, buses and UEFI are taken from qemu-server.conf or\n"
		"libvirt.xml of the archive; without them 1 GiB, one processor, virtio.\n"
		"Exit code 4: no sign of life, or something that it read is damaged.\n"
		"\n"
		"Example:\n"
		"  vmabak test web.vmab --timeout 600 --expect 'web login:'\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct test_command, boot)},
		   {NULL, result_specs, 0},
		   {NULL, serving_specs, 0},
		   {NULL, store_specs, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = UINT_MAX,
};
