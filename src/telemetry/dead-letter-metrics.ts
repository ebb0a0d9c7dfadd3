import { Counter, Gauge, type Registry } from 'prom-client';

/** What the metrics need to know of the dead letters of an endpoint; read at each scrape. */
export interface DeadLetterReading {
  readonly endpoint: string;
  readonly letters: number;
  readonly resent: number;
  readonly purged: number;
  /** Pushed out by a cap, or never written. */
  readonly maxRows: number;
  readonly maxAge: number;
  readonly failed: number;
}

const dropCauses = [
  ['max_rows', 'maxRows'],
  ['max_age', 'maxAge'],
  ['failed', 'failed'],
] as const;

/** Registers the metrics of the dead letters. Their counters are kept in the ledger: a restart does not reset them. */
export function registerDeadLetterMetrics(
  registry: Registry,
  read: () => readonly DeadLetterReading[],
): void {
  const registers = [registry];
  new Gauge({
    name: 'spillway_dead_letters',
    help: 'Rows that the endpoint refused for good and that are kept, for `spillway dead-letters`.',
    labelNames: ['endpoint'],
    registers,
    collect() {
      this.reset();
      for (const { endpoint, letters } of read()) this.set({ endpoint }, letters);
    },
  });
  new Counter({
    name: 'spillway_dead_letters_dropped_total',
    help: 'Dead letters that are gone for good: pushed out by max_rows or max_age, or failed to be written.',
    labelNames: ['endpoint', 'cause'],
    registers,
    collect() {
      this.reset();
      for (const reading of read()) {
        for (const [cause, count] of dropCauses) {
          this.inc({ endpoint: reading.endpoint, cause }, reading[count]);
        }
      }
    },
  });
  for (const [what, help] of [
    ['resent', 'Dead letters that were sent again and taken.'],
    ['purged', 'Dead letters that somebody has deleted.'],
  ] as const) {
    new Counter({
      name: `spillway_dead_letters_${what}_total`,
      help,
      labelNames: ['endpoint'],
      registers,
      collect() {
        this.reset();
        for (const reading of read()) this.inc({ endpoint: reading.endpoint }, reading[what]);
      },
    });
  }
}
