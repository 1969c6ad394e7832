import type { Machine } from '../base/driver.ts';
import type { DoorEnvelope, DoorStatus } from '../leg/door-envelope.ts';
import { ReliableStream } from './reliable-stream.ts';

/** Why a link is over, and with it all its legs. */
export type LinkLoss =
  /** No TCP connection for too long. */
  | 'gap'
  /** The node that answers is another run of it, or has given the link up. */
  | 'peer_restarted'
  /** The other side does not take what we send. */
  | 'overflow'
  /** The other side does not keep to the protocol. */
  | 'protocol';

export type LinkOutput<Out, In, AsideOut = never, AsideIn = never> =
  | { readonly type: 'transmit'; readonly envelope: DoorEnvelope<Out, AsideOut> }
  | { readonly type: 'deliver'; readonly message: In }
  /** What the other side said for this connection only. */
  | { readonly type: 'aside'; readonly aside: AsideIn }
  | { readonly type: 'status'; readonly status: DoorStatus }
  | { readonly type: 'up' }
  /** Cut the TCP connection. */
  | { readonly type: 'disconnect'; readonly reason: 'silent' | LinkLoss }
  | { readonly type: 'lost'; readonly reason: LinkLoss };

export type DoorLinkOptions = {
  /** What the other side is told once a second. */
  readonly status: () => DoorStatus;
} & (
  | {
      readonly side: 'dialler';
      /** Names a fresh link: a safe integer that no earlier link had. */
      readonly makeLinkId: () => number;
    }
  | { readonly side: 'listener' }
);

const BEAT_EVERY_MS = 1000;
/** Three beats: one may be late, one may be behind a resend. */
const DEAD_AFTER_MS = 3000;
/** A caller waits this long at most for an owner that is cut off; then the call looks for another. */
const GAP_MS = 5000;
/** Between two beats, acknowledge at least this often, so that a burst does not fill the sender's buffer. */
const ACKNOWLEDGE_EVERY = 32;

interface Link<Out> {
  readonly id: number;
  readonly incarnation: number;
  readonly stream: ReliableStream<Out>;
  /** Both sides have agreed on it. */
  agreed: boolean;
}

/**
 * What joins a bridge (dialler) with a host of sessions (listener) over any number of TCP connections in turn. Messages arrive once and
 * in order as long as the link lives; when it is lost both sides are told and begin afresh.
 */
export class DoorLink<Out, In, AsideOut = never, AsideIn = never> implements Machine<LinkOutput<Out, In, AsideOut, AsideIn>> {
  readonly #options: DoorLinkOptions;
  readonly #outputs: LinkOutput<Out, In, AsideOut, AsideIn>[] = [];
  #connection: 'none' | 'joining' | 'up' = 'none';
  #peerIncarnation = 0;
  #link: Link<Out> | undefined;
  #gapUntil: number | undefined;
  #heardAt = 0;
  #nextBeatAt = 0;
  #unconfirmed = 0;

  constructor(options: DoorLinkOptions) {
    this.#options = options;
  }

  get up(): boolean {
    return this.#connection === 'up';
  }

  /** There is a link: what is sent now arrives, or `lost` is told. */
  get alive(): boolean {
    return this.#link !== undefined;
  }

  get connected(): boolean {
    return this.#connection !== 'none';
  }

  /** Nothing new should be begun: the other side is slow. */
  get congested(): boolean {
    return this.#link?.stream.congested ?? false;
  }

  /** An authenticated connection to this run of the peer. */
  handleConnected(now: number, peerIncarnation: number): void {
    if (this.#link && this.#link.incarnation !== peerIncarnation) this.#lose('peer_restarted');
    this.#peerIncarnation = peerIncarnation;
    this.#connection = 'joining';
    this.#heardAt = now;
    this.#askToResume();
  }

  handleDisconnected(now: number): void {
    if (this.#connection === 'none') return;
    this.#connection = 'none';
    if (this.#link) this.#gapUntil ??= now + GAP_MS;
  }

  handleEnvelope(now: number, envelope: DoorEnvelope<In, AsideIn>): void {
    if (this.#connection === 'none') return;
    this.#heardAt = now;
    const begins = envelope.type === 'resume' || envelope.type === 'resumed';
    const expected = this.#connection === 'up' ? !begins : this.#joins(envelope);
    if (!expected) {
      this.#fail(now, 'protocol');
      return;
    }
    if (envelope.type === 'resume') this.#resume(now, envelope);
    else if (envelope.type === 'resumed') this.#resumed(now, envelope);
    else if (envelope.type === 'aside') this.#output({ type: 'aside', aside: envelope.aside });
    else this.#receive(now, envelope);
  }

  /** Not even the shape of an envelope came out of the connection. */
  handleGarbage(now: number): void {
    if (this.#connection !== 'none') this.#fail(now, 'protocol');
  }

  /** False when there is no link: nobody will get this. */
  send(now: number, message: Out): boolean {
    if (!this.#link) return false;
    const entry = this.#link.stream.push(message);
    if (!entry) {
      this.#fail(now, 'overflow');
      return false;
    }
    if (this.#connection === 'up') this.#transmit(entry.sequence, message);
    return true;
  }

  /** Says something for this connection only. False when there is none: nobody will get this. */
  sendAside(aside: AsideOut): boolean {
    if (this.#connection !== 'up') return false;
    this.#output({ type: 'transmit', envelope: { type: 'aside', aside } });
    return true;
  }

  /** Tells the other side our status now instead of at the next beat. */
  statusChanged(now: number): void {
    if (this.#connection === 'up') this.#beat(now);
  }

  pollOutput(): LinkOutput<Out, In, AsideOut, AsideIn> | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    const times = [this.#gapUntil ?? Number.POSITIVE_INFINITY];
    if (this.#connection !== 'none') times.push(this.#heardAt + DEAD_AFTER_MS);
    if (this.#connection === 'up') times.push(this.#nextBeatAt);
    const next = Math.min(...times);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  handleTimeout(now: number): void {
    if (this.#gapUntil !== undefined && now >= this.#gapUntil) this.#lose('gap');
    if (this.#connection === 'none') return;
    if (now >= this.#heardAt + DEAD_AFTER_MS) this.#disconnect(now, 'silent');
    else if (this.#connection === 'up' && now >= this.#nextBeatAt) this.#beat(now);
  }

  #joins(envelope: DoorEnvelope<In, AsideIn>): boolean {
    return envelope.type === (this.#options.side === 'listener' ? 'resume' : 'resumed');
  }

  /** The dialler speaks first. */
  #askToResume(): void {
    if (this.#options.side === 'listener') return;
    this.#link ??= this.#makeLink(this.#options.makeLinkId());
    const { id, agreed, stream } = this.#link;
    this.#output({ type: 'transmit', envelope: { type: 'resume', link: id, fresh: !agreed, received: stream.received } });
  }

  /** The listener's side of an agreement. */
  #resume(now: number, { link: id, fresh, received }: { link: number; fresh: boolean; received: number }): void {
    const known = !fresh && this.#link?.id === id && this.#link.stream.acknowledge(received);
    if (!known && this.#link) this.#lose('peer_restarted');
    if (fresh) this.#link = this.#makeLink(id);
    this.#output({
      type: 'transmit',
      envelope: { type: 'resumed', known: known || fresh, received: this.#link?.stream.received ?? 0 },
    });
    if (this.#link) this.#goUp(now, this.#link);
  }

  /** The dialler's side of an agreement. */
  #resumed(now: number, { known, received }: { known: boolean; received: number }): void {
    const link = this.#link;
    if (!link || (!known && !link.agreed)) {
      this.#fail(now, 'protocol');
    } else if (!known) {
      this.#lose('peer_restarted');
      this.#askToResume();
    } else if (link.stream.acknowledge(received)) this.#goUp(now, link);
    else this.#fail(now, 'protocol');
  }

  #goUp(now: number, link: Link<Out>): void {
    link.agreed = true;
    this.#connection = 'up';
    this.#gapUntil = undefined;
    this.#output({ type: 'up' });
    for (const { sequence, message } of link.stream.unacknowledged) this.#transmit(sequence, message);
    this.#beat(now);
  }

  #receive(now: number, envelope: Extract<DoorEnvelope<In, AsideIn>, { type: 'message' | 'beat' }>): void {
    const stream = this.#link?.stream;
    if (!stream?.acknowledge(envelope.received)) {
      this.#fail(now, 'protocol');
      return;
    }
    if (envelope.type === 'beat') {
      this.#output({ type: 'status', status: envelope.status });
      return;
    }
    const verdict = stream.accept(envelope.sequence);
    if (verdict === 'gap') this.#fail(now, 'protocol');
    if (verdict !== 'deliver') return;
    this.#output({ type: 'deliver', message: envelope.message });
    this.#unconfirmed += 1;
    if (this.#unconfirmed >= ACKNOWLEDGE_EVERY) this.#beat(now);
  }

  #transmit(sequence: number, message: Out): void {
    this.#unconfirmed = 0;
    this.#output({ type: 'transmit', envelope: { type: 'message', sequence, received: this.#link?.stream.received ?? 0, message } });
  }

  #beat(now: number): void {
    this.#nextBeatAt = now + BEAT_EVERY_MS;
    this.#unconfirmed = 0;
    const received = this.#link?.stream.received ?? 0;
    this.#output({ type: 'transmit', envelope: { type: 'beat', received, status: this.#options.status() } });
  }

  #makeLink(id: number): Link<Out> {
    return { id, incarnation: this.#peerIncarnation, stream: new ReliableStream(), agreed: false };
  }

  /** Gives up connection and link at once: going on would repeat the same fault. */
  #fail(now: number, reason: LinkLoss): void {
    this.#disconnect(now, reason);
    if (this.#link) this.#lose(reason);
  }

  #disconnect(now: number, reason: 'silent' | LinkLoss): void {
    if (this.#connection === 'none') return;
    this.#output({ type: 'disconnect', reason });
    this.handleDisconnected(now);
  }

  #lose(reason: LinkLoss): void {
    this.#link = undefined;
    this.#gapUntil = undefined;
    this.#output({ type: 'lost', reason });
  }

  #output(output: LinkOutput<Out, In, AsideOut, AsideIn>): void {
    this.#outputs.push(output);
  }
}
