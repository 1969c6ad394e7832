import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { DrachtioDoors } from '../../src/sip/drachtio/drachtio-doors.ts';
import { EmbeddedEngine, type EmbeddedEngineDeps, type EmbeddedEngineOptions } from '../../src/sip/embedded/embedded-engine.ts';
import type { Call, CallEnd, DialFailure, DialOptions as EngineDialOptions, InboundCall, OutboundCall } from '../../src/sip/engine.ts';
import type { Trunk } from '../../src/sip/trunk.ts';
import { TrunkBook } from '../../src/sip/trunk-book.ts';
import type { UserBook } from '../../src/sip/user.ts';
import { DrachtioDouble } from './drachtio-double.ts';
import { type Endpoint, LOOPBACK } from './endpoint.ts';
import type { DialOptions, PhoneCall } from './phone-call.ts';
import { SipPhone } from './sip-phone.ts';
import { EventLog, eventually } from './wait.ts';

/* Engines whose sockets are their own, or those of a drachtio server, with a phone on either side. */

export const SECRET = 'k33p-0ut';

interface RunningEngine {
  readonly engine: EmbeddedEngine;
  /** Where phones dial. */
  readonly sip: Endpoint;
  readonly close: () => Promise<void>;
}

interface EngineParts {
  readonly trunks: TrunkBook;
  readonly users?: UserBook;
  readonly options?: Partial<EmbeddedEngineOptions>;
}

type OpenEngine = (parts: EngineParts) => Promise<RunningEngine>;

/** Whose the sockets are. With DRACHTIO_HOST (and DRACHTIO_PORT, DRACHTIO_SECRET, DRACHTIO_SIP_PORT) also those of that real server. */
export const ENGINES: Readonly<Record<string, OpenEngine>> = {
  'sockets of its own': own,
  'a drachtio server that comes to us': (parts) => byDrachtio(parts, 'comes'),
  'a drachtio server that we go to': (parts) => byDrachtio(parts, 'waits'),
  ...(process.env['DRACHTIO_HOST'] === undefined ? {} : { 'a real drachtio server': byRealDrachtio }),
};

export interface EngineBenchOptions {
  /** The phone that calls; beside the trunk unless given. */
  readonly address?: string;
  /** Of the trunk's phone. */
  readonly farAddress?: string;
  readonly trunk?: Partial<Trunk>;
  /** More of them. */
  readonly trunks?: (far: Endpoint) => readonly Trunk[];
  readonly users?: UserBook;
  readonly options?: Partial<EmbeddedEngineOptions>;
}

/** A call of ours and what becomes of it. */
export interface Dialled {
  readonly outbound: OutboundCall;
  readonly answered: EventLog<{ call: Call; answer: string }>;
  readonly failed: EventLog<DialFailure>;
  readonly progress: EventLog<{ readonly status: number; readonly sdp: string | undefined }>;
}

/** One engine, a phone that calls it, and the phone of its trunk. */
export class EngineBench {
  readonly phone: SipPhone;
  readonly far: SipPhone;
  readonly engine: EmbeddedEngine;
  readonly sip: Endpoint;
  readonly invites = new EventLog<InboundCall>();
  readonly #close: () => Promise<void>;

  private constructor(phone: SipPhone, far: SipPhone, { engine, sip, close }: RunningEngine) {
    this.phone = phone;
    this.far = far;
    this.engine = engine;
    this.sip = sip;
    this.#close = close;
    engine.onInvite = (invite) => this.invites.push(invite);
  }

  static async open(
    open: OpenEngine,
    { address, farAddress, trunk, trunks, users, options }: EngineBenchOptions = {},
  ): Promise<EngineBench> {
    const phone = await SipPhone.open(address === undefined ? {} : { address });
    const far = await SipPhone.open({ user: 'desk', ...(farAddress === undefined ? {} : { address: farAddress }) });
    const book = new TrunkBook(systemClock, [{ ...trunkTo(far.local), ...trunk }, ...(trunks?.(far.local) ?? [])]);
    const running = await open({ trunks: book, ...(users && { users }), ...(options && { options }) });
    // A drachtio server learns only after the connection what may be brought to us.
    await eventually(async () => (await phone.ask('OPTIONS', running.sip)).status === 200, 5000, 'the engine to be asked');
    return new EngineBench(phone, far, running);
  }

  async close(): Promise<void> {
    this.phone.close();
    this.far.close();
    await this.#close();
  }

  /** A phone dials; the engine's call to decide about. */
  async rings(options: DialOptions = {}, phone = this.phone): Promise<{ phoneCall: PhoneCall; invite: InboundCall }> {
    const before = this.invites.count;
    const phoneCall = await phone.dial(this.sip, { talk: false, ...options });
    const isIt = ({ sipCallId }: InboundCall): boolean => sipCallId === phoneCall.callId;
    return { phoneCall, invite: await this.invites.find(isIt, 5000, 'an invite', before) };
  }

  async talks(
    options: DialOptions = {},
    phone = this.phone,
  ): Promise<{ phoneCall: PhoneCall; invite: InboundCall; call: Call; ends: EventLog<CallEnd> }> {
    const { phoneCall, invite } = await this.rings(options, phone);
    const call = invite.answer(sdp(4000));
    const acknowledged = new EventLog<true>();
    const ends = new EventLog<CallEnd>();
    call.onEnd = (end) => ends.push(end);
    call.onAck = () => acknowledged.push(true);
    await phoneCall.answered();
    if (!call.acknowledged) await acknowledged.next(() => true, 5000, 'the ACK');
    return { phoneCall, invite, call, ends };
  }

  dials(options: Partial<EngineDialOptions> = {}): Dialled {
    const outbound = this.engine.dial({ trunk: 'far', destination: 'desk', offer: () => sdp(5000), ...options });
    const answered: Dialled['answered'] = new EventLog();
    const failed = new EventLog<DialFailure>();
    const progress: Dialled['progress'] = new EventLog();
    outbound.onAnswered = (call, answer) => answered.push({ call, answer });
    outbound.onFailed = (failure) => failed.push(failure);
    outbound.onProgress = ({ status, sdp: early }) => progress.push({ status, sdp: early });
    return { outbound, answered, failed, progress };
  }

  /** A call of ours that the trunk's phone has answered. */
  async reaches(options: Partial<EngineDialOptions> = {}): Promise<{ incoming: PhoneCall; call: Call; ends: EventLog<CallEnd> }> {
    const coming = this.far.nextCall();
    const { answered } = this.dials(options);
    const incoming = await coming;
    incoming.answer();
    const { call } = await answered.find(() => true, 5000, 'the answer');
    const ends = new EventLog<CallEnd>();
    call.onEnd = (end) => ends.push(end);
    await incoming.acknowledged();
    return { incoming, call, ends };
  }
}

const OPTIONS = { bind: LOOPBACK, port: 0, requestsPerSecond: 0, userAgent: 'Ringdown' };

async function own({ options, ...parts }: EngineParts): Promise<RunningEngine> {
  const engine = new EmbeddedEngine(deps(parts), { ...OPTIONS, ...options });
  const [udp] = await engine.start();
  if (!udp) throw new Error('no listener');
  return { engine, sip: { address: udp.address, port: udp.port }, close: () => engine.stop() };
}

async function byDrachtio({ options: more, ...parts }: EngineParts, way: 'comes' | 'waits'): Promise<RunningEngine> {
  let doors: DrachtioDoors | undefined;
  const program = (): Endpoint => doors?.at ?? { address: LOOPBACK, port: 9 };
  const double = await DrachtioDouble.open({ secret: SECRET, ...(way === 'comes' ? { program } : {}) });
  const listen = { address: LOOPBACK, port: 0 };
  const options = { ...(way === 'comes' ? { listen } : {}), allowed: [LOOPBACK], servers: [double.admin], secret: SECRET };
  const engine = new EmbeddedEngine(
    {
      ...deps(parts),
      openDoors: async (handlers) => {
        doors = await DrachtioDoors.open({ clock: systemClock, log }, handlers, options);
        return doors;
      },
    },
    { ...OPTIONS, sessionIntervalS: 0, ...more },
  );
  await engine.start();
  await eventually(() => double.programs > 0, 5000, 'the connection to the server');
  return {
    engine,
    sip: double.sip,
    close: async () => {
      await engine.stop();
      double.close();
    },
  };
}

async function byRealDrachtio({ options: more, ...parts }: EngineParts): Promise<RunningEngine> {
  const { DRACHTIO_HOST = LOOPBACK, DRACHTIO_PORT = '9022', DRACHTIO_SECRET = 'cymru', DRACHTIO_SIP_PORT = '5060' } = process.env;
  const servers = [{ address: DRACHTIO_HOST, port: Number(DRACHTIO_PORT) }];
  let doors: DrachtioDoors | undefined;
  const engine = new EmbeddedEngine(
    {
      ...deps(parts),
      openDoors: async (handlers) => {
        doors = await DrachtioDoors.open({ clock: systemClock, log }, handlers, { allowed: [], servers, secret: DRACHTIO_SECRET });
        return doors;
      },
    },
    { ...OPTIONS, sessionIntervalS: 0, ...more },
  );
  await engine.start();
  await eventually(() => doors?.dials, 5000, 'the connection to the server');
  return { engine, sip: { address: DRACHTIO_HOST, port: Number(DRACHTIO_SIP_PORT) }, close: () => engine.stop() };
}

const log = createLog('error', process.stderr);

function deps(parts: Omit<EngineParts, 'options'>): EmbeddedEngineDeps {
  return { clock: systemClock, log, metrics: new Metrics(), ...parts };
}

export function trunkTo(peer: Endpoint): Trunk {
  return {
    ...{ name: 'far', peer, transport: 'udp', addresses: [], username: 'gw', password: SECRET },
    ...{ caps: { concurrent: 10, perSecond: 100, perDay: 1000, durationS: 600 }, destinations: ['desk'] },
    ...{ redirects: 'refuse', refer: 'refuse' },
  };
}

export function sdp(port: number): string {
  const head = `v=0\r\no=- ${port} 1 IN IP4 ${LOOPBACK}\r\ns=-\r\nc=IN IP4 ${LOOPBACK}\r\nt=0 0\r\n`;
  return `${head}m=audio ${port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n`;
}
