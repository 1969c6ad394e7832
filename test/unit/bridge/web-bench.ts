import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import type { CallReport } from '../../../src/bridge/call-report.ts';
import { DialledCall } from '../../../src/bridge/dialled-call.ts';
import { WebCall, type WebCallDeps } from '../../../src/bridge/web-call.ts';
import type { Leg, LegEvent, LegHost, LegWish, OfferedLeg, OpenedLeg } from '../../../src/leg/leg.ts';
import type {
  Call,
  CallEnd,
  CallInfo,
  DialFailure,
  HangupReason,
  InboundCall,
  IncomingRefer,
  OutboundCall,
  ReferProgress,
  Refusal,
  SentHeaders,
  SipEngine,
} from '../../../src/sip/engine.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Awaited, settled } from './call-bench.ts';

/** What a browser offers, in one direction or another. */
export function browserSdp(direction: 'sendrecv' | 'sendonly' | 'inactive' = 'sendrecv'): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'c=IN IP4 0.0.0.0',
    'a=ice-ufrag:abcd',
    `a=ice-pwd:${'p'.repeat(22)}`,
    `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
    'a=setup:actpass',
    'a=mid:0',
    `a=${direction}`,
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
    '',
  ].join('\r\n');
}

/** A dialog with a browser that notes what is sent in it. */
class FakeDialog implements Call {
  readonly sipCallId = 'web@b';
  acknowledged = false;
  onAck: Call['onAck'];
  onOffer: Call['onOffer'];
  onAnswer: Call['onAnswer'];
  onInfo: Call['onInfo'];
  onRefer: Call['onRefer'];
  onEnd: Call['onEnd'];
  readonly hangups: (HangupReason | undefined)[] = [];
  readonly farewells: SentHeaders[] = [];
  readonly infos: string[] = [];
  readonly refers: { readonly target: string; readonly onProgress: (progress: ReferProgress) => void }[] = [];
  /** Headers that may not be sent. */
  forbidden: string | undefined;

  refer(target: string, onProgress: (progress: ReferProgress) => void): void {
    this.refers.push({ target, onProgress });
  }

  info({ body }: CallInfo): void {
    this.infos.push(body);
  }

  hangup(reason?: HangupReason, headers: SentHeaders = []): void {
    if (headers.some(([name]) => name === this.forbidden)) throw new GatewayError('ERR_BAD_REQUEST', 'not this header');
    this.hangups.push(reason);
    this.farewells.push(headers);
  }

  isNamedBy(replaces: string): boolean {
    return replaces === 'web@b;to-tag=1;from-tag=2';
  }

  ack(): void {
    this.acknowledged = true;
    this.onAck?.();
  }
}

class FakeInvite implements InboundCall {
  readonly sipCallId = 'web@b';
  readonly source = { address: '192.0.2.20', port: 50_000, transport: 'wss' as const };
  readonly from = 'sip:+14155550123@192.0.2.1';
  readonly to = 'sip:agent@192.0.2.1';
  readonly requestUri = 'sip:agent@192.0.2.1';
  readonly localAddress = '192.0.2.1';
  readonly caller = { type: 'user', name: 'alice' } as const;
  readonly offer = browserSdp();
  onCancel: (() => void) | undefined;
  readonly rejections: Refusal[] = [];
  readonly answers: string[] = [];
  rings = 0;
  readonly dialog: FakeDialog;

  constructor(dialog: FakeDialog) {
    this.dialog = dialog;
  }

  header(): undefined {
    return undefined;
  }

  ring(): void {
    this.rings += 1;
  }

  answer(sdp: string): Call {
    this.answers.push(sdp);
    return this.dialog;
  }

  reject(refusal: Refusal): void {
    this.rejections.push(refusal);
  }
}

/** The call of ours that a DialledCall places. */
export class FakeOutbound implements OutboundCall {
  readonly sipCallId: string;
  readonly from = 'sip:ringdown@192.0.2.1';
  readonly requestUri: string;
  readonly localAddress = '192.0.2.1';
  readonly remote: OutboundCall['remote'];
  readonly transport: OutboundCall['transport'];
  onProgress: OutboundCall['onProgress'];
  onAnswered: OutboundCall['onAnswered'];
  onFailed: ((failure: DialFailure) => void) | undefined;
  onDurationCap: (() => void) | undefined;
  cancels = 0;
  offered: string | undefined;
  offeredToBrowsers: string | undefined;

  constructor({ sipCallId, requestUri, remote, transport }: Pick<OutboundCall, 'sipCallId' | 'requestUri' | 'remote' | 'transport'>) {
    this.sipCallId = sipCallId;
    this.requestUri = requestUri;
    this.remote = remote;
    this.transport = transport;
  }

  cancel(): void {
    this.cancels += 1;
  }
}

/** An owner of sessions that opens, answers and takes answers when the test says so. */
class FakeOwner implements LegHost {
  readonly opening = new Awaited<void>();
  readonly told: LegEvent[] = [];
  leg: Leg | undefined;
  origin: LegWish['origin'] | undefined;
  accept: (answer: string) => Promise<void> = async () => undefined;
  reoffer: (offer: string) => Promise<string> = async () => 'the later answer';

  async open(opening: LegWish, leg: Leg): Promise<OpenedLeg> {
    return { ...(await this.#open(opening, leg)), answer: 'the answer' };
  }

  async offer(opening: LegWish, leg: Leg): Promise<OfferedLeg> {
    return { ...(await this.#open(opening, leg)), offer: 'the offer', accept: (answer) => this.accept(answer) };
  }

  async #open({ origin }: LegWish, leg: Leg): Promise<Omit<OpenedLeg, 'answer'>> {
    this.leg = leg;
    this.origin = origin;
    await this.opening.promise;
    return { sessionId: 'rtc_0_web', tell: (event) => void this.told.push(event), reoffer: (offer) => this.reoffer(offer) };
  }
}

/** One call of a browser whose every neighbour is the test's. */
export class WebBench {
  readonly clock = new FakeClock();
  readonly dialog = new FakeDialog();
  readonly invite = new FakeInvite(this.dialog);
  readonly outbound = new FakeOutbound({
    sipCallId: 'web@b',
    requestUri: 'sip:bob@192.0.2.20',
    remote: { address: '192.0.2.20', port: 50_000 },
    transport: 'wss',
  });
  readonly owner = new FakeOwner();
  readonly reports: CallReport[] = [];
  readonly lines: string[] = [];
  readonly call: WebCall;
  gone = 0;

  /** @param to `out`: a call of ours to bob's browser */
  constructor(direction: 'in' | 'out' = 'in', deps: Partial<WebCallDeps> = {}) {
    const engine = {
      dial: ({ offer }: { offer: (address: string) => Promise<string> }) => {
        void offer('192.0.2.1').then((sdp) => {
          this.outbound.offered = sdp;
        });
        return this.outbound;
      },
    } as unknown as SipEngine;
    const joins = { sessionId: 'rtc_0_web', leg: 'leg_bob' };
    const invite = direction === 'in' ? this.invite : new DialledCall(engine, { trunk: 'users', destination: 'user:bob' }, joins);
    this.call = new WebCall(
      {
        clock: this.clock,
        log: createLog('info', { write: (line) => void this.lines.push(line) }),
        host: () => this.owner,
        onClosed: (report) => void this.reports.push(report),
        onGone: () => {
          this.gone += 1;
        },
        ...deps,
      },
      invite,
    );
    this.call.open();
  }

  get leg(): Leg {
    if (!this.owner.leg) throw new Error('no leg was opened');
    return this.owner.leg;
  }

  get report(): CallReport | undefined {
    return this.reports[0];
  }

  /** The owner has taken the leg. */
  async opened(): Promise<this> {
    this.owner.opening.resolve();
    await settled();
    return this;
  }

  /** 200 has been sent; or the INVITE, of a call of ours. */
  async answered(): Promise<this> {
    await this.opened();
    this.leg.answer();
    await settled();
    return this;
  }

  async acknowledged(): Promise<this> {
    await this.answered();
    this.dialog.ack();
    return this;
  }

  /** Of a call of ours: the browser has answered. */
  async taken(answer = 'its answer'): Promise<this> {
    await this.answered();
    this.outbound.onAnswered?.(this.dialog, answer);
    await settled();
    return this;
  }

  end(end: CallEnd): void {
    this.dialog.onEnd?.(end);
  }
}

/** A REFER that notes what is told of it. */
export function fakeRefer(target = 'sip:carol@192.0.2.1', replaces?: string): IncomingRefer & { readonly notes: number[] } {
  const notes: number[] = [];
  return { target, replaces, notes, notify: (status) => void notes.push(status) };
}
