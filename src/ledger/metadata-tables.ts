/** What endpoints have learned and is a pity to learn again: none of it is needed to deliver a sample. */
export const metadataTables: string = `
  CREATE TABLE metric_metadata (
    -- UTF-8.
    family  BLOB PRIMARY KEY,
    -- As in MetricMetadata of remote write 1.0.
    type    INTEGER NOT NULL,
    help    BLOB NOT NULL,
    unit    BLOB NOT NULL,
    -- When it was last told, and was not what it was before.
    told_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX metric_metadata_by_age ON metric_metadata (told_ms);

  CREATE TABLE endpoint_version (
    name         TEXT PRIMARY KEY,
    -- Where it was: another receiver may take another version.
    url          TEXT NOT NULL,
    -- When remote write 1.0 was fallen back to.
    fell_back_ms INTEGER NOT NULL
  ) STRICT;
`;
