import type { EndCause, JoinedSession, Leg, LegEvent, LegOrigin, LegPolicy } from '../leg/leg.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import type { Fingerprint } from '../sdp/transport.ts';
import type { InnerEnd } from './inner-connection.ts';
import type { InnerVoice } from './inner-voice.ts';
import type { PhoneMediaSnapshot } from './phone-media.ts';

/** What the dialog tells the session in the course of a call; how it begins and ends has words of its own. */
export type DialogEvent = Exclude<LegEvent, { type: 'answered' | 'ended' }>;

/** What the media of a call tells its dialog. */
export interface CallMediaEvents {
  /** What the owner of the session may ask of the call. */
  readonly leg: Leg;
  /** The session is made. */
  readonly onOpened: (sessionId: string) => void;
  /** ICE and DTLS of the inner leg are up. */
  readonly onConnected: () => void;
  /** The inner leg is dead, or the process that carried the media. */
  readonly onLost: (reason: InnerEnd) => void;
  /** The phone has sent a key as RTP events or sound; the session has it already. */
  readonly onKey: () => void;
  /** Nothing has come from the phone for too long. */
  readonly onTimeout: () => void;
  /** The first audible packet has left for the phone. */
  readonly onFirstAudio: () => void;
}

export interface CallMediaOpening {
  readonly origin: LegOrigin;
  readonly audio: NegotiatedAudio;
  /** Whose the session is, and who decides whether the call is taken; the local agent takes it when absent. */
  readonly policy?: LegPolicy;
  /** As LegOpening.near. */
  readonly near?: string | undefined;
  /** Where the call's SIP messages come from. */
  readonly signallingAddress: string;
}

/**
 * The media half of a phone call, as its dialog half sees it: two ports for the phone, and behind them codecs, the inner leg and the session.
 * It lives in this process or in a worker (docs/decisions/workers.md); between the two halves there are no words but these.
 */
export interface CallMedia {
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** Of the certificate that a phone is shown which speaks DTLS. */
  readonly fingerprint: Fingerprint;
  /**
   * Makes the session and begins to connect to it. `events.leg` may be commanded before this resolves.
   * @throws GatewayError as LegHost.open(), and ERR_MEDIA_FAILED
   */
  connect(opening: CallMediaOpening): Promise<void>;
  /** The dialog is acknowledged: media may flow to the phone, and the session is told. */
  start(): void;
  /** A new SDP of the phone. */
  renegotiate(audio: NegotiatedAudio): void;
  /** Keys that came beside the media, ringing, a transfer: for the session. */
  tell(event: DialogEvent): void;
  /** Presses keys towards the phone as RTP events, which it must have agreed to. */
  sendKeys(digits: string): void;
  /**
   * Tells the session and frees everything; may come at any time. Idempotent.
   * @param status the SIP status that a call of ours failed with
   */
  end(cause: EndCause, status?: number): void;
  /** What is known of the phone's media so far. */
  snapshot(): PhoneMediaSnapshot | undefined;
  /** Unix milliseconds; when the snapshot was taken, if that was before the end because the process that carried the media has died. */
  readonly snapshotAt?: number | undefined;
}

/** Where the media of calls is carried. */
export interface MediaHost {
  /**
   * Takes ports for a call.
   * @param voice what the phone can use
   * @param joins the session that the call will be one more leg of: its media is carried where that lives
   * @param near as LegOpening.near, for the media
   * @throws GatewayError ERR_NO_PORT, ERR_OVERLOADED, ERR_NODE_UNREACHABLE, ERR_TIMEOUT
   */
  open(voice: InnerVoice, events: CallMediaEvents, joins?: JoinedSession, near?: string): Promise<CallMedia>;
}
