import type { Clock } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { BindingJournal } from '../binding-journal.ts';
import { type Binding, Bindings, type BindingsOutput } from '../bindings.ts';
import type { SipSource } from '../engine.ts';
import { hasSamePassword, isMarked, passwordMark, type UserBook } from '../user.ts';
import type { Refused } from './admission.ts';
import type { DigestDoor } from './digest-door.ts';
import type { Hop } from './flow.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { readRegister } from './read-register.ts';
import { literalEndpoint, parseUri } from './uri.ts';
import type { HeaderLine } from './write-response.ts';

/** Refreshes more often than once a minute are load, not liveness. */
const MIN_EXPIRES_S = 60;
/** An hour after a phone has vanished without a word it is not rung any more. */
const MAX_EXPIRES_S = 3600;
/** RFC 5626 §4.4.1: after so long without a keep-alive a flow is taken for dead; connections of ours are closed much later. */
const FLOW_TIMER_S = 120;

export interface RegistrarDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly users: UserBook;
  readonly door: DigestDoor;
  /** Keeps bindings over a restart. */
  readonly journal?: BindingJournal | undefined;
}

/** An answer to a REGISTER; `kept`: its repeats are to get the same one, for what it says was done. */
export interface RegisterAnswer extends Refused {
  readonly kept: boolean;
  /** As in LoginRefusal. */
  readonly guessed?: boolean;
  readonly braked?: boolean;
}

/** How a phone is dialled. */
export interface UserContact {
  readonly uri: string;
  readonly q: number;
  readonly hop: Hop;
  /** Route header fields of the INVITE (RFC 3327 §5.3). */
  readonly routes: readonly HeaderLine[];
}

/** Where the phones of our users are (RFC 3261 §10.3). Every REGISTER shows the password of the user it is about. */
export class Registrar {
  readonly #deps: RegistrarDeps;
  readonly #bindings: Bindings;
  /** Whose passwords the phones have shown. */
  #users: UserBook['all'];
  readonly #driver: Driver<BindingsOutput>;
  /** By user. A mark stays as long as it is right: each new one would tell more of the password. */
  readonly #marks = new Map<string, string>();

  constructor(deps: RegistrarDeps) {
    this.#deps = deps;
    this.#users = deps.users.all;
    this.#bindings = new Bindings({ minExpiresS: MIN_EXPIRES_S, maxExpiresS: MAX_EXPIRES_S });
    this.#driver = new Driver(deps.clock, this.#bindings, (output) => this.#carryOut(output));
    deps.metrics.observe('sip_registered_contacts', 'Phones of users that are registered.', () => this.#bindings.size);
    const now = deps.clock.now();
    const wallclock = deps.clock.wallclock();
    for (const [name, kept] of deps.journal?.restored ?? []) {
      const user = deps.users.find(name);
      if (!user || !isMarked(kept.mark, user)) continue;
      this.#marks.set(name, kept.mark);
      const bindings = kept.bindings
        .filter(({ expiresAt }) => expiresAt > wallclock)
        .map((each): Binding => ({ ...each, expiresAt: now + Math.min(each.expiresAt - wallclock, MAX_EXPIRES_S * 1000) }));
      this.#bindings.restore(name, bindings.slice(-user.maxContacts));
    }
    this.#driver.run();
  }

  stop(): void {
    this.#driver.stop();
  }

  /** The users are others now: who is no more is not rung any more, nor who has shown a password that was changed. */
  usersChanged(): void {
    const before = this.#users;
    this.#users = this.#deps.users.all;
    this.#driver.run(() => this.#bindings.keep((name) => hasSamePassword(before.get(name), this.#users.get(name))));
    for (const name of this.#marks.keys()) if (!this.#users.has(name)) this.#marks.delete(name);
  }

  handle(request: IncomingRequest): RegisterAnswer {
    const { users, door, log } = this.#deps;
    const read = readRegister(request);
    if ('status' in read) return { ...read, kept: false };
    const login = door.check(request);
    if ('status' in login) return { ...login, kept: false };
    const user = users.find(login.username);
    // One may not register another; nothing is told about whether there is such a one.
    if (!user || read.user !== user.name) return { status: 403, reason: 'Forbidden', kept: true };
    const { source, head, callId, cseq } = request;
    let outcome: ReturnType<Bindings['register']> | undefined;
    const before = this.#bindings.contactsOf(user.name, this.#deps.clock.now()).length;
    this.#driver.run((now) => {
      const ask = { user: user.name, contacts: read.contacts, callId, cseq, source, path: read.path };
      outcome = this.#bindings.register(now, { ...ask, ...(head.flow.reliable ? { flow: head.flow } : {}) }, user.maxContacts);
    });
    if (outcome?.type === 'too_brief') {
      return { status: 423, reason: 'Interval Too Brief', headers: [['Min-Expires', String(MIN_EXPIRES_S)]], kept: true };
    }
    if (outcome?.type === 'out_of_order') return { status: 500, reason: 'CSeq Out Of Order', kept: true };
    const now = this.#deps.clock.now();
    const bindings = this.#bindings.contactsOf(user.name, now);
    if (bindings.length !== before)
      log.info({ user: user.name, contacts: bindings.length, transport: source.transport }, 'user registered');
    const outbound = read.outbound && head.flow.reliable && bindings.some(({ regId, callId: by }) => regId !== undefined && by === callId);
    const headers: HeaderLine[] = [
      ...bindings.map((binding): HeaderLine => ['Contact', contactLine(binding, now)]),
      ...read.path.map((each): HeaderLine => ['Path', each]),
      ['Supported', 'path, outbound'],
      ...(outbound
        ? ([
            ['Require', 'outbound'],
            ['Flow-Timer', String(FLOW_TIMER_S)],
          ] as const)
        : []),
    ];
    return { status: 200, reason: 'OK', headers, kept: true };
  }

  /** The user whose phone sends from there. */
  userAt(source: SipSource): string | undefined {
    return this.#bindings.userAt(source, this.#deps.clock.now());
  }

  /** Does a phone of a user send from this address? */
  isAt(address: string): boolean {
    return this.#bindings.isAt(address, this.#deps.clock.now());
  }

  /** How a user is reached, the most wanted phones first. Those whose connection is gone and who cannot be called back are left out. */
  contactsOf(user: string): readonly UserContact[] {
    const found: UserContact[] = [];
    for (const binding of this.#bindings.contactsOf(user, this.#deps.clock.now())) {
      const hop = hopOf(binding);
      if (hop) found.push({ uri: binding.uri, q: binding.q, hop, routes: binding.path.map((each) => ['Route', each]) });
      else this.#driver.run(() => this.#bindings.forget(user, binding));
    }
    return found.sort((a, b) => b.q - a.q);
  }

  /** Figures for people, without addresses of phones. */
  snapshot(): { readonly user: string; readonly contacts: readonly { readonly transport: string; readonly expiresInS: number }[] }[] {
    const now = this.#deps.clock.now();
    return this.#deps.users.names.map((user) => ({
      user,
      contacts: this.#bindings.contactsOf(user, now).map(({ source, expiresAt }) => ({
        transport: source.transport,
        expiresInS: Math.round((expiresAt - now) / 1000),
      })),
    }));
  }

  /** Of the password that the phones of this user have shown. */
  #markOf(name: string): string {
    const user = this.#deps.users.find(name);
    if (!user) return '';
    const known = this.#marks.get(name);
    if (known !== undefined && isMarked(known, user)) return known;
    const mark = passwordMark(user);
    this.#marks.set(name, mark);
    return mark;
  }

  #carryOut(output: BindingsOutput): void {
    const { clock, journal, log } = this.#deps;
    if (output.type === 'expired') log.info({ user: output.user }, 'registration expired');
    else
      journal?.note(() => ({
        bindings: this.#bindings.all(clock.now()),
        markOf: (name) => this.#markOf(name),
        offsetMs: clock.wallclock() - clock.now(),
      }));
  }
}

function contactLine({ uri, q, instance, regId, expiresAt }: Binding, now: number): string {
  const device = `${instance === undefined ? '' : `;+sip.instance="<${instance}>"`}${regId === undefined ? '' : `;reg-id=${regId}`}`;
  return `<${uri}>;expires=${Math.max(1, Math.ceil((expiresAt - now) / 1000))}${q === 1 ? '' : `;q=${q}`}${device}`;
}

/** The way a REGISTER came leads back through its NAT. A connection that is gone is opened anew only to the address it came from: a Contact is no way to have us call others. */
function hopOf({ uri, source, flow }: Binding): Hop | undefined {
  const { address, port, transport } = source;
  if (transport === 'udp') return { address, port, transport };
  if (flow?.open) return { address, port, transport, flow };
  const parsed = parseUri(uri);
  const named = parsed && literalEndpoint(parsed);
  if (transport !== 'tcp' || named?.address !== address) return undefined;
  return { ...named, transport: 'tcp' };
}
