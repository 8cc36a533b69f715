#include "processors/zones.h"

#include "common/log_line.h"
#include "common/zone.h"

#include <pthread.h>
#include <string.h>

#define ZONES_MAX 64

struct entry {
    char name[TH_ZONE_NAME_MAX + 1];
    struct th_zone *zone; /* NULL: not to be had */
};

struct zones {
    const char *folder;
    pthread_mutex_t mutex; /* guards what follows; a zone itself never changes */
    size_t n;
    struct entry entries[ZONES_MAX];
};

struct zones *zones_new(const char *folder)
{
    struct zones *zones = calloc(1, sizeof *zones);

    if (!zones)
        return NULL;
    zones->folder = folder;
    (void)pthread_mutex_init(&zones->mutex, NULL);
    return zones;
}

void zones_free(struct zones *zones)
{
    if (!zones)
        return;
    for (size_t i = 0; i < zones->n; i++)
        th_zone_close(zones->entries[i].zone);
    (void)pthread_mutex_destroy(&zones->mutex);
    free(zones);
}

static const struct th_zone *load(struct zones *zones, struct th_str name)
{
    struct entry *entry = &zones->entries[zones->n];
    struct th_err err = {0};

    if (zones->n == ZONES_MAX || name.n > TH_ZONE_NAME_MAX)
        return NULL;
    memcpy(entry->name, name.p, name.n);
    entry->name[name.n] = '\0';
    entry->zone = NULL;
    if (th_zone_open(zones->folder, name, &entry->zone, &err) != TH_OK)
        th_log_error(TH_LOG_WARN, "zones.open", &err);
    zones->n++;
    return entry->zone;
}

static const struct th_zone *find(struct zones *zones, struct th_str name)
{
    for (size_t i = 0; i < zones->n; i++)
        if (th_str_eq(th_str(zones->entries[i].name), name))
            return zones->entries[i].zone;
    return load(zones, name);
}

int32_t zones_offset_s(const void *zones, struct th_str name, int64_t utc_us)
{
    struct zones *self = (struct zones *)zones;

    if (name.n == 0)
        return 0;
    (void)pthread_mutex_lock(&self->mutex);
    const struct th_zone *zone = find(self, name);
    (void)pthread_mutex_unlock(&self->mutex);
    return zone ? th_zone_local(zone, utc_us).offset_s : 0;
}
