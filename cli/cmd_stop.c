#include "cli/commands.h"
#include "machine/serve/message.h"

#include <unistd.h>

/* The server answers when all is flushed and closed. */
static int stop(const struct options *options, struct report *report, struct error *err)
{
	struct control_server server = {.path = options->arguments.items[0]};
	struct json_t *request, *reply;
	int code;

	if (control_connect(&server.fd, server.path, err) < 0)
		return err->code;
	request = control_request("stop");
	json_put_bool(request, "force", options->force);
	code = control_call(&server, request, &reply, NULL, err);
	if (code == 0 && json_member_text(reply, "warning") != NULL)
		report_warning(report, "%s; it begins anew", json_member_text(reply, "warning"));
	if (code == 0)
		json_free(reply);
	close(server.fd);
	return code;
}

int cmd_stop(const struct options *options, struct report *report)
{
	struct error err = {0};

	json_put_text(report->result, "control", options->arguments.items[0]);
	return stop(options, report, &err) < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}
