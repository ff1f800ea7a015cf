/*
 * infer/secret.h - API keys: where they come from; they go into request headers and nowhere else
 *
 * Every key that is loaded is registered with log_secret, so that no log line or error sentence shows it.
 * A key is one line of visible characters; white space around it is dropped.
 * Threads: any, before requests are served. Blocks: on the file.
 */
#ifndef INFER_SECRET_H
#define INFER_SECRET_H

#include "base/err.h"

#define SECRET_MAX 16384

/* secret_env - from an environment variable; its bytes are wiped there and kept here, for the next caller
 * Errors: -ENOKEY not set or empty; -EINVAL no good key text */
int secret_env(const char *name, char **out, struct err *e);
/* secret_env_any - from the first of a NULL-terminated list that is set; out_name: which, one of names;
 * -ENOKEY none is */
int secret_env_any(const char *const *names, char **out, const char **out_name, struct err *e);
/* secret_file - from a file that only its owner can read
 * Errors: -ENOKEY it cannot be read, is empty or no regular file; -EACCES others may read it */
int secret_file(const char *path, char **out, struct err *e);
/* secret_credential - from $CREDENTIALS_DIRECTORY/NAME; -ENOKEY when there is none
 * Source: systemd.exec(5), LoadCredential= */
int secret_credential(const char *name, char **out, struct err *e);
/* secret_free - wipe and free; returns NULL; key may be NULL */
char *secret_free(char *key);

#endif
