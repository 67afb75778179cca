#include "archive/marks.h"

int marks_end(struct marks *marks, struct error *err)
{
	if (marks->from == marks->to)
		return 0;
	TRY(changes_add(marks->changes, marks->from, marks->to - marks->from, err));
	marks->from = marks->to;
	return 0;
}

int marks_add(struct marks *marks, uint64_t from, uint64_t to, struct error *err)
{
	from = least(from, marks->size_bytes);
	to = least(to, marks->size_bytes);
	if (from == to)
		return 0;
	/* So that a cluster of many small ranges goes into the set once. */
	if (marks->from < marks->to && from / CLUSTER_SIZE <= marks->to / CLUSTER_SIZE) {
		marks->to = to;
		return 0;
	}
	TRY(marks_end(marks, err));
	marks->from = from;
	marks->to = to;
	return 0;
}
