/** The tables of the file. Raise the version whenever they change. A file with another version is refused. */
export const SCHEMA_VERSION = 2;

export const SCHEMA = `
CREATE TABLE IF NOT EXISTS machines (
  arn TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS revisions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  machine_arn TEXT NOT NULL REFERENCES machines (arn),
  revision_id TEXT NOT NULL,
  definition TEXT NOT NULL,
  role_arn TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS executions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  arn TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  machine_arn TEXT NOT NULL REFERENCES machines (arn),
  revision INTEGER NOT NULL REFERENCES revisions (id),
  status TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  stopped_at INTEGER,
  input TEXT NOT NULL,
  output TEXT,
  error TEXT,
  cause TEXT,
  frames TEXT,
  parent_arn TEXT,
  parent_task INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS events (
  execution_arn TEXT NOT NULL REFERENCES executions (arn) ON DELETE CASCADE,
  id INTEGER NOT NULL,
  previous_id INTEGER NOT NULL,
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  details TEXT NOT NULL,
  PRIMARY KEY (execution_arn, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
  token TEXT PRIMARY KEY,
  execution_arn TEXT NOT NULL REFERENCES executions (arn) ON DELETE CASCADE
) STRICT, WITHOUT ROWID`;

export const INDEXES = `
CREATE INDEX IF NOT EXISTS executions_by_machine ON executions (machine_arn, id);
CREATE INDEX IF NOT EXISTS executions_by_end ON executions (stopped_at);
CREATE INDEX IF NOT EXISTS executions_by_revision ON executions (revision);
CREATE INDEX IF NOT EXISTS running_executions ON executions (id) WHERE status = 'RUNNING';
CREATE INDEX IF NOT EXISTS executions_by_parent ON executions (parent_arn, parent_task)
  WHERE parent_arn IS NOT NULL;
CREATE INDEX IF NOT EXISTS revisions_by_machine ON revisions (machine_arn, id);
CREATE INDEX IF NOT EXISTS tokens_by_execution ON tokens (execution_arn)`;
