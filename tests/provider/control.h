/*
 * The control addresses under /_ctl/, by which a test writes the script and asks what happened.
 */
#ifndef PROVIDER_CONTROL_H
#define PROVIDER_CONTROL_H

#include <microhttpd.h>

struct call;

#define CONTROL_PREFIX "/_ctl/"

/* May suspend the connection until its condition holds or its time is over. */
enum MHD_Result control_answer(struct call *c);
/* Something a held control request may wait for has changed. Cheap when nobody waits. */
void control_changed(void);

#endif
