#include "tests/harness/errors_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LINE_LEN_MAX 1024U
#define ITEM         "- `/" /* no other list of the page has items that begin so */

/* Counts the items whose path is, or begins with, this one. */
static size_t count(const char *path, bool whole)
{
    FILE *page = fopen("docs/errors.md", "r");
    assert_non_null(page);
    char line[LINE_LEN_MAX];
    size_t found = 0;
    while (fgets(line, sizeof(line), page)) {
        const char *item = line + strlen(ITEM) - 1;
        bool begins =
            strncmp(line, ITEM, strlen(ITEM)) == 0 && strncmp(item, path, strlen(path)) == 0;
        found += begins && (!whole || item[strlen(path)] == '`') ? 1 : 0;
    }
    (void)fclose(page);
    return found;
}

bool errors_page_lists(const char *path)
{
    return count(path, true) == 1;
}

size_t errors_page_count(const char *prefix)
{
    return count(prefix, false);
}
