#include "tests/failure/settle.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX 256

/* Connections of this process to the server. */
static int64_t connections(void)
{
    int64_t n = 0;

    for (int fd = 0; fd < FDS_MAX; fd++) {
        struct sockaddr_un peer = {.sun_family = AF_UNSPEC};
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sun_family == AF_UNIX &&
            strstr(peer.sun_path, ".s.PGSQL."))
            n++;
    }
    return n;
}

void settle(struct log_cluster *logs)
{
    static const struct pg_statement sql_running = {
        "SELECT count(*)::int8 FROM pg_stat_activity WHERE state <> 'idle'"
        " AND pid <> pg_backend_pid()"};
    static const struct pg_statement sql_backends = {
        "SELECT count(*)::int8 FROM pg_stat_activity WHERE backend_type = 'client backend'"};

    while (log_cluster_admin(logs, &sql_backends, NULL) > connections() ||
           log_cluster_admin(logs, &sql_running, NULL) > 0)
        (void)usleep(1000);
}
