import type { Config } from './config/config.ts';
import { ConfigError, type Fault } from './config/faults.ts';
import { KeyBook } from './control/key-book.ts';
import { type ArrivingCall, dialledNumber, type Route, RouteTable } from './control/route-table.ts';
import { checkSession } from './realtime/surface/check-session.ts';
import type { InboundCall } from './sip/engine.ts';
import type { InviteFacts } from './sip/read-call-facts.ts';

/**
 * The routes of the configuration. The sessions they answer with are checked here, where the API's schema is at hand.
 * @throws ConfigError naming the place of each fault
 */
export function createRoutes({ routes, projects }: Config): RouteTable {
  const faults = routes.flatMap((route, index) => faultsOf(route, `routes[${index}]`, route.source));
  if (faults.length > 0) throw new ConfigError(faults);
  return new RouteTable(routes, new KeyBook(projects).defaultProject);
}

function faultsOf({ action }: Route, at: string, source: string): Fault[] {
  const answer = action.type === 'answer' ? action : action.webhook.otherwise;
  if (answer.type !== 'answer') return [];
  const checked = checkSession({ type: 'realtime', ...answer.session });
  if ('session' in checked) return [];
  const { param, message } = checked.fault;
  const name = action.type === 'answer' ? 'answer' : 'webhook.otherwise.answer';
  return [{ source, key: `${at}.${name}${param.replace(/^session/, '')}`, message }];
}

/** A call that comes in, as routes look at it. @param at Unix milliseconds */
export function arrivingCall(invite: InboundCall, at: number, facts?: InviteFacts): ArrivingCall {
  const { requestUri, from, caller } = invite;
  return {
    to: requestUri,
    number: facts?.called,
    caller: facts?.caller ?? dialledNumber(from),
    at,
    ...(caller?.type === 'trunk' ? { trunk: caller.name } : {}),
    ...(caller?.type === 'user' ? { user: caller.name } : {}),
    header: (name) => invite.header(name),
  };
}
