/* migrations.h - the numbered SQL files of this folder, as the binary carries them.
 *
 * A file that was released is never changed: databases remember its digest. What must change gets
 * the next number.
 */
#ifndef TELEHUB_SCHEMAS_SQL_MIGRATIONS_H
#define TELEHUB_SCHEMAS_SQL_MIGRATIONS_H

#include <stddef.h>

struct sql_migration {
    int number;         /* ascending */
    const char *name;   /* "0001_eventlog" */
    const char *sql;    /* the file; any number of statements, none that ends a transaction */
    const char *sha256; /* of the file, 64 lower-case digits */
};

/* Ends at .name == NULL. */
extern const struct sql_migration sql_migrations[];

#endif
