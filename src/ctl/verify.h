/*
 * ctl/verify.h - inferctl verify: is every object of a disk store whole?
 *
 * Nothing is changed and no daemon is needed; one may run meanwhile.
 * Threads: one. Blocks: on the disk.
 */
#ifndef CTL_VERIFY_H
#define CTL_VERIFY_H

/* verify_run - of DIR, or of the default cache directory; failed: something is damaged */
int verify_run(const char *mount, int n, char **args);

#endif
