#include "cli/group_increment.h"

#include "archive/create.h"
#include "archive/increment.h"
#include "archive/open.h"
#include "base/human.h"
#include "base/json.h"
#include "base/name.h"
#include "base/parse.h"
#include "cli/report.h"
#include "cli/sources.h"

#include <stdio.h>
#include <string.h>

#define INCREMENTAL_REQUIRE 2u /* of the choices below */

const struct option_spec increment_specs[] = {
	{"audit", 0, OPTION_TEXT, OPTION_FIELD(increment_choice, audit), .argument = "SHARE",
	 .choices = "1/30 0",
	 .help = "read this share, 1/K, of what a change list leaves out, another part each time, "
		 "to prove the list (default: 1/30, of pushed and served drives 1/100); 0: only "
		 "samples"},
	{"strict", 0, OPTION_FLAG, OPTION_FIELD(increment_choice, strict),
	 .help = "fail if a change list is found wrong, instead of comparing all of the drive"},
	{"since-unchecked", 0, OPTION_FLAG, OPTION_FIELD(increment_choice, since_unchecked),
	 .help = "use a change list even if nothing shows that it begins at the parent's instant",
	 .sources = SOURCE_DRIVES},
	{"token", 0, OPTION_LIST, OPTION_FIELD(increment_choice, tokens), .argument = "NAME=TEXT",
	 .help = "store what the instant of drive NAME is called where it comes from, for the next "
		 "change list; may be repeated"},
	{"incremental", 0, OPTION_CHOICE, OPTION_FIELD(increment_choice, incremental),
	 .argument = "WHAT", .choices = "prefer require",
	 .help = "store a drive that the parent lacks in full (prefer, default), or fail "
		 "(require)"},
	OPTIONS_END,
};

/* "1/K" or "0" */
static bool parse_audit(const char *text, uint32_t *slices)
{
	uint64_t k = PROOF_SLICES;

	if (text != NULL && strcmp(text, "0") == 0)
		k = 0;
	else if (text != NULL && (strncmp(text, "1/", 2) != 0 || !parse_number(text + 2, &k) ||
				  k < 1 || k > PROOF_SLICES_MAX))
		return false;
	*slices = (uint32_t)k;
	return true;
}

int increment_choice_check(const struct increment_choice *choice, bool has_parent,
			   struct error *err)
{
	const char *alone = choice->audit != NULL      ? "audit"
			    : choice->strict	       ? "strict"
			    : choice->since_unchecked  ? "since-unchecked"
			    : choice->incremental != 0 ? "incremental"
						       : NULL;
	uint32_t slices;

	if (!parse_audit(choice->audit, &slices))
		return fail(err, ERR_USAGE, "--audit '%.100s': must be 1/K, K from 1 to %u, or 0",
			    choice->audit, PROOF_SLICES_MAX);
	if (alone != NULL && !has_parent)
		return fail(err, ERR_USAGE, "--%s needs --parent", alone);
	for (unsigned i = 0; i < choice->tokens.n; i++) {
		if (name_prefix(choice->tokens.items[i]) == 0)
			return fail(err, ERR_USAGE, "--token '%.100s': must be NAME=TEXT",
				    choice->tokens.items[i]);
	}
	return 0;
}

static int set_token(struct create *create, const char *argument, struct error *err)
{
	const struct archive *archive = create->archive;
	size_t length = name_prefix(argument);

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const struct text *name = &archive->drives[i].name;

		if (name->length == length && memcmp(name->bytes, argument, length) == 0)
			return create_set_token(create, i, argument + length + 1, err);
	}
	return fail(err, ERR_USAGE, "--token '%.100s': there is no drive %.*s", argument,
		    (int)length, argument);
}

bool increment_required(const struct increment_choice *choice)
{
	return choice->incremental == INCREMENTAL_REQUIRE;
}

static struct increment_options options_of(const struct increment_choice *choice,
					   const struct create *create)
{
	struct increment_options options = {
		.proof = {.strict = choice->strict,
			  .since_unchecked = choice->since_unchecked,
			  .n_threads = threads_wanted(create->options->threads)},
		.require = increment_required(choice),
	};

	parse_audit(choice->audit, &options.proof.slices);
	return options;
}

int increment_name(const struct increment_choice *choice, struct create *create,
		   struct changes *const *changes, struct report *report, struct error *err)
{
	struct increment_options options = options_of(choice, create);

	for (unsigned i = 0; i < choice->tokens.n; i++)
		TRY(set_token(create, choice->tokens.items[i], err));
	TRY(increment_tokens(create, changes, err));
	if (create->parent.found.sums != NULL)
		return increment_check(create, changes, &options, &report->watcher, err);
	return options.require ? fail(err, ERR_USAGE,
				      "there is no parent, which --incremental require excludes")
			       : 0;
}

int increment_apply(const struct increment_choice *choice, struct create *create,
		    struct drive *const *drives, struct changes *const *changes,
		    struct report *report, struct error *err)
{
	struct increment_options options = options_of(choice, create);

	return create->parent.found.sums == NULL
		       ? 0
		       : increment_prove(create, drives, changes, &options, &report->watcher, err);
}

int increment_apply_live(const struct increment_choice *choice, struct create *create,
			 uint32_t drive, struct changes *list, const struct proof_live *live,
			 struct report *report, struct error *err)
{
	struct increment_options options = options_of(choice, create);

	if (choice->audit == NULL)
		options.proof.slices = PROOF_SLICES_LIVE;
	return increment_prove_live(create, drive, list, live, &options, &report->watcher, err);
}

static const char *verdict_name(const struct drive_proof *proof)
{
	return proof->verdict == PROOF_RIGHT ? "right" : "wrong";
}

void increment_put_mark(const struct drive_mark *mark, struct json_t *result)
{
	const struct drive_proof *proof = &mark->proof;
	struct json_t *one;

	if (mark->token.length > 0)
		json_put_bytes(result, "token", mark->token);
	else
		json_put_null(result, "token");
	json_put_number(result, "left_out_bytes", mark->left_out_bytes);
	if (proof->verdict == PROOF_NONE) {
		json_put_null(result, "proof");
		return;
	}
	one = json_put_object(result, "proof");
	json_put_text(one, "list", verdict_name(proof));
	json_put_number(one, "listed_clusters", proof->n_listed);
	json_put_number(one, "unchanged_clusters", proof->n_unchanged);
	json_put_number(one, "right_clusters", proof->n_right);
	json_put_number(one, "wrong_clusters", proof->n_wrong);
	json_put_number(one, "audit_slices", proof->slices);
	json_put_number(one, "audit_from", proof->from);
	json_put_number(one, "audit_points", proof->n_points);
}

void increment_tell(const struct create *create, struct report *report)
{
	const struct archive *archive = create->archive;
	struct json_t *list = json_put_array(report->result, "drives");
	uint64_t n_listed = 0, n_unchanged = 0, n_right = 0;
	uint64_t n_left_out = 0;
	char size[HUMAN_SIZE], read[60] = "";
	bool any = false, to_prove = false;

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const struct drive_proof *proof = &create->marks[i].proof;
		struct json_t *one = json_add_object(list);

		json_put_bytes(one, "name", archive->drives[i].name);
		increment_put_mark(&create->marks[i], one);
		n_left_out += create->marks[i].left_out_bytes;
		if (proof->verdict != PROOF_RIGHT)
			continue;
		any = true;
		to_prove = to_prove || proof->slices > 0 || proof->n_right > 0;
		n_listed += proof->n_listed;
		n_unchanged += proof->n_unchanged;
		n_right += proof->n_right;
	}
	if (n_left_out > 0)
		report_note(report,
			    "free space is left out, by --used: %s are zeros in the archive, "
			    "whatever the drives have there",
			    human_size(size, n_left_out));
	/* What there is on a standard input, say, can be read only once. */
	if (to_prove)
		snprintf(read, sizeof(read), ", %llu of them read and right",
			 (unsigned long long)n_right);
	if (any)
		report_note(report, "clusters: %llu listed, %llu taken as unchanged%s",
			    (unsigned long long)n_listed, (unsigned long long)n_unchanged, read);
}
