import type { Endpoint } from '../../../src/base/addresses.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { DatagramSocket } from '../../../src/base/udp.ts';
import { EmbeddedEngine, type EmbeddedEngineDeps, type EmbeddedEngineOptions } from '../../../src/sip/embedded/embedded-engine.ts';
import type { InboundCall } from '../../../src/sip/engine.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeListener, FakeStream } from './fake-stream.ts';

export const PEER: Endpoint = { address: '192.0.2.10', port: 5062 };
export const OFFER = 'v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
export const ANSWER = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n';

export interface Sent {
  readonly at: number;
  readonly to: Endpoint;
  readonly text: string;
  /** `200`, or the method of a request. */
  readonly what: string;
}

/** What a test gives the engine besides clock, log, metrics and sockets. */
type MoreDeps = (clock: FakeClock) => Partial<EmbeddedEngineDeps>;

/** The engine on a fake clock and a socket that is a list: what arrives is handed in, what is sent is kept. */
export class EngineUnderTest {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly sent: Sent[] = [];
  readonly invites: InboundCall[] = [];
  /** What the engine logged as broken. */
  readonly faults: string[] = [];
  readonly engine: EmbeddedEngine;
  /** Connections the engine opened. */
  readonly opened: FakeStream[] = [];
  #socket: DatagramSocket | undefined;
  #listener: FakeListener | undefined;

  constructor(options: Partial<EmbeddedEngineOptions> = {}, more: MoreDeps = () => ({})) {
    const deps = {
      clock: this.clock,
      log: createLog('error', { write: (line) => void this.faults.push(line) }),
      metrics: this.metrics,
      ...more(this.clock),
      bind: async (at: Endpoint) => this.#open(at),
      listen: async (at: Endpoint) => {
        this.#listener = new FakeListener(at);
        return this.#listener;
      },
      connect: (to: Endpoint) => {
        const stream = new FakeStream(to, (text) => this.#note(text, to));
        this.opened.push(stream);
        return stream;
      },
    };
    this.engine = new EmbeddedEngine(deps, { bind: '192.0.2.1', port: 5060, requestsPerSecond: 0, userAgent: 'ringdown', ...options });
    this.engine.onInvite = (invite) => void this.invites.push(invite);
  }

  static async start(options: Partial<EmbeddedEngineOptions> = {}, more?: MoreDeps): Promise<EngineUnderTest> {
    const test = new EngineUnderTest(options, more);
    await test.engine.start();
    return test;
  }

  #open(at: Endpoint): DatagramSocket {
    this.#socket = {
      local: at,
      sendErrors: 0,
      onDatagram: undefined,
      send: (datagram, to) => {
        this.#note(Buffer.from(datagram).toString(), to);
      },
      close: () => undefined,
    };
    return this.#socket;
  }

  /** A connection of a peer. What the engine writes to it is in `sent` as well. */
  connect(from: Endpoint = PEER): FakeStream {
    const stream = new FakeStream(from, (text) => this.#note(text, from));
    this.#listener?.onConnection?.(stream);
    return stream;
  }

  #note(text: string, to: Endpoint): void {
    this.sent.push({ at: this.clock.now(), to, text, what: /^SIP\/2\.0 (\d+)/.exec(text)?.[1] ?? /^\S+/.exec(text)?.[0] ?? '' });
  }

  receive(message: string | Buffer, from: Endpoint = PEER): void {
    this.#socket?.onDatagram?.(Buffer.from(message as string), from);
  }

  /** Hands a message in and takes out what was sent because of it. */
  exchange(message: string | Buffer, from?: Endpoint): Sent[] {
    const before = this.sent.length;
    this.receive(message, from);
    return this.sent.slice(before);
  }

  /** What was sent since the start, with its time. */
  get timeline(): [number, string][] {
    return this.sent.map(({ at, what }) => [at, what]);
  }

  async count(metric: string): Promise<number> {
    const line = (await this.metrics.text()).split('\n').find((each) => each.startsWith(`ringdown_${metric} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  }
}

export interface RequestParts {
  readonly method?: string;
  readonly uri?: string;
  readonly branch?: string;
  readonly via?: string;
  readonly cseq?: number;
  readonly callId?: string;
  readonly fromTag?: string;
  readonly toTag?: string | undefined;
  readonly contact?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

let branches = 0;

/** A well-formed request of the peer, with what the test wants different. */
export function request(parts: RequestParts = {}): string {
  const { method = 'INVITE', uri = 'sip:agent@192.0.2.1', cseq = 1, callId = 'call-1@192.0.2.10', fromTag = 'caller', toTag } = parts;
  branches += 1;
  const via = parts.via ?? `SIP/2.0/UDP 192.0.2.10:5062;branch=${parts.branch ?? `z9hG4bK-${branches}`}`;
  const body = parts.body ?? (method === 'INVITE' ? OFFER : '');
  return [
    `${method} ${uri} SIP/2.0`,
    `Via: ${via}`,
    'Max-Forwards: 70',
    `From: "Caller" <sip:+15551234567@192.0.2.10>;tag=${fromTag}`,
    `To: <sip:agent@192.0.2.1>${toTag === undefined ? '' : `;tag=${toTag}`}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
    `Contact: ${parts.contact ?? '<sip:caller@192.0.2.10:5062>'}`,
    ...(body ? ['Content-Type: application/sdp'] : []),
    ...(parts.headers ?? []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

export function header(text: string, name: string): string | undefined {
  return new RegExp(`^${name}: ?(.*)$`, 'im').exec(text)?.[1]?.trimEnd();
}

export function toTagOf(text: string): string {
  return /^To:.*;tag=(\S+)/im.exec(text)?.[1] ?? '';
}

/** An answered call: its handle, the tag we gave it, and what it takes to speak in its dialog. */
export function answeredCall(test: EngineUnderTest, parts: RequestParts = {}, acknowledged = true) {
  test.receive(request(parts));
  const invite = test.invites.at(-1);
  if (!invite) throw new Error('the INVITE did not arrive');
  const call = invite.answer(ANSWER);
  const toTag = toTagOf(test.sent.at(-1)?.text ?? '');
  const inDialog = (more: RequestParts): string => request({ ...parts, headers: [], toTag, ...more });
  if (acknowledged) test.receive(inDialog({ method: 'ACK', cseq: parts.cseq ?? 1 }));
  const ends: string[] = [];
  call.onEnd = (end) => void ends.push(end);
  return { invite, call, toTag, inDialog, ends };
}

/** The response a peer gives to a request of ours. */
export function responseTo(text: string, status: number): string {
  const lines = ['Via', 'From', 'To', 'Call-ID', 'CSeq'].map((name) => `${name}: ${header(text, name)}`);
  return [`SIP/2.0 ${status} Whatever`, ...lines, 'Content-Length: 0', '', ''].join('\r\n');
}
