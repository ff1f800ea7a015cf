/*
 * ctl/ask.h - inferctl ask: one question through the mount's `ask` file
 *
 * Threads: one. Blocks: until the answer's end.
 */
#ifndef CTL_ASK_H
#define CTL_ASK_H

/* ask_run - the words, or standard input where there are none or "-" */
int ask_run(const char *mount, int n, char **args);

#endif
