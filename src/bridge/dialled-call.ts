import { GatewayError } from '../base/errors.ts';
import type { JoinedSession } from '../leg/leg.ts';
import type {
  Call,
  CallEnd,
  CallInfo,
  Devices,
  DialFailure,
  DialOptions,
  DialProgress,
  HangupReason,
  InboundCall,
  IncomingRefer,
  OffersByDevice,
  OutboundCall,
  ReferProgress,
  Refusal,
  SentHeaders,
  SipEngine,
  SipSource,
} from '../sip/engine.ts';

/**
 * A call of ours in the shape of one that came without an offer, so that there is one way to set a phone call up: ports, inner leg and session
 * first, then our description. `answer(sdp)` sends the INVITE; the peer's answer comes by Call.onAnswer and Call.onAck, as from somebody
 * who was offered late; what it comes to instead by Call.onEnd.
 */
export class DialledCall implements InboundCall {
  readonly sipCallId: string;
  readonly source: SipSource;
  readonly from: string;
  readonly to: string;
  readonly requestUri: string;
  readonly offer = undefined;
  readonly localAddress: string;
  /** The session that it is one more leg of; a session of its own when undefined. */
  readonly joins: JoinedSession | undefined;
  /** By which it was placed. */
  readonly trunk: string;
  /** As it was asked for: a number, a URI, `user:NAME`. */
  readonly destination: string;
  /** What rings. Of browsers alone the owner of the session makes the offer. */
  readonly devices: Devices;
  /** What browsers are offered, where phones ring as well. */
  browserOffer: string | undefined;
  onCancel: (() => void) | undefined;
  onProgress: ((progress: DialProgress) => void) | undefined;
  /** The trunk's longest call is over; a BYE follows. */
  onDurationCap: (() => void) | undefined;
  readonly #outbound: OutboundCall;
  readonly #dialog: DialledDialog;
  #offerReady: (sdp: string | OffersByDevice) => void = () => undefined;

  /** @throws GatewayError as SipEngine.dial() */
  constructor(engine: SipEngine, options: Omit<DialOptions, 'offer'>, joins?: JoinedSession) {
    this.joins = joins;
    this.trunk = options.trunk;
    this.destination = options.destination;
    this.devices = options.devices ?? 'phones';
    if (!engine.dial) throw new GatewayError('ERR_FORBIDDEN', 'this engine places no calls');
    const offer = new Promise<string | OffersByDevice>((resolve) => {
      this.#offerReady = resolve;
    });
    const outbound = engine.dial({ ...options, offer: () => offer });
    this.#outbound = outbound;
    this.sipCallId = outbound.sipCallId;
    const { address, port } = outbound.remote;
    this.source = { address, port, transport: outbound.transport };
    this.localAddress = outbound.localAddress;
    this.from = outbound.from;
    this.to = outbound.requestUri;
    this.requestUri = outbound.requestUri;
    this.#dialog = new DialledDialog(outbound);
    outbound.onProgress = (progress) => this.onProgress?.(progress);
    outbound.onDurationCap = () => this.onDurationCap?.();
  }

  /** Why it came to nothing; undefined as long as it did not. */
  get failure(): DialFailure | undefined {
    return this.#dialog.failure;
  }

  header(): undefined {
    return undefined;
  }

  ring(): void {
    // The peer rings.
  }

  answer(sdp: string): Call {
    const { browserOffer: browsers } = this;
    this.#offerReady(browsers === undefined ? sdp : { phones: sdp, browsers });
    return this.#dialog;
  }

  reject(): void {
    this.#outbound.cancel();
  }
}

/** The dialog that a call of ours becomes, there before it is. */
export class DialledDialog implements Call {
  readonly sipCallId: string;
  acknowledged = false;
  failure: DialFailure | undefined;
  onAck: (() => void) | undefined;
  onOffer: Call['onOffer'];
  onAnswer: ((answer: string) => boolean) | undefined;
  onOfferWanted: (() => string | Refusal) | undefined;
  onInfo: ((info: CallInfo) => void) | undefined;
  onRefer: ((refer: IncomingRefer) => boolean) | undefined;
  onEnd: ((end: CallEnd) => void) | undefined;
  readonly #outbound: OutboundCall;
  #call: Call | undefined;

  constructor(outbound: OutboundCall) {
    this.#outbound = outbound;
    this.sipCallId = outbound.sipCallId;
    outbound.onAnswered = (call, answer) => this.#answered(call, answer);
    outbound.onFailed = (failure) => {
      this.failure = failure;
      this.onEnd?.('hangup');
    };
  }

  /** Is this the dialog that it has become? */
  is(call: Call): boolean {
    return this.#call === call;
  }

  get replacesUri(): string {
    return this.#call?.replacesUri ?? '';
  }

  isNamedBy(replaces: string): boolean {
    return this.#call?.isNamedBy?.(replaces) ?? false;
  }

  reinvite(sdp: string): Promise<string> {
    return this.#call?.reinvite?.(sdp) ?? Promise.reject(notUp());
  }

  update(sdp: string): Promise<string> {
    return this.#call?.update?.(sdp) ?? Promise.reject(notUp());
  }

  refer(target: string, onProgress: (progress: ReferProgress) => void, headers?: SentHeaders): void {
    if (!this.#call?.refer) throw notUp();
    this.#call.refer(target, onProgress, headers);
  }

  info(info: CallInfo): void {
    this.#call?.info?.(info);
  }

  hangup(reason?: HangupReason, headers?: SentHeaders): void {
    if (this.#call) this.#call.hangup(reason, headers);
    else this.#outbound.cancel();
  }

  #answered(call: Call, answer: string): void {
    this.#call = call;
    call.onOffer = (offer) => this.onOffer?.(offer) ?? { status: 488 };
    call.onOfferWanted = () => this.onOfferWanted?.() ?? { status: 488 };
    call.onAnswer = (again) => this.onAnswer?.(again) ?? false;
    call.onInfo = (info) => this.onInfo?.(info);
    call.onRefer = (refer) => this.onRefer?.(refer) ?? false;
    call.onEnd = (end) => this.onEnd?.(end);
    if (this.onAnswer?.(answer)) {
      this.acknowledged = true;
      this.onAck?.();
      return;
    }
    this.failure = { cause: 'no_common_codec', status: 200, reason: 'the answer cannot be used' };
    call.hangup({ q850: 88, text: 'Incompatible destination' });
  }
}

function notUp(): GatewayError {
  return new GatewayError('ERR_INVALID_STATE', 'the call is not answered');
}
