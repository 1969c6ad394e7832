import type { Timer } from '../../base/clock.ts';
import type { IncomingRefer } from '../engine.ts';
import { reasonPhrase } from '../sip-status.ts';
import type { CallServices } from './call-services.ts';
import type { Dialog } from './dialog.ts';
import { writeFragment } from './sipfrag.ts';

/** Nobody is dialled for longer; then the peer is told that nobody answered. */
const LIMIT_MS = 180_000;

/** News of one transfer; the rest is left out. The final one is always sent. */
const MAX_NEWS = 32;

/** A REFER of the peer that was accepted: the subscription it made, and its NOTIFYs (RFC 3515 §2.4.4). */
export class ReceivedRefer implements IncomingRefer {
  readonly target: string;
  readonly replaces: string | undefined;
  readonly #services: CallServices;
  readonly #dialog: Dialog;
  readonly #localAddress: string;
  readonly #cseq: number;
  #timer: Timer | undefined;
  #news = 0;
  #state: 'pending' | 'active' | 'done' = 'pending';

  constructor(
    services: CallServices,
    dialog: Dialog,
    { target, replaces, localAddress, cseq }: { target: string; replaces: string | undefined; localAddress: string; cseq: number },
  ) {
    this.target = target;
    this.replaces = replaces;
    this.#services = services;
    this.#dialog = dialog;
    this.#localAddress = localAddress;
    this.#cseq = cseq;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** 202 was sent: the first NOTIFY goes out at once. */
  accepted(): void {
    this.#state = 'active';
    this.#timer = this.#services.clock.setTimer(LIMIT_MS, () => this.notify(408));
    this.notify(100);
  }

  notify(status: number, reason = reasonPhrase(status)): void {
    if (this.#state !== 'active') return;
    const final = status >= 200;
    this.#news += 1;
    if (!final && this.#news > MAX_NEWS) return;
    const state = final ? 'terminated;reason=noresource' : `active;expires=${LIMIT_MS / 1000}`;
    const line = reason.replaceAll(/[\r\n\0]/g, ' ').slice(0, 128);
    const nothing = (): void => undefined;
    this.#services.request(
      this.#dialog,
      this.#localAddress,
      'NOTIFY',
      [
        ['Event', `refer;id=${this.#cseq}`],
        ['Subscription-State', state],
        ['Contact', this.#services.contact(this.#localAddress, this.#dialog.nextHop().transport, this.#dialog.secure)],
      ],
      {
        // 481: the peer has forgotten the subscription.
        onResponse: (response) => (response.status === 481 ? this.stop() : undefined),
        onTimeout: nothing,
      },
      { type: 'message/sipfrag;version=2.0', text: writeFragment(status, line) },
    );
    if (final) this.stop();
  }

  stop(): void {
    this.#state = 'done';
    this.#timer?.cancel();
  }
}
