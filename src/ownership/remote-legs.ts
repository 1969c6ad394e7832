import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Leg, LegDialler, LegEvent, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../leg/leg.ts';
import {
  type BridgeMessage,
  bridgeMessage,
  checkSessionSize,
  cutOrigin,
  type HostMessage,
  type LegCommand,
  MAX_REFUSAL_TEXT,
} from '../leg/messages.ts';
import { RemoteDescriptions } from './remote-descriptions.ts';

export interface RemoteLegsOptions {
  readonly maxLegs: number;
  /** Who calls somebody for the owner of sessions; without it nobody is called. */
  readonly dialler?: LegDialler | undefined;
}

/** Hands a message to the link; false when there is none. */
export type SendToHost = (message: BridgeMessage) => boolean;

/** A leg that has an owner, whose first description says how to reach it. */
type Described = Omit<OfferedLeg, 'offer'> & { readonly sdp: string };

interface RemoteLeg {
  readonly leg: Leg;
  readonly opened: (message: Extract<HostMessage, { type: 'opened' }>) => void;
  readonly failed: (error: GatewayError) => void;
  pending: boolean;
}

/** The bridge's legs whose sessions live at one other node. */
export class RemoteLegs {
  readonly #clock: Clock;
  readonly #send: SendToHost;
  readonly #maxLegs: number;
  readonly #dialler: LegDialler | undefined;
  readonly #legs = new Map<number, RemoteLeg>();
  /** Ended here, and not yet reported on by the owner. At most as many as may live; the oldest gives way. */
  readonly #ended = new Map<number, Leg>();
  readonly #descriptions: RemoteDescriptions;
  #lastId = 0;

  constructor(clock: Clock, send: SendToHost, { maxLegs, dialler }: RemoteLegsOptions) {
    this.#dialler = dialler;
    this.#clock = clock;
    this.#send = send;
    this.#maxLegs = maxLegs;
    this.#descriptions = new RemoteDescriptions(clock, send);
  }

  get size(): number {
    return this.#legs.size;
  }

  /**
   * @param timeoutMs how long the host may take
   * @throws GatewayError what the host says; ERR_NODE_UNREACHABLE, ERR_TIMEOUT, ERR_OVERLOADED, ERR_BAD_OFFER and ERR_BAD_REQUEST (too long)
   */
  async open(opening: LegOpening, leg: Leg, timeoutMs: number): Promise<OpenedLeg> {
    const { sdp, accept: _, ...opened } = await this.#open(opening, leg, timeoutMs);
    return { ...opened, answer: sdp };
  }

  /** The same with an offer of the host's. @throws GatewayError as `open` */
  async offer(opening: LegWish, leg: Leg, timeoutMs: number): Promise<OfferedLeg> {
    const { sdp, ...opened } = await this.#open(opening, leg, timeoutMs);
    return { ...opened, offer: sdp };
  }

  async #open(opening: LegWish & Partial<LegOpening>, leg: Leg, timeoutMs: number): Promise<Described> {
    checkSessionSize(opening.policy?.session);
    this.#lastId += 1;
    const id = this.#lastId;
    const message = openMessage(id, opening);
    if (!message) return Promise.reject(new GatewayError('ERR_BAD_OFFER', 'the offer does not fit the node door'));
    if (this.#legs.size >= this.#maxLegs) return Promise.reject(new GatewayError('ERR_OVERLOADED', 'too many legs at one node'));
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(timeoutMs, () => {
        if (!this.#legs.delete(id)) return;
        this.#send({ type: 'ended', leg: id, cause: 'signalling_failed' });
        reject(new GatewayError('ERR_TIMEOUT', `the owner did not answer within ${Math.round(timeoutMs)} ms`));
      });
      const entry: RemoteLeg = {
        leg,
        pending: true,
        opened: ({ sessionId, sdp }) => {
          timer.cancel();
          entry.pending = false;
          resolve({
            ...{ sessionId, sdp, tell: (event) => this.#tell(id, event) },
            reoffer: async (offer) => this.#reoffer(id, offer),
            accept: async (answer) => void (await this.#descriptions.describe(id, 'answer', answer)),
          });
        },
        failed: (error) => {
          timer.cancel();
          reject(error);
        },
      };
      this.#legs.set(id, entry);
      if (this.#send(message)) return;
      this.#legs.delete(id);
      entry.failed(new GatewayError('ERR_NODE_UNREACHABLE', 'no connection to the node'));
    });
  }

  handle(message: HostMessage): void {
    if (message.type === 'dial') {
      void this.#dial(message);
      return;
    }
    const { leg: id } = message;
    if (message.type === 'command' && message.command.type === 'report') {
      const leg = this.#legs.get(id)?.leg ?? this.#ended.get(id);
      this.#ended.delete(id);
      leg?.report({ ...message.command.summary, responseLatencyMs: message.command.summary.responseLatencyMs });
      return;
    }
    const entry = this.#legs.get(id);
    if (!entry) return; // it has ended here, and the host is being told
    if (message.type === 'described') this.#descriptions.handle(message);
    else if (message.type === 'opened') {
      if (entry.pending) entry.opened(message);
    } else if (message.type === 'refused') {
      if (!entry.pending) return;
      this.#legs.delete(id);
      entry.failed(new GatewayError(message.code, message.message));
    } else carryOut(entry.leg, message.command);
  }

  /** The owner of sessions wants somebody called. */
  async #dial({ dial, request }: Extract<HostMessage, { type: 'dial' }>): Promise<void> {
    try {
      if (!this.#dialler) throw new GatewayError('ERR_FORBIDDEN', 'this node places no calls');
      await this.#dialler.dial(request);
      this.#send({ type: 'dialled', dial });
    } catch (thrown) {
      const { code, message } = GatewayError.from(thrown);
      this.#send({ type: 'dialled', dial, refusal: { code, message: message.slice(0, MAX_REFUSAL_TEXT) } });
    }
  }

  /** The node is gone: nobody owns these calls any more. */
  lost(): void {
    const entries = [...this.#legs.values()];
    this.#legs.clear();
    this.#ended.clear();
    this.#descriptions.lost();
    for (const entry of entries) {
      if (entry.pending) entry.failed(new GatewayError('ERR_NODE_UNREACHABLE', 'the connection to the node was lost'));
      else entry.leg.hangup('owner_lost');
    }
  }

  async #reoffer(id: number, offer: string): Promise<string> {
    const answer = await this.#descriptions.describe(id, 'offer', offer);
    if (answer === undefined) throw new GatewayError('ERR_INTERNAL', 'the host took an offer and gave no answer');
    return answer;
  }

  #tell(id: number, event: LegEvent): void {
    const entry = this.#legs.get(id);
    if (!entry) return;
    if (event.type === 'ended') {
      this.#legs.delete(id);
      this.#descriptions.forget(id);
      if (this.#ended.size >= this.#maxLegs) this.#ended.delete(this.#ended.keys().next().value ?? 0);
      this.#ended.set(id, entry.leg);
      this.#send({ type: 'ended', leg: id, cause: event.cause, status: event.status });
      return;
    }
    const message = bridgeMessage.safeParse({ type: 'event', leg: id, event });
    if (message.success) this.#send(message.data); // a key no phone has is dropped here, not at the other end of the wire
  }
}

function openMessage(id: number, { origin, offer, policy }: LegWish & Partial<LegOpening>): BridgeMessage | undefined {
  const wanted = { ...(offer !== undefined && { offer }), ...(policy && { policy }) };
  const message = bridgeMessage.safeParse({ type: 'open', leg: id, origin: cutOrigin(origin), ...wanted });
  return message.success ? message.data : undefined;
}

function carryOut(leg: Leg, command: LegCommand): void {
  if (command.type === 'answer') leg.answer();
  else if (command.type === 'reject') leg.reject(command.cause, command.status);
  else if (command.type === 'hangup') leg.hangup(command.cause, command.headers);
  else if (command.type === 'refer') leg.refer?.(command.target, command.headers);
  else if (command.type === 'refer_to_call') leg.referToCall?.(command.sipCallId, command.uri);
  else if (command.type === 'referred') leg.referred?.(command.status);
  else if (command.type === 'dtmf') leg.sendDtmf?.(command.digits);
}
