#include "device/boot.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/grain.h"
#include "base/patience.h"
#include "base/watcher.h"
#include "device/boot_folder.h"
#include "device/qemu.h"
#include "machine/qemu/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_AGENT_MS 2000 /* between two tries */
#define STEP_MS	     500
#define END_MS	     5000 /* after its output has ended */

struct boot {
	const struct boot_options *options;
	struct boot_result *result;
	struct boot_folder folder;	 /* ours alone: two sockets */
	char *nbd, *serve_place, *agent; /* owned: paths in it, and the place of NBD */
	struct export *export;
	struct qemu_line line;
	struct child qemu;
	int64_t began_ms, until_ms, asked_ms;
	char tail[2 * BOOT_TAIL]; /* the last that the console said */
	size_t n_tail;
};

/* ---- the console ---- */

static bool contains(const struct boot *boot)
{
	const char *expect = boot->options->expect;

	return expect != NULL && memmem(boot->tail, boot->n_tail, expect, strlen(expect)) != NULL;
}

/* Half of what there is room for is kept, and so more than any text that is looked for. */
static bool read_console(struct boot *boot, bool *ended)
{
	size_t room;
	ssize_t got;

	if (boot->n_tail == sizeof(boot->tail)) {
		memmove(boot->tail, boot->tail + BOOT_TAIL, BOOT_TAIL);
		boot->n_tail = BOOT_TAIL;
	}
	room = sizeof(boot->tail) - boot->n_tail;
	got = read(boot->qemu.out, boot->tail + boot->n_tail, room);
	*ended = got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
	if (got > 0)
		boot->n_tail += (size_t)got;
	return got > 0 && contains(boot);
}

/* ---- the agent ---- */

static bool agent_answers(struct boot *boot)
{
	int64_t left_ms = boot->until_ms - clock_ms();
	int within_ms = (int)least((uint64_t)(left_ms > 0 ? left_ms : 0), PATIENCE_AGENT_S * 1000);
	struct agent *agent = NULL;
	struct error ignored;

	if (!boot->options->guest_agent || clock_ms() < boot->asked_ms + ASK_AGENT_MS)
		return false;
	if (agent_open(&agent, boot->agent, within_ms, &ignored) != 0) {
		boot->asked_ms = clock_ms();
		return false;
	}
	agent_close(agent);
	return true;
}

/* ---- the run ---- */

static enum boot_end watch(struct boot *boot)
{
	struct pollfd polls[2] = {{.fd = boot->qemu.out, .events = POLLIN},
				  {.fd = export_end_fd(boot->export), .events = POLLIN}};
	bool ended = false;

	while (clock_ms() < boot->until_ms) {
		if (poll(polls, 2, STEP_MS) < 0 && errno != EINTR)
			return BOOT_ENDED;
		if (polls[1].revents != 0)
			return BOOT_STOPPED;
		if (polls[0].revents != 0 && read_console(boot, &ended) &&
		    !boot->options->guest_agent)
			return BOOT_LIVES;
		if (ended)
			return BOOT_ENDED;
		if (agent_answers(boot))
			return BOOT_LIVES;
	}
	return BOOT_SILENT;
}

static int make_folder(struct boot *boot, struct error *err)
{
	TRY(boot_folder_make(&boot->folder, err));
	boot->nbd = text_make("%s/nbd", boot->folder.path);
	boot->serve_place = text_make("unix:%s/nbd", boot->folder.path);
	boot->agent = text_make("%s/agent", boot->folder.path);
	return boot->nbd != NULL && boot->serve_place != NULL && boot->agent != NULL
		       ? 0
		       : fail_memory(err);
}

static int serve(struct boot *boot, const struct watcher *watcher, struct error *err)
{
	static const char *const devices[] = {"/dev/kvm", NULL};
	struct export_options how = boot->options->export;
	const char *places[] = {boot->serve_place};

	how.serve.nbd = (struct strings){places, 1};
	how.devices = devices;
	how.folder = boot->folder.path;
	how.quiet = true;
	if (how.overlay == NULL)
		how.overlay = "memory";
	return export_open(&boot->export, &how, watcher, err);
}

/* It is as confined as we are: it can write nothing but its sockets. */
static int start_qemu(struct boot *boot, bool kvm, struct error *err)
{
	const struct view *view = export_view(boot->export);
	struct qemu_wish wish = {
		.program = boot->options->qemu,
		.more = &boot->options->arguments,
		.memory_mib = boot->options->memory_bytes >> 20,
		.kvm = kvm,
		.nbd = boot->nbd,
		.agent = boot->options->guest_agent ? boot->agent : NULL,
	};
	char **names = export_names(boot->export);
	struct child_options how = {.argv = (const char *const *)boot->line.words,
				    .out = CHILD_PIPE,
				    .err = CHILD_PIPE,
				    .session = true,
				    .dies_with_us = true};
	int code = names == NULL
			   ? fail_memory(err)
			   : qemu_line_make(&boot->line, &wish, view_archive(view), names, err);

	free(names);
	TRY(code);
	boot->began_ms = clock_ms();
	boot->until_ms = boot->began_ms + (int64_t)boot->options->timeout_s * 1000;
	TRY(child_start(&boot->qemu, &how, err));
	return 0;
}

/* Lines of a console, without what steers a terminal. */
static void take_console(struct boot *boot)
{
	size_t skip = boot->n_tail > BOOT_TAIL ? boot->n_tail - BOOT_TAIL : 0, n = 0;

	for (size_t i = skip; i < boot->n_tail; i++) {
		char c = boot->tail[i];

		if (c == '\n' || (c >= ' ' && c <= '~'))
			boot->result->console[n++] = c;
	}
	boot->result->console[n] = '\0';
}

static void stop_qemu(struct boot *boot)
{
	child_kill(&boot->qemu);
	child_close(&boot->qemu);
	qemu_line_free(&boot->line);
	boot->qemu = CHILD_NONE;
	if (boot->agent != NULL)
		unlink(boot->agent);
}

/* In one line. */
static void take_complaint(struct boot *boot)
{
	char *text = boot->result->complaint;
	size_t n;

	child_words(&boot->qemu, STEP_MS, text, sizeof(boot->result->complaint));
	for (n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
		text[n - 1] = '\0';
	for (; (text = strchr(text, '\n')) != NULL; text++)
		*text = ' ';
}

static int try(struct boot *boot, bool kvm, struct error *err)
{
	struct boot_result *result = boot->result;

	TRY(start_qemu(boot, kvm, err));
	result->end = watch(boot);
	result->seconds = (double)(clock_ms() - boot->began_ms) / 1000;
	result->complaint[0] = '\0';
	if (result->end == BOOT_ENDED)
		take_complaint(boot);
	return 0;
}

/* A machine that did anything ends with 0. */
static int check_start(struct boot *boot, struct error *err)
{
	if (boot->result->end != BOOT_ENDED || boot->n_tail > 0 ||
	    !child_wait(&boot->qemu, END_MS) || boot->qemu.status <= 0)
		return 0;
	return fail(err, ERR_SYSTEM, "the machine did not start: %s ended with %d%s%s",
		    boot->options->qemu, boot->qemu.status,
		    boot->result->complaint[0] != '\0' ? ": " : "", boot->result->complaint);
}

static int run(struct boot *boot, const struct watcher *watcher, struct error *err)
{
	bool kvm = access("/dev/kvm", R_OK | W_OK) == 0;

	TRY(make_folder(boot, err));
	TRY(serve(boot, watcher, err));
	TRY(try(boot, kvm, err));
	if (kvm && boot->result->end == BOOT_ENDED && boot->n_tail == 0) {
		watcher_note(watcher, "QEMU does not run with KVM here: again without");
		stop_qemu(boot);
		TRY(try(boot, false, err));
	}
	TRY(check_start(boot, err));
	take_console(boot);
	boot->result->counts = export_counts(boot->export);
	return 0;
}

/* What the guest wrote may have to be kept. */
static int clean_up(struct boot *boot, struct error *err)
{
	int code = 0;

	stop_qemu(boot);
	if (boot->export != NULL)
		code = export_close(boot->export, err);
	boot_folder_remove(&boot->folder);
	free(boot->nbd);
	free(boot->serve_place);
	free(boot->agent);
	return code;
}

int boot_run(struct boot_result *out, const struct boot_options *options,
	     const struct watcher *watcher, struct error *err)
{
	struct boot boot = {
		.options = options, .result = out, .folder = {.fd = -1}, .qemu = CHILD_NONE};
	struct error ignored;
	int code, closed;

	*out = (struct boot_result){0};
	code = run(&boot, watcher, err);
	closed = clean_up(&boot, code == 0 ? err : &ignored);
	return code != 0 ? code : closed;
}
