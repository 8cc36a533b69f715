/* pg_proxy.h - stands between libpq and a server, on a socket of its own beside the server's, and
 * loses on demand what a network may lose. A connection is named by its application_name.
 */
#ifndef TELEHUB_TESTS_INTEGRATION_PG_PROXY_H
#define TELEHUB_TESTS_INTEGRATION_PG_PROXY_H

#include <stdbool.h>

struct pg_proxy;

/* Between port (a number that nobody uses; no TCP is involved) and 5432 of the folder's socket. */
struct pg_proxy *pg_proxy_start(const char *socket_dir, int port);

/* Every connection through it has ended or is ended. */
void pg_proxy_stop(struct pg_proxy *proxy);

/* The next statement that is executed through such a connection gets no answer, and the connection
 * breaks: after the server has finished (happens), or before the server has seen it. */
void pg_proxy_lose_answer(struct pg_proxy *proxy, const char *application_name, bool happens);

/* The next statement through such a connection breaks it at a random moment between its first byte
 * and the server's last: anything may have happened. */
void pg_proxy_cut_at_random(struct pg_proxy *proxy, const char *application_name,
                            unsigned long seed);

/* As a pooler does, tell the client of another backend than that which serves it. */
void pg_proxy_pretend_pooler(struct pg_proxy *proxy);

#endif
