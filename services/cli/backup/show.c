#include "services/cli/backup/show.h"

#include <stdio.h>
#include <time.h>

#include "pkg/json/json.h"
#include "services/cli/output/table.h"

#define MS_PER_S 1000

void ks_backup_time_text(int64_t time_ms, char ret_text[static KS_BACKUP_TIME_LEN])
{
    const time_t seconds = (time_t)(time_ms / MS_PER_S);
    struct tm parts;
    if (!gmtime_r(&seconds, &parts) ||
        strftime(ret_text, KS_BACKUP_TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        snprintf(ret_text, KS_BACKUP_TIME_LEN, "?");
    }
}

void ks_backup_titles(struct ks_table *table)
{
    static const char *const titles[KS_BACKUP_COLUMNS] = {"ID",     "REGION", "REVISION", "TIME",
                                                          "PERIOD", "KEYS",   "SIZE",     "FILE"};
    for (size_t i = 0; i < KS_BACKUP_COLUMNS; i++) {
        ks_table_cell(table, titles[i]);
    }
}

void ks_backup_row(struct ks_table *table, const struct ks_backup_header *header, uint64_t len,
                   const char *file)
{
    char id[KS_BACKUP_ID_TEXT_LEN + 1];
    char time[KS_BACKUP_TIME_LEN];
    ks_backup_id_text(header->id, id);
    ks_backup_time_text(header->time_ms, time);
    ks_table_cell(table, id);
    ks_table_cell(table, header->region);
    ks_table_cellf(table, "%lld", (long long)header->revision);
    ks_table_cell(table, time);
    ks_table_cellf(table, "%u", header->period);
    ks_table_cellf(table, "%llu", (unsigned long long)header->key_count);
    ks_table_cellf(table, "%llu", (unsigned long long)len);
    ks_table_cell(table, file);
}

void ks_backup_members(struct ks_json_writer *json, const struct ks_backup_header *header,
                       uint64_t len, const char *file)
{
    char id[KS_BACKUP_ID_TEXT_LEN + 1];
    char time[KS_BACKUP_TIME_LEN];
    ks_backup_id_text(header->id, id);
    ks_backup_time_text(header->time_ms, time);
    ks_json_put_string(json, "BackupId", id);
    ks_json_put_string(json, "Region", header->region);
    ks_json_put_string(json, "Epoch", header->epoch);
    ks_json_put_int64(json, "Revision", header->revision);
    ks_json_put_string(json, "Time", time);
    ks_json_put_int64(json, "KitPeriod", header->period);
    ks_json_put_int64(json, "CustodiansNeeded", header->threshold);
    ks_json_put_int64(json, "Custodians", header->custodians);
    ks_json_put_int64(json, "DomainKeyGeneration", header->generation);
    ks_json_put_int64(json, "Keys", (int64_t)header->key_count);
    ks_json_put_int64(json, "Bytes", (int64_t)len);
    ks_json_put_string(json, "File", file);
}
