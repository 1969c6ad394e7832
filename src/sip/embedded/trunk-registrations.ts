import { isIP } from 'node:net';
import { type Endpoint, sameEndpoint } from '../../base/addresses.ts';
import type { Alert } from '../../base/alert.ts';
import type { Clock } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import { randomText, randomUint32 } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { Gauge, Metrics } from '../../base/metrics.ts';
import { Registration, type RegistrationOutput } from '../registration.ts';
import type { SipIdentity } from '../sip-identity.ts';
import type { Trunk, TrunkRegister } from '../trunk.ts';
import type { Flow, Hop } from './flow.ts';
import type { SipResponse } from './message.ts';
import { parseNameAddress } from './name-address.ts';
import { isChallenge, OutboundCredentials } from './outbound-credentials.ts';
import { type OutboundHead, writeOutbound } from './outbound-request.ts';
import type { OutboundServices } from './outbound-services.ts';
import { splitElements } from './text.ts';
import { parseUri, uriHost } from './uri.ts';
import { parseVia } from './via.ts';
import type { HeaderLine } from './write-response.ts';

export interface TrunkRegistrationsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly services: OutboundServices;
  readonly onAlert?: ((alert: Alert) => void) | undefined;
  readonly identity: SipIdentity;
  /** Where a trunk with a name is. */
  readonly hopsTo: (trunk: Trunk) => readonly Hop[];
}

/** How a registration stands, for people. */
export interface RegistrationState {
  readonly registered: boolean;
  /** Since when it has been so: Unix milliseconds. */
  readonly since: number;
  readonly registrar: string;
  /** Why it is not registered. */
  readonly failure?: string;
}

const PING = Buffer.from('\r\n\r\n');

/** The registrations of all trunks that have one. */
export class TrunkRegistrations {
  readonly #deps: TrunkRegistrationsDeps;
  #gauge: Gauge<'trunk'> | undefined;
  #all: readonly TrunkRegistration[] = [];

  constructor(deps: TrunkRegistrationsDeps) {
    this.#deps = deps;
  }

  /** These trunks from now on. One whose account is what it was goes on; what is no more says goodbye. */
  replace(trunks: readonly Trunk[]): void {
    const old = new Map(this.#all.map((each) => [each.key, each]));
    this.#all = trunks.flatMap((trunk) => {
      const { register } = trunk;
      if (!register) return [];
      const key = keyOf(trunk, register);
      const known = old.get(key);
      old.delete(key);
      if (known) return [known];
      const opened = this.#open(trunk, register, key);
      // The same Contact: the farewell of the old one must not take the new one away.
      const before = [...old.values()].find(({ name }) => name === trunk.name);
      if (before) void before.leave().then(() => opened.start());
      else opened.start();
      return [opened];
    });
    for (const each of old.values()) void each.leave();
  }

  /** The trunk that a Request-URI with this user part is for. */
  trunkOf(user: string): string | undefined {
    return this.#all.find(({ contactUser }) => contactUser === user)?.name;
  }

  stateOf(trunk: string): RegistrationState | undefined {
    return this.#all.find(({ name }) => name === trunk)?.state;
  }

  /** Takes all bindings away; resolves when they are gone, or after 400 ms. */
  async leave(): Promise<void> {
    await Promise.all(this.#all.map((each) => each.leave()));
  }

  /** At once, without a word. */
  stop(): void {
    for (const each of this.#all) each.stop();
    this.#all = [];
  }

  #open(trunk: Trunk, register: TrunkRegister, key: string): TrunkRegistration {
    this.#gauge ??= this.#deps.metrics.gauge('sip_trunk_registered', 'Whether a trunk that we register with sends its calls here.', [
      'trunk',
    ]);
    const gauge = this.#gauge;
    return new TrunkRegistration(this.#deps, {
      trunk,
      register,
      key,
      onState: (registered) => gauge.set({ trunk: trunk.name }, registered ? 1 : 0),
    });
  }
}

interface Account {
  readonly trunk: Trunk;
  readonly register: TrunkRegister;
  readonly key: string;
  readonly onState: (registered: boolean) => void;
}

/** One address of ours at one registrar of several. */
class TrunkRegistration {
  readonly key: string;
  readonly name: string;
  readonly contactUser: string;
  state: RegistrationState;
  readonly #deps: TrunkRegistrationsDeps;
  readonly #account: Account;
  readonly #machine: Registration;
  readonly #driver: Driver<RegistrationOutput>;
  readonly #callId = randomText(22);
  readonly #tag = randomText(22);
  #credentials: OutboundCredentials | undefined;
  #credentialsFor: Endpoint | undefined;
  #cseq = 0;
  /** What the registrar saw of us. */
  #learned: Endpoint | undefined;
  /** What stands at the registrar and is to go with the next request. */
  #stale: string | undefined;
  #contact = '';
  #asked: { forget(): void } | undefined;
  #flow: Flow | undefined;
  /** The place of a name that is asked as long as it answers, and one that did not. */
  #hop: Hop | undefined;
  #dead: Hop | undefined;
  #left: (() => void)[] = [];
  #over = false;

  constructor(deps: TrunkRegistrationsDeps, account: Account) {
    this.#deps = deps;
    this.#account = account;
    const { trunk, register, key } = account;
    this.key = key;
    this.name = trunk.name;
    this.contactUser = deps.identity.contactUser(trunk.name);
    this.state = {
      registered: false,
      since: deps.clock.wallclock(),
      registrar: textOf(register.registrars[0]),
      failure: 'not answered yet',
    };
    const { expiresS, keepAliveS } = register;
    const random = (): number => randomUint32() / 2 ** 32;
    this.#machine = new Registration({ registrars: register.registrars.length, expiresS, keepAliveS, random });
    this.#driver = new Driver(deps.clock, this.#machine, (output) => this.#carryOut(output));
    account.onState(false);
  }

  start(): void {
    this.#driver.run((now) => this.#machine.start(now));
  }

  leave(): Promise<void> {
    if (this.#over) return Promise.resolve();
    const gone = new Promise<void>((resolve) => this.#left.push(resolve));
    this.#driver.run((now) => this.#machine.leave(now));
    return gone;
  }

  stop(): void {
    this.#over = true;
    this.#driver.stop();
    this.#asked?.forget();
    for (const resolve of this.#left.splice(0)) resolve();
  }

  #carryOut(output: RegistrationOutput): void {
    const { log, clock } = this.#deps;
    const trunk = this.name;
    switch (output.type) {
      case 'send':
        this.#send(output.registrar, output.expiresS);
        return;
      case 'forget':
        this.#asked?.forget();
        return;
      case 'keep_alive':
        this.#flow?.send(PING);
        return;
      case 'registered': {
        const registrar = textOf(this.#account.register.registrars[this.#machine.registrar]);
        if (!this.state.registered) log.info({ trunk, expiresS: output.expiresS }, 'trunk registered');
        this.state = { registered: true, since: this.state.registered ? this.state.since : clock.wallclock(), registrar };
        this.#account.onState(true);
        return;
      }
      case 'lost': {
        const { why, status, retryInS } = output;
        log.warn({ trunk, why, status, retryInS }, 'trunk not registered');
        const failure = status === 0 ? why : `${why} (${status})`;
        this.#deps.onAlert?.({ kind: 'registration_lost', subject: trunk, detail: failure });
        this.state = { ...this.state, registered: false, since: clock.wallclock(), failure };
        this.#account.onState(false);
        return;
      }
      case 'left':
        this.#account.onState(false);
        this.stop();
    }
  }

  #send(index: number, expiresS: number): void {
    const { services, identity } = this.#deps;
    const { register, trunk } = this.#account;
    const lost = (): void => {
      this.#dead = this.#hop;
      this.#hop = undefined;
      this.#driver.run((now) => this.#machine.timedOut(now));
    };
    const hop = this.#hopTo(register.registrars[index] ?? trunk.peer);
    if (!hop) {
      this.#deps.clock.setTimer(0, lost);
      return;
    }
    this.#hop = hop;
    const registrar: Endpoint = { address: hop.address, port: hop.port };
    const uri = `sip:${register.domain}`;
    const aor = `<sip:${register.username}@${register.domain}>`;
    const head: OutboundHead = { from: `${aor};tag=${this.#tag}`, to: aor, callId: this.#callId };
    const localAddress = services.localAddressFor(registrar.address);
    this.#contact = this.#contactUri(localAddress, hop.transport);
    const device = `;+sip.instance="<${identity.instance}>";reg-id=1`;
    this.#cseq += 1;
    const cseq = this.#cseq;
    const lines: HeaderLine[] = [
      ['Contact', `<${this.#contact}>;expires=${expiresS}${device}`],
      // Where it stood until now, so that calls do not go there too.
      ...(this.#stale === undefined ? [] : ([['Contact', `<${this.#stale}>;expires=0`]] as const)),
      ['Expires', String(expiresS)],
      ['Supported', 'path, outbound'],
      ...this.#credentialsTo(registrar).lines('REGISTER', uri, registrar),
      ['User-Agent', services.userAgent],
    ];
    const way = services.way(hop, localAddress, (via) => writeOutbound('REGISTER', head, { uri, via, cseq }, lines));
    this.#flow = way.flow;
    this.#asked = way.send('REGISTER', way.message, {
      onResponse: (response) => this.#handleResponse(response, registrar),
      onTimeout: lost,
      onUndelivered: lost,
    });
  }

  /** Undefined while its name is not resolved. */
  #hopTo(registrar: Endpoint): Hop | undefined {
    const { trunk } = this.#account;
    const { transport, tls, lookUp } = trunk;
    if (isIP(registrar.address) !== 0) {
      const name = tls?.name ?? registrar.address;
      return { ...registrar, transport, ...(transport === 'tls' ? { tls: { profile: trunk.name, name } } : {}) };
    }
    const hops = lookUp?.host === registrar.address ? this.#deps.hopsTo(trunk) : [];
    const is = (one: Hop | undefined) => (hop: Hop) => one !== undefined && one.transport === hop.transport && sameEndpoint(one, hop);
    return hops.find(is(this.#hop)) ?? hops.find((hop) => !is(this.#dead)(hop)) ?? hops[0];
  }

  #handleResponse(response: SipResponse, registrar: Endpoint): void {
    const { status, headers } = response;
    if (status < 200 || this.#over) return;
    const credentials = this.#credentialsTo(registrar);
    if (isChallenge(status) && credentials.challenged(response, registrar)) {
      this.#driver.run(() => this.#machine.challenged());
      return;
    }
    if (status < 300) {
      credentials.accepted();
      this.#stale = undefined;
    }
    const learned = status < 300 && this.#learn(response);
    this.#driver.run((now) =>
      this.#machine.answered(now, {
        status,
        expiresS: this.#expiresIn(response),
        minExpiresS: secondsOf(headers.first('min-expires')),
        retryAfterS: secondsOf(headers.first('retry-after')),
        learned,
      }),
    );
  }

  /** What our binding was given: with its Contact, or for all of them. */
  #expiresIn({ headers }: SipResponse): number | undefined {
    for (const element of headers.elements('contact') ?? []) {
      const address = parseNameAddress(element);
      const uri = address && parseUri(address.uri);
      if (uri?.type === 'sip' && uri.user === this.contactUser && address?.uri !== this.#stale) {
        const own = secondsOf(address?.parameters.get('expires'));
        if (own !== undefined && own > 0) return own;
      }
    }
    return secondsOf(headers.first('expires'));
  }

  /** RFC 3581 §4: what the registrar saw of us is where calls can come to. @returns whether that is news */
  #learn({ headers }: SipResponse): boolean {
    if (this.#account.register.contact === 'local') return false;
    const via = parseVia(splitElements(headers.first('via') ?? '')?.[0] ?? '');
    const address = via?.parameters.get('received')?.replace(/^\[(.*)\]$/, '$1') ?? '';
    const port = Number(via?.parameters.get('rport') ?? Number.NaN);
    // What it says stands in our next Contact: an address, and nothing else.
    if (isIP(address) === 0 || !Number.isInteger(port) || port < 1 || port > 65_535) return false;
    // Behind no NAT it sees what we said ourselves.
    const before = this.#contact;
    this.#learned = { address, port };
    const now = this.#contactUri('', this.#hop?.transport ?? this.#account.trunk.transport);
    if (now === before) return false;
    this.#stale = before;
    return true;
  }

  #contactUri(localAddress: string, transport: Hop['transport']): string {
    if (this.#learned && transport === 'udp') return `sip:${this.contactUser}@${uriHost(this.#learned.address)}:${this.#learned.port}`;
    // Of a connection the far end sees a port that nobody listens on.
    const own = this.#deps.services.contact(this.#learned?.address ?? localAddress, transport);
    return own.slice(1, -1).replace(/^sip:/, `sip:${this.contactUser}@`);
  }

  /** They are for the registrar that is asked, and for nobody else. */
  #credentialsTo(registrar: Endpoint): OutboundCredentials {
    if (this.#credentials && this.#credentialsFor && sameEndpoint(this.#credentialsFor, registrar)) return this.#credentials;
    const { register, trunk } = this.#account;
    const { password } = register;
    const login = password === undefined ? {} : { username: register.authUsername, password };
    this.#credentialsFor = registrar;
    const realm = trunk.realm === undefined ? {} : { realm: trunk.realm };
    this.#credentials = new OutboundCredentials({ ...login, ...realm }, [registrar]);
    return this.#credentials;
  }
}

function secondsOf(text: string | undefined): number | undefined {
  const digits = /^[ \t]*(\d{1,9})/.exec(text ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function textOf(endpoint: Endpoint | undefined): string {
  return endpoint ? `${uriHost(endpoint.address)}:${endpoint.port}` : '';
}

/** What makes it another registration. */
function keyOf({ name, transport, lookUp, realm, tls }: Trunk, register: TrunkRegister): string {
  return JSON.stringify([name, transport, lookUp, realm, tls, register]);
}
