import type { LegPolicy } from '../leg/leg.ts';
import type { WebhookTarget } from './webhook-delivery.ts';

/** A route as it is configured. */
export interface Route {
  /** Any number when absent; `*` stands for any characters, `?` for one. */
  readonly number?: string;
  /** Calls by this trunk; by any, or none, when absent. */
  readonly trunk?: string;
  readonly project?: string;
  readonly action:
    | { readonly type: 'answer'; readonly session: SessionObject }
    | {
        readonly type: 'webhook';
        readonly webhook: WebhookTarget & {
          readonly withinMs: number;
          readonly otherwise:
            | { readonly type: 'answer'; readonly session: SessionObject }
            | { readonly type: 'reject'; readonly status: number };
        };
      };
}

type SessionObject = Readonly<Record<string, unknown>>;

/** A phone call that comes in, as far as routes look at it. */
export interface ArrivingCall {
  /** The Request-URI. */
  readonly to: string;
  /** The name of the trunk it comes by. */
  readonly trunk?: string | undefined;
}

/** What becomes of a call. */
export interface Routing {
  readonly policy: LegPolicy;
  /** Who is told of it and decides. */
  readonly webhook?: WebhookTarget & { readonly withinMs: number };
}

/** The routes, in their order: the first that fits is taken. */
export class RouteTable {
  readonly #routes: readonly { readonly fits: (number: string, trunk: string | undefined) => boolean; readonly routing: Routing }[];
  readonly #otherwise: Routing;

  constructor(routes: readonly Route[], defaultProject: string) {
    this.#routes = routes.map((route) => ({
      fits: (number, trunk) =>
        (route.trunk === undefined || route.trunk === trunk) && (route.number === undefined || matches(route.number.toLowerCase(), number)),
      routing: routingOf(route, defaultProject),
    }));
    this.#otherwise = { policy: { project: defaultProject, decide: { by: 'answer' } } };
  }

  /** A call that fits no route is answered by the local agent. */
  routeFor({ to, trunk }: ArrivingCall): Routing {
    const number = dialledNumber(to).toLowerCase();
    return this.#routes.find(({ fits }) => fits(number, trunk))?.routing ?? this.#otherwise;
  }
}

function routingOf({ project = '', action }: Route, defaultProject: string): Routing {
  const owner = project === '' ? defaultProject : project;
  if (action.type === 'answer') return { policy: { project: owner, decide: { by: 'answer' }, ...sessionPart(action.session) } };
  const { otherwise, ...webhook } = action.webhook;
  const decide: LegPolicy['decide'] = {
    by: 'api',
    withinMs: webhook.withinMs,
    otherwise: otherwise.type === 'answer' ? { type: 'answer' } : otherwise,
  };
  return { policy: { project: owner, decide, ...(otherwise.type === 'answer' ? sessionPart(otherwise.session) : {}) }, webhook };
}

/** `{}` is no wish at all: then the local agent's own settings hold. */
function sessionPart(session: SessionObject): { readonly session?: SessionObject } {
  return Object.keys(session).length === 0 ? {} : { session: { type: 'realtime', ...session } };
}

/** The user part of a SIP URI, the number of a tel URI, or the host where nobody is named. */
export function dialledNumber(uri: string): string {
  const match = /^(?:sips?:(?:([^@;?]*)@)?([^;?>]*)|tel:([^;?]+))/i.exec(uri);
  if (!match) return uri;
  const [, user, host = '', number] = match;
  const text = number ?? user?.split(/[:;]/, 1)[0] ?? host;
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // an escape that is none is text
  }
}

/** `*` is any characters, `?` is one. Linear but for the stars, which go back to the last one alone. */
export function matches(pattern: string, text: string): boolean {
  let at = 0;
  let inPattern = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    const char = pattern[inPattern];
    if (char === '*') {
      star = inPattern;
      starAt = at;
      inPattern += 1;
    } else if (char === '?' || char === text[at]) {
      inPattern += 1;
      at += 1;
    } else if (star >= 0) {
      inPattern = star + 1;
      starAt += 1;
      at = starAt;
    } else return false;
  }
  while (pattern[inPattern] === '*') inPattern += 1;
  return inPattern === pattern.length;
}
