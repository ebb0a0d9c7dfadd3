import { Connections } from '../../src/receiver/connections.ts';
import type { SenderLimits } from '../../src/receiver/senders.ts';
import type { ClosedReason } from '../../src/telemetry/reasons.ts';
import { logLines } from './log-lines.ts';

/** Connections within limits that no test reaches by accident. */
export function wideConnections(
  limits: {
    requestTimeoutMs?: number;
    headerTimeoutMs?: number;
    idleTimeoutMs?: number;
    maxConnections?: number;
  } = {},
  onClosed: (reason: ClosedReason) => void = () => undefined,
): Connections {
  return new Connections(
    {
      requestTimeoutMs: 60_000,
      headerTimeoutMs: 60_000,
      idleTimeoutMs: 120_000,
      maxConnections: 1000,
      ...limits,
    },
    logLines().logger,
    Date.now,
    onClosed,
  );
}

/** Senders without limits of their own. */
export const noSenderLimits: SenderLimits = {
  samplesPerSecond: undefined,
  burstMs: 10_000,
  inFlightBytes: undefined,
};
