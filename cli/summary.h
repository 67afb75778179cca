/*
 * What is told of an archive that was written.
 */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

struct archive;
struct report;
struct sink;

/* After sink_finish: the summary on standard error, or the fields of the result. */
void sink_summary(const struct sink *sink, const struct archive *archive, struct report *report);

#endif
