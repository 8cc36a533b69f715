/* migrate.h - bring a database to the schema that this binary knows, and tell whether it is there.
 *
 * The database remembers each applied migration with its SHA-256 (table telehub.migration). Several
 * processes may try at once: one works, the others wait for it.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_MIGRATE_H
#define TELEHUB_CONNECTORS_POSTGRES_MIGRATE_H

#include "connectors/postgres/pg.h"
#include "schemas/sql/migrations.h"

#define PG_MIGRATIONS_MAX 1000

/* Apply what is missing of a list that ends at .name == NULL (usually sql_migrations), each in a
 * transaction of its own; *out_applied counts them, also on error.
 *
 * Errors: TH_CONFLICT     an applied migration differs from the list's, or was skipped: the
 *                         database was made by another build
 *         TH_UNSUPPORTED  the database knows more migrations than the list
 *         else            what the statement that failed says; that migration left nothing behind
 */
TH_MUST_USE
enum th_code pg_migrate(struct pg *pg, const struct sql_migration *list, int *out_applied,
                        struct th_err *err);

/* TH_OK if exactly the list is applied.
 * Errors: as pg_migrate, and TH_UNSUPPORTED when migrations are missing; the text says what to do.
 */
TH_MUST_USE
enum th_code pg_migrate_check(struct pg *pg, const struct sql_migration *list, struct th_err *err);

/* How many of the list are applied; *out_at_us[i] (room for the list) tells when. Errors as above.
 */
TH_MUST_USE
enum th_code pg_migrate_list(struct pg *pg, const struct sql_migration *list, int64_t *out_at_us,
                             size_t *out_applied, struct th_err *err);

#endif
