import type { PeerCloseReason, PeerSnapshot } from '../webrtc/peer-options.ts';
import type { InnerVoice } from './inner-voice.ts';

/** Why an inner leg is dead: its owner is, or what the connection says. */
export type InnerEnd = 'owner_lost' | PeerCloseReason;

/** What a phone call needs of its inner leg: a WebRTC connection to the owner of its session. */
export interface InnerConnection {
  /** SDP offer for the owner. */
  readonly offer: string;
  /** Of the audio it sends. */
  readonly ssrc: number;
  readonly payloadType: number;
  /** What the owner was asked to send. */
  readonly voice: InnerVoice;
  onConnected: (() => void) | undefined;
  /** It is dead. Not called for our own close. */
  onClosed: ((reason: InnerEnd) => void) | undefined;
  onRtp: ((packet: Buffer, now: number) => void) | undefined;
  /**
   * Begins to connect.
   * @param ownerAnswers is asked when media falls silent: does the process that owns the session still answer otherwise?
   * @throws GatewayError ERR_MEDIA_FAILED when the owner's SDP answer is of no use
   */
  connect(answer: string, ownerAnswers: () => boolean): void;
  sendRtp(packet: Uint8Array): void;
  /** What the phone loses of what came by this leg, in percent: whoever coded it makes FEC for that. */
  reportLoss(percent: number): void;
  /** Says goodbye and frees everything. Idempotent. */
  close(): void;
  snapshot(): PeerSnapshot | undefined;
}
