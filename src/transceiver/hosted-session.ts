import type { OpusProfile } from '../audio/opus.ts';
import { type Clock, soon } from '../base/clock.ts';
import { randomUint32 } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Ticker } from '../base/ticker.ts';
import type { DialRequest, EndCause, Leg, LegDialler, LegEvent, LegOpening, SessionSummary } from '../leg/leg.ts';
import type { RealtimeModel } from '../realtime/model.ts';
import { Session } from '../realtime/session.ts';
import type { SessionMetrics } from '../realtime/session-metrics.ts';
import type { VoiceDetector } from '../realtime/voice-detector.ts';
import type { WebRtcAudio, WebRtcDescription } from '../sdp/webrtc.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import type { IceCredentials } from '../webrtc/ice/ice-agent.ts';
import type { Path } from '../webrtc/path.ts';
import { Peer } from '../webrtc/peer.ts';
import { Media } from './media.ts';

export interface HostedSessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ticker: Ticker;
  readonly identity: Identity;
  readonly model: RealtimeModel;
  readonly createVoiceDetector: () => VoiceDetector;
  readonly sessionMetrics: SessionMetrics;
  /** Who calls somebody for a session; without it nobody is called. */
  readonly dialler?: LegDialler;
}

export interface HostedSessionOptions {
  readonly id: string;
  readonly credentials: IceCredentials;
  readonly offer: WebRtcDescription;
  readonly audio: WebRtcAudio;
  readonly dtlsRole: 'client' | 'server';
  readonly onPathVerified: (path: Path) => void;
  readonly onPathDropped: (path: Path) => void;
  /** Once; the session is over and everything of it is freed. */
  readonly onEnded: (cause: EndCause) => void;
}

/** Long enough for a BYE to be answered and for somebody to hang up. */
const CALL_BACK_AFTER_MS = 2000;

/** One session with the peer that carries its media and the leg that it commands. What ends one of them ends all. */
export class HostedSession {
  readonly id: string;
  readonly ufrag: string;
  readonly peer: Peer;
  readonly ssrc = randomUint32();
  readonly #deps: HostedSessionDeps;
  readonly #options: HostedSessionOptions;
  readonly #log: Logger;
  readonly #leg: Leg;
  readonly #session: Session;
  readonly #callBack: DialRequest | undefined;
  readonly #profile: OpusProfile;
  #media: Media | undefined;
  #answered = false;
  #ended = false;

  static async create(deps: HostedSessionDeps, options: HostedSessionOptions, opening: LegOpening, leg: Leg): Promise<HostedSession> {
    const hosted = new HostedSession(deps, options, opening, leg);
    try {
      await hosted.#openMedia();
    } catch (thrown) {
      // The leg hears of it from whoever opens it, with the reason; a hang-up from here would come first and say less.
      hosted.#session.handleLegEvent({ type: 'ended', cause: 'internal_error' });
      throw thrown;
    }
    return hosted;
  }

  private constructor(deps: HostedSessionDeps, options: HostedSessionOptions, opening: LegOpening, leg: Leg) {
    this.id = options.id;
    this.ufrag = options.credentials.ufrag;
    this.#deps = deps;
    this.#options = options;
    this.#leg = leg;
    this.#profile = opening.origin.kind === 'phone' ? 'interior' : 'edge';
    this.#callBack = deps.dialler && opening.origin.callBack;
    this.#log = deps.log.child({ session: this.id, sipCallId: opening.origin.sipCallId });
    this.#session = new Session(
      {
        clock: deps.clock,
        log: this.#log,
        model: deps.model,
        createVoiceDetector: deps.createVoiceDetector,
        metrics: deps.sessionMetrics,
      },
      { mayCallBack: this.#callBack !== undefined },
    );
    this.#session.attach(leg);
    this.#session.onEnded = (cause) => this.#finish(cause);
    this.peer = this.#makePeer();
  }

  /**
   * The pending session begins to wait for its peer at once. Whether it takes the leg it says on the next turn of the event loop: whoever opened
   * the leg has the answer by then, and has passed it on.
   */
  start(): void {
    if (this.#ended) return;
    this.peer.start();
    soon(() => this.#session.start());
  }

  handleLegEvent(event: LegEvent): void {
    if (this.#ended) return;
    if (event.type === 'answered') {
      this.#answered = true;
      this.#startMedia();
    }
    this.#session.handleLegEvent(event);
  }

  end(cause: EndCause): void {
    this.#session.end(cause);
  }

  snapshot(): unknown {
    return { id: this.id, session: this.#session.snapshot(), peer: this.peer.snapshot(), media: this.#media?.snapshot() };
  }

  async #openMedia(): Promise<void> {
    const { clock, ticker } = this.#deps;
    const { audio } = this.#options;
    const media = await Media.create(
      { clock, ticker, session: this.#session, peer: this.peer },
      { audio, ssrc: this.ssrc, profile: this.#profile, narrowband: audio.maxPlaybackRateHz === 8000 },
    );
    if (this.#ended) media.close();
    else this.#media = media;
  }

  #makePeer(): Peer {
    const { credentials, offer, dtlsRole, onPathVerified, onPathDropped } = this.#options;
    return new Peer(this.#deps, {
      ice: { type: 'lite', local: credentials, remoteUfrag: offer.ice.ufrag },
      dtlsRole,
      remoteFingerprints: offer.fingerprints,
      ...(offer.application ? { remoteSctpPort: offer.application.sctpPort, remoteMaxMessageBytes: offer.application.maxMessageSize } : {}),
      handlers: {
        onConnected: () => this.#startMedia(),
        onRtp: (packet, now) => this.#media?.handleRtp(packet, now),
        onRtcp: (packet, now) => this.#media?.handleRtcp(packet, now),
        onPathVerified,
        onPathDropped,
        onClosed: (reason) => this.#peerClosed(reason),
      },
    });
  }

  /** Audio flows when there is a way for it and somebody has taken the call. */
  #startMedia(): void {
    if (this.#answered && this.peer.state === 'connected') this.#media?.start();
  }

  #peerClosed(reason: string): void {
    if (this.#ended) return;
    // A goodbye is told by the closing line.
    if (reason !== 'remote_closed') this.#log.info({ reason, peer: this.peer.snapshot() }, 'media connection closed');
    this.#session.end(reason === 'remote_closed' ? 'remote_hangup' : 'media_failed');
  }

  #finish(cause: EndCause): void {
    if (this.#ended) return;
    this.#ended = true;
    const paths = this.peer.paths;
    const media = this.#media?.snapshot();
    this.#media?.close();
    this.peer.close();
    for (const path of paths) this.#options.onPathDropped(path);
    const summary = this.#summary(media?.uplink);
    this.#log.info({ cause, ...summary }, 'session ended');
    this.#log.debug({ media, peer: this.peer.snapshot() }, 'session figures');
    this.#options.onEnded(cause);
    this.#leg.report(summary);
    if (this.#session.callBackWanted && cause === 'agent_hangup') this.#dialBack();
  }

  /** The phone must be back on the hook before it can ring. */
  #dialBack(): void {
    const { dialler, clock } = this.#deps;
    const request = this.#callBack;
    if (!dialler || !request) return;
    clock.setTimer(CALL_BACK_AFTER_MS, () => {
      dialler.dial(request).catch((thrown: unknown) => this.#log.warn({ err: thrown }, 'call back refused'));
    });
  }

  #summary(uplink: { frames: number; concealedFrames: number } | undefined): SessionSummary {
    const { turns, bargeIns, responseLatencyMs } = this.#session.snapshot();
    const latency = responseLatencyMs.all.length > 0 ? { p50: responseLatencyMs.median, p95: responseLatencyMs.p95 } : undefined;
    return {
      turns,
      bargeIns,
      responseLatencyMs: latency as SessionSummary['responseLatencyMs'],
      concealedFrames: uplink?.concealedFrames ?? 0,
      uplinkFrames: uplink?.frames ?? 0,
    };
  }
}
