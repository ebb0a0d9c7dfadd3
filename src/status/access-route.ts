import type { IncomingMessage } from 'node:http';
import { answerJson, type Handler } from './answers.ts';
import type { AccessDocument } from './document.ts';

export const accessPath = '/api/v1/access';

/** Who asks, as the listener knows it: undefined where nobody is asked who they are. */
export type VisitorOf = (
  request: IncomingMessage,
) => { readonly user: string | undefined; readonly access: 'read' | 'write' | 'all' } | undefined;

/** Who asked, for a line of the log: nothing where it is not known. */
export function askerOf(visitorOf: VisitorOf, request: IncomingMessage): { readonly user?: string } {
  const user = visitorOf(request)?.user;
  return user === undefined ? {} : { user };
}

/** `GET /api/v1/access`: whether a browser of whoever asks may change something here, and what it takes. */
export function accessRoute(visitorOf: VisitorOf): [string, Handler] {
  return [
    accessPath,
    (request, response) => {
      response.setHeader('Cache-Control', 'no-store');
      answerJson(response, 200, accessOf(visitorOf(request)));
    },
  ];
}

function accessOf(visitor: ReturnType<VisitorOf>): AccessDocument {
  if (visitor === undefined) {
    return {
      user: null,
      mayChange: false,
      says:
        'Read-only, since nobody has to log in here. For buttons to pause, move and resend, name a file with ' +
        '`basic_auth_users` in `web_config_file`; in a terminal there is `spillway endpoint`.',
    };
  }
  const { user = null, access } = visitor;
  const who = user === null ? 'by a certificate' : `as ${user}`;
  if (access === 'all') return { user, mayChange: true, says: `Logged in ${who}.` };
  return {
    user,
    mayChange: false,
    says: `Logged in ${who}, who may look only: buttons take the access \`all\`, see \`user_access\` in the web configuration file.`,
  };
}
