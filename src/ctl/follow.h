/*
 * ctl/follow.h - inferctl wait, watch, status, cancel, retry: the files of a response
 *
 * Threads: one. Blocks: wait and watch until the request is final.
 */
#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

/* follow_wait - until every request is final; failed when one of them failed */
int follow_wait(const char *mount, int n, char **args);
/* follow_watch - the answer as it comes, to standard output */
int follow_watch(const char *mount, int n, char **args);
/* follow_status - a line for each, or with --json an object for each */
int follow_status(const char *mount, int n, char **args);
/* follow_cancel / follow_retry - the word into ctl */
int follow_cancel(const char *mount, int n, char **args);
int follow_retry(const char *mount, int n, char **args);

#endif
