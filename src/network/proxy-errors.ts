import { SpillwayError } from '../runtime/errors.ts';

/** The proxy has answered, and opens no tunnel: it does not know us, or will not let us there. */
export class ProxyRefusedError extends SpillwayError {
  readonly code = 'PROXY_REFUSED';
}

/** The proxy could not open a tunnel now, or does not speak as it should. */
export class ProxyFailedError extends SpillwayError {
  readonly code = 'PROXY_FAILED';
  override readonly retryable = true;
}
