import { formatEndpoint } from './base/addresses.ts';
import { CertificateMetrics } from './base/certificate-files.ts';
import type { Clock } from './base/clock.ts';
import { createLog } from './base/log.ts';
import { Metrics } from './base/metrics.ts';
import { FRAME_MS } from './base/ticker.ts';
import { bindUdp, type DatagramSocket } from './base/udp.ts';
import { type CommandFlag, flagFault, readCommandLine } from './command-line.ts';
import type { Config } from './config/config.ts';
import { loadConfig } from './config/load.ts';
import { openSipCertificates } from './gateway-certificates.ts';
import { findNames } from './gateway-names.ts';
import { RtpSender } from './rtp/rtp-sender.ts';
import type { NegotiatedAudio } from './sdp/phone-audio.ts';
import { offerPhone, type PhoneOffer, readPhoneAnswer } from './sdp/phone-offer.ts';
import { EmbeddedEngine } from './sip/embedded/embedded-engine.ts';
import type { Call, DialFailure } from './sip/engine.ts';
import { hangupReason } from './sip/sip-status.ts';
import { TrunkBook } from './sip/trunk-book.ts';

export const DIAL_FLAGS: readonly CommandFlag[] = [
  { flag: 'trunk', takes: 'NAME', help: 'by which trunk' },
  { flag: 'caller', takes: 'NUMBER', help: 'who calls; the user name of the trunk when left out' },
  { flag: 'seconds', takes: 'N', help: 'how long to stay after the answer (3)' },
  { flag: 'ring', takes: 'N', help: 'how many seconds it may ring (30)' },
];

/** Messages that are shown: who repeats more is not understood any better by it. */
const MOST_STEPS = 200;
const MOST_SECONDS = 60;

/** 20 ms of G.711, and nothing in it (ITU-T G.711 tables 1a, 2a). */
const FRAME_TICKS = 160;
const SILENT_PCMU = 0xff;
const SILENT_PCMA = 0xd5;

/** `ringdown dial`: places one call with the trunks of the configuration, sends silence, and shows what was said. @throws ConfigError, GatewayError */
export async function dialCommand(
  argv: readonly string[],
  clock: Clock,
  say: (line: string) => void,
): Promise<{ readonly text: string; readonly code: number }> {
  const { words, flags, rest } = readCommandLine(argv, DIAL_FLAGS, 1);
  const [destination] = words;
  const trunk = flags.get('trunk');
  if (destination === undefined) throw flagFault('dial', 'whom? a number, a name or a sip: URI');
  if (trunk === undefined) throw flagFault('trunk', 'needed: the name of a trunk');
  const seconds = within(flags, 'seconds', 3);
  const ringTimeoutMs = within(flags, 'ring', 30) * 1000;
  const { config } = loadConfig(rest);
  const call = await TestCall.open(config, clock, say);
  try {
    const caller = flags.get('caller');
    return await call.place({ destination, trunk, ringTimeoutMs, ...(caller === undefined ? {} : { from: caller }) }, seconds * 1000);
  } finally {
    await call.close();
  }
}

function within(flags: ReadonlyMap<string, string>, flag: string, otherwise: number): number {
  const text = flags.get(flag);
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d{1,3}$/.test(text) || value < 1 || value > MOST_SECONDS) throw flagFault(flag, `a number from 1 to ${MOST_SECONDS}`);
  return value;
}

/** One call of one engine of its own, on ports that are free. */
class TestCall {
  readonly #clock: Clock;
  readonly #engine: EmbeddedEngine;
  readonly #media: DatagramSocket;
  readonly #say: (line: string) => void;
  readonly #stops: (() => void | Promise<void>)[];
  readonly #startedAt: number;
  #packets = 0;
  #firstPacketAt: number | undefined;

  private constructor(
    clock: Clock,
    engine: EmbeddedEngine,
    media: DatagramSocket,
    say: (line: string) => void,
    stops: (() => void | Promise<void>)[],
  ) {
    this.#clock = clock;
    this.#engine = engine;
    this.#media = media;
    this.#say = say;
    this.#stops = stops;
    this.#startedAt = clock.now();
    media.onDatagram = () => {
      this.#packets += 1;
      this.#firstPacketAt ??= clock.now();
    };
  }

  static async open(config: Config, clock: Clock, say: (line: string) => void): Promise<TestCall> {
    const log = createLog('silent');
    const metrics = new Metrics();
    // One call is asked for: no registration, and nobody is asked whether it is there.
    const quiet = config.trunks.map(({ register: _register, keepAliveS: _keepAliveS, ...trunk }) => trunk);
    const trunks = new TrunkBook(clock, quiet, undefined, config.callers);
    const certificates = await openSipCertificates({ clock, log, metrics: new CertificateMetrics(metrics) }, config);
    const forget = await findNames({ clock, log, metrics, trunks }, config);
    const { bind, publicAddress } = config;
    const startedAt = clock.now();
    let shown = 0;
    const note = (direction: 'in' | 'out', message: Uint8Array, peer: string): void => {
      const [line = ''] = Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString('latin1').split('\r\n', 1);
      shown += 1;
      if (shown > MOST_STEPS) return;
      const arrow = direction === 'out' ? '-->' : '<--';
      say(`${String(Math.round(clock.now() - startedAt)).padStart(6)} ms  ${arrow}  ${peer.padEnd(21)}  ${line}`);
    };
    const engine = new EmbeddedEngine(
      {
        ...{ clock, log, metrics, trunks },
        tls: { contextOf: (profile) => certificates.tls.contextOf(profile) },
        onTraffic: (direction, message, remote) => note(direction, message, formatEndpoint(remote)),
      },
      { bind, port: 0, requestsPerSecond: 0, userAgent: 'Ringdown', ...(publicAddress ? { publicAddress } : {}) },
    );
    await engine.start();
    const media = await bindUdp({ address: bind, port: 0 }, '--bind');
    return new TestCall(clock, engine, media, say, [forget, () => certificates.stop()]);
  }

  async place(
    { destination, trunk, ringTimeoutMs, from }: { destination: string; trunk: string; ringTimeoutMs: number; from?: string },
    stayMs: number,
  ): Promise<{ readonly text: string; readonly code: number }> {
    let offered: PhoneOffer | undefined;
    const offer = (address: string): string => {
      const { port } = this.#media.local;
      offered = offerPhone({ address, rtpPort: port, rtcpPort: port, codecs: ['PCMU', 'PCMA'] });
      return offered.offer;
    };
    const outbound = this.#engine.dial({ trunk, destination, ringTimeoutMs, offer, ...(from === undefined ? {} : { from }) });
    const outcome = await new Promise<{ readonly call: Call; readonly answer: string } | DialFailure>((resolve) => {
      outbound.onAnswered = (call, answer) => resolve({ call, answer });
      outbound.onFailed = resolve;
    });
    if ('cause' in outcome) {
      const q850 = outcome.q850 === undefined ? '' : `, Q.850 cause ${outcome.q850}`;
      return { text: `not answered: ${outcome.cause} (${outcome.status} ${outcome.reason}${q850})`, code: 1 };
    }
    const answeredMs = Math.round(this.#clock.now() - this.#startedAt);
    const agreed = offered && readPhoneAnswer(outcome.answer, offered);
    const ended = await this.#stay(outcome.call, agreed && 'media' in agreed ? agreed.media : undefined, stayMs);
    return { text: `answered after ${answeredMs} ms; ${this.#heard()}; ${ended}`, code: 0 };
  }

  /** Silence, a packet each 20 ms, until the time is up or the other side hangs up. */
  #stay(call: Call, media: NegotiatedAudio | undefined, stayMs: number): Promise<string> {
    const until = this.#clock.now() + stayMs;
    const sender = media && new RtpSender({ payloadType: media.payloadType });
    const silence = Buffer.alloc(FRAME_TICKS, media?.codec === 'PCMA' ? SILENT_PCMA : SILENT_PCMU);
    return new Promise((resolve) => {
      let over = false;
      call.onEnd = (end) => {
        over = true;
        resolve(end === 'hangup' ? 'we hung up' : `ended by the other side (${end})`);
      };
      const beat = (): void => {
        if (over) return;
        if (this.#clock.now() >= until) {
          call.hangup(hangupReason('agent_hangup'));
          return;
        }
        if (media && sender) this.#media.send(sender.next(silence, FRAME_TICKS), media.remote);
        this.#clock.setTimer(FRAME_MS, beat);
      };
      beat();
    });
  }

  #heard(): string {
    if (this.#firstPacketAt === undefined) return 'no audio came';
    return `${this.#packets} packets of audio came, the first after ${Math.round(this.#firstPacketAt - this.#startedAt)} ms`;
  }

  async close(): Promise<void> {
    await this.#engine.stop();
    this.#media.close();
    for (const stop of this.#stops) await stop();
    this.#say('');
  }
}
