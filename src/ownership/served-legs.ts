import { type ErrorCode, GatewayError } from '../base/errors.ts';
import { commandedLeg } from '../leg/commanded-leg.ts';
import type { DialRequest, EndCause, Leg, LegHost, LegOrigin, LegWish, OfferedLeg } from '../leg/leg.ts';
import { type BridgeMessage, type HostMessage, hostMessage, type LegCommand, MAX_REFUSAL_TEXT } from '../leg/messages.ts';

/** Placing a call takes the bridge milliseconds: more at once are a mistake. */
const MAX_DIALS = 100;

/** An opened leg; `accept` is there until the host's own offer is answered. */
type Opened = Omit<OfferedLeg, 'offer' | 'accept'> & Partial<Pick<OfferedLeg, 'accept'>> & { readonly sdp: string };

interface ServedLeg {
  opened: Opened | undefined;
}

/** Legs of one bridge node whose sessions live here. */
export class ServedLegs {
  readonly #host: LegHost;
  readonly #send: (message: HostMessage) => void;
  readonly #maxLegs: number;
  readonly #legs = new Map<number, ServedLeg>();
  /** Calls that were asked for and not yet begun. */
  readonly #dials = new Map<number, { resolve(): void; reject(error: GatewayError): void }>();
  #lastDial = 0;
  /** Grows when the bridge is lost: what comes late for an old leg must not reach a new one of the same number. */
  #era = 0;

  constructor(host: LegHost, send: (message: HostMessage) => void, { maxLegs }: { readonly maxLegs: number }) {
    this.#host = host;
    this.#send = send;
    this.#maxLegs = maxLegs;
  }

  get size(): number {
    return this.#legs.size;
  }

  handle(message: BridgeMessage): void {
    if (message.type === 'dialled') {
      this.#dialled(message);
      return;
    }
    const entry = this.#legs.get(message.leg);
    if (message.type === 'open') {
      if (!entry) void this.#open(message);
    } else if (message.type === 'event') entry?.opened?.tell(message.event);
    else if (message.type === 'describe') {
      if (entry?.opened) void this.#describe(message, entry.opened);
    } else this.#end(message.leg, message.cause, message.status);
  }

  /** The bridge is gone, and with it the calls' signalling. */
  lost(): void {
    this.#era += 1;
    for (const id of [...this.#legs.keys()]) this.#end(id, 'signalling_failed');
    for (const { reject } of this.#dials.values())
      reject(new GatewayError('ERR_NODE_UNREACHABLE', 'the connection to the bridge was lost'));
    this.#dials.clear();
  }

  /**
   * Has the bridge call somebody.
   * @throws GatewayError what the bridge says; ERR_NODE_UNREACHABLE, ERR_OVERLOADED (too many at once)
   */
  dial(request: DialRequest): Promise<void> {
    if (this.#dials.size >= MAX_DIALS) return Promise.reject(new GatewayError('ERR_OVERLOADED', 'too many calls are being asked for'));
    this.#lastDial += 1;
    const dial = this.#lastDial;
    return new Promise((resolve, reject) => {
      this.#dials.set(dial, { resolve, reject });
      this.#send({ type: 'dial', dial, request });
    });
  }

  #dialled({ dial, refusal }: Extract<BridgeMessage, { type: 'dialled' }>): void {
    const asked = this.#dials.get(dial);
    this.#dials.delete(dial);
    if (refusal) asked?.reject(new GatewayError(refusal.code, refusal.message));
    else asked?.resolve();
  }

  #end(id: number, cause: EndCause, status?: number): void {
    const entry = this.#legs.get(id);
    this.#legs.delete(id);
    entry?.opened?.tell({ type: 'ended', cause, ...(status === undefined ? {} : { status }) });
  }

  async #open({ leg: id, origin, offer, policy }: Extract<BridgeMessage, { type: 'open' }>): Promise<void> {
    if (this.#legs.size >= this.#maxLegs) {
      this.#refuse(id, new GatewayError('ERR_OVERLOADED', 'too many legs from one node'));
      return;
    }
    const entry: ServedLeg = { opened: undefined };
    this.#legs.set(id, entry);
    try {
      const opened = await this.#openAt({ origin: toOrigin(origin), ...(policy && { policy }) }, offer, this.#remote(id));
      if (this.#legs.get(id) !== entry) {
        opened.tell({ type: 'ended', cause: 'signalling_failed' }); // the bridge has given up meanwhile
        return;
      }
      const message = hostMessage.safeParse({ type: 'opened', leg: id, sessionId: opened.sessionId, sdp: opened.sdp });
      if (message.success) {
        entry.opened = opened;
        this.#send(message.data);
      } else {
        opened.tell({ type: 'ended', cause: 'internal_error' });
        throw new GatewayError('ERR_INTERNAL', 'the description does not fit the node door');
      }
    } catch (thrown) {
      if (this.#legs.get(id) !== entry) return;
      this.#legs.delete(id);
      this.#refuse(id, GatewayError.from(thrown));
    }
  }

  async #openAt(opening: LegWish, offer: string | undefined, leg: Leg): Promise<Opened> {
    if (offer === undefined) {
      const { offer: sdp, ...opened } = await this.#host.offer(opening, leg);
      return { ...opened, sdp };
    }
    const { answer: sdp, ...opened } = await this.#host.open({ ...opening, offer }, leg);
    return { ...opened, sdp };
  }

  /** What the leg's other end says after the first description. */
  async #describe({ leg, ask, kind, sdp }: Extract<BridgeMessage, { type: 'describe' }>, opened: Opened): Promise<void> {
    const era = this.#era;
    const said = await describe(opened, kind, sdp).then(
      (answer) => (answer === undefined ? {} : { sdp: answer }),
      (thrown: unknown) => ({ refusal: refusalOf(thrown) }),
    );
    if (this.#era !== era) return;
    const message = hostMessage.safeParse({ type: 'described', leg, ask, ...said });
    const refusal = { code: 'ERR_INTERNAL', message: 'the description does not fit the node door' } as const;
    this.#send(message.success ? message.data : { type: 'described', leg, ask, refusal });
  }

  #refuse(id: number, error: GatewayError): void {
    this.#send({ type: 'refused', leg: id, ...refusalOf(error) });
  }

  /** The leg as our session sees it: commands travel to the bridge until the leg has ended, the report even after that. */
  #remote(id: number): Leg {
    const era = this.#era;
    const command = (each: LegCommand): void => {
      if (this.#era !== era || !(this.#legs.has(id) || each.type === 'report')) return;
      const message = hostMessage.safeParse({ type: 'command', leg: id, command: each });
      if (message.success) this.#send(message.data);
    };
    return commandedLeg(command);
  }
}

async function describe(opened: Opened, kind: 'answer' | 'offer', sdp: string): Promise<string | undefined> {
  if (kind === 'offer') return opened.reoffer(sdp);
  if (!opened.accept) throw new GatewayError('ERR_INVALID_STATE', 'there is no offer that it answers');
  return void (await opened.accept(sdp));
}

function refusalOf(thrown: unknown): { readonly code: ErrorCode; readonly message: string } {
  const { code, message } = GatewayError.from(thrown);
  return { code, message: message.slice(0, MAX_REFUSAL_TEXT) };
}

/** Absent fields stay absent. */
function toOrigin({
  kind,
  media,
  from,
  to,
  sipCallId,
  direction,
  callBack,
  joins,
  headers,
  facts,
}: Extract<BridgeMessage, { type: 'open' }>['origin']): LegOrigin {
  return {
    kind,
    ...(media === undefined ? {} : { media }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(sipCallId === undefined ? {} : { sipCallId }),
    ...(direction === undefined ? {} : { direction }),
    ...(callBack === undefined ? {} : { callBack }),
    ...(joins === undefined ? {} : { joins }),
    ...(headers === undefined ? {} : { headers }),
    ...(facts === undefined ? {} : { facts }),
  };
}
