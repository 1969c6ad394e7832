import { isIPv6 } from 'node:net';
import { liveOpusCodecs } from './audio/opus.ts';
import { warmUpOpus } from './audio/opus-warm-up.ts';
import { type Clock, systemClock } from './base/clock.ts';
import type { Logger } from './base/log.ts';
import { Loopback } from './base/loopback.ts';
import { Metrics } from './base/metrics.ts';
import { WorkerTicker } from './base/ticker.ts';
import { bindUdp } from './base/udp.ts';
import type { Config } from './config/config.ts';
import { createMcpHub } from './gateway-mcp.ts';

import { createLocalMedia, createTransceiver, type ModelSwitch, type PhoneLegParts, type TransceiverHandle } from './gateway-media.ts';
import { deriveRelayKeys } from './ownership/cluster-keys.ts';
import { directLink } from './ownership/direct-link.ts';
import { InnerWire } from './ownership/inner-wire.ts';
import { joinRelayLinks } from './ownership/join-relay-links.ts';
import { ServedLegs } from './ownership/served-legs.ts';
import { ServedSessions } from './ownership/served-sessions.ts';
import { UdpRelayLink } from './ownership/udp-relay-link.ts';
import type { McpHub } from './realtime/mcp/mcp-hub.ts';
import { Relay } from './relay/relay.ts';
import { Transceiver } from './transceiver/transceiver.ts';
import { FrontDialler } from './workers/front-dialler.ts';
import { type FromWorker, isCallOrder, type ToWorker, type WorkerConfigure, type WorkerStart } from './workers/messages.ts';
import { ServedCalls } from './workers/served-calls.ts';
import { BEAT_MS } from './workers/worker.ts';
import { INNER_ADDRESS } from './workers/worker-pool.ts';

/** While no relay has been heard: the calls wait for that. */
const IMPATIENT_BEAT_MS = 50;

/** A worker at its work: a transceiver behind the relay of the front, and the media of the phones of its calls. */
export class GatewayWorker {
  readonly #clock: Clock = systemClock;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #prepareModel: ModelSwitch;
  readonly #send: (message: FromWorker) => void;
  readonly #transceiver: Transceiver;
  readonly #mcp: McpHub;
  readonly #calls: ServedCalls;
  readonly #legs: ServedLegs;
  readonly #sessions: ServedSessions;
  readonly #dialler: FrontDialler;
  #draining = false;

  /** @throws GatewayError ERR_PORT_IN_USE */
  static async start(options: WorkerStart, log: Logger, send: (message: FromWorker) => void): Promise<GatewayWorker> {
    const { worker: nodeId, key, maxCalls, agent, model, tools, bind } = options;
    const clock = systemClock;
    const metrics = new Metrics({ worker: String(nodeId) });
    await Promise.all([warmUpOpus(), Transceiver.warmUp()]);
    metrics.observe('opus_codecs', 'Opus encoders and decoders in use.', liveOpusCodecs);
    const keys = { current: key };
    const relayKeys = deriveRelayKeys(keys);
    const socket = await bindUdp({ address: INNER_ADDRESS, port: 0 });
    const wire = new InnerWire({ socket, keys: relayKeys, clock, metrics }, { nodeId });
    const front = new UdpRelayLink({ wire, clock });
    // The phones' legs of this worker are its own and need not go round by the front: they have a relay here, which no other machine reaches.
    const loopback = new Loopback();
    const nearSocket = loopback.join(await bindUdp({ address: isIPv6(bind) && bind !== '::' ? '::1' : INNER_ADDRESS, port: 0 }));
    const { relayLink: near, transceiverLink } = directLink({ nodeId, endpoints: [] });
    new Relay({ socket: nearSocket, link: transceiverLink, keys: relayKeys, clock, metrics });
    const link = joinRelayLinks(front, near);
    const ticker = new WorkerTicker(clock);
    ticker.start();
    const dialler = new FrontDialler(send, clock);
    const mcp = await createMcpHub({ clock, log, metrics }, options.mcp);
    const { transceiver, prepareModel } = await createTransceiver(
      {
        clock,
        log,
        metrics,
        ticker,
        keys,
        link,
        dialler,
        agent,
        model,
        mcp,
        tools: tools as unknown as Config['tools'],
        sessionMinutes: options.sessionMinutes,
      },
      { nodeId, maxSessions: maxCalls },
    );
    const started = new GatewayWorker(
      options,
      { clock, log, metrics, loopback, nearRelay: nearSocket.local, host: transceiver, ownerAnswers: () => true },
      { transceiver, prepareModel },
      mcp,
      dialler,
      send,
    );
    send({ type: 'listening', innerPort: wire.local.port });
    started.#beat();
    return started;
  }

  private constructor(
    options: WorkerStart,
    parts: PhoneLegParts,
    { transceiver, prepareModel }: TransceiverHandle,
    mcp: McpHub,
    dialler: FrontDialler,
    send: (message: FromWorker) => void,
  ) {
    this.#metrics = parts.metrics;
    this.#log = parts.log;
    this.#prepareModel = prepareModel;
    this.#dialler = dialler;
    this.#mcp = mcp;
    this.#transceiver = transceiver;
    this.#send = send;
    this.#legs = new ServedLegs(transceiver, (message) => send({ type: 'leg', message }), { maxLegs: options.maxCalls });
    this.#sessions = new ServedSessions(transceiver, (message) => {
      send({ type: 'session', message });
      return true;
    });
    this.#calls = new ServedCalls(createLocalMedia(parts, options), send);
  }

  handle(message: ToWorker): void {
    if (isCallOrder(message)) this.#calls.handle(message);
    else if (message.type === 'measure') void this.#measure(message.request);
    else if (message.type === 'dialled') this.#dialler.handle(message);
    else if (message.type === 'leg') this.#legs.handle(message.message);
    else if (message.type === 'session') this.#sessions.handle(message.message);
    else if (message.type === 'configure') void this.#configure(message);
    else if (message.type === 'drain') {
      this.#draining = true;
      this.#tellStatus();
    }
  }

  /** Ends every session, and the servers of tools that are programs. Bounded in time. */
  async close(): Promise<void> {
    this.#transceiver.close();
    await this.#mcp.close();
  }

  /** The front has checked it; what fails here all the same leaves this worker as it was until it is started anew. */
  async #configure({ model, agent, logLevel }: WorkerConfigure): Promise<void> {
    this.#log.level = logLevel;
    try {
      const apply = await this.#prepareModel(model, agent);
      apply();
    } catch (err) {
      this.#log.error({ err }, 'the new model cannot be used');
    }
  }

  async #measure(request: number): Promise<void> {
    this.#send({ type: 'measured', request, text: await this.#metrics.text() });
  }

  #beat(): void {
    this.#tellStatus();
    this.#calls.tellFigures(this.#clock.now());
    this.#clock.setTimer(this.#transceiver.ready ? BEAT_MS : IMPATIENT_BEAT_MS, () => this.#beat());
  }

  #tellStatus(): void {
    const otherSessions = Math.max(0, this.#transceiver.sessions - this.#calls.size);
    const { ready, overloaded } = this.#transceiver;
    this.#send({ type: 'status', ready, draining: this.#draining, overloaded, otherSessions });
  }
}
