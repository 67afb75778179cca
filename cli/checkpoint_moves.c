/*
 * vmabak checkpoint export, import, send, receive and migrate.
 */
#include "cli/checkpoint_task.h"

#include "base/child.h"
#include "base/io.h"
#include "base/json.h"
#include "base/newfile.h"
#include "base/patience.h"
#include "cli/report.h"
#include "machine/moves.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct option_spec checkpoint_move_specs[] = {
	{"output", 'o', OPTION_TEXT, OPTION_FIELD(checkpoint_moving, output), .argument = "FILE",
	 .help = "export: the file to write, - for standard output"},
	{"dump", 0, OPTION_TEXT, OPTION_FIELD(checkpoint_moving, dump), .argument = "FILE",
	 .help = "send, migrate: if the other side is lost, export to this file instead"},
	{"to-state", 0, OPTION_TEXT, OPTION_FIELD(checkpoint_moving, to_state), .argument = "DIR",
	 .help = "migrate: the state folder of the qemu: that they go to"},
	{"unwritten", 0, OPTION_FLAG, OPTION_FIELD(checkpoint_moving, unwritten),
	 .help = "import, receive, migrate: the drives were not written to between the "
		 "machine's end there and the beginning of the record here"},
	{"chunk-size", 0, OPTION_SIZE, OPTION_FIELD(checkpoint_moving, chunk_bytes),
	 .argument = "SIZE", .min = ARRIVAL_CHUNK_MIN, .max = ARRIVAL_CHUNK_MAX,
	 .help = "bits go in chunks of this many bytes (default: 1K)"},
	{"answers", 0, OPTION_FLAG, OPTION_FIELD(checkpoint_moving, answers),
	 .help = "receive: answer on standard output, for migrate to exec:COMMAND"},
	OPTIONS_END,
};

/* ---- what is told ---- */

static void tell(struct task *task, const struct move_counts *counts)
{
	struct report *report = task->report;

	json_put_text(report->result, "checkpoint", task->name);
	json_put_number(report->result, "n_parts", counts->n_parts);
	json_put_number(report->result, "n_chunks", counts->n_chunks);
	json_put_number(report->result, "kept_chunks", counts->n_kept);
	json_put_number(report->result, "changed_clusters", counts->n_changed);
}

static struct move_end end_of(const struct task *task)
{
	return (struct move_end){task->kind, task->source, &task->list};
}

static int send_to(struct task *task, struct move_sink *sink, struct error *err)
{
	const struct move_end from = end_of(task);
	uint32_t chunk_bytes = (uint32_t)task->command->moving.chunk_bytes;
	struct move_counts counts;
	int code;

	if (chunk_bytes % 8 != 0)
		return fail(err, ERR_USAGE, "--chunk-size: must be a multiple of 8");
	code = moves_send(&from, task->name, chunk_bytes, sink, &counts, err);
	if (code == 0)
		tell(task, &counts);
	return code;
}

/* ---- out ---- */

static int write_to(struct task *task, int fd, struct error *err)
{
	struct move_stream *stream;
	struct move_sink sink;
	int code;

	TRY(move_stream_new(&stream, &sink, fd, -1, err));
	code = send_to(task, &sink, err);
	move_stream_free(stream);
	return code;
}

static int write_file(struct task *task, const char *path, struct error *err)
{
	struct newfile *file;
	int fd, code;

	TRY(moves_check_path(path, err));
	TRY(newfile_create(&file, &fd, path, err));
	code = write_to(task, fd, err);
	if (code == 0 && fsync(fd) != 0)
		code = fail_system(err, errno, "%s", path);
	close(fd);
	if (code == 0)
		code = moves_check_path(path, err);
	if (code == 0)
		code = newfile_publish(file, true, true, err);
	newfile_free(file);
	return code;
}

/* The other side is lost: the state goes to a file, from which it can be imported later. */
static int dump(struct task *task, const struct error *why, struct error *err)
{
	const char *path = task->command->moving.dump;
	struct error failed = {0};

	if (path == NULL || write_file(task, path, &failed) == 0)
		return path == NULL ? err->code
				    : fail(err, why->code,
					   "%s; all of it is in %s now, for checkpoint import",
					   why->text, path);
	return fail(err, failed.code, "%s; and it could not be dumped: %s", why->text, failed.text);
}

int checkpoint_export(struct task *task, struct error *err)
{
	const char *path = task->command->moving.output;

	if (path == NULL)
		return fail(err, ERR_USAGE, "checkpoint export: -o FILE is missing");
	if (strcmp(path, "-") == 0)
		return checkpoint_send(task, err);
	return write_file(task, path, err);
}

int checkpoint_send(struct task *task, struct error *err)
{
	struct error why = {0};
	int code, sys;

	report_use(task->report, &task->report->options, "-");
	code = write_to(task, STDOUT_FILENO, err);
	if (code == 0 && (sys = io_sync(STDOUT_FILENO)) != 0)
		code = fail_system(err, sys, "standard output: syncing");
	why = *err;
	return code != 0 && err->sys == EPIPE ? dump(task, &why, err) : code;
}

/* ---- in ---- */

static int read_from(struct task *task, int fd, const char *name, int answers, struct error *err)
{
	struct move_machine machine = {.to = end_of(task),
				       .trust = task->command->moving.unwritten,
				       .is_stored = answers < 0};
	struct move_counts counts;
	int code = moves_receive(fd, name, answers, &machine, &counts, err);

	move_machine_free(&machine);
	if (code == 0)
		tell(task, &counts);
	return code;
}

int checkpoint_import(struct task *task, struct error *err)
{
	const char *path = task->name;
	int fd, code;

	task->name = NULL;
	if (strcmp(path, "-") == 0)
		return read_from(task, STDIN_FILENO, "standard input", -1, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_system(err, errno, "%s", path);
	code = read_from(task, fd, path, -1, err);
	close(fd);
	return code;
}

int checkpoint_receive(struct task *task, struct error *err)
{
	bool answers = task->command->moving.answers;

	if (answers)
		report_use(task->report, &task->report->options, "-");
	return read_from(task, STDIN_FILENO, "standard input", answers ? STDOUT_FILENO : -1, err);
}

/* ---- from one to another ---- */

/* All was answered. What carries it on may fail even so, and has not said yet that it did not. */
static int await_end(struct child *child, struct error *err)
{
	close(child->in);
	child->in = -1;
	if (!child_wait(child, PATIENCE_ANSWER_S * 1000))
		return fail(err, ERR_SYSTEM,
			    "all of it has come, but the command has not ended within %d s",
			    PATIENCE_ANSWER_S);
	return child->status == 0
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "all of it has come, but the command failed with exit code %d",
			      child->status);
}

static int migrate_to_program(struct task *task, const char *command, struct error *err)
{
	const char *const argv[] = {"sh", "-c", command, NULL};
	struct child_options how = {.argv = argv,
				    .program = "/bin/sh",
				    .in = CHILD_PIPE,
				    .out = CHILD_PIPE,
				    .err = CHILD_KEEP,
				    .secrets = true,
				    .dies_with_us = true};
	struct child child = CHILD_NONE;
	struct move_stream *stream = NULL;
	struct move_sink sink = {0};
	struct error why = {0};
	int code;

	TRY(child_start(&child, &how, err));
	code = move_stream_new(&stream, &sink, child.in, child.out, err);
	if (code == 0)
		code = send_to(task, &sink, err);
	move_stream_free(stream);
	if (code == 0)
		code = await_end(&child, err);
	child_close(&child);
	why = *err;
	return code < 0 && sink.lost ? dump(task, &why, err) : code;
}

static int migrate_to_machine(struct task *task, struct task *to, struct error *err)
{
	struct move_machine machine = {.trust = task->command->moving.unwritten};
	struct move_sink sink;
	struct error why;
	int code = to->kind->list(to->source, &to->list, err);

	machine.to = end_of(to);
	if (code == 0)
		code = move_machine_sink(&sink, &machine, err);
	if (code == 0)
		code = send_to(task, &sink, err);
	move_machine_free(&machine);
	checkpoint_list_free(&to->list);
	why = *err;
	return code == ERR_SYSTEM && machine.refused.code == 0 ? dump(task, &why, err) : code;
}

int checkpoint_migrate(struct task *task, struct error *err)
{
	static const char exec[] = "exec:";
	struct machine_options options = task->command->machine;
	struct task to = {.command = task->command, .report = task->report};
	struct error why;
	int code;

	if (strncmp(task->to, exec, sizeof(exec) - 1) == 0)
		return migrate_to_program(task, task->to + sizeof(exec) - 1, err);
	TRY(checkpoint_find_kind(task->to, &options, &to.kind, err));
	options.state = task->command->moving.to_state;
	if (to.kind->open(&to.source, &options, &task->report->watcher, err) < 0) {
		why = *err;
		return err->code == ERR_SYSTEM ? dump(task, &why, err) : err->code;
	}
	code = migrate_to_machine(task, &to, err);
	to.kind->close(to.source);
	return code;
}
