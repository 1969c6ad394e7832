import type { Clock } from '../base/clock.ts';
import type { EndCause, LegEvent, LegHost, OpenedLeg } from '../leg/leg.ts';
import { MAX_ROUND_TRIP_MS } from '../leg/messages.ts';
import type { RtpPortPool, RtpPorts } from '../rtp/ports.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import type { Fingerprint } from '../sdp/transport.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import type { CallMedia, CallMediaEvents, CallMediaOpening, DialogEvent, MediaHost } from './call-media.ts';
import type { InnerConnection, InnerEnd } from './inner-connection.ts';
import type { InnerVoice } from './inner-voice.ts';
import { PhoneMedia, type PhoneMediaSnapshot } from './phone-media.ts';

export interface LocalMediaDeps {
  readonly clock: Clock;
  readonly ports: Pick<RtpPortPool, 'open'>;
  readonly openInner: (voice: InnerVoice) => Promise<InnerConnection>;
  /** Whose certificate phones are shown. */
  readonly identity: Identity;
  /** Where new sessions are opened: the transceiver of this process, or the door to the others. */
  readonly host: Pick<LegHost, 'open'>;
  /** Does the process that owns this session answer? Always, when it is this one. */
  readonly ownerAnswers: (sessionId: string) => boolean;
}

export interface LocalMediaOptions {
  /** A phone that is silent for so long is gone. */
  readonly mediaTimeoutMs: number;
}

/** Carries the media of calls in this process. */
export class LocalMediaHost implements MediaHost {
  readonly #deps: LocalMediaDeps;
  readonly #options: LocalMediaOptions;

  constructor(deps: LocalMediaDeps, options: LocalMediaOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async open(voice: InnerVoice, events: CallMediaEvents): Promise<CallMedia> {
    const [ports, inner] = await Promise.allSettled([this.#deps.ports.open(), this.#deps.openInner(voice)]);
    if (ports.status === 'fulfilled' && inner.status === 'fulfilled') {
      return new LocalMedia(this.#deps, this.#options, events, ports.value, inner.value);
    }
    // When one of the two cannot be had, the other one is not lost.
    if (ports.status === 'fulfilled') ports.value.release();
    if (inner.status === 'fulfilled') inner.value.close();
    throw ports.status === 'rejected' ? ports.reason : (inner as PromiseRejectedResult).reason;
  }
}

class LocalMedia implements CallMedia {
  readonly #deps: LocalMediaDeps;
  readonly #options: LocalMediaOptions;
  readonly #events: CallMediaEvents;
  readonly #ports: RtpPorts;
  readonly #inner: InnerConnection;
  #opened: OpenedLeg | undefined;
  #media: PhoneMedia | undefined;
  #answered = false;
  #toldAnswered = false;
  #ended: Extract<LegEvent, { type: 'ended' }> | undefined;

  constructor(deps: LocalMediaDeps, options: LocalMediaOptions, events: CallMediaEvents, ports: RtpPorts, inner: InnerConnection) {
    this.#deps = deps;
    this.#options = options;
    this.#events = events;
    this.#ports = ports;
    this.#inner = inner;
    inner.onConnected = () => events.onConnected();
    inner.onClosed = (reason) => events.onLost(reason);
  }

  get rtpPort(): number {
    return this.#ports.rtp.local.port;
  }

  get rtcpPort(): number {
    return this.#ports.rtcp.local.port;
  }

  get fingerprint(): Fingerprint {
    return this.#deps.identity.fingerprint;
  }

  async connect({ origin, audio, policy, signallingAddress, near }: CallMediaOpening): Promise<void> {
    const inner = this.#inner;
    const opened = await this.#deps.host.open({ origin, offer: inner.offer, near, ...(policy && { policy }) }, this.#events.leg);
    if (this.#ended) {
      opened.tell(this.#ended);
      return;
    }
    this.#opened = opened;
    this.#events.onOpened(opened.sessionId);
    const { onTimeout, onFirstAudio } = this.#events;
    const onDigit = (digit: string, durationMs: number): void => {
      this.#events.onKey();
      opened.tell({ type: 'dtmf', digit, durationMs });
    };
    // Beyond the phone's network lies the way from here to the owner of the session, which our checks measure.
    const onRoundTrip = (ms: number): void => {
      opened.tell({ type: 'round_trip', ms: Math.min(MAX_ROUND_TRIP_MS, ms + (inner.snapshot()?.ice.rttMs ?? 0)) });
    };
    const { clock, identity } = this.#deps;
    const onReady = (): void => this.#tellAnswered();
    const onFailed = (reason: string): void => this.#events.onLost(reason as InnerEnd);
    const told = { onDigit, onTimeout, onFirstAudio, onRoundTrip, onReady, onFailed };
    this.#media = await PhoneMedia.create({ clock, ports: this.#ports, inner, identity, ...told }, audio, {
      mediaTimeoutMs: this.#options.mediaTimeoutMs,
      signallingAddress,
    });
    if (this.#ended) this.#media.stop();
    else inner.connect(opened.answer, () => this.#deps.ownerAnswers(opened.sessionId));
  }

  /** Who would be answered now would talk to a phone that has no keys yet: the session is told when they are there. */
  start(): void {
    this.#answered = true;
    this.#media?.start();
    if (this.#media?.isReady) this.#tellAnswered();
  }

  #tellAnswered(): void {
    if (!this.#answered || this.#toldAnswered || this.#ended) return;
    this.#toldAnswered = true;
    this.#opened?.tell({ type: 'answered' });
  }

  renegotiate(audio: NegotiatedAudio): void {
    this.#media?.renegotiate(audio);
  }

  tell(event: DialogEvent): void {
    this.#opened?.tell(event);
  }

  sendKeys(digits: string): void {
    this.#media?.sendKeys(digits);
  }

  end(cause: EndCause, status?: number): void {
    if (this.#ended) return;
    this.#ended = { type: 'ended', cause, ...(status === undefined ? {} : { status }) };
    this.#opened?.tell(this.#ended);
    this.#media?.stop();
    this.#inner.close();
    this.#ports.release();
  }

  snapshot(): PhoneMediaSnapshot | undefined {
    return this.#media?.snapshot();
  }
}
