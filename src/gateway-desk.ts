import { GatewayError } from './base/errors.ts';
import type { CallMedia, CallMediaEvents, CallMediaOpening, DialogEvent, MediaHost } from './bridge/call-media.ts';
import type { CallDesk, DeskCall } from './control/call-desk.ts';
import type { EndCause, Leg, LegHost, LegWish } from './leg/leg.ts';

/** Media of calls, with the desk told of each session that is made for one, and of what is decided about it. */
export function withDesk(media: MediaHost, desk: CallDesk): MediaHost {
  return {
    async open(voice, events, joins, near) {
      // One more leg of a session: nobody waits for a session of its own.
      if (joins) return media.open(voice, events, joins);
      const watch = new Watch(desk, events);
      return new WatchedMedia(await media.open(voice, watch.events, undefined, near), watch);
    },
  };
}

/** The same for the sessions of calls whose media has no bridge. */
export function hostWithDesk(host: LegHost, desk: CallDesk): LegHost {
  const watched = async <Opened extends { readonly sessionId: string }>(
    { origin }: LegWish,
    leg: Leg,
    open: (leg: Leg) => Promise<Opened>,
  ): Promise<Opened> => {
    if (origin.joins) return open(leg);
    let call: DeskCall | undefined;
    let isDecided = false;
    const decide = (): void => {
      isDecided = true;
      call?.decided();
    };
    const opened = await open(decidedLeg(leg, decide)).catch((thrown: unknown) => {
      if (origin.sipCallId !== undefined) desk.failed(origin.sipCallId, GatewayError.from(thrown));
      throw thrown;
    });
    call = desk.opened(opened.sessionId, origin);
    if (isDecided) call.decided();
    return opened;
  };
  return {
    open: (opening, leg) => watched(opening, leg, (each) => host.open(opening, each)),
    offer: (opening, leg) => watched(opening, leg, (each) => host.offer(opening, each)),
  };
}

/** Says when somebody has decided about a call. */
function decidedLeg(leg: Leg, decide: () => void): Leg {
  return {
    ...leg,
    answer: () => {
      decide();
      leg.answer();
    },
    reject: (cause, status) => {
      decide();
      leg.reject(cause, status);
    },
    hangup: (cause, headers) => {
      decide();
      leg.hangup(cause, headers);
    },
  };
}

/** One call on its way. */
class Watch {
  readonly events: CallMediaEvents;
  readonly #desk: CallDesk;
  #opening: CallMediaOpening | undefined;
  #call: DeskCall | undefined;
  #decided = false;

  constructor(desk: CallDesk, events: CallMediaEvents) {
    this.#desk = desk;
    this.events = {
      ...events,
      leg: decidedLeg(events.leg, () => this.#decide()),
      onOpened: (sessionId) => {
        if (this.#opening) this.#call = desk.opened(sessionId, this.#opening.origin);
        if (this.#decided) this.#call?.decided();
        events.onOpened(sessionId);
      },
    };
  }

  async connect(media: CallMedia, opening: CallMediaOpening): Promise<void> {
    this.#opening = opening;
    try {
      await media.connect(opening);
    } catch (thrown) {
      this.#failed(GatewayError.from(thrown));
      throw thrown;
    }
  }

  ended(cause: EndCause): void {
    this.#decide();
    if (!this.#call) this.#failed(new GatewayError('ERR_MEDIA_FAILED', `The call ended before it had a session: ${cause}.`));
  }

  #failed(error: GatewayError): void {
    const { sipCallId } = this.#opening?.origin ?? {};
    if (!this.#call && sipCallId !== undefined) this.#desk.failed(sipCallId, error);
  }

  #decide(): void {
    this.#decided = true;
    this.#call?.decided();
  }
}

class WatchedMedia implements CallMedia {
  readonly #media: CallMedia;
  readonly #watch: Watch;

  constructor(media: CallMedia, watch: Watch) {
    this.#media = media;
    this.#watch = watch;
  }

  get rtpPort(): number {
    return this.#media.rtpPort;
  }

  get rtcpPort(): number {
    return this.#media.rtcpPort;
  }

  get fingerprint(): CallMedia['fingerprint'] {
    return this.#media.fingerprint;
  }

  get snapshotAt(): number | undefined {
    return this.#media.snapshotAt;
  }

  connect(opening: CallMediaOpening): Promise<void> {
    return this.#watch.connect(this.#media, opening);
  }

  start(): void {
    this.#media.start();
  }

  renegotiate(audio: CallMediaOpening['audio']): void {
    this.#media.renegotiate(audio);
  }

  tell(event: DialogEvent): void {
    this.#media.tell(event);
  }

  sendKeys(digits: string): void {
    this.#media.sendKeys(digits);
  }

  end(cause: EndCause, status?: number): void {
    this.#watch.ended(cause);
    this.#media.end(cause, status);
  }

  snapshot(): ReturnType<CallMedia['snapshot']> {
    return this.#media.snapshot();
  }
}
