import type { RuleTried } from '../base/rule-tried.ts';
import type { LegPolicy } from '../leg/leg.ts';
import type { WebhookTarget } from './webhook-delivery.ts';

/** A route as it is configured. */
export interface Route {
  /** Any number when absent; `*` stands for any characters, `?` for one. */
  readonly number?: string;
  /** Calls by this trunk; by any, or none, when absent. */
  readonly trunk?: string;
  /** Calls of this user; `*` and `?` as in `number`. */
  readonly user?: string;
  /** The number or name of who calls, as `number`. */
  readonly caller?: string;
  /** A header field of the INVITE and what must stand in it, with `*` and `?`. */
  readonly header?: { readonly name: string; readonly value: string };
  /** When the call comes, by the clock of UTC or another offset. */
  readonly hours?: RouteHours;
  readonly project?: string;
  /** Where it stands. */
  readonly source?: string;
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
  /** The number that was dialled, as the trunk's rules make it; of the Request-URI when absent. */
  readonly number?: string | undefined;
  /** The name of the trunk it comes by. */
  readonly trunk?: string | undefined;
  /** The user who calls. */
  readonly user?: string | undefined;
  /** The number or name of who calls. */
  readonly caller?: string | undefined;
  /** Of the INVITE. */
  readonly header?: ((name: string) => string | undefined) | undefined;
  /** Unix milliseconds. */
  readonly at?: number | undefined;
}

/** A window of the week. */
export interface RouteHours {
  /** 0 is Sunday; every day when absent. */
  readonly days?: readonly number[];
  /** Minutes since midnight; `until` before `from` goes over midnight. */
  readonly from: number;
  readonly until: number;
  /** Minutes ahead of UTC. */
  readonly offset: number;
}

/** What becomes of a call. */
export interface Routing {
  readonly policy: LegPolicy;
  /** Who is told of it and decides. */
  readonly webhook?: WebhookTarget & { readonly withinMs: number };
}

/** What of a route a call is compared with, in this order; each says in words what does not fit. */
type Condition = (route: Route, call: ArrivingCall, number: string) => string | undefined;

const CONDITIONS: readonly Condition[] = [
  ({ trunk }, call) => (trunk === undefined || trunk === call.trunk ? undefined : `trunk: not by ${trunk} but by ${call.trunk ?? 'none'}`),
  ({ user }, call) => (user === undefined || fits(user, call.user) ? undefined : `user: ${call.user ?? 'none'} is not ${user}`),
  ({ number }, _call, dialled) => (number === undefined || fits(number, dialled) ? undefined : `number: ${dialled} does not fit ${number}`),
  ({ caller }, call) => (caller === undefined || fits(caller, call.caller) ? undefined : `caller: does not fit ${caller}`),
  ({ header }, call) =>
    header === undefined || fits(header.value, call.header?.(header.name)) ? undefined : `header: ${header.name} does not fit`,
  ({ hours }, call) => (hours === undefined || call.at === undefined || isWithin(hours, call.at) ? undefined : 'hours: not now'),
];

/** The routes, in their order: the first that fits is taken. */
export class RouteTable {
  readonly #routes: readonly { readonly route: Route; readonly routing: Routing }[];
  readonly #otherwise: Routing;

  constructor(routes: readonly Route[], defaultProject: string) {
    this.#routes = routes.map((route) => ({ route, routing: routingOf(route, defaultProject) }));
    this.#otherwise = { policy: { project: defaultProject, decide: { by: 'answer' } } };
  }

  /** A call that fits no route is answered by the local agent. @param tried gets every route that was looked at */
  routeFor(call: ArrivingCall, tried?: RuleTried[]): Routing {
    const number = call.number ?? dialledNumber(call.to);
    for (const [index, { route, routing }] of this.#routes.entries()) {
      let missed: string | undefined;
      for (const condition of CONDITIONS) missed ??= condition(route, call, number);
      const at = route.source === undefined ? {} : { at: route.source };
      tried?.push({ rule: `routes[${index}]`, ...at, matched: missed === undefined, why: missed ?? 'it fits' });
      if (missed === undefined) return routing;
    }
    tried?.push({ rule: 'routes', matched: true, why: 'no route fits: the agent answers' });
    return this.#otherwise;
  }
}

function fits(pattern: string, text: string | undefined): boolean {
  return text !== undefined && matches(pattern.toLowerCase(), text.toLowerCase());
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;

/** Is this moment within the window? A window over midnight belongs to the day it begins on. */
export function isWithin({ days, from, until, offset }: RouteHours, at: number): boolean {
  const minutes = Math.floor(at / MINUTE_MS) + offset;
  const day = Math.floor(minutes / DAY_MINUTES);
  const minute = minutes - day * DAY_MINUTES;
  // 1970-01-01 was a Thursday.
  const on = (which: number): boolean => days === undefined || days.includes((((which + 4) % 7) + 7) % 7);
  if (from <= until) return minute >= from && minute < until && on(day);
  return minute >= from ? on(day) : minute < until && on(day - 1);
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
