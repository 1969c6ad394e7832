import { warmUpOpus } from '../../src/audio/opus-warm-up.ts';
import { type Endpoint, isLoopback } from '../../src/base/addresses.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import type { StreamListener } from '../../src/base/tcp.ts';
import { WorkerTicker } from '../../src/base/ticker.ts';
import type { DatagramSocket } from '../../src/base/udp.ts';
import type { EndCause, Leg, LegEvent, OpenedLeg, RejectCause, SessionSummary } from '../../src/leg/leg.ts';
import { deriveNodeKeys, randomClusterKeys } from '../../src/ownership/cluster-keys.ts';
import { directLink } from '../../src/ownership/direct-link.ts';
import { EmbeddedAgent } from '../../src/realtime/embedded/agent.ts';
import { loadPrompts } from '../../src/realtime/embedded/prompts.ts';
import { loadVoiceDetectors } from '../../src/realtime/fvad-detector.ts';
import type { RealtimeModel } from '../../src/realtime/model.ts';
import { createSessionMetrics } from '../../src/realtime/session-metrics.ts';
import { publicCandidates } from '../../src/relay/public-endpoints.ts';
import { Relay } from '../../src/relay/relay.ts';
import { openRelayPorts } from '../../src/relay/relay-ports.ts';
import { Transceiver } from '../../src/transceiver/transceiver.ts';
import { createIdentity } from '../../src/webrtc/dtls/identity.ts';
import type { PeerSnapshot } from '../../src/webrtc/peer-options.ts';
import { LOOPBACK } from './endpoint.ts';
import { ProbeModel } from './probe-model.ts';
import { within } from './wait.ts';

/** What a transceiver tells of one of its sessions, as far as the tests look at it. */
export interface SessionView {
  readonly id: string;
  readonly session: { readonly state: string; readonly turns: number; readonly bargeIns: number };
  readonly peer: PeerSnapshot;
  readonly media: {
    readonly uplink: { readonly frames: number; readonly concealedFrames: number; readonly undecodable: number };
    readonly rtcp: { readonly rttMs?: number };
  };
}

/** A browser's leg, held by the test: takes what the session commands and notes it. */
export class WebLeg {
  #opened: OpenedLeg | undefined;
  #wanted = false;
  #settle: (() => void) | undefined;
  readonly commands: ('answer' | `reject ${RejectCause}` | `hangup ${EndCause}`)[] = [];
  summary: SessionSummary | undefined;
  /** When the last word came (performance.now() ms). */
  endedAt = 0;
  /** The session has said its last word. */
  readonly #over = new Promise<void>((resolve) => {
    this.#settle = resolve;
  });
  readonly leg: Leg = {
    answer: () => {
      this.commands.push('answer');
      this.#wanted = true;
      this.#maybeAnswer();
    },
    reject: (cause) => this.commands.push(`reject ${cause}`),
    hangup: (cause) => this.commands.push(`hangup ${cause}`),
    report: (summary) => {
      this.summary = summary;
      this.endedAt = performance.now();
      this.#settle?.();
    },
  };

  /** SDP for the browser. */
  get answer(): string {
    return this.#opened?.answer ?? '';
  }

  get sessionId(): string {
    return this.#opened?.sessionId ?? '';
  }

  opened(opened: OpenedLeg): void {
    this.#opened = opened;
    this.#maybeAnswer();
  }

  tell(event: LegEvent): void {
    this.#opened?.tell(event);
  }

  press(digit: string): void {
    this.tell({ type: 'dtmf', digit, durationMs: 100 });
  }

  /** Waits for the end of the session; resolves with why it ended. */
  async ended(deadlineMs = 5000): Promise<string> {
    await within(this.#over, deadlineMs, 'the end of the session');
    return this.commands.find((each) => each.startsWith('hangup'))?.slice('hangup '.length) ?? '';
  }

  #maybeAnswer(): void {
    if (!this.#wanted || !this.#opened) return;
    this.#wanted = false;
    this.#opened.tell({ type: 'answered' });
  }
}

/**
 * Relay and transceiver on one loopback port, wired as the gateway wires them in one process. There is no HTTP door yet: the
 * test hands offers in.
 */
export class WebCore {
  readonly #stops: (() => unknown)[];
  readonly transceiver: Transceiver;
  readonly relay: Relay;
  readonly metrics: Metrics;
  /** The public port. */
  readonly at: Endpoint;

  private constructor(parts: { transceiver: Transceiver; relay: Relay; metrics: Metrics; at: Endpoint; stops: (() => unknown)[] }) {
    this.transceiver = parts.transceiver;
    this.relay = parts.relay;
    this.metrics = parts.metrics;
    this.at = parts.at;
    this.#stops = parts.stops;
  }

  /**
   * @param model who talks; the embedded agent when left out
   * @param options.tcp answers name the TCP port too. Then Chromium takes it: its UDP sockets on other addresses than loopback go unanswered here.
   */
  static async start(model?: RealtimeModel, { tcp = false } = {}): Promise<WebCore> {
    await Promise.all([warmUpOpus(), Transceiver.warmUp()]);
    const clock = systemClock;
    const log = createLog('silent');
    const metrics = new Metrics();
    const ticker = new WorkerTicker(clock);
    const keys = deriveNodeKeys(randomClusterKeys());
    const ports = await openRelayPorts({ address: LOOPBACK, port: 0 });
    const socket = loopbackOnly(ports.socket);
    const listener = loopbackOnlyTcp(ports.listener);
    const endpoints = tcp ? publicCandidates([socket.local]) : [socket.local];
    const { relayLink, transceiverLink } = directLink({ nodeId: 0, endpoints });
    const relay = new Relay({ socket, listener, link: transceiverLink, keys, clock, metrics });
    const transceiver = new Transceiver(
      {
        ...{ clock, log, metrics, ticker, keys },
        identity: createIdentity(clock.wallclock()),
        link: relayLink,
        model: model ?? new EmbeddedAgent({ prompts: await loadPrompts() }),
        createVoiceDetector: await loadVoiceDetectors(),
        sessionMetrics: createSessionMetrics(metrics),
      },
      { nodeId: 0, maxSessions: 10 },
    );
    const stops = [() => transceiver.close(), () => relay.close(), () => relayLink.close(), () => ticker.stop()];
    return new WebCore({ transceiver, relay, metrics, at: socket.local, stops });
  }

  /** A core whose model is an instrument. */
  static async withProbe(options: { readonly tcp?: boolean } = {}): Promise<{ readonly core: WebCore; readonly model: ProbeModel }> {
    const model = new ProbeModel();
    return { core: await WebCore.start(model, options), model };
  }

  /** Hands in the offer of a browser, as the HTTP door will. */
  async open(offer: string): Promise<WebLeg> {
    const leg = new WebLeg();
    leg.opened(await this.transceiver.open({ origin: { kind: 'browser' }, offer }, leg.leg));
    return leg;
  }

  /** What the session of this leg looks like now. @throws Error when it is over */
  view(leg: WebLeg): SessionView {
    const found = (this.transceiver.snapshot() as SessionView[]).find(({ id }) => id === leg.sessionId);
    if (!found) throw new Error('the session is over');
    return found;
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) await stop();
  }
}

/** Chromium also checks from the machine's other addresses: these get no answer, as traffic of tests stays on loopback. */
function loopbackOnly(socket: DatagramSocket): DatagramSocket {
  const filtered: DatagramSocket = {
    local: socket.local,
    get sendErrors() {
      return socket.sendErrors;
    },
    onDatagram: undefined,
    send: (datagram, to) => socket.send(datagram, to),
    close: () => socket.close(),
  };
  socket.onDatagram = (datagram, from) => {
    if (isLoopback(from.address)) filtered.onDatagram?.(datagram, from);
  };
  return filtered;
}

function loopbackOnlyTcp(listener: StreamListener): StreamListener {
  const filtered: StreamListener = { local: listener.local, onConnection: undefined, close: () => listener.close() };
  listener.onConnection = (stream) => {
    if (isLoopback(stream.remote.address)) filtered.onConnection?.(stream);
    else stream.destroy();
  };
  return filtered;
}
