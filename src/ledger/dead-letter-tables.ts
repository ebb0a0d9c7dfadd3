/**
 * The tables of the dead letters.
 *
 * A letter is a few integers and its sample; its labels, and what the receiver said, stand once for all letters that
 * share them, found by a digest so that no index repeats them. Triggers keep the books: a label set and an answer go
 * with their last letter, and an endpoint knows how many it has without counting.
 */
export const deadLetterTables: string = `
  CREATE TABLE dead_letter_endpoint (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    -- What is there now, kept by triggers; then what went since the ledger began, by the way it went.
    letters  INTEGER NOT NULL DEFAULT 0,
    resent   INTEGER NOT NULL DEFAULT 0,
    purged   INTEGER NOT NULL DEFAULT 0,
    max_rows INTEGER NOT NULL DEFAULT 0,
    max_age  INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  CREATE TABLE dead_letter_series (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    labels BLOB NOT NULL
  ) STRICT;

  CREATE TABLE dead_letter_answer (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    cause  TEXT NOT NULL,
    words  TEXT NOT NULL
  ) STRICT;

  CREATE TABLE dead_letter (
    -- Never used twice: who sends a letter again removes it by this number, a while after reading it.
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint INTEGER NOT NULL,
    segment  INTEGER NOT NULL,
    row      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    time_ms  INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    series   INTEGER NOT NULL,
    answer   INTEGER NOT NULL,
    content  BLOB NOT NULL,
    UNIQUE (endpoint, segment, row)
  ) STRICT;
  CREATE INDEX dead_letter_by_time ON dead_letter (endpoint, time_ms);
  CREATE INDEX dead_letter_by_age ON dead_letter (at_ms);
  CREATE INDEX dead_letter_by_series ON dead_letter (series);
  CREATE INDEX dead_letter_by_answer ON dead_letter (answer);

  CREATE TRIGGER dead_letter_comes AFTER INSERT ON dead_letter BEGIN
    UPDATE dead_letter_endpoint SET letters = letters + 1 WHERE id = NEW.endpoint;
  END;
  CREATE TRIGGER dead_letter_goes AFTER DELETE ON dead_letter BEGIN
    UPDATE dead_letter_endpoint SET letters = letters - 1 WHERE id = OLD.endpoint;
    DELETE FROM dead_letter_series WHERE id = OLD.series
      AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE series = OLD.series);
    DELETE FROM dead_letter_answer WHERE id = OLD.answer
      AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE answer = OLD.answer);
  END;
  CREATE TRIGGER dead_letter_changes AFTER UPDATE ON dead_letter BEGIN
    DELETE FROM dead_letter_series WHERE id = OLD.series
      AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE series = OLD.series);
    DELETE FROM dead_letter_answer WHERE id = OLD.answer
      AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE answer = OLD.answer);
  END;
`;
