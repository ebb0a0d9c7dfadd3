/** Requirements that no test can hold, or that we do not meet on purpose, and why. The others are not done yet. */
export const untested: Readonly<Record<string, string>> = {
  'RW1-S-12': 'names are passed on as they came, also those that only 2.0 allows (RLY-06)',
  'RW1-S-13': 'labels are passed on as they came: those of a sender, or of a relabelling rule',
  'RW1-S-22': 'nobody does it, and 2.0 has replaced it by content types',
  'RW1-R-09': 'we send no such header',
  'RW2-S-13': 'the version header of an answer is read nowhere',
  'RW2-R-11': 'a write that fails is undone as a whole: there is no partial one to answer',
  'RW-STALE-04': 'a rule for tests; they compare bits',
  'INT-09': 'a matter of load: docs/performance.md has what an answer takes',
};
