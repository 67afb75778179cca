#include "cli/live.h"

#include "base/human.h"
#include "base/json.h"
#include "cli/groups.h"
#include "cli/live_libvirt.h"
#include "cli/ready.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/sources.h"
#include "cli/summary.h"
#include "device/live.h"

#include <errno.h>
#include <string.h>

const struct option_spec live_specs[] = {
	{"live", 0, OPTION_TEXT, OPTION_FIELD(live_choice, machine), .argument = "MACHINE",
	 .help = "serve the drives until they are restored, then move the machine to them: "
		 "qemu:SOCKET, libvirt:DOMAIN, or any for none"},
	{"control", 0, OPTION_TEXT, OPTION_FIELD(live_choice, serve.control),
	 .argument = "[serve:]SOCKET",
	 .help = "with --live: create a control socket, for status, stop and backups"},
	OPTIONS_END,
};

int live_check(const struct live_choice *choice, struct restore_options *restore, bool define,
	       struct error *err)
{
	const char *place;
	enum source_kind kind;
	bool replaces = restore->force;

	if (choice->machine == NULL) {
		if (choice->serve.nbd.n > 0 || choice->serve.control != NULL)
			return fail(err, ERR_USAGE, "--nbd and --control: only with --live");
		return 0;
	}
	kind = source_of(choice->machine, &place);
	if (strcmp(choice->machine, "any") != 0 &&
	    ((kind != SOURCE_QEMU && kind != SOURCE_LIBVIRT) || *place == '\0'))
		return fail(err, ERR_USAGE, "--live %s: must be any, qemu:SOCKET or libvirt:DOMAIN",
			    choice->machine);
	/* Before files are made; a domain of libvirt has a place of its own. */
	if (choice->serve.nbd.n == 0 && kind != SOURCE_LIBVIRT)
		return fail(err, ERR_USAGE,
			    "--nbd is needed: unix:PATH, or HOST:PORT, where drives are served");
	if (restore->force && kind == SOURCE_LIBVIRT && !restore->rollback)
		replaces = false; /* it replaces a definition then */
	if (define || replaces || restore->configs || restore->no_sync || restore->resume)
		return fail(err, ERR_USAGE,
			    "--live makes new files of drives: it does not go with --force, "
			    "--rollback, --resume, --configs, --no-sync or --define");
	restore->no_configs = true;
	return 0;
}

static void put_json(const struct live *live, struct json_t *result)
{
	const struct archive *archive = view_archive(live_view(live));
	const struct restore_plan *plan = live_plan(live);
	struct json_t *list = json_put_array(result, "drives");

	json_put_text(result, "archive", view_name(live_view(live)));
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		struct json_t *one;

		if (plan->drive_paths[i] == NULL)
			continue;
		one = json_add_object(list);
		json_put_bytes(one, "name", archive->drives[i].name);
		json_put_number(one, "size_bytes", archive->drives[i].size_bytes);
		json_put_text(one, "target", plan->drive_paths[i]);
		json_put_number(one, "excess_bytes", 0);
	}
	summary_put_configs(plan, result);
	json_put_number(result, "archive_bytes", live_counts(live).archive_bytes);
	json_put_number(result, "written_bytes", live_counts(live).written_bytes);
	json_put_real(result, "duration_s", progress_seconds());
}

static void tell(const struct live *live, struct report *report)
{
	struct live_counts counts = live_counts(live);
	char size[HUMAN_SIZE], time[HUMAN_SIZE];

	if (report->result != NULL) {
		put_json(live, report->result);
		return;
	}
	report_done(report, view_name(live_view(live)), "%u drive%s (%s) restored%s in %s",
		    live_plan(live)->n_drives, live_plan(live)->n_drives == 1 ? "" : "s",
		    human_size(size, counts.drive_bytes),
		    counts.moved ? ", and the machine moved," : "",
		    human_duration(time, progress_seconds()));
}

static int run(struct live *live, struct report *report)
{
	struct error err = {0}, other = {0};
	int code = live_run(live, &err) < 0 ? report_error(report, NULL, &err) : EXIT_DONE;

	if (code == EXIT_DONE)
		tell(live, report);
	if (live_close(live, &other) < 0 && code == EXIT_DONE)
		code = report_error(report, NULL, &other);
	return code;
}

bool live_is_libvirt(const struct live_choice *choice)
{
	const char *place;

	return choice->machine != NULL && source_of(choice->machine, &place) == SOURCE_LIBVIRT;
}

/* Open, and until it is done. */
static int open_and_run(const struct live_options *options, const struct strings *archives,
			struct report *report)
{
	struct error err = {0};
	struct live *live;

	if (live_open(&live, options, &report->watcher, &err) < 0)
		return report_error(report, err.has_place ? archives->items[0] : NULL, &err);
	ready_notify();
	return run(live, report);
}

int live_restore(const struct live_choice *choice, const struct restore_options *restore,
		 const struct strings *archives, struct report *report)
{
	struct live_options options = {
		.view = {.archives = *archives,
			 .folders = restore->folders,
			 .n_threads = (unsigned)restore->threads},
		.restore = *restore,
		.serve = choice->serve,
	};
	struct live_libvirt_options domain = {.connect = choice->connect};
	struct live_libvirt *libvirt = NULL;
	struct error err = {0};
	int code;

	if (live_is_libvirt(choice))
		source_of(choice->machine, &domain.domain);
	else if (strcmp(choice->machine, "any") != 0)
		source_of(choice->machine, &options.monitor);
	if (options.serve.control != NULL &&
	    source_place(options.serve.control, SOURCE_SERVE, &options.serve.control, &err) < 0)
		return report_error(report, NULL, &err);
	if (!signals_taken()) {
		fail_start(&err, EAGAIN, "cannot start a thread");
		return report_error(report, NULL, &err);
	}
	if (domain.domain != NULL &&
	    live_libvirt_open(&libvirt, &domain, &options, &report->watcher, &err) < 0)
		return report_error(report, NULL, &err);
	code = open_and_run(&options, archives, report);
	live_libvirt_close(libvirt);
	return code;
}
