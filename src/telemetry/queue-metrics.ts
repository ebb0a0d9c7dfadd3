import type { Registry } from 'prom-client';
import { registerScraped } from './scraped.ts';

/** What the metrics need to know of the queue; read at each scrape. */
export interface QueueReading {
  readonly bytes: number;
  readonly segments: number;
  readonly segment: number;
  readonly openSeries: number;
  readonly inFlightBytes: number;
  /** Connections to the listener that are open. */
  readonly connections: number;
  /** Newest time among the rows received, ms; -Infinity before the first. */
  readonly newestMs: number;
  /** Writes are refused until there is room. */
  readonly full: boolean;
  /** When the oldest row on disk came in, ms; undefined when there is none. */
  readonly oldestMs: number | undefined;
  /** What the segments may have together; Infinity without a cap. */
  readonly capBytes: number;
  /** What the file system has left; undefined when it cannot be asked. */
  readonly freeBytes: number | undefined;
}

/** Registers what is read of the queue; nothing before there is one. */
export function registerQueueMetrics(registry: Registry, queue: () => QueueReading | undefined): void {
  const one = (name: string, help: string, read: (q: QueueReading) => number): void => {
    registerScraped(registry, 'gauge', name, help, () => {
      const q = queue();
      return q === undefined ? [] : [[{}, read(q)]];
    });
  };
  one('spillway_wal_bytes', 'Bytes of all segments on disk.', (q) => q.bytes);
  one('spillway_wal_segments', 'Segments on disk.', (q) => q.segments);
  one('spillway_wal_segment', 'Id of the newest segment.', (q) => q.segment);
  one('spillway_queue_full', '1 while writes are refused for want of room, else 0.', (q) => Number(q.full));
  one(
    'spillway_queue_limit_bytes',
    'What the segments may have together at this moment: wal.max_bytes, or less when the disk has less.',
    (q) => q.capBytes,
  );
  one(
    'spillway_queue_oldest_seconds',
    'Age of the oldest row on disk, delivered or not; 0 when there is none.',
    (q) => (q.oldestMs === undefined ? 0 : Math.max(0, (Date.now() - q.oldestMs) / 1000)),
  );
  one(
    'spillway_disk_free_bytes',
    'Bytes that the file system of the queue has left; NaN when it cannot be asked.',
    (q) => q.freeBytes ?? Number.NaN,
  );
  one('spillway_wal_open_series', 'Series in the dictionary of the open segment.', (q) => q.openSeries);
  one(
    'spillway_received_in_flight_bytes',
    'Bytes of write requests that are held at this moment.',
    (q) => q.inFlightBytes,
  );
  one('spillway_connections', 'Connections to the listener that are open.', (q) => q.connections);
}
