import { isIPv4 } from 'node:net';
import type { ListenAddress } from '../config/addresses.ts';
import { authenticates, type WebConfig } from '../config/web-config.ts';

/** Whether only this machine reaches the address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** What is dangerous about listening there with these doors, in whole sentences; `web` is undefined without any. */
export function exposureWarnings(listen: ListenAddress, web: WebConfig | undefined): string[] {
  if (isLoopback(listen)) return [];
  const at = `${listen.host === '' ? 'every interface' : listen.host}, port ${listen.port}`;
  if (web === undefined || !authenticates(web)) {
    return [
      `Whoever reaches ${at}, may write and look: there is no authentication. Set \`web_config_file\`, or listen on 127.0.0.1.`,
    ];
  }
  if (web.tls === undefined) {
    return [
      `Credentials and samples travel in clear to ${at}: there is no TLS. Set \`tls_server_config\` in the web configuration file, unless something in front speaks TLS.`,
    ];
  }
  return [];
}
