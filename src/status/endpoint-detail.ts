import type { DeliveryReport } from '../endpoint/delivery-watch.ts';
import type { Endpoint } from '../endpoint/endpoint.ts';
import type { EndpointLimits } from '../filequeue/retention.ts';
import type { EndpointReading } from '../telemetry/metrics.ts';

/** What the status page needs to know of an endpoint, beyond the metrics. */
export interface EndpointDetail extends EndpointReading {
  readonly thread: Endpoint['thread'];
  /** While somebody has paused it. */
  readonly pausedSinceMs: number | undefined;
  readonly delivery: DeliveryReport | undefined;
  readonly limits: EndpointLimits;
  /** 0 is no limit. */
  readonly ttlMs: number;
  /** Rows since this process started. */
  readonly settledNow: Endpoint['settledNow'];
}
