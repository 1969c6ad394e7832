import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { EmbeddedEngine, type EmbeddedEngineOptions } from '../../src/sip/embedded/embedded-engine.ts';
import type { EngineTls } from '../../src/sip/embedded/engine-doors.ts';
import type { Call, CallEnd } from '../../src/sip/engine.ts';
import { type Endpoint, LOOPBACK } from './endpoint.ts';
import { phoneSdp } from './phone-sdp.ts';

/** A SIP engine on real sockets that rings, answers every call after a moment and keeps no media: for what is signalling alone. */
export class AnsweringEngine {
  readonly #engine: EmbeddedEngine;
  readonly #metrics: Metrics;
  readonly sip: Endpoint;
  /** Over TLS, if it has any. */
  readonly sips: Endpoint;
  /** Every call it answered. */
  readonly calls: readonly Call[];
  /** How each answered call ended. */
  readonly ends: readonly CallEnd[];
  /** Callers that gave up before they were answered. */
  readonly cancelled: readonly string[];

  private constructor(
    engine: EmbeddedEngine,
    metrics: Metrics,
    { sip, sips }: { readonly sip: Endpoint; readonly sips: Endpoint },
    kept: { calls: readonly Call[]; ends: readonly CallEnd[]; cancelled: readonly string[] },
  ) {
    this.#engine = engine;
    this.#metrics = metrics;
    this.sip = sip;
    this.sips = sips;
    this.calls = kept.calls;
    this.ends = kept.ends;
    this.cancelled = kept.cancelled;
  }

  /** @param answerMs how long it rings */
  static async start(
    { answerMs = 0, ...options }: Partial<EmbeddedEngineOptions> & { readonly answerMs?: number } = {},
    tls?: EngineTls,
  ): Promise<AnsweringEngine> {
    const metrics = new Metrics();
    const log = createLog('error');
    const engine = new EmbeddedEngine(
      { clock: systemClock, log, metrics, ...(tls ? { tls } : {}) },
      { bind: LOOPBACK, port: 0, requestsPerSecond: 0, userAgent: 'ringdown', ...options },
    );
    const sdp = phoneSdp({ address: LOOPBACK, port: 4000 }, undefined);
    const calls: Call[] = [];
    const ends: CallEnd[] = [];
    const cancelled: string[] = [];
    engine.onInvite = (invite) => {
      invite.ring();
      const timer = systemClock.setTimer(answerMs, () => {
        const call = invite.answer(sdp);
        call.onOffer = () => sdp;
        call.onEnd = (end) => void ends.push(end);
        calls.push(call);
      });
      invite.onCancel = () => {
        timer.cancel();
        cancelled.push(invite.sipCallId);
      };
    };
    const [udp, , secure] = await engine.start();
    const at = { sip: { address: LOOPBACK, port: udp?.port ?? 0 }, sips: { address: LOOPBACK, port: secure?.port ?? 0 } };
    return new AnsweringEngine(engine, metrics, at, { calls, ends, cancelled });
  }

  /** Of a metric without labels. */
  async count(name: string): Promise<number> {
    const line = (await this.#metrics.text()).split('\n').find((each) => each.startsWith(`ringdown_${name} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  stop(): Promise<void> {
    return this.#engine.stop();
  }
}
