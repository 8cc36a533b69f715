/* reference.h - what every process knows whole: tenants, keys, lanes, opt-outs, campaigns, health.
 *
 * A fold of the reference topics (config, consent.events, campaign.control, lane.health), each in
 * its own order; records of different topics may arrive in any order between each other. One table
 * per process, shared by its slots and its gateway. A version is the number of records folded of a
 * topic, so it is the same everywhere.
 *
 * Pure: no clock, no I/O. Threads: fold under reference_write_lock; look things up, and use what
 * was found, between reference_read_lock and reference_unlock.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_REFERENCE_H
#define TELEHUB_COMMON_EVENTLOG_REFERENCE_H

#include "common/eventlog/topic.h"
#include "schemas/events.h"

struct reference;

struct ref_tenant {
    struct th_str slug;
    struct th_str name;
    struct th_str country;
    struct th_str zone;
    struct th_str currency;
    bool is_stopped;
    int64_t stop_version; /* counts its TenantStopSet records */
};

struct ref_lane {
    int32_t lane; /* number, from 1 */
    struct th_str tenant;
    struct account_configured account; /* the newest; meta is empty */
    bool is_enabled;                   /* an account that was never enabled is not */
    enum circuit circuit;
    int32_t health_permille;
};

struct ref_campaign {
    struct th_id campaign;
    struct th_str tenant;
    bool is_defined; /* run and spec are known */
    int32_t run;
    struct campaign_spec spec;
    int64_t version; /* 0: not controlled yet */
    enum control_state state;
};

struct ref_key {
    struct th_str tenant;
    struct th_str key_id;
};

/* NULL when there is no memory. */
struct reference *reference_new(void);
void reference_free(struct reference *ref);

void reference_read_lock(struct reference *ref);
void reference_write_lock(struct reference *ref);
void reference_unlock(struct reference *ref);

/* Fold one record of a reference topic; an event that does not belong there only counts.
 * Errors: TH_NOMEM  nothing was changed */
TH_MUST_USE
enum th_code reference_apply(struct reference *ref, enum topic topic, const struct event *event);

/* Count a record that could not be decoded, so that versions stay the same everywhere. */
void reference_skip(struct reference *ref, enum topic topic);

struct reference_versions reference_versions(const struct reference *ref);

/* Up to which offset each topic was folded: where a log leaves numbers out, more than its version.
 * Each record counts one; who reads a log says where it stands after each. */
struct reference_versions reference_read_to(const struct reference *ref);
void reference_note_read_to(struct reference *ref, enum topic topic, int64_t next_offset);

/* Each is NULL if there is none. */
const struct ref_tenant *reference_tenant(const struct reference *ref, struct th_str slug);
const struct ref_lane *reference_lane(const struct reference *ref, int32_t lane);
const struct ref_lane *reference_lane_by_name(const struct reference *ref, struct th_str tenant,
                                              struct th_str name);
const struct ref_campaign *reference_campaign(const struct reference *ref, struct th_id campaign);
const struct ref_key *reference_key(const struct reference *ref, const struct sha256 *sha256);

bool reference_is_opted_out(const struct reference *ref, int64_t contact);

/* The i-th, in order of appearance; NULL past the end. For lists and for a slot's opening. */
const struct ref_tenant *reference_tenant_at(const struct reference *ref, size_t i);
const struct ref_lane *reference_lane_at(const struct reference *ref, size_t i);
const struct ref_campaign *reference_campaign_at(const struct reference *ref, size_t i);

/* The largest lane number ever given; 0: none. */
int32_t reference_lane_max(const struct reference *ref);

/* The 64-bit name under which a tenant's opt-outs hold a number: first 8 bytes, big-endian, of the
 * SHA-256 of ("contact", tenant, E.164). It is on the log and stays for ever. */
int64_t contact_hash(struct th_str tenant, struct th_str phone);

/* --- what changed, so that cores can be told ---------------------------------------------------
 */

enum reference_kind {
    REFERENCE_TENANT,
    REFERENCE_LANE,
    REFERENCE_CAMPAIGN,
};

struct reference_change {
    enum reference_kind kind;
    struct th_str tenant;  /* slug; of every kind. Valid as long as the reference */
    int32_t lane;          /* REFERENCE_LANE */
    struct th_id campaign; /* REFERENCE_CAMPAIGN */
};

/* Position behind the newest change; hand it to reference_changes later. */
uint64_t reference_changes_end(const struct reference *ref);

/* Up to max changes from position *at on; moves *at. Positions are kept for the last 65,536
 * changes: false when *at is older, then everything must be offered again. */
bool reference_changes(const struct reference *ref, uint64_t *at, struct reference_change *out,
                       size_t max, size_t *out_n);

#endif
