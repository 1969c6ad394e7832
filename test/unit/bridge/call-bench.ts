import type { Endpoint } from '../../../src/base/addresses.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import type { DatagramSocket } from '../../../src/base/udp.ts';
import type { CallReport } from '../../../src/bridge/call-report.ts';
import type { InnerConnection, InnerEnd } from '../../../src/bridge/inner-connection.ts';
import type { InnerVoice } from '../../../src/bridge/inner-voice.ts';
import { LocalMediaHost } from '../../../src/bridge/local-media.ts';
import { PhoneCall } from '../../../src/bridge/phone-call.ts';
import type { Leg, LegEvent, LegHost, OpenedLeg } from '../../../src/leg/leg.ts';
import type { RtpPorts } from '../../../src/rtp/ports.ts';
import type { Call, CallEnd, HangupReason, InboundCall, Refusal } from '../../../src/sip/engine.ts';
import { createIdentity, type Identity } from '../../../src/webrtc/dtls/identity.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { phoneSdp } from '../../support/phone-sdp.ts';
import { LEDGER } from '../../support/turn-ledger.ts';

export const PHONE: Endpoint = { address: '192.0.2.10', port: 4000 };
export const OFFER = phoneSdp(PHONE, undefined);

/** Something that is waited for, and settled by the test. */
export class Awaited<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** Lets everything happen that waits for nothing but its turn; codecs are loaded by then. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** A socket that is a list. */
class FakeSocket implements DatagramSocket {
  readonly local: Endpoint;
  readonly sendErrors = 0;
  readonly sent: { readonly datagram: Buffer; readonly to: Endpoint }[] = [];
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  closed = false;

  constructor(port: number) {
    this.local = { address: '192.0.2.1', port };
  }

  send(datagram: Uint8Array, to: Endpoint): void {
    this.sent.push({ datagram: Buffer.from(datagram), to });
  }

  close(): void {
    this.closed = true;
  }
}

export class FakePorts implements RtpPorts {
  readonly rtp = new FakeSocket(20_000);
  readonly rtcp = new FakeSocket(20_001);
  released = 0;

  release(): void {
    this.released += 1;
  }
}

/** One for all tests: its key takes a while to make. */
export const IDENTITY: Identity = createIdentity(0);

export class FakeInner implements InnerConnection {
  readonly offer = 'the inner offer';
  readonly ssrc = 4711;
  readonly payloadType = 111;
  voice: InnerVoice = { maxPlaybackRateHz: 8000 };
  readonly losses: number[] = [];
  onConnected: (() => void) | undefined;
  onClosed: ((reason: InnerEnd) => void) | undefined;
  onRtp: ((packet: Buffer, now: number) => void) | undefined;
  readonly sent: Buffer[] = [];
  connectedTo: string | undefined;
  ownerAnswers: (() => boolean) | undefined;
  /** Thrown by connect. */
  fault: GatewayError | undefined;
  closed = 0;

  connect(answer: string, ownerAnswers: () => boolean): void {
    if (this.fault) throw this.fault;
    this.connectedTo = answer;
    this.ownerAnswers = ownerAnswers;
  }

  reportLoss(percent: number): void {
    this.losses.push(percent);
  }

  sendRtp(packet: Uint8Array): void {
    this.sent.push(Buffer.from(packet));
  }

  close(): void {
    this.closed += 1;
  }

  snapshot(): undefined {
    return undefined;
  }
}

class FakeCall implements Call {
  readonly sipCallId = 'a@b';
  acknowledged = false;
  onAck: (() => void) | undefined;
  onOffer: ((offer: string) => string | Refusal) | undefined;
  onEnd: ((end: CallEnd) => void) | undefined;
  readonly hangups: (HangupReason | undefined)[] = [];

  hangup(reason?: HangupReason): void {
    this.hangups.push(reason);
  }

  ack(): void {
    this.acknowledged = true;
    this.onAck?.();
  }

  end(end: CallEnd): void {
    this.onEnd?.(end);
  }
}

export class FakeInvite implements InboundCall {
  readonly sipCallId = 'a@b';
  readonly source = { address: '192.0.2.10', port: 5060, transport: 'udp' as const };
  readonly from = 'sip:+14155550123@192.0.2.10';
  readonly to = 'sip:agent@192.0.2.1';
  readonly requestUri = 'sip:agent@192.0.2.1';
  readonly localAddress = '192.0.2.1';
  readonly offer: string | undefined;
  onCancel: (() => void) | undefined;
  readonly rejections: Refusal[] = [];
  readonly answers: string[] = [];
  readonly call = new FakeCall();

  constructor(offer: string | undefined = OFFER) {
    this.offer = offer;
  }

  header(): undefined {
    return undefined;
  }

  ring(): void {}

  answer(sdp: string): Call {
    if (this.answers.length > 0 || this.rejections.length > 0) throw new GatewayError('ERR_INVALID_STATE', 'a second final response');
    this.answers.push(sdp);
    return this.call;
  }

  reject(refusal: Refusal): void {
    if (this.answers.length === 0 && this.rejections.length === 0) this.rejections.push(refusal);
  }

  cancel(): void {
    this.onCancel?.();
  }
}

/** Opens when the test says so. */
export class FakeHost implements Pick<LegHost, 'open'> {
  readonly opening = new Awaited<void>();
  readonly told: LegEvent[] = [];
  leg: Leg | undefined;

  async open(_opening: unknown, leg: Leg): Promise<OpenedLeg> {
    this.leg = leg;
    await this.opening.promise;
    const tell = (event: LegEvent): void => void this.told.push(event);
    return { sessionId: 'rtc_0_session', answer: 'the inner answer', tell, reoffer: async () => 'another inner answer' };
  }
}

/** One phone call whose every neighbour is the test's. */
export class CallBench {
  readonly clock = new FakeClock();
  readonly invite: FakeInvite;
  readonly ports = new FakePorts();
  readonly inner = new FakeInner();
  readonly host = new FakeHost();
  readonly portsOpening = new Awaited<RtpPorts>();
  readonly innerOpening = new Awaited<InnerConnection>();
  readonly reports: CallReport[] = [];
  /** Lines of the log. */
  readonly lines: Record<string, unknown>[] = [];
  gone = 0;
  ownerAlive = true;
  readonly call: PhoneCall;

  constructor(options: { readonly offer?: string | undefined; readonly mediaTimeoutMs?: number } = {}) {
    this.invite = new FakeInvite('offer' in options ? options.offer : OFFER);
    // An explicit undefined is an INVITE without an offer, which a default would replace.
    if ('offer' in options && options.offer === undefined) Object.assign(this.invite, { offer: undefined });
    this.call = new PhoneCall(
      {
        clock: this.clock,
        log: createLog('info', { write: (line) => void this.lines.push(JSON.parse(line) as Record<string, unknown>) }),
        media: new LocalMediaHost(
          {
            clock: this.clock,
            ports: { open: () => this.portsOpening.promise },
            openInner: () => this.innerOpening.promise,
            host: this.host,
            ownerAnswers: () => this.ownerAlive,
            identity: IDENTITY,
          },
          { mediaTimeoutMs: options.mediaTimeoutMs ?? 30_000 },
        ),
        mayRefer: (target) => !target.includes('882'),
        onClosed: (report) => void this.reports.push(report),
        onGone: () => {
          this.gone += 1;
        },
      },
      this.invite,
    );
    this.call.open();
  }

  get report(): CallReport | undefined {
    return this.reports[0];
  }

  get leg(): Leg {
    if (!this.host.leg) throw new Error('no leg was opened');
    return this.host.leg;
  }

  async socketsOpen(): Promise<void> {
    this.portsOpening.resolve(this.ports);
    this.innerOpening.resolve(this.inner);
    await settled();
  }

  /** The owner has taken the leg, media is made, the inner leg connects. */
  async connecting(): Promise<this> {
    await this.socketsOpen();
    this.host.opening.resolve();
    await settled();
    return this;
  }

  /** 200 has been sent. */
  async answered(): Promise<this> {
    await this.connecting();
    this.leg.answer();
    this.inner.onConnected?.();
    return this;
  }

  async acknowledged(): Promise<this> {
    await this.answered();
    this.invite.call.ack();
    return this;
  }

  /** Nothing that was opened is left open, and nothing waits any more. */
  get isClean(): boolean {
    return this.ports.released > 0 && this.inner.closed > 0 && this.clock.nextTimer() === undefined;
  }
}

export const SUMMARY = {
  turns: 3,
  bargeIns: 1,
  responseLatencyMs: { p50: 400, p95: 700 },
  concealedFrames: 2,
  uplinkFrames: 500,
  ledger: LEDGER,
};
