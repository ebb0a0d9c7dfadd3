import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';

/** The version of remote write that an endpoint is sent. */
export type MessageVersion = '1.0' | '2.0' | 'auto';

const versions: Readonly<Record<EndpointSettings['protobufMessage'], MessageVersion>> = {
  'prometheus.WriteRequest': '1.0',
  'io.prometheus.write.v2.Request': '2.0',
  auto: 'auto',
};

/** The version that `protobuf_message` names, in the words of Prometheus. The built-in destination reads 1.0 alone. */
export function messageVersionOf(
  message: EndpointSettings['protobufMessage'],
  kind: 'http' | 'sqlite',
  path: string,
  problems: Problems,
): MessageVersion {
  const version = versions[message];
  if (kind === 'sqlite' && version !== '1.0') {
    problems.add(path, 'a `sqlite:` URL takes `prometheus.WriteRequest` alone: leave the key out');
  }
  return version;
}
