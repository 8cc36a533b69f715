#include "common/eventlog/archive/archive_examine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/archive/archive_joined.h"
#include "common/eventlog/archive/archive_verify.h"

#define SENTENCE_MAX 2048

struct examine {
    const struct archive_examined *about;
    struct finding_listener listener;
    struct archive_manifest manifest;
};

/* --- none, or none of ours ----------------------------------------------------------------------
 */

/* Is anything of the log in an archive only? What cannot be asked is said. */
static bool ask_if_needed(const struct examine *examine, bool *out_is_needed)
{
    struct th_err err = {0};

    if (archive_is_needed(examine->about->log, out_is_needed, &err) == TH_OK)
        return true;
    finding_tell(&examine->listener, FINDING_BAD, "archive",
                 "where the log begins cannot be asked: %s", err.text);
    return false;
}

static void tell_missing(const struct examine *examine, bool is_needed)
{
    const char *dir = examine->about->dir;

    if (is_needed)
        finding_tell(
            &examine->listener, FINDING_BAD, "archive",
            "the log was trimmed, and there is no archive in %s that has what it dropped: set "
            "TELEHUB_ARCHIVE to where that lies, or bring it back",
            dir);
    else if (examine->about->is_expected)
        finding_tell(&examine->listener, FINDING_RISKY, "archive",
                     "there is none in %s, so log_retention drops nothing: run telehub archive",
                     dir);
    else
        finding_tell(&examine->listener, FINDING_FINE, "archive",
                     "there is none in %s; the log has everything", dir);
}

/* The manifest, if it is this log's; anything else is said. */
static bool load(struct examine *examine)
{
    const char *dir = examine->about->dir;
    const char *log_id = th_log_id(examine->about->log);
    struct th_err err = {0};
    bool is_needed = false;

    enum th_code code = archive_load_manifest(dir, &examine->manifest, &err);
    if (code == TH_OK && strcmp(examine->manifest.log_id, log_id) == 0)
        return true;
    if (code != TH_OK && code != TH_NOT_FOUND)
        finding_tell(
            &examine->listener, FINDING_BAD, "archive",
            "%s: bring the archive back from a copy, or, if the log was never trimmed, archive "
            "into a new folder",
            err.text);
    else if (!ask_if_needed(examine, &is_needed))
        return false;
    else if (code == TH_NOT_FOUND)
        tell_missing(examine, is_needed);
    else
        finding_tell(
            &examine->listener, is_needed ? FINDING_BAD : FINDING_RISKY, "archive",
            "%s holds the archive of the log %s, and this one is %s: set TELEHUB_ARCHIVE to %s",
            dir, examine->manifest.log_id, log_id,
            is_needed ? "where its own lies" : "another folder, telehub archive refuses this one");
    return false;
}

/* --- how far it reaches -------------------------------------------------------------------------
 */

/* What a topic's partitions have that the archive has not; what is in neither is said. */
static bool topic_behind(const struct examine *examine, enum topic topic, int64_t *out_behind)
{
    struct th_log *log = examine->about->log;
    struct th_err err = {0};
    int64_t start;
    int64_t end;

    *out_behind = 0;
    for (int part = 0; part < th_log_partitions(log, topic); part++) {
        int64_t next = archive_manifest_next(&examine->manifest, topic, part);
        if (th_log_start(log, topic, part, &start, &err) != TH_OK ||
            th_log_end(log, topic, part, &end, &err) != TH_OK) {
            finding_tell(&examine->listener, FINDING_BAD, "archive reach", "%s/%d: %s",
                         topic_name(topic), part, err.text);
            return false;
        }
        if (start > next || end < next) {
            finding_tell(&examine->listener, FINDING_BAD, "archive reach",
                         start > next
                             ? "%s/%d: the log begins at %" PRId64 " and its archive ends at "
                               "%" PRId64 ": what lay between is in neither"
                             : "%s/%d: the log ends at %" PRId64 " and its archive at %" PRId64
                               ": the log went backwards, do not archive into this folder",
                         topic_name(topic), part, start > next ? start : end, next);
            return false;
        }
        *out_behind += end - (next > start ? next : start);
    }
    return true;
}

static void tell_age(const struct examine *examine, int64_t written_us, int64_t behind,
                     struct th_str topics)
{
    int64_t hours = (examine->about->now_us - written_us) / (60 * TH_US_PER_MIN);
    bool is_old = behind > 0 && hours >= ARCHIVE_OLD_DAYS * INT64_C(24);

    finding_tell(&examine->listener, is_old ? FINDING_RISKY : FINDING_FINE, "archive reach",
                 "written %" PRId64 " h ago; %s%.*s%s", hours,
                 behind > 0 ? "records behind the log: " : "has all of the log", TH_ARG(topics),
                 is_old ? ": let telehub archive run every night" : "");
}

static void check_reach(const struct examine *examine)
{
    TH_AUTO(th_buf) struct th_buf topics = {0};
    char path[ARCHIVE_PATH_MAX];
    struct stat info;
    int64_t all = 0;

    for (int t = 0; t < TOPIC_COUNT; t++) {
        int64_t behind;
        if (!topic_behind(examine, (enum topic)t, &behind))
            return;
        if (behind > 0)
            th_buf_printf(&topics, "%s%s %" PRId64, all > 0 ? ", " : "", topic_name((enum topic)t),
                          behind);
        all += behind;
    }
    if (archive_path(examine->about->dir, ARCHIVE_MANIFEST, path, NULL) != TH_OK ||
        stat(path, &info) != 0 || th_buf_status(&topics) != TH_OK)
        return; /* it was read a moment ago */
    tell_age(examine, info.st_mtim.tv_sec * TH_US_PER_SEC + info.st_mtim.tv_nsec / 1000, all,
             th_buf_str(&topics));
}

/* --- its files ----------------------------------------------------------------------------------
 */

/* What is wrong with one; out is empty if nothing. */
static void look_at(const struct examine *examine, const struct archive_segment *segment,
                    char out[SENTENCE_MAX])
{
    char name[ARCHIVE_SEGMENT_NAME_MAX];
    char path[ARCHIVE_PATH_MAX];
    struct stat info;

    out[0] = '\0';
    archive_segment_name(segment, name);
    if (archive_path(examine->about->dir, name, path, NULL) != TH_OK || stat(path, &info) != 0)
        snprintf(out, SENTENCE_MAX, "%s: %s", name, strerror(errno));
    else if (info.st_size != segment->bytes)
        snprintf(out, SENTENCE_MAX, "%s has %lld bytes and had %" PRId64 " when it was written",
                 name, (long long)info.st_size, segment->bytes);
}

static void check_files(const struct examine *examine)
{
    struct archive_totals all = archive_manifest_totals(&examine->manifest);
    char first[SENTENCE_MAX] = "";
    char wrong[SENTENCE_MAX];
    size_t wrong_n = 0;

    for (size_t i = 0; i < examine->manifest.n; i++) {
        look_at(examine, &examine->manifest.at[i], wrong);
        if (wrong[0] && wrong_n++ == 0)
            snprintf(first, sizeof first, "%s", wrong);
    }
    if (wrong_n > 0)
        finding_tell(
            &examine->listener, FINDING_BAD, "archive files",
            "%zu of %zu are not as they were written, the first: %s; bring them back from a copy",
            wrong_n, examine->manifest.n, first);
    else
        finding_tell(&examine->listener, FINDING_FINE, "archive files",
                     "%" PRId64 " records, %" PRId64 " bytes in %" PRId64
                     " files, each there with its size (telehub archive verify reads every byte)",
                     all.records, all.bytes, all.segments);
}

static void check_room(const struct examine *examine)
{
    const char *dir = examine->about->dir;
    struct statvfs fs;

    if (statvfs(dir, &fs) != 0) {
        finding_tell(&examine->listener, FINDING_BAD, "archive disk", "%s: %s", dir,
                     strerror(errno));
        return;
    }
    int used = fs.f_blocks == 0 ? 0 : (int)(100 - fs.f_bavail * 100 / fs.f_blocks);
    bool is_full = used > ARCHIVE_DISK_WARN_PERCENT;
    finding_tell(&examine->listener, is_full ? FINDING_RISKY : FINDING_FINE, "archive disk",
                 "%d %% used, %lld MB free where %s lies%s", used,
                 (long long)(fs.f_bavail * fs.f_frsize / UINT64_C(1048576)), dir,
                 is_full ? ": make room, else nothing more is archived, and so nothing dropped"
                         : "");
}

void archive_examine(const struct archive_examined *examined, finding_say *say, void *arg)
{
    struct examine examine = {.about = examined, .listener = {say, arg}};

    if (load(&examine)) {
        finding_tell(&examine.listener, FINDING_FINE, "archive", "lies in %s", examined->dir);
        check_reach(&examine);
        check_files(&examine);
        check_room(&examine);
    }
    archive_manifest_fini(&examine.manifest);
}
