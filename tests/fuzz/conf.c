/* A configuration file, over a table that has a key of every type. What was taken is within its
 * bounds. */
#include "common/conf.h"
#include "tests/fuzz/fuzz.h"

static const struct th_conf_key keys[] = {
    {"name", TH_CONF_STRING, "hub", "1", "20", NULL, NULL, "A text."},
    {"dir", TH_CONF_PATH, "/tmp", NULL, NULL, NULL, NULL, "A folder."},
    {"http_port", TH_CONF_INT, "8080", "0", "65535", NULL, NULL, "A port."},
    {"is_on", TH_CONF_BOOL, "yes", NULL, NULL, NULL, NULL, "A switch."},
    {"wait", TH_CONF_DURATION, "5s", "1ms", "3d", NULL, NULL, "A time."},
    {"room", TH_CONF_SIZE, "64kB", "512B", "2GB", NULL, NULL, "A size."},
    {"level", TH_CONF_ENUM, "info", NULL, NULL, NULL, "debug|info|warn", "A level."},
    {.name = NULL},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct th_conf_key *const tables[] = {keys, NULL};
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    TH_AUTO(th_buf) struct th_buf example = {0};
    struct th_err err = {0};

    assert(th_conf_new(tables, &conf, NULL) == TH_OK);
    enum th_code code = th_conf_apply_text(conf, fuzz_input(data, size), "fuzz.conf", &err);
    assert(code == TH_OK || code == TH_INVALID || code == TH_FULL);
    assert((code == TH_OK) == (err.text[0] == '\0'));
    struct th_str name = th_str(th_conf_str(conf, "name"));
    assert(name.n >= 1 && name.n <= 20 && th_str_is_utf8(name));
    int64_t port = th_conf_int(conf, "http_port");
    assert(port >= 0 && port <= 65535);
    int64_t wait_us = th_conf_duration_us(conf, "wait");
    assert(wait_us >= 1000 && wait_us <= INT64_C(3) * 86400 * 1000000);
    size_t room = th_conf_size(conf, "room");
    assert(room >= 512 && room <= (size_t)2 << 30);
    assert(th_conf_enum(conf, "level") < 3);
    (void)th_conf_bool(conf, "is_on");
    th_conf_print_example(conf, &example);
    assert(th_buf_status(&example) == TH_OK);
    return 0;
}
