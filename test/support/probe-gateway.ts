import { warmUpOpus } from '../../src/audio/opus-warm-up.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Loopback } from '../../src/base/loopback.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { WorkerTicker } from '../../src/base/ticker.ts';
import type { CallReport } from '../../src/bridge/call-report.ts';
import { InnerLeg } from '../../src/bridge/inner-leg.ts';
import { LocalMediaHost } from '../../src/bridge/local-media.ts';
import { Switchboard } from '../../src/bridge/switchboard.ts';
import { deriveNodeKeys, randomClusterKeys } from '../../src/ownership/cluster-keys.ts';
import { directLink } from '../../src/ownership/direct-link.ts';
import { loadVoiceDetectors } from '../../src/realtime/fvad-detector.ts';
import { createSessionMetrics } from '../../src/realtime/session-metrics.ts';
import { Relay } from '../../src/relay/relay.ts';
import { openRelayPorts } from '../../src/relay/relay-ports.ts';
import { RtpPortPool } from '../../src/rtp/ports.ts';
import type { StreamAccountSnapshot } from '../../src/rtp/stream-account.ts';
import { EmbeddedEngine } from '../../src/sip/embedded/embedded-engine.ts';
import { Transceiver } from '../../src/transceiver/transceiver.ts';
import { createIdentity } from '../../src/webrtc/dtls/identity.ts';
import { type Endpoint, LOOPBACK } from './endpoint.ts';
import type { DialOptions, PhoneCall } from './phone-call.ts';
import { type ProbeConversation, ProbeModel } from './probe-model.ts';
import { Switchhook } from './switchhook.ts';
import { EventLog } from './wait.ts';

/** More than any test has at a time. */
const MAX_CALLS = 50;

const MEDIA_TIMEOUT_MS = 15_000;

/** A phone call and the model that hears it. */
export interface ProbedCall {
  readonly call: PhoneCall;
  readonly model: ProbeConversation;
}

/** What the transceiver tells of a session's way in, as far as the tests look at it. */
export interface UplinkView {
  readonly frames: number;
  readonly concealedFrames: number;
  readonly silenceFrames: number;
  readonly addedFrames: number;
  readonly droppedFrames: number;
  readonly account: StreamAccountSnapshot;
}

/** The whole gateway in this process, wired as gateway.ts wires it, with an instrument where the model stands. */
export class ProbeGateway {
  readonly #stops: (() => unknown)[];
  readonly #switchboard: Switchboard;
  readonly #transceiver: Transceiver;
  readonly #hook = new Switchhook();
  readonly model: ProbeModel;
  readonly sip: Endpoint;
  /** Of all calls that have ended. */
  readonly reports: EventLog<CallReport>;

  private constructor(parts: {
    readonly switchboard: Switchboard;
    readonly transceiver: Transceiver;
    readonly model: ProbeModel;
    readonly reports: EventLog<CallReport>;
    readonly sip: Endpoint;
    readonly stops: (() => unknown)[];
  }) {
    this.#switchboard = parts.switchboard;
    this.#transceiver = parts.transceiver;
    this.#stops = parts.stops;
    this.model = parts.model;
    this.reports = parts.reports;
    this.sip = parts.sip;
  }

  static async start(): Promise<ProbeGateway> {
    await Promise.all([warmUpOpus(), Transceiver.warmUp()]);
    const clock = systemClock;
    const log = createLog('silent');
    const metrics = new Metrics();
    const ticker = new WorkerTicker(clock);
    const loopback = new Loopback();
    const keys = deriveNodeKeys(randomClusterKeys());
    const model = new ProbeModel();
    const reports = new EventLog<CallReport>();
    const opened = await openRelayPorts({ address: LOOPBACK, port: 0 });
    const socket = loopback.join(opened.socket);
    const { relayLink, transceiverLink } = directLink({ nodeId: 0, endpoints: [socket.local] });
    const relay = new Relay({ socket, listener: opened.listener, link: transceiverLink, keys, clock, metrics });
    const transceiver = new Transceiver(
      {
        ...{ clock, log, metrics, ticker, keys, model },
        identity: createIdentity(clock.wallclock()),
        link: relayLink,
        createVoiceDetector: await loadVoiceDetectors(),
        sessionMetrics: createSessionMetrics(metrics),
      },
      { nodeId: 0, maxSessions: MAX_CALLS },
    );
    const engine = new EmbeddedEngine({ clock, log, metrics }, { bind: LOOPBACK, port: 0, requestsPerSecond: 0, userAgent: 'Ringdown' });
    const inner = { clock, log, identity: createIdentity(clock.wallclock()), bind: LOOPBACK, loopback };
    const media = new LocalMediaHost(
      {
        clock,
        host: transceiver,
        ports: new RtpPortPool(clock, { address: LOOPBACK }),
        openInner: (voice) => InnerLeg.create(inner, voice),
        identity: inner.identity,
        ownerAnswers: () => true,
      },
      { mediaTimeoutMs: MEDIA_TIMEOUT_MS },
    );
    const switchboard = new Switchboard(
      {
        ...{ engine, clock, log, metrics, media },
        onReport: (report) => reports.push(report),
      },
      { maxCalls: MAX_CALLS },
    );
    const listeners = await engine.start();
    const sip = listeners.find(({ transport }) => transport === 'udp');
    if (!sip) throw new Error('the gateway has no SIP port on UDP');
    const stops = [
      () => switchboard.hangUpAll('shutdown'),
      () => engine.stop(),
      () => transceiver.close(),
      () => relay.close(),
      () => relayLink.close(),
      () => ticker.stop(),
    ];
    return new ProbeGateway({ switchboard, transceiver, model, reports, sip, stops });
  }

  /** A call that is answered, and the conversation it has come to. Dial one at a time. */
  async call(options: DialOptions = {}): Promise<ProbedCall> {
    const call = await this.#hook.call(this.sip, options);
    return { call, model: this.model.last };
  }

  /** Hangs up, and gives back what the gateway reports of the call. */
  async end({ call }: ProbedCall): Promise<CallReport> {
    await call.bye();
    return this.reports.find(({ sipCallId }) => sipCallId === call.callId, 5000, 'the report of the call');
  }

  /** Each session as the transceiver shows it, in the order they began. */
  uplinks(): UplinkView[] {
    return (this.#transceiver.snapshot() as { readonly media: { readonly uplink: UplinkView } }[]).map(({ media }) => media.uplink);
  }

  get calls(): number {
    return this.#switchboard.calls;
  }

  async stop(): Promise<void> {
    await this.#hook.close();
    for (const stop of this.#stops) await stop();
  }
}
