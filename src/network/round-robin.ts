import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type LookupAll = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * For `net.connect`: the addresses of a name, beginning with any of them. So connections spread over all of them, and
 * where one does not answer the next one is tried.
 *
 * @param random gives numbers in [0, 1)
 */
export function roundRobin(
  lookup: LookupAll = systemLookup,
  random: () => number = Math.random,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const first = Math.floor(random() * addresses?.length);
      const turned = error === null ? [...addresses.slice(first), ...addresses.slice(0, first)] : [];
      if (options.all) callback(error, turned);
      else callback(error, turned[0]?.address ?? '', turned[0]?.family);
    });
  };
}
