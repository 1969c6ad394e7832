import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { EmbeddedEngine, type EmbeddedEngineOptions } from '../../src/sip/embedded/embedded-engine.ts';
import type { CallEnd } from '../../src/sip/engine.ts';
import { type Endpoint, LOOPBACK } from './endpoint.ts';
import { phoneSdp } from './phone-sdp.ts';

/** A SIP engine on real sockets that rings, answers every call after a moment and keeps no media: for what is signalling alone. */
export class AnsweringEngine {
  readonly #engine: EmbeddedEngine;
  readonly #metrics: Metrics;
  readonly sip: Endpoint;
  /** How each answered call ended. */
  readonly ends: CallEnd[];

  private constructor(engine: EmbeddedEngine, metrics: Metrics, sip: Endpoint, ends: CallEnd[]) {
    this.#engine = engine;
    this.#metrics = metrics;
    this.sip = sip;
    this.ends = ends;
  }

  /** @param answerMs how long it rings */
  static async start({
    answerMs = 0,
    ...options
  }: Partial<EmbeddedEngineOptions> & { readonly answerMs?: number } = {}): Promise<AnsweringEngine> {
    const metrics = new Metrics();
    const log = createLog('error');
    const engine = new EmbeddedEngine(
      { clock: systemClock, log, metrics },
      { bind: LOOPBACK, port: 0, requestsPerSecond: 0, userAgent: 'ringdown', ...options },
    );
    const sdp = phoneSdp({ address: LOOPBACK, port: 4000 }, undefined);
    const ends: CallEnd[] = [];
    engine.onInvite = (invite) => {
      invite.ring();
      const timer = systemClock.setTimer(answerMs, () => {
        const call = invite.answer(sdp);
        call.onOffer = () => sdp;
        call.onEnd = (end) => void ends.push(end);
      });
      invite.onCancel = () => timer.cancel();
    };
    const [udp] = await engine.start();
    return new AnsweringEngine(engine, metrics, { address: LOOPBACK, port: udp?.port ?? 0 }, ends);
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
