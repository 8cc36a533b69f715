/* reference_private.h - what finding (reference.c) and folding (reference_fold.c) share. */
#ifndef TELEHUB_COMMON_EVENTLOG_REFERENCE_PRIVATE_H
#define TELEHUB_COMMON_EVENTLOG_REFERENCE_PRIVATE_H

#include "common/arena.h"
#include "common/eventlog/hash_set.h"
#include "common/eventlog/name_index.h"
#include "common/eventlog/reference.h"

#include <pthread.h>

#define REFERENCE_CHANGES_MAX ((size_t)65536)

/* Things in order of appearance. They are pointers, so that what was found stays where it is. */
struct list {
    void **at;
    size_t n;
    size_t cap;
};

struct tenant_entry {
    struct ref_tenant pub; /* first */
    struct th_arena arena; /* of its texts, but for the slug */
};

struct lane_entry {
    struct ref_lane pub;
    struct th_arena arena;
};

struct campaign_entry {
    struct ref_campaign pub;
    struct th_arena arena; /* of its spec */
};

struct key_entry {
    struct ref_key pub;
    struct sha256 sha256;
};

/* Kept apart from the lane, for its topic may be ahead of the one that configures lanes. */
struct health_entry {
    int32_t lane;
    enum circuit circuit;
    int32_t permille;
};

struct interned {
    size_t n;
    char bytes[];
};

struct reference {
    pthread_rwlock_t lock; /* guards everything below */
    struct reference_versions versions;
    struct reference_versions read_to;

    struct list tenants; /* of tenant_entry */
    struct name_index tenants_by_slug;
    struct list lanes; /* of lane_entry */
    struct name_index lanes_by_number;
    struct name_index lanes_by_name;
    int32_t lane_max;
    struct list campaigns; /* of campaign_entry */
    struct name_index campaigns_by_id;
    struct list keys; /* of key_entry */
    struct name_index keys_by_sha256;
    struct list health; /* of health_entry */
    struct name_index health_by_lane;
    struct hash_set opted_out;

    struct list interned; /* tenants' slugs and keys' ids: few, and valid for ever */
    struct name_index interned_by_text;

    struct reference_change *changes; /* a ring of REFERENCE_CHANGES_MAX */
    uint64_t changes_end;
};

/* Each is NULL if there is none. */
struct tenant_entry *reference_find_tenant(const struct reference *ref, struct th_str slug);
struct lane_entry *reference_find_lane(const struct reference *ref, int32_t lane);
struct lane_entry *reference_find_lane_by_name(const struct reference *ref, struct th_str tenant,
                                               struct th_str name);
struct campaign_entry *reference_find_campaign(const struct reference *ref, struct th_id campaign);
struct key_entry *reference_find_key(const struct reference *ref, const struct sha256 *sha256);
struct health_entry *reference_find_health(const struct reference *ref, int32_t lane);

/* Under which names things are indexed. */
uint64_t reference_hash(const void *bytes, size_t n);
uint64_t reference_hash_lane_name(struct th_str tenant, struct th_str name);

#endif
