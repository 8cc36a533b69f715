/* secrets.c: files that nobody else may read, and that no version of which ever changes. */
#include "tests/unit/test.h"

#include "common/secrets.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
    char root[64];
    char dir[80];
    struct secrets *secrets;
    struct th_arena arena;
    struct th_err err;
};

static int set_up(void **state)
{
    struct folder *f = calloc(1, sizeof *f);

    snprintf(f->root, sizeof f->root, "/tmp/telehub-secrets.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->dir, sizeof f->dir, "%s/secrets", f->root);
    assert_int_equal(secrets_open(f->dir, &f->secrets, &f->err), TH_OK);
    th_arena_init(&f->arena, 1 << 20);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *f = *state;
    char command[128];

    secrets_close(f->secrets);
    th_arena_fini(&f->arena);
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    free(f);
    return system(command); /* NOLINT(cert-env33-c): the path is ours */
}

static enum th_code put(struct folder *f, const char *tenant, const char *name, int32_t version,
                        const char *value)
{
    return secrets_put(f->secrets, th_str(tenant), th_str(name), version, th_str(value), &f->err);
}

static enum th_code get(struct folder *f, const char *tenant, const char *name, int32_t version,
                        struct th_str *out)
{
    return secrets_get(f->secrets, th_str(tenant), th_str(name), version, &f->arena, out, &f->err);
}

static void test_put_and_get(void **state)
{
    struct folder *f = *state;
    struct th_str value;
    char path[160];
    struct stat st;

    print_message("  a secret is kept without the white space around it, for its owner alone\n");
    assert_int_equal(put(f, "pratham", "main", 1, "  hush\n"), TH_OK);
    assert_int_equal(get(f, "pratham", "main", 1, &value), TH_OK);
    assert_str_equal(value, TH_STR("hush"));
    snprintf(path, sizeof path, "%s/pratham/main.1", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    print_message("  the same again is fine; another value under the same version is not\n");
    assert_int_equal(put(f, "pratham", "main", 1, "hush"), TH_OK);
    assert_int_equal(put(f, "pratham", "main", 1, "loud"), TH_CONFLICT);
    assert_null(strstr(f->err.text, "loud"));
    assert_int_equal(put(f, "pratham", "main", 2, "loud"), TH_OK);
    assert_int_equal(get(f, "pratham", "main", 2, &value), TH_OK);
    assert_str_equal(value, TH_STR("loud"));

    print_message("  what nobody stored is not there\n");
    assert_int_equal(get(f, "pratham", "main", 3, &value), TH_NOT_FOUND);
    assert_int_equal(get(f, "other", "main", 1, &value), TH_NOT_FOUND);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *says;
        const char *tenant;
        const char *name;
        int32_t version;
        const char *value;
    } cases[] = {
        {"a name may not climb out of the folder", "..", "main", 1, "x"},
        {"nor hold a slash", "pratham", "a/b", 1, "x"},
        {"nor be empty", "", "main", 1, "x"},
        {"nor begin with a dot", "pratham", ".main", 1, "x"},
        {"a version is not negative", "pratham", "main", -1, "x"},
        {"a secret is not empty", "pratham", "main", 1, " \n "},
        {"a secret is one line", "pratham", "main", 1, "a\nb"},
    };
    struct folder *f = *state;

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(put(f, cases[i].tenant, cases[i].name, cases[i].version, cases[i].value),
                         TH_INVALID);
    }
}

static void test_private(void **state)
{
    struct folder *f = *state;
    struct secrets *again = NULL;
    struct th_str value;
    char path[160];

    print_message("  a file that others may read is not used\n");
    assert_int_equal(put(f, "pratham", "main", 1, "hush"), TH_OK);
    snprintf(path, sizeof path, "%s/pratham/main.1", f->dir);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(get(f, "pratham", "main", 1, &value), TH_DENIED);

    print_message("  nor is a folder that others may enter\n");
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(secrets_open(f->dir, &again, &f->err), TH_DENIED);
}

static void test_callback_key(void **state)
{
    struct folder *f = *state;
    TH_AUTO(secrets) struct secrets *again = NULL;
    struct th_str first;
    struct th_str second;
    char path[160];

    print_message("  the callback key is drawn once and is the same for everybody\n");
    assert_int_equal(secrets_callback_key(f->secrets, &first, &f->err), TH_OK);
    assert_int_equal(first.n, SECRETS_CALLBACK_KEY);
    assert_int_equal(secrets_open(f->dir, &again, &f->err), TH_OK);
    assert_int_equal(secrets_callback_key(again, &second, &f->err), TH_OK);
    assert_str_equal(first, second);

    print_message("  a damaged one is refused, never drawn anew\n");
    secrets_close(TH_TAKE(again));
    snprintf(path, sizeof path, "%s/callback.key", f->dir);
    assert_int_equal(truncate(path, 7), 0);
    assert_int_equal(secrets_open(f->dir, &again, &f->err), TH_OK);
    assert_int_equal(secrets_callback_key(again, &second, &f->err), TH_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_get, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_callback_key, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
